from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.forgetting import GRID, KEPT, _verdicts, best, forgetting
from benchmarks.results import read_result


def tried(options: str, first: float, second: float) -> dict[str, Any]:
    return {"options": options, "before": {"val": 0.9}, "val": [first, second]}


def test_the_setting_is_the_best_at_the_second_site_of_those_that_keep_enough() -> None:
    enough = KEPT * 0.9
    found = [tried("weak", enough - 0.01, 0.95), tried("middle", enough, 0.93), tried("strong", 0.9, 0.91)]
    assert best(found)["options"] == "middle"
    assert best(found[:1])["options"] == "weak"
    assert best([tried("a", 0.5, 0.95), tried("b", 0.6, 0.9)])["options"] == "b"


def test_the_share_kept_and_the_distance_to_plain_are_means_over_seeds() -> None:
    rows = [
        {"keep": keep, "before": {"test": 0.8}, "test": [first, second]}
        for keep, figures in {
            "plain": [(0.6, 0.9), (0.6, 0.9)],
            "l2sp": [(0.8, 0.9), (0.784, 0.89)],
            "ewc": [(0.7, 0.87), (0.7, 0.87)],
            "rehearsal": [(0.8, 0.91), (0.8, 0.91)],
        }.items()
        for first, second in figures
    ]
    found = _verdicts(rows)
    assert [row.met for row in found] == [True, True, False, False, True, True]
    assert found[0].value == "99.0%" and found[1].value == "+0.5 points" and found[5].value == "-1.0 points"
    assert all("75.0%" in row.beside for row in found[::2])


@pytest.mark.slow
def test_a_quick_run_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forgetting(folder=tmp_path / "runs", quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "forgetting.json")
    assert [row[0] for row in written.rows] == list(GRID)
    assert len(written.figures["tried"]) == sum(map(len, GRID.values()))
