from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.results import read_result
from benchmarks.start import COMMANDS, start


@pytest.mark.slow
def test_every_command_is_timed_as_often_as_asked(tmp_path: Path) -> None:
    start(quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "start.json")
    assert {name: len(walls) for name, walls in written.figures["seconds"].items()} == dict.fromkeys(COMMANDS, 2)
    assert [row.what for row in written.verdicts] == ["suwen --help", "suwen tasks"]
