from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.results import Result, Stopwatch, Verdict, columns_of_text, read_result

from suwen.core.errors import DataError


def result(*, quick: bool = False) -> Result:
    verdict = Verdict(what="start", value="0.4 s", reach="< 0.5 s", met=True, beside="torch 1.5 s")
    return Result(
        name="start",
        settings={"times": 9},
        columns=["command", "s"],
        rows=[["suwen tasks", "0.4"]],
        verdicts=[verdict],
        figures={"seconds": {"suwen tasks": [0.4]}},
        quick=quick,
    )


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    finished = Stopwatch().finish(result(), tmp_path)
    assert read_result(tmp_path / "start.json") == finished
    assert finished.machine["cores"] >= 1 and finished.date


def test_a_quick_run_leaves_the_real_result_alone(tmp_path: Path) -> None:
    Stopwatch().finish(result(), tmp_path)
    before = (tmp_path / "start.json").read_bytes()
    Stopwatch().finish(result(quick=True), tmp_path)
    assert (tmp_path / "start.json").read_bytes() == before
    assert read_result(tmp_path / "quick" / "start.json").quick


@pytest.mark.parametrize("content", ["{", "[]", '{"verdicts": []}', '{"name": "start"}'])
def test_a_damaged_result_is_refused_with_the_command_that_writes_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "start.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="python -m benchmarks start"):
        read_result(tmp_path / "start.json")


def test_columns_line_up() -> None:
    text = columns_of_text(["a", "b"], [["long cell", "x"], ["c", "y"]])
    assert text.splitlines() == ["a          b", "long cell  x", "c          y"]
