from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from suwen.data.table.check import _auroc
from suwen.data.table.reader import TABLE


def said(file: Path, **settings: object) -> str:
    reader = TABLE.bound(settings)
    samples = reader.read(file)
    dataset = reader.build(samples, reader.preprocess(samples, settings), seed=0)
    return "\n".join(reader.check(dataset).warnings)


def write(file: Path, columns: dict[str, list]) -> Path:
    rows = zip(*columns.values(), strict=True)
    file.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]), encoding="utf-8")
    return file


@pytest.fixture
def columns() -> dict[str, list]:
    rng = np.random.default_rng(0)
    return {"age": rng.integers(20, 90, 100).tolist(), "y": rng.integers(0, 2, 100).tolist()}


def test_a_column_that_tells_the_target_is_named(tmp_path: Path, columns: dict[str, list]) -> None:
    told = {"cause": ["heart" if y else "" for y in columns["y"]], "after": [-y for y in columns["y"]]}
    warnings = said(write(tmp_path / "a.csv", told | columns), target="y")
    assert "'cause' alone tells '0'" in warnings and "'after' alone tells" in warnings and "'age' alone" not in warnings


def test_zeros_that_stand_apart_look_like_missing_values(tmp_path: Path, columns: dict[str, list]) -> None:
    rng = np.random.default_rng(1)
    coded = {
        "pressure": [0 if n % 9 == 0 else int(rng.integers(70, 120)) for n in range(100)],
        "days": [-1 if n % 5 == 0 else int(rng.integers(30, 90)) for n in range(100)],
        "births": rng.integers(0, 12, 100).tolist(),
    }
    warnings = said(write(tmp_path / "a.csv", coded | columns), target="y")
    assert "inputs.missing={pressure: [0]}" in warnings and "inputs.missing={days: [-1]}" in warnings
    assert "births" not in warnings
    assert "pressure" not in said(tmp_path / "a.csv", target="y", missing={"pressure": [0], "days": [-1]})


def test_equal_rows_are_counted_and_those_of_different_targets_named(tmp_path: Path, columns: dict[str, list]) -> None:
    more = {"b": np.random.default_rng(2).normal(size=100).round(3).tolist()} | columns
    doubled = {name: [*values, values[0]] for name, values in more.items()}
    doubled["y"][-1] = 1 - doubled["y"][0]
    warnings = said(write(tmp_path / "a.csv", doubled), target="y")
    assert "2 rows have the same values as another row" in warnings and "1 sets of equal rows" in warnings


def test_values_far_out_and_levels_unseen_in_training_are_counted(tmp_path: Path, columns: dict[str, list]) -> None:
    odd = {
        "weight": [7000 if n == 3 else 70 + n % 30 for n in range(200)],
        "ward": ["icu" if n == 150 else "abc"[n % 3] for n in range(200)],
        "age": [20 + n % 61 for n in range(200)],
        "y": [n % 2 for n in range(200)],
        "split": ["train" if n < 100 and n != 3 else "test" for n in range(200)],
    }
    warnings = said(write(tmp_path / "a.csv", odd), target="y")
    assert "'weight' lies more than 10 standard deviations from its mean in 1 rows, such as a.csv:5 (7000)" in warnings
    assert "'ward' has levels in 1 rows that training does not have" in warnings


def test_columns_left_out_are_named_with_the_reason(tmp_path: Path, columns: dict[str, list]) -> None:
    warnings = said(write(tmp_path / "a.csv", {"site": ["a"] * 100, "empty": [""] * 100} | columns), target="y")
    assert "'site' is left out: all its training values are 'a'" in warnings and "'empty' is left out" in warnings


def test_auroc_is_that_of_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    score, truth = rng.integers(0, 5, 200).astype(float), rng.integers(0, 2, 200).astype(bool)
    assert _auroc(score, truth) == pytest.approx(roc_auc_score(truth, score))
