"""Gradient-boosted trees on Cox's partial likelihood, by LightGBM: what a table's model of times must beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from suwen.core.errors import DataError
from suwen.evaluation.outcome import Bools, Floats

SETTINGS: dict[str, Any] = {
    "eta": 0.03,
    "num_leaves": 8,
    "min_child_samples": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "verbose": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}
"""Small trees, slowly: of a few thousand people larger ones remember more than they tell."""

ROUNDS, PATIENCE = 1000, 50
"""Trees at most, and how many more may come without a better likelihood of the validation rows."""


def slopes(risk: Floats, time: Floats, event: Bools) -> tuple[Floats, Floats]:
    """(N,) gradient and (N,) diagonal of the Hessian of minus the log partial likelihood, tied times by Breslow:
    ``g_i = e^f_i A_i - δ_i``, ``h_i = e^f_i A_i - e^2f_i B_i`` with A and B the sums over events up to t_i of 1/S and
    1/S² and S the sum of e^f at risk.

    Source: Ridgeway, Computing Science and Statistics 1999;31:172; as in XGBoost's ``survival:cox``.
    """
    order = np.argsort(time, kind="stable")
    sorted_time, came = time[order], event[order].astype(np.float64)
    weight = np.exp(risk[order] - risk.max())
    first = np.searchsorted(sorted_time, sorted_time, "left")
    last = np.searchsorted(sorted_time, sorted_time, "right") - 1
    at_risk = np.cumsum(weight[::-1])[::-1][first]
    one, two = (np.cumsum(came / at_risk**power)[last] for power in (1, 2))
    gradient, curvature = np.empty_like(weight), np.empty_like(weight)
    gradient[order] = weight * one - came
    curvature[order] = np.maximum(weight * one - weight**2 * two, 1e-6)
    return gradient, curvature


def log_likelihood(risk: Floats, time: Floats, event: Bools) -> float:
    """Mean log partial likelihood an event, tied times by Breslow."""
    order = np.argsort(-time, kind="stable")
    at_risk = np.logaddexp.accumulate(risk[order])
    last = np.searchsorted(-time[order], -time[event], "right") - 1
    return float((risk[event] - at_risk[last]).mean())


class BoostedCox:
    """Trees whose sum is a log relative hazard.

    Args:
        inputs: (N, D); NaN is missing and has branches of its own.
        time, event: (N,).
        seed: of the rows and columns drawn for each tree.
        settings: over `SETTINGS`.

    Raises:
        DataError: there is no event.
    """

    def __init__(
        self,
        inputs: Floats,
        time: Floats,
        event: Bools,
        validation: tuple[Floats, Floats, Bools] | None = None,
        *,
        rounds: int = ROUNDS,
        seed: int = 0,
        settings: dict[str, Any] | None = None,
    ) -> None:
        if not event.any():
            raise DataError("no events", why="boosting learns who has them earlier", fix="check inputs.event")
        import lightgbm

        def objective(risk: Floats, _: Any) -> tuple[Floats, Floats]:
            return slopes(risk, time, event)

        def watched(risk: Floats, _: Any) -> tuple[str, float, bool]:
            assert validation is not None
            return "likelihood", log_likelihood(risk, validation[1], validation[2]), True

        told = SETTINGS | (settings or {}) | {"seed": seed, "objective": objective}
        learned = lightgbm.Dataset(inputs, label=time, free_raw_data=False)
        if validation is None:
            self.trees = lightgbm.train(told, learned, rounds)
            return
        judged = learned.create_valid(validation[0], label=validation[1])
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        told |= {"metric": "None"}
        self.trees = lightgbm.train(told, learned, rounds, [judged], feval=watched, callbacks=[stop])

    @property
    def rounds(self) -> int:
        """How many trees answer."""
        return int(self.trees.best_iteration if self.trees.best_iteration > 0 else self.trees.num_trees())

    def risk(self, inputs: Floats) -> Floats:
        """(N,) log relative hazards."""
        return np.asarray(self.trees.predict(inputs, num_iteration=self.rounds))
