"""Lives and one small ward, drawn once for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from suwen.simulation.hospital import simulate
from suwen.simulation.patients import draw_patients
from suwen.simulation.records.life import Life, live
from suwen.simulation.world import World

LIVES, PATIENTS, SEED = 300, 40, 3
FORMATS = ("omop", "hl7v2")


@pytest.fixture(scope="session")
def records_world() -> World:
    return World(seed=SEED, patients=draw_patients(LIVES, seed=SEED))


@pytest.fixture(scope="session")
def lives(records_world: World) -> list[Life]:
    """What truly happens to 300 patients."""
    return [live(patient, records_world) for patient in records_world.patients]


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hospital of 40 patients, with records in `FORMATS`. Not to be written to."""
    out = tmp_path_factory.mktemp("records") / "hospital"
    return simulate(patients=PATIENTS, seed=SEED, out=out, wards=["records"], record_formats=FORMATS, progress=False)
