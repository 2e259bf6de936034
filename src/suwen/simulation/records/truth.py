"""What is true of the records and stands in none of them: risks, effects, onsets; and what could be known at best.

A risk is the probability of an outcome given all that is true of somebody at the prediction time: his traits, the
diseases he has whether found or not, what he is given. No model can rank better than the true risks, in expectation,
since it sees only traces of these (the argument of `suwen.simulation.observer`); how close it can come is not known.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suwen.core.errors import DataError
from suwen.simulation.records.chain import risk
from suwen.simulation.records.life import ONSETS, Life
from suwen.simulation.records.processes import ADMITS, BIT, NAMES, WINDOW_DAYS

RISKS, TREATMENTS, RECORD_ONSETS = "risks.csv", "treatments.csv", "onsets.csv"

DECIDED_DAYS = 1 / 1440
"""What is decided at the review visit is written a minute later, when the visit ends."""

ADMITTING = tuple(name for name, admits in zip(NAMES, ADMITS.tolist(), strict=True) if admits)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One row of `OUTCOMES`.

    Attributes:
        processes: any of which is the outcome.
        days: the horizon.
        absent: bits of states that rule it out.
        title: in words.
    """

    processes: tuple[str, ...]
    days: float
    title: str
    absent: int = 0


OUTCOMES: dict[str, Asked] = {
    "death_1y": Asked(processes=("death",), days=365.0, title="death within a year"),
    "diabetes_5y": Asked(
        processes=("diabetes",), days=1825.0, absent=BIT["diabetes"], title="onset of diabetes within five years"
    ),
    "infarction_5y": Asked(
        processes=("infarction",), days=1825.0, absent=BIT["infarction"], title="infarction within five years"
    ),
    "readmission_30d": Asked(processes=ADMITTING, days=WINDOW_DAYS, title="readmission within 30 days of discharge"),
}
"""Death is predicted at the end of the visit of the last film, diabetes and infarction at the end of the review visit,
readmission at every discharge."""


def moments(life: Life, name: str) -> Iterator[float]:
    """When an outcome is predicted, in days since 1970: known then, and seen until its horizon unless he dies."""
    person = life.person
    if name == "death_1y":
        yield person.alive
    elif name != "readmission_30d":
        if person.review < math.inf:
            yield person.review + DECIDED_DAYS
    else:
        for stay in life.stays:
            seen = person.registered <= stay.start and stay.end + WINDOW_DAYS <= person.closing
            # what will be decided in between is not yet true
            undecided = stay.end <= person.review <= stay.end + WINDOW_DAYS
            if seen and not undecided and stay.end < life.death:
                yield stay.end


def risks(life: Life) -> Iterator[dict[str, Any]]:
    """Rows of ``truth/risks.csv``, without the subject."""
    for name, asked in OUTCOMES.items():
        for when in moments(life, name):
            state = life.state(when)
            if state & asked.absent:
                continue
            discharged = when if name == "readmission_30d" else None
            until = when + asked.days
            yield {
                "outcome": name,
                "prediction_time": when,
                "risk": risk(life.rates, when, until, state, asked.processes, discharged=discharged),
                "happened": life.happens(asked.processes, when, until),
            }


def treatments(life: Life) -> Iterator[dict[str, Any]]:
    """Rows of ``truth/treatments.csv``, without the subject."""
    for each in life.decisions:
        yield {
            "treatment": each.treatment,
            "time": each.when,
            "propensity": each.propensity,
            "treated": each.treated,
            "p0": each.risks[0],
            "p1": each.risks[1],
            "y0": each.outcomes[0],
            "y1": each.outcomes[1],
            "effect": each.risks[1] - each.risks[0],
        }


def onsets(life: Life) -> Iterator[dict[str, Any]]:
    """Rows of ``truth/onsets.csv``, without the subject: those that lie within the data, or before."""
    for name in ONSETS:
        if life.onsets.get(name, math.inf) <= life.end:
            yield {"disease": name, "onset": life.onsets[name]}


