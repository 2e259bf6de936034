"""``demo records``: health records from bundles to predictions, beside the best that anybody could do.

Four questions are asked of the records of people who do not exist, each answered by a baseline that knows age and sex,
by logistic regression and by gradient boosting. The hospital knows the true risk of everybody, so what the best model
there can be would reach is known too; and for two treatments, what they truly do, and what a naive look at the records
says.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import MaxAbsScaler

from suwen.data.records.columns import Columns, build_columns
from suwen.data.records.events import BIRTH
from suwen.data.records.features import Features
from suwen.data.records.units.table import standard_units
from suwen.evaluation.intervals import Interval, bootstrap
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.report import write_page
from suwen.simulation.hospital import simulate
from suwen.simulation.records.book import MEANINGS
from suwen.simulation.records.truth import OUTCOMES, best_possible, true_effects
from suwen.verbs import records as verb
from suwen.verbs.demos.records_page import Answered, Found, measured, records_page

SOURCE = "fhir"
"""The format that is imported; ``"omop"`` and ``"hl7v2"`` work as well."""

TEST = 0.4
"""Share of the subjects."""

RESAMPLES = 500
SHOWN = 40
"""Events of the timeline."""


def _age_and_sex(columns: Columns, seed: int) -> Pipeline:
    sexes = [code for code in columns.vocabulary if code.startswith("GENDER//")]
    known = Features(columns, windows=("all",), aggregates=("since", "present"), codes=[BIRTH, *sexes], min_subjects=1)
    return make_pipeline(known, MaxAbsScaler(), LogisticRegression(max_iter=1000))


def _logistic(columns: Columns, seed: int) -> Pipeline:
    # values are standardised, so that what was never measured counts as the mean
    known = Features(
        columns,
        windows=("365d", "all"),
        aggregates=("count", "mean", "last"),
        codes=_named(columns),
        clip=(0.005, 0.995),
        standardize=True,
    )
    age = Features(columns, windows=("all",), aggregates=("since",), codes=[BIRTH], min_subjects=1)
    logistic = LogisticRegression(C=0.1, max_iter=2000, random_state=seed)
    return make_pipeline(make_union(known, age), MaxAbsScaler(), logistic)


def _boosting(columns: Columns, seed: int) -> Pipeline:
    known = Features(
        columns,
        windows=("365d", "all"),
        aggregates=("count", "mean", "last", "since"),
        codes=_named(columns),
        output="dense",
    )
    trees = HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.05, max_leaf_nodes=8, l2_regularization=5.0, random_state=seed
    )
    return make_pipeline(known, ColumnTransformer([("told", "passthrough", _told)]), trees)


def _named(columns: Columns) -> dict[str, str]:
    """Every code → its own name, or that of all codes of its meaning: sites write in different systems."""
    return {code: MEANINGS.get(code, code) for code in columns.vocabulary}


def _told(values: np.ndarray) -> np.ndarray:
    """Columns that are not empty: of some codes no value is ever known, and trees cannot be grown on nothing."""
    return np.flatnonzero(~np.isnan(values).all(axis=0))


MODELS: dict[str, Callable[[Columns, int], Pipeline]] = {
    "age and sex": _age_and_sex,
    "logistic regression": _logistic,
    "gradient boosting": _boosting,
}
"""Name → what is fitted; the first is the baseline."""


def records(*, out: Path, patients: int, seed: int, quiet: bool) -> Path:
    """Simulate, import, check, look, predict beside the best possible; returns the page to open."""
    began = time.monotonic()
    console, found = Console(quiet=quiet, highlight=False), Found()
    console.print("[bold]1 simulate[/]   health records of people who do not exist, over 20 years")
    with _clock(found, "simulating"):
        hospital = simulate(
            patients=patients,
            seed=seed,
            out=out / "hospital",
            wards=["records"],
            record_formats=[SOURCE],
            progress=not quiet,
        )
    source, store = hospital / "records" / SOURCE, out / "store"
    console.print(f"[bold]2 import[/]   {SOURCE} → one store of events")
    with _clock(found, "importing"):
        found.imported = verb.import_(source, SOURCE, out=_emptied(store), quiet=quiet)
    console.print("[bold]3 check[/]   what in it cannot be, or had better be known")
    found.findings = verb.check(store, quiet=quiet)
    found.subject, found.timeline = _one_subject(store)
    console.print(f"[bold]4 look[/]   the last days of the record of subject {found.subject}")
    for event in found.timeline[-8:]:
        console.print(f"  {event['time']}  {event.get('description') or event['code']}  {measured(event)}")
    console.print("[bold]5 predict[/]   beside the best that anybody could do")
    with _clock(found, "predicting"):
        found.answers = list(_answers(store, hospital, seed))
    console.print(_in_short(found.answers))
    found.effects = true_effects(hospital)
    found.commands = [
        f"suwen simulate --patients {patients} --seed {seed} --wards records --out {hospital}",
        f"suwen records import {source} --from {SOURCE} --out {store}",
        f"suwen records check {store}",
        f"suwen records timeline {store} {found.subject}",
        f"suwen records describe {store}",
    ]
    report = out / "report.html"
    write_page(report, records_page(found))
    console.print(f"\nall done in {time.monotonic() - began:.0f} s\n\nopen    {report}")
    console.print(f"        {verb.describe(store, out / 'store.html', quiet=True)}")
    console.print("type    suwen records import YOUR_BUNDLES --from fhir --out store")
    return report


def _in_short(answers: Sequence[Answered]) -> Table:
    """AUROC of each question."""
    table = Table("AUROC", *MODELS, "best possible")
    for each in answers:
        figures = (*(figure["value"] for figure in each.figures.values()), each.best)
        table.add_row(each.title, *(f"{figure:.3f}" for figure in figures))
    return table


def _emptied(store: Path) -> Path:
    """A former demo's store is replaced: its hospital is."""
    if (store / "metadata" / "suwen.json").is_file():
        shutil.rmtree(store)
    return store


