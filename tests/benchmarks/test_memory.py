from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.memory import MIB, Peaks, growth, memory, phase_of, read_status, watch_memory
from benchmarks.results import read_result

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads /proc of Linux")

HOLD = "import mmap, sys, time\n{}\nprint('held', flush=True)\ntime.sleep(0.3)"


def peaks_of(code: str, run: Path) -> Peaks:
    peaks = Peaks()
    process = subprocess.Popen([sys.executable, "-c", HOLD.format(code)])
    watch_memory(process.pid, peaks, run)
    process.wait()
    return peaks


def test_the_processes_own_memory_and_mapped_files_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "pages"
    file.write_bytes(b"x" * 64 * MIB)
    mapped = peaks_of(
        f"f = open({str(file)!r}, 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); n = m.find(b'y')",
        tmp_path,
    )
    held = peaks_of("b = bytearray(b'x') * (64 * 1024 * 1024)", tmp_path)
    assert held.anonymous["read"] > 64 * MIB > mapped.anonymous["read"]
    assert mapped.mapped["read"] > 64 * MIB > held.mapped["read"]


def test_growth_in_one_phase_is_not_hidden_by_a_higher_peak_in_another() -> None:
    few = {"read": 500, "train": 900, "judge": 700, "report": 700}
    many = {"read": 800, "train": 910, "judge": 700, "report": 690}
    assert growth(few, many) == ("read", 300)


def test_a_process_that_has_ended_has_no_memory() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert read_status(process.pid) == {}


def test_the_phase_is_told_by_the_files_of_the_run(tmp_path: Path) -> None:
    assert phase_of(tmp_path / "not yet") == "read"
    found = []
    for file in ("recipe.yaml", "log.jsonl", "model.safetensors", "model.json", "metrics.json", "report.html"):
        (tmp_path / file).touch()
        found.append(phase_of(tmp_path))
    assert found == ["read", "train", "train", "judge", "report", "report"]


@pytest.mark.slow
def test_a_quick_run_compares_two_sizes_with_a_new_and_a_warm_cache(tmp_path: Path) -> None:
    memory(quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "memory.json")
    runs = [(run["images"], run["cache"]) for run in written.figures["runs"]]
    assert runs == [(200, "new"), (200, "warm"), (400, "new"), (400, "warm")]
    assert all(run["anonymous"]["train"] > 100 * MIB for run in written.figures["runs"])  # it saw the training itself