def best_possible(hospital: Path | str, subjects: Collection[int] | None = None) -> pd.DataFrame:
    """What the true risks give on the records of a simulated hospital: a row an outcome.

    Args:
        hospital: the folder that `suwen.simulate` wrote, with the ward ``records``.
        subjects: subject_id of those to look at (say, of the test split); None for all.

    Returns:
        Columns ``labels``, ``rate`` (how many of them happened), ``risk`` (the mean of the true risks) and ``auroc``,
        NaN where all or none happened.

    Raises:
        DataError: there is no truth in the folder.
    """
    from sklearn.metrics import roc_auc_score  # slow to import, and no patient needs it

    table = _table(Path(hospital), RISKS, subjects)
    rows = {}
    for name, found in table.groupby("outcome", sort=False):
        both = found["happened"].nunique() == 2
        rows[str(name)] = {
            "labels": len(found),
            "rate": found["happened"].mean(),
            "risk": found["risk"].mean(),
            "auroc": float(roc_auc_score(found["happened"], found["risk"])) if both else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["labels", "rate", "risk", "auroc"])


def best_possible_risk(hospital: Path | str, outcome: str, asked: Collection[str]) -> float | None:
    """AUROC of the true risks on some labels, None where all or none of them happened, or one has no true risk.

    Args:
        hospital: as in `best_possible`.
        outcome: of `OUTCOMES`.
        asked: labels as ``SUBJECT@TIME``, the time as in `suwen.data.records.sequences.ids_of`.

    Raises:
        DataError: there is no truth in the folder.
    """
    from sklearn.metrics import roc_auc_score

    table = _table(Path(hospital), RISKS, None)
    table = table[table["outcome"] == outcome]
    when = pd.to_datetime(table["prediction_time"]).dt.strftime("%Y-%m-%dT%H:%M:%S")
    table.index = pd.Index(table["subject_id"].astype(str) + "@" + when)
    if not set(asked) <= set(table.index):
        return None
    found = table[~table.index.duplicated()].loc[list(asked)]
    return float(roc_auc_score(found["happened"], found["risk"])) if found["happened"].nunique() == 2 else None


def true_effects(hospital: Path | str, subjects: Collection[int] | None = None) -> pd.DataFrame:
    """The average effect of each treatment, beside what one would find who compares the treated with the others.

    Args:
        hospital, subjects: as in `best_possible`.

    Returns:
        A row a treatment: ``decisions``, ``treated`` (share), ``effect`` (mean of p1 - p0: the average effect on those
        eligible), ``naive`` (rate of the outcome among the treated less that among the others), ``weighted`` (the same
        weighted by the inverse of the true propensity, normalised: Hájek 1971), which estimates ``effect``.

    Raises:
        DataError: there is no truth in the folder.
    """
    table = _table(Path(hospital), TREATMENTS, subjects)
    rows = {}
    for name, found in table.groupby("treatment", sort=False):
        treated = found["treated"].to_numpy(bool)
        happened = np.where(treated, found["y1"], found["y0"]).astype(float)
        weight = 1.0 / np.where(treated, found["propensity"], 1.0 - found["propensity"])
        rows[str(name)] = {
            "decisions": len(found),
            "treated": treated.mean(),
            "effect": found["effect"].mean(),
            "naive": _difference(happened, treated, np.ones(len(found))),
            "weighted": _difference(happened, treated, weight),
        }
    columns = ["decisions", "treated", "effect", "naive", "weighted"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _difference(happened: np.ndarray, treated: np.ndarray, weight: np.ndarray) -> float:
    """Weighted rate of the treated less that of the others; NaN where there are none of one of them."""
    if treated.all() or not treated.any():
        return math.nan
    one, other = (np.average(happened[arm], weights=weight[arm]) for arm in (treated, ~treated))
    return float(one - other)


def _table(hospital: Path, name: str, subjects: Collection[int] | None) -> pd.DataFrame:
    file = hospital / "truth" / name
    if not file.is_file():
        raise DataError(
            f"there is no {file}",
            why="the best possible figure is known for simulated records only",
            fix=f"suwen simulate --wards records --out {hospital}",
        )
    table = pd.read_csv(file)
    return table if subjects is None else table[table["subject_id"].isin(list(subjects))]