def _one_subject(store: Path) -> tuple[int, list[dict[str, Any]]]:
    """Somebody with a number of events as most have it, and the last of these."""
    columns = build_columns(store)
    counts = np.diff(columns.offsets)
    place = int(np.argsort(counts, kind="stable")[len(counts) // 2])
    subject = int(columns.subjects[place])
    return subject, list(verb.timeline(store, subject))[-SHOWN:]


def _answers(store: Path, hospital: Path, seed: int) -> Iterator[Answered]:
    """Each question, answered by each model, judged on subjects whom none has seen."""
    columns = build_columns(store, conversions=standard_units(store))
    subjects = np.random.default_rng(seed).permutation(np.sort(columns.subjects))
    test = set(subjects[: round(TEST * len(subjects))].tolist())
    best = best_possible(hospital, test)
    for name, asked in OUTCOMES.items():
        labels = pd.read_parquet(hospital / "records" / "labels" / f"{name}.parquet")
        held = labels["subject_id"].isin(test).to_numpy()
        learned, judged = labels[~held], labels[held]
        if min(learned["boolean_value"].nunique(), judged["boolean_value"].nunique()) < 2:
            continue  # a hospital so small that it did not happen, or did to all
        figures = {title: _figure(build(columns, seed), learned, judged) for title, build in MODELS.items()}
        yield Answered(
            title=asked.title,
            learned=len(learned),
            judged=len(judged),
            happened=int(judged["boolean_value"].sum()),
            figures=figures,
            best=float(best["auroc"][name]),
        )


def _figure(model: Pipeline, learned: pd.DataFrame, judged: pd.DataFrame) -> Interval:
    """AUROC with its interval over subjects."""
    model.fit(learned, learned["boolean_value"].to_numpy(bool))
    outcome = Outcome(
        ids=np.arange(len(judged)).astype(str),
        subjects=judged["subject_id"].to_numpy().astype(str),
        target=judged["boolean_value"].to_numpy().astype(np.int64),
        probabilities=model.predict_proba(judged),
        labels=("no", "yes"),
    )
    return bootstrap(outcome, ["auroc"], resamples=RESAMPLES)["auroc"]


@contextmanager
def _clock(found: Found, step: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    found.seconds[step] = time.monotonic() - began
