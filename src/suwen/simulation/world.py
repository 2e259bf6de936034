"""The seeded world that every ward draws from."""

from __future__ import annotations

from dataclasses import dataclass

from suwen.simulation.patients import Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a ward is given.

    Attributes:
        seed: names the world; the same seed gives the same subjects and the same files.
        patients: the cohort.
        size: width and height of a film in pixels.
        films_per_patient: fewest and most films of one subject.
        scans: how many patients have a CT at most.
        record_formats: in which the records are written, beside MEDS.
    """

    seed: int
    patients: tuple[Patient, ...]
    size: int = 128
    films_per_patient: tuple[int, int] = (1, 3)
    scans: int = 20
    record_formats: tuple[str, ...] = ()
