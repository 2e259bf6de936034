"""One small hospital and its films, drawn once for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from suwen.simulation.films import Film, films_of
from suwen.simulation.hospital import simulate
from suwen.simulation.patients import draw_patients
from suwen.simulation.world import World

PATIENTS, SEED, SIZE = 300, 3, 32


@pytest.fixture(scope="session")
def world() -> World:
    return World(seed=SEED, patients=draw_patients(PATIENTS, seed=SEED), size=SIZE)


@pytest.fixture(scope="session")
def films(world: World) -> list[Film]:
    """Every film of 300 patients, at 32 pixels."""
    return [film for patient in world.patients for film in films_of(patient, world)]


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of 40 patients, at 64 pixels. Not to be written to."""
    out = tmp_path_factory.mktemp("simulate") / "hospital"
    return simulate(patients=40, seed=SEED, size=64, out=out, wards=["films"], progress=False)
