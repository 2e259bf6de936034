from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.active import (
    BATCH,
    COMPARED,
    END,
    MOST,
    ROUND,
    SETTINGS,
    START,
    STEPS,
    _recipe,
    _verdicts,
    active,
    labels_needed,
)
from benchmarks.images import generate_npz
from benchmarks.results import read_result


def test_labels_needed_is_the_first_count_that_reaches_the_target() -> None:
    counts = [100, 150, 200]
    assert labels_needed([0.7, 0.9, 0.8], counts, 0.85) == 150
    assert labels_needed([0.7, 0.9, 0.8], counts, 0.9) == 150
    assert labels_needed([0.7, 0.8, 0.8], counts, 0.9) is None


def test_every_round_has_about_the_same_number_of_steps() -> None:
    for labels in range(START, END + 1, ROUND):
        recipe = _recipe(labels, 0, STEPS, SETTINGS)
        assert abs(recipe.training.epochs * -(-labels // BATCH) - STEPS) <= -(-labels // BATCH) / 2


def test_means_over_seeds_are_judged_and_ties_with_random_count_as_reached() -> None:
    counts = [100, 250, 400]
    random = [[{"accuracy": a, "auroc": 0.9} for a in curve] for curve in ([0.7, 0.8, 0.90], [0.7, 0.8, 0.88])]
    others = [[{"accuracy": a, "auroc": 0.9} for a in curve] for curve in ([0.7, 0.88, 0.9], [0.7, 0.90, 0.9])]
    found = _verdicts({name: random if name == "random" else others for name in COMPARED}, counts)
    assert [row.value for row in found] == ["250"] * (len(COMPARED) - 1)
    assert all(row.met for row in found) and MOST == 250
    worse = _verdicts(
        {name: random if name == "random" else [[*random[0][:2], random[0][0]]] for name in COMPARED}, counts
    )
    assert worse[0].value == "more than 400" and worse[0].met is False


@pytest.mark.slow
def test_a_quick_run_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    active(data=generate_npz(tmp_path / "films.npz", 400, 28), quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "active.json")
    assert written.columns == ["labels", *COMPARED] and [row[0] for row in written.rows] == ["100", "150", "200"]
    starts = {name: curves[0][0] for name, curves in written.figures["curves"].items()}
    assert len({figures["accuracy"] for figures in starts.values()}) == 1
