"""Exact Shapley values of the columns of a table, for linear models and for trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.core.model import Model, evaluating
from suwen.explanation.tree_kernel import TreeTable, read_trees
from suwen.heads.blend import Blend
from suwen.heads.logistic import Logistic
from suwen.heads.trees import Trees

Unit = Literal["points", "log-odds"]

NODES = 32
"""Of Gauss-Legendre quadrature: the integrand is smooth, and 32 nodes give it to rounding."""

Shares = tuple[np.ndarray, np.ndarray]
"""Shapley values of the logits, float64 (B, C, K), and the logits they start from, (K,)."""


def tree_shap(model: Model, rows: Tensor, labels: Tensor, *, unit: Unit = "points") -> Tensor:
    """What each column adds, in trees, or in a blend of trees and a line, where both parts are exact.

    In trees a missing column is averaged over by how many training rows went each way (path-dependent TreeSHAP:
    Lundberg et al., Nature Machine Intelligence 2020;2:56, algorithm 2); in a line see `linear_shap`.

    Args:
        model: with the head ``trees`` or ``blend``.
        rows: ``(B, C)`` values, NaN where missing.
        labels: ``(B,)`` label numbers.
        unit: ``"log-odds"``, or ``"points"`` of probability (see `points`).

    Returns:
        ``(B, C)``: the values of a row add up to its answer less that of the average training row.

    Raises:
        RecipeError: another head.
    """
    if not isinstance(model.head, Trees | Blend):
        raise RecipeError(
            f"tree-shap of the head {model.head.config['name']}",
            why="it has no trees",
            fix="--method linear-shap for a line, --method kernel-shap for anything",
        )
    return _shap(model, rows, labels, unit, _of_trees if isinstance(model.head, Trees) else _of_blend)


def linear_shap(model: Model, rows: Tensor, labels: Tensor, *, unit: Unit = "points") -> Tensor:
    """What each column adds in a linear model: ``Σ w (z - mean z)`` over the numbers that the column gives.

    Exact where columns are taken to be independent (Lundberg & Lee, NeurIPS 2017, corollary 1; Štrumbelj & Kononenko,
    2014): a column's numbers, its bends among them, are summed, and no other column enters them.

    Args:
        model: with the head ``logistic``, on ``suwen:table``.
        rows, labels, unit: as of `tree_shap`.

    Raises:
        RecipeError: another head or encoder.
    """
    if not isinstance(model.head, Logistic) or not hasattr(model.encoder, "design"):
        raise RecipeError(
            f"linear-shap of {model.encoder.config['name']} with the head {model.head.config['name']}",
            why="it is for suwen:table with the head logistic",
            fix="--method tree-shap for trees, --method kernel-shap for anything",
        )
    return _shap(model, rows, labels, unit, _of_line)


def _shap(model: Model, rows: Tensor, labels: Tensor, unit: str, of: Callable[[Any, Any, Features], Shares]) -> Tensor:
    with evaluating(model.parts().values()), torch.inference_mode():
        features = model.encoder(rows.float().to(model.device))
        shares, base = of(model.head, model.encoder, features)
    shares, base = shares / model.calibration.temperature, base / model.calibration.temperature
    asked = labels.numpy()
    several = bool(getattr(model.head, "multi_label", False))
    found = log_odds(shares, asked, several) if unit == "log-odds" else points(shares, base, asked, several)
    return torch.from_numpy(found.astype(np.float32))


def _of_line(head: Logistic, encoder: Any, features: Features) -> Shares:
    """Per column: numbers of one column are summed."""
    weight = head.linear.weight.double().cpu().numpy()
    centre = head.centre.double().cpu().numpy()
    moved = features.pooled.double().cpu().numpy() - centre
    of_column = np.eye(len(encoder.columns))[encoder.design.source]
    shares = np.einsum("bd,kd,dc->bck", moved, weight, of_column)
    return shares, weight @ centre + head.linear.bias.double().cpu().numpy()


def _of_trees(head: Trees, encoder: Any, features: Features) -> Shares:
    """The mean over the bags of each question."""
    rows = head.inputs(features)
    each = [table.shares(rows) for table in tables_of(head)]
    asked = range(0, len(each), head.bags)
    shares, base = (
        np.concatenate([np.mean([one[part] for one in each[at : at + head.bags]], axis=0) for at in asked], axis=axis)
        for part, axis in ((0, 1), (1, 0))
    )
    if not head.multi_label and len(head.labels) == 2:
        shares, base = np.concatenate([-shares / 2, shares / 2], axis=1), np.concatenate([-base / 2, base / 2])
    return shares.transpose(0, 2, 1), base


def tables_of(head: Trees) -> list[TreeTable]:
    """The boosters of a head, read once."""
    text, tables = _READ.get(head, (None, []))
    if text is not head.text:
        tables = [read_trees(booster.model_to_string()) for booster in head.boosters]
        _READ[head] = head.text, tables
    return tables


_READ: WeakKeyDictionary[Trees, tuple[Tensor, list[TreeTable]]] = WeakKeyDictionary()
"""Head → the text its trees were read from, and the trees."""


def _of_blend(head: Blend, encoder: Any, features: Features) -> Shares:
    share = float(head.weight)
    line, grown = _of_line(head.logistic, encoder, features), _of_trees(head.trees, encoder, features)
    mixed = [(1 - share) * one + share * other for one, other in zip(line, grown, strict=True)]
    return mixed[0], mixed[1]


def log_odds(shares: np.ndarray, labels: np.ndarray, several: bool) -> np.ndarray:
    """(B, C) in logits of the label: of yes or no in log-odds, of one of K > 2 over the mean of the others."""
    mine = np.take_along_axis(shares, labels[:, None, None], axis=2)[:, :, 0]
    if several or shares.shape[2] == 1:
        return mine
    others = (shares.sum(axis=2) - mine) / (shares.shape[2] - 1)
    found: np.ndarray = mine - others
    return found


def points(shares: np.ndarray, base: np.ndarray, labels: np.ndarray, several: bool) -> np.ndarray:
    """(B, C) in probability: what the columns add on the straight way from the average row's logits to this row's.

    ``∫₀¹ ∂p/∂logits(base + t Σφ) · φ dt``: the Aumann-Shapley value of p over the additive logits (Aumann & Shapley,
    Values of Non-Atomic Games, 1974; integrated gradients), so that the values add up to p - p(base) exactly. Of yes or
    no that is ``φ (p - p₀) / Σφ``.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    total = shares.sum(axis=1)
    found = np.zeros(shares.shape[:2])
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        slope = _slope(base + node * total, labels, several)
        found += weight * np.einsum("bck,bk->bc", shares, slope)
    return found


def _slope(logits: np.ndarray, labels: np.ndarray, several: bool) -> np.ndarray:
    """(B, K): how the label's probability changes with each logit."""
    mine = np.eye(logits.shape[1])[labels]
    if several:
        p = 1 / (1 + np.exp(-logits))
        return np.asarray(mine * p * (1 - p))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = raised / raised.sum(axis=1, keepdims=True)
    chosen = np.take_along_axis(p, labels[:, None], axis=1)
    return np.asarray(chosen * (mine - p))
