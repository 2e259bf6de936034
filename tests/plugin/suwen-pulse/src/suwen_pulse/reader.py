"""``.npz`` files with ``waves (N, samples)``, ``rates (N,)``, ``subjects (N,)`` and ``splits (N,)`` → a Dataset."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suwen.core.errors import DataError
from suwen.core.sample import Sample, Split


@dataclass(frozen=True)
class PulsePreprocess:
    """A wave as float32 (1, samples), from 0 to 1."""

    samples: int

    def __call__(self, source: np.ndarray) -> np.ndarray:
        """Cut to length and scaled."""
        wave = np.asarray(source[: self.samples], np.float32)
        return ((wave - wave.min()) / max(float(np.ptp(wave)), 1e-6))[None]

    def model_dump(self) -> dict[str, Any]:
        """All settings."""
        return asdict(self)


@dataclass(eq=False)
class Pulses:
    """Waves as columns (a `suwen.core.dataset.Dataset`)."""

    ids: np.ndarray
    subjects: np.ndarray
    splits: np.ndarray
    waves: np.ndarray
    targets: np.ndarray
    preprocess: PulsePreprocess
    labels: tuple[str, ...] = ("beats a minute",)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metadata = pd.DataFrame(index=range(len(self.ids)))
        self.fingerprint = hashlib.sha256(self.waves.tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, split: Split) -> np.ndarray:
        """Rows of one split."""
        return np.flatnonzero(self.splits == split)

    def take(self, index: np.ndarray) -> np.ndarray:
        """Waves ``(B, 1, samples)``."""
        return self.waves[index]


@dataclass
class PulseCheck:
    """Nothing is checked but what `PulseReader.check` raises."""

    warnings: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As the report shows it."""
        return {"tables": [], "warnings": self.warnings, "leaks": self.leaks}

    def render(self) -> str:
        """As the console shows it."""
        return "waves: no findings"


class PulseReader:
    """How waves come in (a `suwen.core.dataset.Reader`)."""

    def read(self, source: str | Path, *, labelled: bool = True) -> list[Sample]:
        """One Sample a wave."""
        with np.load(source, allow_pickle=False) as file:
            rows = zip(file["waves"], file["rates"], file["subjects"], file["splits"], strict=True)
            return [
                Sample(id=f"wave[{row}]", source=wave, target=float(rate), subject=str(subject), split=str(split))
                for row, (wave, rate, subject, split) in enumerate(rows)
            ]

    def preprocess(self, samples: list[Sample], settings: dict[str, Any]) -> PulsePreprocess:
        """From the settings, or as long as the first wave."""
        return PulsePreprocess(**({} if settings else {"samples": len(samples[0].source)}) | settings)

    def build(self, samples: list[Sample], preprocess: PulsePreprocess, **options: Any) -> Pulses:
        """All waves in memory: they are small."""
        return Pulses(
            ids=np.array([sample.id for sample in samples]),
            subjects=np.array([sample.subject for sample in samples]),
            splits=np.array([sample.split or "" for sample in samples]),
            waves=np.stack([preprocess(sample.source) for sample in samples]),
            targets=np.array([sample.target for sample in samples], np.float32),
            preprocess=preprocess,
        )

    def check(self, dataset: Pulses, *, allow_leak: bool = False, labelled: bool = True) -> PulseCheck:
        """A rate must be one."""
        if not (dataset.targets > 0).all():
            raise DataError("a rate is 0 or less", why="a heart beats", fix="leave these waves out")
        return PulseCheck()


PULSES = PulseReader()
