from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.__main__ import BENCHMARKS
from benchmarks.readme import BEGIN, END, ORDER, README, read_results, table, with_table
from benchmarks.results import RESULTS, Result, Verdict

from suwen.core.errors import DataError


def a_result(value: str) -> Result:
    machine = {"gpu": None, "cpu": "Some CPU", "cores": 2, "threads": 2, "load": 0.1}
    return Result(
        name="speed",
        settings={},
        columns=["loop", "images/s"],
        rows=[["a|b", value]],
        verdicts=[Verdict(what="overhead", value=value, reach="≤ 5%", met=None)],
        figures={},
        notes=["a note"],
        machine=machine | {"python": "3.11", "torch": "2.6", "suwen": "0.1.0"},
        date="2026-01-01",
        seconds=60,
    )


def test_the_readme_states_what_the_results_on_disk_say() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_table(text, read_results(RESULTS)) == text, "type: python -m benchmarks table"


def test_writing_twice_replaces_the_first() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = with_table(text, [a_result("3 %")])
    twice = with_table(once, [a_result("4 %")])
    assert "3 %" not in twice and "old" not in twice
    assert twice == with_table(text, [a_result("4 %")])
    assert twice.startswith("before\n") and twice.endswith(f"{END}\nafter\n")


def test_the_table_names_figure_machine_date_and_command() -> None:
    text = with_table(f"{BEGIN}{END}", [a_result("3 %")])
    for part in ("3 %", "not judged", "Some CPU, 2 cores", "2026-01-01", "`python -m benchmarks speed`", "- a note"):
        assert part in text
    assert all(line.count("|") == 3 for line in text.splitlines() if "images/s" in line or "a∣b" in line)


def test_a_readme_without_markers_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("no table here", encoding="utf-8")
    with pytest.raises(DataError, match="markers"):
        table(results=tmp_path, readme=readme)
    assert readme.read_text(encoding="utf-8") == "no table here"


def test_every_benchmark_has_its_place_in_the_table() -> None:
    assert {*ORDER, "table"} == set(BENCHMARKS)
