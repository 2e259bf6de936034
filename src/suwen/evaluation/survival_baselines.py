"""What a model of times must beat: Kaplan-Meier, Cox regression, and boosted trees, each with competing causes.

Each answers the same people as the model, so that the same figures stand side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from suwen.core.errors import NameUnknown
from suwen.evaluation.boosted_cox import BoostedCox
from suwen.evaluation.cox import fit_cox
from suwen.evaluation.outcome import Floats, Integers
from suwen.evaluation.survival_curves import aalen_johansen
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.heads.breslow import breslow, gained_between

PENALTIES = (0.1, 1.0, 10.0, 100.0)
"""Of Cox regression, tried on validation."""

Predictor = Callable[[Floats], Floats]
"""Inputs (N, D) → incidences (N, K, G)."""


@dataclass(frozen=True, eq=False)
class TimedRows:
    """Inputs of some people with what became of them.

    Attributes:
        inputs: (N, D) numbers; NaN is missing.
        time: (N,).
        event: (N,) 0 censored, else the code of a cause.
    """

    inputs: Floats
    time: Floats
    event: Integers


@dataclass(frozen=True)
class SurvivalBaseline:
    """One row of the table: its name, how it learns ``(train, validation, causes, grid) → Predictor``, and what it
    is."""

    name: str
    fit: Callable[[TimedRows, TimedRows, int, Floats], Predictor]
    summary: str


def survival_baseline(name: str, train: TimedRows, validation: TimedRows, outcome: SurvivalOutcome) -> Predictor:
    """Learn a baseline that answers for the causes and the grid of an outcome.

    Raises:
        NameUnknown: no such baseline.
    """
    if name not in SURVIVAL_BASELINES:
        raise NameUnknown("baseline", name, SURVIVAL_BASELINES, fix=f"one of {', '.join(SURVIVAL_BASELINES)}")
    return SURVIVAL_BASELINES[name].fit(train, validation, len(outcome.labels), outcome.grid)


def answering(outcome: SurvivalOutcome, predict: Predictor, inputs: Floats) -> SurvivalOutcome:
    """The same people with a baseline's answers."""
    return replace(outcome, incidence=predict(inputs))


def _kaplan_meier(train: TimedRows, _: TimedRows, causes: int, grid: Floats) -> Predictor:
    curves = np.stack([aalen_johansen(train.time, train.event, cause).at(grid) for cause in range(1, causes + 1)])
    return lambda inputs: np.tile(curves, (len(inputs), 1, 1))


def _cox(train: TimedRows, validation: TimedRows, causes: int, grid: Floats) -> Predictor:
    filled = Filled(train.inputs)
    learned, checked = filled(train.inputs), filled(validation.inputs)
    risks, hazards = [], []
    for cause in range(1, causes + 1):
        event = train.event == cause
        if not event.any():
            continue
        fits = [fit_cox(learned, train.time, event, penalty=penalty) for penalty in PENALTIES]
        known = validation.event == cause
        likely = [each.log_likelihood(checked, validation.time, known) if known.any() else 0.0 for each in fits]
        best = fits[int(np.argmax(likely))]
        risks.append((cause, best.risk))
        hazards.append(gained_between(best.moments, best.gained, np.concatenate([[0.0], grid])))
    return lambda inputs: _proportional([(c, risk(filled(inputs))) for c, risk in risks], hazards, causes)


def _boosted(train: TimedRows, validation: TimedRows, causes: int, grid: Floats) -> Predictor:
    risks, hazards = [], []
    for cause in range(1, causes + 1):
        event, known = train.event == cause, validation.event == cause
        if not event.any():
            continue
        watched = (validation.inputs, validation.time, known) if known.any() else None
        rounds = 300 if watched is None else 1000
        trees = BoostedCox(train.inputs, train.time, event, watched, rounds=rounds)
        own = trees.risk(train.inputs)
        centre = float(own.mean())
        moments, gained = breslow(own - centre, train.time, event)
        risks.append((cause, partial(_less, trees.risk, centre)))
        hazards.append(gained_between(moments, gained, np.concatenate([[0.0], grid])))
    return lambda inputs: _proportional([(c, risk(inputs)) for c, risk in risks], hazards, causes)


def _less(risk: Callable[[Floats], Floats], centre: float, inputs: Floats) -> Floats:
    return risk(inputs) - centre


def _proportional(risks: list[tuple[int, Floats]], hazards: list[Floats], causes: int) -> Floats:
    """(N, K, G): incidences composed of proportional cause-specific hazards gained in each interval of the grid."""
    gained = np.zeros((len(risks[0][1]), causes, len(hazards[0])))
    for (cause, risk), baseline in zip(risks, hazards, strict=True):
        gained[:, cause - 1] = np.exp(np.clip(risk, -50, 50))[:, None] * baseline
    return compose(gained)


def compose(gained: Floats) -> Floats:
    """(N, K, G): cumulative incidences at the ends of intervals in which each cause's hazard gains ``(N, K, G)``; as
    `suwen.heads.hazards.incidence`, in numpy."""
    total = gained.sum(axis=1)
    before = np.exp(-(np.cumsum(total, axis=1) - total))
    fallen = np.divide(-np.expm1(-total), total, out=np.ones_like(total), where=total > 0)
    return np.asarray(np.cumsum(gained * (before * fallen)[:, None], axis=2))


class Filled:
    """Fills in what is missing with the training mean, and says in a column of its own that it was; columns that do not
    vary are left to the regression, which gives them nothing."""

    def __init__(self, inputs: Floats) -> None:
        known = np.isfinite(inputs)
        self.mean = np.divide(np.where(known, inputs, 0).sum(axis=0), np.maximum(known.sum(axis=0), 1))
        self.lacking = np.flatnonzero(~known.all(axis=0))

    def __call__(self, inputs: Floats) -> Floats:
        """float64 (N, D + columns that lacked something)."""
        known = np.isfinite(inputs)
        filled = np.where(known, inputs, self.mean).astype(np.float64)
        return np.concatenate([filled, (~known[:, self.lacking]).astype(np.float64)], axis=1)


SURVIVAL_BASELINES: dict[str, SurvivalBaseline] = {
    baseline.name: baseline
    for baseline in (
        SurvivalBaseline("kaplan-meier", _kaplan_meier, "the training rows' incidence, whoever is asked about"),
        SurvivalBaseline("cox", _cox, "Cox regression on the same inputs, ridge penalty chosen on validation"),
        SurvivalBaseline("boosted-cox", _boosted, "gradient-boosted trees on Cox's partial likelihood (LightGBM)"),
    )
}
"""Name → baseline."""
