"""What ``metrics.json`` says of times besides: figures at each horizon, and whether predicted risk tells people
apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from suwen.evaluation.intervals import bootstrap
from suwen.evaluation.outcome import Integers
from suwen.evaluation.summarise import as_json
from suwen.evaluation.survival_curves import LogRank, log_rank
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.survival_scores import agreement, risk_groups

AT_HORIZON = ("auroc_horizon", "brier_horizon", "ece_horizon", "ici_horizon")
THIRDS = 3


def at_horizons(outcome: SurvivalOutcome, names: Sequence[str], *, resamples: int, seed: int) -> dict[str, Any]:
    """``{"horizons": {TIME: {"metrics", "agreement": {CAUSE: {"said", "observed", "count"}}}}, "separation": {CAUSE:
    …}}``, JSON-able."""
    chosen = [name for name in AT_HORIZON if name in names]
    horizons = {
        f"{horizon:g}": {
            "metrics": bootstrap(outcome.at(horizon), chosen, resamples=resamples, seed=seed),
            "agreement": {
                found.cause: {"said": found.said, "observed": found.observed, "count": found.count}
                for found in (agreement(outcome, cause, horizon) for cause in outcome.causes)
            },
        }
        for horizon in outcome.horizons
    }
    tests = {outcome.labels[cause - 1]: separation(outcome, cause) for cause in outcome.causes}
    told = {name: {"chi2": test.statistic, "freedom": test.freedom, "p": test.p} for name, test in tests.items()}
    found: dict[str, Any] = as_json({"horizons": horizons, "separation": told})
    return found


def thirds(outcome: SurvivalOutcome, cause: int) -> Integers:
    """(N,) group of each person by the time said to be lost to a cause: 0 lowest; fewer groups where risks are
    equal."""
    return risk_groups(outcome.time_lost(cause), THIRDS)


def separation(outcome: SurvivalOutcome, cause: int) -> LogRank:
    """The log-rank test between thirds of risk; other causes' events count as censored."""
    return log_rank(outcome.time, outcome.event == cause, np.asarray(thirds(outcome, cause)))
