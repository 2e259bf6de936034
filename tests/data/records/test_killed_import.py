"""An import that is killed, at any moment, goes on when it is run again: nothing is lost, nothing is twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from suwen.data.records.building import NOTE, Imported, import_records
from suwen.data.records.store import MADE, REJECTED, WORK, RecordStore

FILES, LINES, SHARDS = 8, 400, 5


def write(folder: Path, files: int = FILES, lines: int = LINES) -> Path:
    """Observations of 40 patients, some of them twice, and a Device a file, which gives no event."""
    folder.mkdir()
    for number in range(files):
        rows = [observation(number * lines // 2 + row) for row in range(lines)]
        rows.append({"resourceType": "Device", "id": str(number)})
        (folder / f"Observation.{number}.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def observation(number: int) -> dict[str, Any]:
    coding = {"system": "http://loinc.org", "code": f"{number % 7}-0", "display": f"Test {number % 7}"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [coding]},
        "subject": {"reference": f"Patient/{number % 40}"},
        "effectiveDateTime": f"20{number % 30 + 10}-01-0{number % 9 + 1}",
        "valueQuantity": {"value": number / 8, "unit": "mg/dL"},
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("killed") / "source")


@pytest.fixture(scope="module")
def whole(source: Path) -> tuple[Path, Imported]:
    """The store of an import that nothing happened to."""
    out = source.parent / "whole"
    return out, import_records(source, "fhir", out, shards=SHARDS, progress=False)


def assert_same(out: Path, found: Imported, whole: tuple[Path, Imported]) -> None:
    """The store is that of an import that nothing happened to, and nothing else is left."""
    other, expected = whole
    files = [sorted(str(file.relative_to(each)) for file in each.rglob("*")) for each in (out, other)]
    assert files[0] == files[1] and not any(Path(name).name.startswith(".") for name in files[0])
    for mine, theirs in zip(RecordStore(out).tables(), RecordStore(other).tables(), strict=True):
        assert mine.equals(theirs)
    assert RecordStore(out).codes.equals(RecordStore(other).codes)
    assert RecordStore(out).made == RecordStore(other).made
    lines = [sorted((each / REJECTED).read_text().splitlines()) for each in (out, other)]
    assert lines[0] == lines[1] and len(lines[0]) == FILES
    assert (found.events, found.subjects) == (expected.events, expected.subjects)
    assert found.rejected == (expected.rejected if found.parts else {})


KILLED = """
import os, signal, sys
from pathlib import Path
from suwen.data.records import building

holder, name, number, after = building, sys.argv[1], int(sys.argv[2]), sys.argv[3] == "after"
if name.startswith("pq."):
    holder, name = building.pq, name.removeprefix("pq.")
real, calls = getattr(holder, name), 0

def killed(*args, **options):
    global calls
    calls += 1
    if calls == number and not after:
        os.kill(os.getpid(), signal.SIGKILL)
    found = real(*args, **options)
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

setattr(holder, name, killed)
building.import_records(Path(sys.argv[4]), "fhir", Path(sys.argv[5]), shards=int(sys.argv[6]), progress=False)
"""
"""Imports, and kills itself at a call of a function of `suwen.data.records.building`."""

MOMENTS = {
    "before its plan is written": ("write_json", 1, "before"),
    "between two parts": ("lay_down", 3, "after"),
    "before the note of a part": ("write_json", 4, "before"),
    "between two shards": ("put_in_order", 2, "after"),
    "with a shard half written": ("pq.write_table", 3, "after"),
    "before what is said of codes": ("_write_codes", 1, "before"),
    "before it says that it is done": ("write_json", FILES + 3, "before"),
    "before it clears up": ("_sweep", 1, "before"),
}


def kill(moment: str, source: Path, out: Path, shards: int = SHARDS) -> None:
    name, number, when = MOMENTS[moment]
    words = [sys.executable, "-c", KILLED, name, number, when, source, out, shards]
    assert subprocess.run([*map(str, words)], check=False).returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are killed by a signal")
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_import_goes_on(tmp_path: Path, source: Path, whole: tuple[Path, Imported], moment: str) -> None:
    out = tmp_path / "store"
    kill(moment, source, out)
    assert (out / MADE).is_file() == (moment == "before it clears up")
    found = import_records(source, "fhir", out, shards=SHARDS, progress=False)
    assert found.parts + found.known == FILES
    assert_same(out, found, whole)


def workers_of(process: subprocess.Popen[str]) -> list[Path]:
    """Folders of its child processes, which are there as long as they are."""
    pids = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [Path("/proc") / pid for pid in pids]


def is_alive(process: Path) -> bool:
    """Whether it is there, and not one that only nobody has asked how it ended."""
    return process.exists() and (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked up in /proc")
@pytest.mark.parametrize("workers", [1, 2])
def test_the_command_killed_while_it_reads_goes_on(tmp_path: Path, workers: int) -> None:
    source = write(tmp_path / "source", lines=6000)
    expected = tmp_path / "expected", import_records(source, "fhir", tmp_path / "expected", progress=False)
    out = tmp_path / "store"
    words = [sys.executable, "-m", "suwen", "records", "import", source, "--from", "fhir", "--out", out]
    words += ["--workers", workers, "--json"]
    process = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not list(out.glob(f"{WORK}/*/{NOTE}")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    children = workers_of(process)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was over before it could be killed"
    assert not (out / MADE).exists() and len(children) == (workers if workers > 1 else 0)
    while any(map(is_alive, children)):  # they do not go on by themselves, nor wait for ever
        assert time.monotonic() < until
        time.sleep(0.01)
    again = subprocess.run([*map(str, words)], check=True, capture_output=True, text=True)
    found = Imported(**json.loads(again.stdout))
    assert_same(out, found, expected)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are killed by a signal")
def test_a_killed_import_keeps_its_shards_though_its_source_has_grown(tmp_path: Path) -> None:
    source, out = write(tmp_path / "source", files=FILES - 1), tmp_path / "store"
    kill("between two shards", source, out)
    (source / "Observation.9.ndjson").write_text(json.dumps(observation(1)) + "\n")
    found = import_records(source, "fhir", out, progress=False)  # without saying how many shards
    expected = import_records(source, "fhir", tmp_path / "whole", shards=SHARDS, progress=False)
    assert RecordStore(out).made["shards"] == SHARDS
    assert (found.events, found.rejected) == (expected.events, expected.rejected)
    for mine, theirs in zip(RecordStore(out).tables(), RecordStore(tmp_path / "whole").tables(), strict=True):
        assert mine.equals(theirs)
