from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from suwen.clinic.risk import TABLE_RISK
from suwen.core.calibration import Calibration
from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.data.table.column import fit_column
from suwen.data.table.preprocess import TablePreprocess
from suwen.encoders.table import TableEncoder
from suwen.explanation.table_shap import linear_shap, points, tree_shap
from suwen.heads.blend import Blend
from suwen.heads.logistic import Logistic
from suwen.heads.trees import Trees

ROWS = 160


def make(head: str, classes: int = 2, **options: object) -> tuple[Model, torch.Tensor]:
    """A model of three numbers (one with gaps) and a level, and its training rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3))
    x[rng.random(ROWS) < 0.2, 1] = np.nan
    level = rng.integers(0, 3, ROWS)
    score = x[:, 0] + np.nan_to_num(x[:, 1]) ** 2 + (level == 1) + rng.logistic(size=ROWS)
    y = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
    cells = {f"n{place}": ["" if np.isnan(v) else repr(float(v)) for v in x[:, place]] for place in range(3)}
    cells["l"] = ["abc"[code] for code in level]
    columns = tuple(fit_column(name, texts)[0] for name, texts in cells.items())
    preprocess = TablePreprocess(columns=columns)
    values = torch.from_numpy(np.stack([c.values(cells[c.name]) for c in columns], 1))
    encoder = TableEncoder(preprocess)
    labels = ("no", "yes") if classes == 2 else ("a", "b", "c")
    kind = {"logistic": Logistic, "trees": Trees, "blend": Blend}[head]
    grown = {} if head == "logistic" else {"bags": 2, "depth": 3, "rounds": 30, "levels": [3]}
    made = kind(encoder.width, labels, **grown, **options)
    made.solve(encoder(values), torch.from_numpy(y), np.arange(ROWS), seed=0)
    return Model(TABLE_RISK, preprocess, encoder, made, Calibration(temperature=1.3)), values


def said(model: Model, rows: torch.Tensor, label: int) -> np.ndarray:
    with torch.inference_mode():
        return model.head.probabilities(model.logits(rows).double(), model.calibration)[:, label].numpy()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("head", ["logistic", "trees", "blend"])
def test_points_add_up_to_the_answer_less_that_of_the_average_row(head: str, classes: int) -> None:
    model, rows = make(head, classes)
    shap = linear_shap if head == "logistic" else tree_shap
    labels = torch.full((ROWS,), 1)
    start = said(model, rows, 1) - shap(model, rows, labels).sum(1).numpy()
    assert np.ptp(start) < 1e-5 and 0 < start[0] < 1


@pytest.mark.parametrize("head", ["logistic", "trees"])
def test_a_column_pushes_either_way_for_the_two_labels_of_yes_and_no(head: str) -> None:
    model, rows = make(head)
    shap = linear_shap if head == "logistic" else tree_shap
    one, other = (shap(model, rows, torch.full((ROWS,), label)) for label in (0, 1))
    assert torch.allclose(one, -other, atol=1e-6)


def test_log_odds_of_trees_are_those_of_the_shap_package() -> None:
    shap = pytest.importorskip("shap")
    model, rows = make("trees")
    mine = tree_shap(model, rows, torch.ones(ROWS, dtype=torch.int64), unit="log-odds").numpy()
    # level codes stay as they are in this table, so that the package reads the booster's own text
    raw = model.encoder(rows).tokens[:, :, 0].double().numpy()
    theirs = []
    for booster in model.head.boosters:
        booster.params["objective"] = "binary"
        found = shap.TreeExplainer(booster).shap_values(raw)
        theirs.append(found[1] if isinstance(found, list) else found)
    assert mine == pytest.approx(np.mean(theirs, axis=0) / 1.3, abs=1e-4)


def test_log_odds_of_a_line_are_shapley_values_by_their_definition() -> None:
    """Over all orders of four columns, a column that is absent being averaged over the training rows."""
    model, rows = make("logistic")
    mine = linear_shap(model, rows[:4], torch.ones(4, dtype=torch.int64), unit="log-odds").numpy()

    def value(row: torch.Tensor, known: tuple[int, ...]) -> float:
        mixed = rows.clone()
        mixed[:, list(known)] = row[list(known)]
        with torch.inference_mode():
            logits = model.logits(mixed).double() / 1.3
        return float((logits[:, 1] - logits[:, 0]).mean())

    for row, found in zip(rows[:4], mine, strict=True):
        for column in range(4):
            others = [place for place in range(4) if place != column]
            exact = sum(
                math.factorial(size) * math.factorial(3 - size) / 24
                * (value(row, (*some, column)) - value(row, some))
                for size in range(4)
                for some in itertools.combinations(others, size)
            )  # fmt: skip
            assert found[column] == pytest.approx(exact, abs=1e-5)


def test_points_of_yes_and_no_have_a_closed_form() -> None:
    rng = np.random.default_rng(0)
    phi = rng.normal(size=(5, 4))
    shares = np.stack([-phi / 2, phi / 2], axis=2)
    base = np.array([0.4, -0.4])
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    total = phi.sum(1)
    wanted = phi * ((sigmoid(total - 0.8) - sigmoid(-0.8)) / total)[:, None]
    assert points(shares, base, np.ones(5, int), False) == pytest.approx(wanted, abs=1e-10)


def test_a_column_without_effect_has_no_share() -> None:
    model, rows = make("trees")
    dull = rows.clone()
    used = {name for b in model.head.boosters for name in np.array(b.feature_name())[b.feature_importance() > 0]}
    shares = tree_shap(model, dull, torch.ones(ROWS, dtype=torch.int64)).abs().sum(0)
    assert [bool(share > 0) for share in shares] == [f"c{place}" in used for place in range(4)]


def test_heads_that_do_not_fit_are_refused_with_what_does() -> None:
    trees, rows = make("trees")
    line, _ = make("logistic")
    labels = torch.ones(ROWS, dtype=torch.int64)
    with pytest.raises(RecipeError, match="--method tree-shap"):
        linear_shap(trees, rows, labels)
    with pytest.raises(RecipeError, match="--method linear-shap"):
        tree_shap(line, rows, labels)
    with pytest.raises(RecipeError, match="linear-shap of"):
        linear_shap(replace(line, encoder=type("Other", (), {"config": {"name": "timm:x"}})()), rows, labels)
