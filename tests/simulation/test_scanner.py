"""Scanners: noise that is what it says, sites that differ, marks and margins in their places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from suwen.simulation.patients import SITES
from suwen.simulation.scanner import SCANNERS, Settings, blur, develop, draw_settings, noise_deviation

PLAIN = Settings(dose=1.0, offset=0.0, gain=1.0, margins=(0.0, 0.0, 0.0, 0.0))
FLAT = np.full((64, 64), 0.5, dtype=np.float32)


def test_every_site_has_a_scanner_and_no_two_are_alike() -> None:
    assert SCANNERS.keys() == SITES.keys()
    assert len({replace(scanner) for scanner in SCANNERS.values()}) == len(SITES)


@pytest.mark.parametrize("site", SCANNERS)
def test_grey_levels_are_as_many_as_the_bits_allow(site: str) -> None:
    ramp = np.linspace(-0.5, 1.5, 128 * 128, dtype=np.float32).reshape(128, 128)
    film = develop(ramp, SCANNERS[site], PLAIN)
    assert film.dtype == np.uint8 and film.min() == 0 and film.max() == 255
    assert len(np.unique(film)) <= 2 ** SCANNERS[site].bits


@pytest.mark.parametrize("site", SCANNERS)
def test_denser_is_brighter(site: str) -> None:
    scanner = replace(SCANNERS[site], marker="none")
    levels = [int(develop(np.full((64, 64), d, np.float32), scanner, PLAIN)[32, 32]) for d in np.linspace(-1, 2, 20)]
    assert levels == sorted(levels) and levels[0] == 0 and levels[-1] == 255


def test_noise_grows_with_density_and_pixels_and_falls_with_dose() -> None:
    scanner = SCANNERS["riverside"]
    base = noise_deviation(np.full((128, 128), 0.5, np.float32), scanner, PLAIN)
    assert base == pytest.approx(scanner.noise)
    assert noise_deviation(np.full((256, 256), 0.5, np.float32), scanner, PLAIN) == pytest.approx(2 * scanner.noise)
    assert noise_deviation(base * 0 + 0.5, scanner, replace(PLAIN, dose=4.0)) == pytest.approx(scanner.noise / 2)
    # A density of 0.5 more lets exp(1) fewer quanta through (attenuation is twice the density): √e more noise.
    assert noise_deviation(base * 0 + 1.0, scanner, PLAIN) == pytest.approx(scanner.noise * np.exp(0.5))


def test_blur_is_linear_keeps_the_mean_and_widens_with_the_pixels() -> None:
    scanner, rng = SCANNERS["donghu"], np.random.default_rng(0)
    one, other = rng.random((2, 128, 128), dtype=np.float32)
    np.testing.assert_allclose(blur(one + 2 * other, scanner), blur(one, scanner) + 2 * blur(other, scanner), atol=1e-5)
    point = np.zeros((129, 129), np.float32)
    point[64, 64] = 1.0
    spread = blur(point, scanner)
    assert spread.sum() == pytest.approx(1.0, abs=1e-4)
    deviation = np.sqrt((spread.sum(axis=0) * (np.arange(129) - 64.0) ** 2).sum()) * 380 / 129
    assert deviation == pytest.approx(scanner.blur_mm, rel=0.05)


def test_margins_are_black_and_as_wide_as_drawn() -> None:
    scanner = replace(SCANNERS["lakeview"], marker="none")
    film = develop(FLAT + 0.3, scanner, replace(PLAIN, margins=(0.125, 0.0, 0.25, 0.0625)))
    assert (film[:, :4] == 0).all() and (film[:, 4] > 0).any()
    assert (film[:, -8:] == 0).all() and (film[:-2, -9] > 0).all()
    assert (film[-2:] == 0).all() and (film[-3, 4:-8] > 0).all()


@pytest.mark.parametrize("size", [32, 64, 128, 512])
def test_the_marker_is_a_letter_l_on_the_subjects_left(size: int) -> None:
    flat = np.full((size, size), 0.5, np.float32)
    for site, scanner in SCANNERS.items():
        changed = develop(flat, scanner, PLAIN) != develop(flat, replace(scanner, marker="none"), PLAIN)
        if scanner.marker == "none":
            assert not changed.any(), site
            continue
        rows, columns = np.nonzero(changed)
        assert rows.max() < 0.3 * size and columns.min() > 0.7 * size
        stroke = max(1, size // 64)
        assert len(rows) >= (5 + 2) * stroke**2  # an upright of 5 strokes and a foot of 2 more


def test_settings_vary_within_the_scanners_margins() -> None:
    drawn = [draw_settings(np.random.default_rng(i), SCANNERS["lakeview"]) for i in range(50)]
    assert len({settings.dose for settings in drawn}) == 50
    assert all(0.0 <= margin <= SCANNERS["lakeview"].border for settings in drawn for margin in settings.margins)
