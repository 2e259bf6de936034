"""From the anatomy to the grey levels of a file: blur, quantum noise, the vendor's curve, collimation, the marker.

One row a site in `SCANNERS`: this is where the sites' films differ. All numbers are invented.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from suwen.simulation.anatomy import HALF_FIELD_MM, Pixels

Marker = Literal["letter", "block", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """How one site takes and shows its films.

    Attributes:
        blur_mm: standard deviation of the detector's point spread.
        noise: standard deviation of the quantum noise at density 0.5, on pixels of 1/128 of the field.
        black, white: the densities shown black and white.
        gamma: of the display curve.
        sharpen: how much of the film's fine detail is added once more.
        border: largest width of the collimated margin, of half the film.
        marker: how the side marker "L" is burnt in.
        bits: grey levels are quantised to this many bits.
        portable: fraction of AP films, taken at the bedside.
    """

    blur_mm: float
    noise: float
    black: float
    white: float
    gamma: float
    sharpen: float
    border: float
    marker: Marker
    bits: int
    portable: float


SCANNERS: dict[str, Scanner] = {
    "riverside": Scanner(blur_mm=1.2, noise=0.018, black=-0.03, white=1.15, gamma=1.0, sharpen=0.3,
                         border=0.00, marker="letter", bits=8, portable=0.10),
    "lakeview": Scanner(blur_mm=2.2, noise=0.030, black=-0.05, white=1.25, gamma=0.8, sharpen=0.0,
                        border=0.10, marker="block", bits=7, portable=0.35),
    "qingshan": Scanner(blur_mm=1.0, noise=0.022, black=0.00, white=1.10, gamma=1.1, sharpen=0.5,
                        border=0.04, marker="letter", bits=8, portable=0.05),
    "donghu": Scanner(blur_mm=2.8, noise=0.026, black=0.00, white=1.20, gamma=0.9, sharpen=0.0,
                      border=0.06, marker="none", bits=6, portable=0.20),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What varies from one film of a scanner to the next: the dose, the window, the collimated margins."""

    dose: float
    offset: float
    gain: float
    margins: tuple[float, float, float, float]


def draw_settings(rng: np.random.Generator, scanner: Scanner) -> Settings:
    """The settings of one film."""
    left, top, right, bottom = (float(margin) for margin in rng.uniform(0.0, 1.0, 4) * scanner.border)
    return Settings(
        dose=float(rng.lognormal(0.0, 0.3)),
        offset=float(rng.normal(0.0, 0.03)),
        gain=float(rng.lognormal(0.0, 0.06)),
        margins=(left, top, right, bottom),
    )


def blur(image: Pixels, scanner: Scanner) -> Pixels:
    """`image` as the detector's point spread leaves it; linear, so that the blur of a sum is the sum of the blurs."""
    pixels = scanner.blur_mm * len(image) / (2.0 * HALF_FIELD_MM)
    return np.asarray(ndimage.gaussian_filter(image, pixels, truncate=3.0, mode="nearest"), dtype=np.float32)


def noise_deviation(density: Pixels, scanner: Scanner, settings: Settings) -> Pixels:
    """Standard deviation of the noise in every pixel of a film whose blurred, lesion-free anatomy is `density`.

    Counts are Poisson: behind an attenuation of D (natural logarithm, here taken as twice the density) the logarithm
    of the counts varies by exp(D/2), by 1/√dose, and by the inverse of the pixel's width. That a lesion itself lets
    fewer quanta through is left out.
    """
    spread: Pixels = np.exp(density - 0.5)
    return scanner.noise * (len(density) / 128.0) / math.sqrt(settings.dose) * spread


def develop(exposure: Pixels, scanner: Scanner, settings: Settings) -> NDArray[np.uint8]:
    """The `(size, size)` grey levels, 0 to 255, that the site's workstation stores for `exposure`."""
    fine = exposure - ndimage.uniform_filter(exposure, max(3, len(exposure) // 32), mode="nearest")
    black = scanner.black + settings.offset
    shown = (exposure + scanner.sharpen * fine - black) * (settings.gain / (scanner.white - scanner.black))
    shown = np.clip(shown, 0.0, 1.0) ** scanner.gamma
    _collimate(shown, settings)
    _mark(shown, scanner.marker)
    top = 2**scanner.bits - 1
    return np.asarray(np.round(np.round(shown * top) * (255.0 / top)), dtype=np.uint8)


def _collimate(shown: Pixels, settings: Settings) -> None:
    """Black margins, in place."""
    left, top, right, bottom = (round(margin * shown.shape[0] / 2.0) for margin in settings.margins)
    shown[:top], shown[:, :left] = 0.0, 0.0
    shown[shown.shape[0] - bottom :], shown[:, shown.shape[1] - right :] = 0.0, 0.0


def _mark(shown: Pixels, marker: Marker) -> None:
    """The letter L, in place, in the upper corner of the subject's left side: white, or black on a white block."""
    if marker == "none":
        return
    unit = max(1, shown.shape[0] // 64)  # stroke width
    top, left = 3 * unit, shown.shape[1] - 8 * unit
    if marker == "block":
        shown[top - unit : top + 6 * unit, left - unit : left + 4 * unit] = 0.95
    ink = 0.05 if marker == "block" else 0.95
    shown[top : top + 5 * unit, left : left + unit] = ink
    shown[top + 4 * unit : top + 5 * unit, left : left + 3 * unit] = ink
