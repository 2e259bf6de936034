from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.results import read_result
from benchmarks.survival import OURS, _verdicts, _with_baseline, survival
from benchmarks.survival_models import Design, Part, plain_cox, spline_cox
from benchmarks.survival_tables import TABLES, flchain, fold_of, nhanes

from suwen.data.arrays import ArrayDataset
from suwen.evaluation.survival_outcome import SurvivalOutcome

real = pytest.mark.skipif(
    not (TABLES / "flchain.csv").is_file(), reason=f"the real tables are not at {TABLES}: they are not part of suwen"
)


def part(count: int = 600, seed: int = 0) -> Part:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 3))
    times = rng.exponential(1 / (0.1 * np.exp(inputs[:, 0] ** 2 - 1)))
    censored = rng.uniform(2, 12, count)
    return Part(inputs, np.minimum(times, censored), (times <= censored).astype(float))


def test_a_persons_rows_are_in_one_fold() -> None:
    subjects = np.repeat(np.arange(50), 3).astype(str)
    data = ArrayDataset(
        inputs=np.zeros((150, 1)), targets=np.zeros(150), splits=np.full(150, ""), labels=("a",), subjects=subjects
    )
    fold = fold_of(data, 5, 0)
    assert all(len(np.unique(fold[subjects == each])) == 1 for each in subjects)
    assert np.bincount(fold).tolist() == [30] * 5


def test_splines_see_what_a_line_does_not() -> None:
    """The hazard rises on both sides of 0."""
    learned, asked = part(1500), part(500, seed=1)
    truth = asked.inputs[:, 0] ** 2
    line, bent = (model(learned)(asked.inputs) for model in (plain_cox, spline_cox))
    assert np.corrcoef(bent, truth)[0, 1] > 0.8 > 0.5 > abs(np.corrcoef(line, truth)[0, 1])


def test_a_design_learns_from_the_training_part_alone() -> None:
    learned = part(200)
    design, more = Design(learned, splines=True), learned.inputs.copy()
    alone = design(more[:1])
    more[1:] += 100
    assert np.array_equal(design(more)[:1], alone) and np.abs(design(more)).max() <= 16  # 4 deviations, squared


@pytest.mark.parametrize("slope", [0.5, 3.0])
def test_scaling_takes_back_a_slope(slope: float) -> None:
    learned = part(2000)
    risk, grid = learned.inputs[:, 0] ** 2, np.linspace(0.5, 6, 12)
    plain = _with_baseline(risk, learned, risk, grid, scale=True)
    assert np.allclose(_with_baseline(risk * slope, learned, risk * slope, grid, scale=True), plain, atol=1e-6)
    true = -np.expm1(-0.1 * np.exp(risk - 1)[:, None] * grid)
    assert np.abs(plain[:, 0] - true).mean() < 0.03


def outcome(spread: float) -> SurvivalOutcome:
    learned = part(400, seed=3)
    noise = np.random.default_rng(0).normal(size=400) * spread
    names = np.arange(400).astype(str)
    grid = np.linspace(0.5, 6, 12)
    said = -np.expm1(-0.1 * np.exp(learned.inputs[:, 0] ** 2 - 1 + noise)[:, None, None] * grid)
    return SurvivalOutcome(
        ids=names,
        subjects=names,
        time=learned.time,
        event=learned.event.astype(int),
        incidence=said,
        grid=grid,
        horizons=np.array([3.0]),
    )


def test_the_difference_from_cox_and_the_calibration_are_judged() -> None:
    answers = {OURS: outcome(0.0), "Cox": outcome(2.0)}
    found = {
        OURS: {"folds": [0.75, 0.77], "ece_horizon": {"value": 0.02}},
        "Cox": {"folds": [0.74, 0.752], "ece_horizon": {"value": 0.05}},
    }
    first, second = _verdicts("NHANES I", answers, found, 10)
    assert first.met and first.value.startswith("+0.0140") and second.met and "Cox 0.0500" in second.beside
    found[OURS]["folds"] = [0.75, 0.75]
    assert _verdicts("NHANES I", answers, found, 10)[0].met is False
    assert _verdicts("FLCHAIN", answers, found, 10)[0].met is False


@real
def test_the_tables_are_what_is_known_of_them() -> None:
    first, second = nhanes(TABLES), flchain(TABLES)
    assert len(first.data) == 9932 and first.data.targets[:, 1].sum() == 3473
    assert len(second.data) == 7874 and second.data.targets[:, 1].sum() == 2169
    assert (second.data.targets[:, 0] == 0).sum() == 3 and not any("chapter" in name for name in second.data.columns)
    creatinine = second.data.inputs[:, second.data.columns.index("creatinine")]
    assert np.isnan(creatinine).sum() == 1350


@real
@pytest.mark.slow
def test_a_quick_run_writes_its_result(tmp_path: Path) -> None:
    survival(TABLES, 7, 1, 2, 20, "", True, tmp_path)
    found = read_result(tmp_path / "quick" / "survival.json")
    assert found.quick and len(found.rows) == 12 and len(found.verdicts) == 4
