from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from suwen.core.errors import DataError
from suwen.data.records import lock
from suwen.data.records.building import import_records
from suwen.data.records.lock import LOCK, locked
from suwen.data.records.store import RecordStore

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such locks")

HOLD = """
import sys, time
from pathlib import Path
from suwen.data.records.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def source(folder: Path) -> Path:
    folder.mkdir()
    line = '{"resourceType": "Patient", "id": "1", "birthDate": "1950-03-01"}\n'
    (folder / "Patient.ndjson").write_text(line)
    return folder


def test_a_second_import_at_the_same_time_is_refused_and_nothing_is_left_of_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    files, store = source(tmp_path / "source"), tmp_path / "store"
    with locked(store), pytest.raises(DataError, match=r"another import into .*store is running"):
        import_records(files, "fhir", store, progress=False)
    assert import_records(files, "fhir", store, progress=False).events == 1
    assert not (store / LOCK).exists()


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    store = tmp_path / "store"
    words = [sys.executable, "-c", HOLD, str(store)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="wait until it has ended"), locked(store):
            pass
        process.kill()
    assert (store / LOCK).exists()  # what was killed leaves it, and it holds nothing
    import_records(source(tmp_path / "source"), "fhir", store, progress=False)
    assert len(RecordStore(store)) == 1


def test_who_waited_for_a_lock_that_was_taken_away_gets_the_one_that_is_there(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / LOCK).unlink()
        (tmp_path / LOCK).touch()
        began = time.monotonic()
        with locked(tmp_path):  # another file of that name
            assert time.monotonic() - began < lock.PATIENCE
