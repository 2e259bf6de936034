"""``python -m benchmarks physionet2012``: death in hospital, from the first 48 hours in intensive care."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from benchmarks.stay_models import MEMBERS, Floats, Stack, answers, out_of_fold
from benchmarks.stays import EVERY, PHYSIONET, SCORES, StayFeatures, Stays, read_stays
from suwen.core.files import write_text
from suwen.evaluation.calibration import reliability
from suwen.evaluation.intervals import Interval, bootstrap, subject_weights
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.subgroups import subgroups

AUROC, EVENT_ONE, ECE, SECONDS = 0.86, 0.50, 0.03, 900.0
"""What must be reached on the test set, the last on 2 cores."""

CHALLENGE = "Silva et al., Predicting in-hospital mortality of ICU patients, Comput Cardiol 2012;39:245 (set c)"
VITST = "Li et al., ViTST, NeurIPS 2023, README (sets a to c, another split)"
PUBLISHED = (
    ("best of the challenge", None, 0.5353, CHALLENGE),
    ("SAPS-I of the challenge", None, 0.3125, CHALLENGE),
    ("GRU-D", 0.819, None, VITST),
    ("Transformer", 0.833, None, VITST),
    ("mTAND", 0.842, None, VITST),
    ("ViTST", 0.851, None, VITST),
)
"""Name, AUROC, min(sensitivity, precision), source."""

SHOWN = ("auroc", "auprc", "brier", "ece")
BY = ("ward", "sex", "age")
ENSEMBLE = "ensemble"
QUICK = slice(0, 400), slice(400, 800)
"""Of set a: a trial does not look at the test set."""


def physionet2012(
    data: Annotated[
        Path, typer.Option(help="Folder of set-a.zip, Outcomes-a.txt and those of the test set.")
    ] = PHYSIONET,
    test: Annotated[str, typer.Option(help="The set to be tested on, once, at the end: b or c.")] = "b",
    folds: Annotated[int, typer.Option(help="Of the cross-validation inside set a.", min=2)] = 5,
    repeats: Annotated[int, typer.Option(help="Of the cross-validation.", min=1)] = 2,
    seeds: Annotated[int, typer.Option(help="Models of each kind whose answers are averaged.", min=1)] = 3,
    inside: Annotated[bool, typer.Option("--inside", help="Only cross-validation; the test set is not read.")] = False,
    answers_to: Annotated[Path | None, typer.Option(help="A CSV file for the probabilities of the test set.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="400 stays of set a, one seed; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of physionet2012.json.")] = RESULTS,
) -> None:
    """Learn, and choose weights and threshold, inside set a; then answer for the test set, whose outcomes come last."""
    watch, began = Stopwatch(), time.monotonic()
    if quick:
        test, folds, repeats, seeds = "a", 3, 1, 1
    with tempfile.TemporaryDirectory(prefix="physionet2012-") as work:
        learning = read_stays(data, "a", Path(work), some=QUICK[0] if quick else EVERY)
        features = StayFeatures().fit(learning)
        table = features.transform(learning)
        typer.echo(f"set a: {len(learning)} stays, {learning.died.sum()} died, {table.shape[1]} features")
        chosen = _inside(table, learning.died, folds, repeats, seeds)
        for name, figures in chosen["figures"].items():
            typer.echo(f"  {name:22} {_said(figures)}")
        if inside:
            return
        tested = read_stays(data, test, Path(work), some=QUICK[1] if quick else EVERY)
        found = _outside(table, learning, features.transform(tested), tested, chosen, seeds)
    found["seconds"] = time.monotonic() - began
    if answers_to is not None:
        rows = {"subject_id": tested.labels[:, 0], "probability": found["probabilities"][ENSEMBLE]}
        write_text(answers_to, pd.DataFrame(rows).to_csv(index=False))
    watch.finish(_result(found, chosen, learning, tested, features, test, quick), results)


def _inside(table: np.ndarray, died: np.ndarray, folds: int, repeats: int, seeds: int) -> dict[str, Any]:
    """Weights of the members, threshold, and figures out of fold."""
    said = {}
    for name in MEMBERS:
        said[name] = out_of_fold(name, table, died, folds=folds, repeats=repeats, seeds=seeds)
        typer.echo(f"  {name}: AUROC {np.mean([roc_auc_score(died, each) for each in said[name]]):.4f}")
    every = np.stack([said[name].ravel() for name in MEMBERS], axis=1)  # (repeats × N, members)
    stack = Stack().fit(every, np.tile(died, repeats))
    threshold = best_threshold(np.tile(died, repeats), stack.probabilities(every))
    crossed = _crossed(every, died, repeats)
    alone = {name: Stack().fit(said[name].reshape(-1, 1), np.tile(died, repeats)) for name in MEMBERS}
    figures = {
        name: [_figures(died, each.probabilities(rows[:, None]), None) for rows in said[name]]
        for name, each in alone.items()
    }
    figures[ENSEMBLE] = [_figures(died, rows, threshold) for rows in crossed]
    return {
        "stack": stack,
        "alone": alone,
        "threshold": threshold,
        "thresholds": {
            name: best_threshold(np.tile(died, repeats), each.probabilities(said[name].reshape(-1, 1)))
            for name, each in alone.items()
        },
        "figures": {
            name: {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} for name, rows in figures.items()
        },
    }


def _crossed(every: Floats, died: np.ndarray, repeats: int) -> Floats:
    """(repeats, N): the stack's probabilities, its weights fitted on nine tenths of the stays, for the last tenth."""
    part = np.random.default_rng(0).permutation(len(died)) % 10
    found = np.zeros((repeats, len(died)))
    for number in range(10):
        side = part == number
        learned = Stack().fit(every[np.tile(~side, repeats)], np.tile(died[~side], repeats))
        found[:, side] = learned.probabilities(every[np.tile(side, repeats)]).reshape(repeats, -1)
    return found


def _outside(
    table: np.ndarray, learning: Stays, others: np.ndarray, tested: Stays, chosen: dict[str, Any], seeds: int
) -> dict[str, Any]:
    """Answers for the test set, then, at last, how they compare with what came true."""
    said = {name: answers(name, [(table, learning.died, others)], seeds)[0] for name in MEMBERS}
    probabilities = {name: chosen["alone"][name].probabilities(said[name][:, None]) for name in MEMBERS}
    probabilities[ENSEMBLE] = chosen["stack"].probabilities(np.stack(list(said.values()), axis=1))
    thresholds = chosen["thresholds"] | {ENSEMBLE: chosen["threshold"]}
    for score in SCORES:
        probabilities[score], thresholds[score] = _by_score(learning, tested, score)
    probabilities["prevalence"] = np.full(len(tested), learning.died.mean())
    thresholds["prevalence"] = 0.5
    outcomes = {name: outcome_of(tested, each) for name, each in probabilities.items()}
    return {
        "probabilities": probabilities,
        "outcomes": outcomes,
        "figures": {
            name: bootstrap(outcome, SHOWN) | {"event_one": event_one_interval(outcome, thresholds[name])}
            for name, outcome in outcomes.items()
        },
        "subgroups": {by: subgroups(outcomes[ENSEMBLE], by, ("auroc", "ece")) for by in BY},
    }


def _by_score(learning: Stays, tested: Stays, score: str) -> tuple[Floats, float]:
    """Probabilities by a published score alone, and their threshold; who has none has the middle one of set a."""
    known, asked = (stays.about[score].to_numpy(np.float64)[:, None] for stays in (learning, tested))
    middle = np.nanmedian(known)
    known, asked = (np.where(np.isnan(each), middle, each) for each in (known, asked))
    model = Stack().fit(known, learning.died)
    return model.probabilities(asked), best_threshold(learning.died, model.probabilities(known))


def outcome_of(stays: Stays, probabilities: Floats) -> Outcome:
    """As suwen's evaluation takes it."""
    names = stays.labels[:, 0].astype(str)
    return Outcome(
        ids=names,
        subjects=names,
        target=stays.died.astype(np.int64),
        probabilities=np.stack([1 - probabilities, probabilities], axis=1),
        labels=("left alive", "died"),
        metadata=stays.about,
    )


def event_one(died: NDArray[np.bool_], said: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """(R,) the smaller of sensitivity and precision, "event 1" of the challenge; 0 where nobody is called.

    Args:
        died, said: (N,).
        weights: (R, N), how often each was drawn; once unless given.
    """
    weights = np.ones((1, len(died))) if weights is None else weights
    hits = weights @ (died & said).astype(np.float64)
    of = np.maximum(weights @ died.astype(np.float64), weights @ said.astype(np.float64))
    return np.where(of > 0, hits / np.maximum(of, 1), 0.0)


def best_threshold(died: NDArray[np.bool_], probabilities: Floats) -> float:
    """Where `event_one` is best: as many are called as died, where none are tied."""
    order = np.argsort(-probabilities, kind="stable")
    hits, called = np.cumsum(died[order]), np.arange(1, len(died) + 1)
    last = np.r_[np.diff(probabilities[order]) < 0, True]  # those of one probability are called together
    value = np.where(last, hits / np.maximum(called, died.sum()), -1)
    place = int(value.argmax())
    below = probabilities[order[place + 1]] if place + 1 < len(died) else 0.0
    return float((probabilities[order[place]] + below) / 2)


def event_one_interval(outcome: Outcome, threshold: float, resamples: int = 1000) -> Interval:
    """`event_one` with its 95 % interval over subjects."""
    died, said = outcome.truth[:, 1], outcome.probabilities[:, 1] >= threshold
    drawn = np.concatenate([event_one(died, said, weights) for weights in subject_weights(outcome, resamples, 0)])
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"value": float(event_one(died, said)[0]), "low": float(low), "high": float(high)}


def _figures(died: np.ndarray, probabilities: Floats, threshold: float | None) -> dict[str, float]:
    threshold = best_threshold(died, probabilities) if threshold is None else threshold
    return {
        "auroc": float(roc_auc_score(died, probabilities)),
        "event_one": float(event_one(died, probabilities >= threshold)[0]),
        "brier": float(np.mean((probabilities - died) ** 2)),
    }


def _said(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in figures.items())


def _result(
    found: dict[str, Any], chosen: dict[str, Any], learning: Stays, tested: Stays, features: StayFeatures, test: str,
    quick: bool,
) -> Result:  # fmt: skip
    rows = [
        [name, f"{chosen['figures'][name]['auroc']:.3f}" if name in chosen["figures"] else "",
         *(_interval(figures[key]) for key in ("auroc", "event_one", "auprc", "brier", "ece"))]
        for name, figures in found["figures"].items()
    ]  # fmt: skip
    rows += [
        [
            f"published: {name}",
            "",
            "" if auroc is None else f"{auroc:.3f}",
            "" if one is None else f"{one:.3f}",
            "",
            "",
            "",
        ]
        for name, auroc, one, _ in PUBLISHED
    ]
    worst = worst_group(found["subgroups"])
    return Result(
        name="physionet2012",
        settings={
            "test": test, "members": list(MEMBERS), "features": len(features.names), "threshold": chosen["threshold"],
        },
        columns=["", "AUROC inside a", f"AUROC on {test}", "min(Se, P+)", "AUPRC", "Brier", "ECE"],
        rows=[*rows, *_group_rows(found["subgroups"]), *_calibration_rows(found["outcomes"][ENSEMBLE])],
        verdicts=_verdicts(found, test, worst),
        figures={
            "inside": chosen["figures"],
            "weights": dict(zip(MEMBERS, chosen["stack"].weights.tolist(), strict=True)),
            "test": found["figures"],
            "subgroups": found["subgroups"],
            "stays": {"a": {"n": len(learning), "died": int(learning.died.sum())} | learning.notes,
                      test: {"n": len(tested), "died": int(tested.died.sum())} | tested.notes},
        },
        notes=[
            "inside a: out of fold; weights, threshold and calibration are chosen there, set "
            f"{test} is read once, at the end; intervals: 1,000 bootstraps over patients",
            "SAPS-I and SOFA stand in the outcome file; they are no features, and here by themselves",
            "the figures of others are theirs, on other splits; " + "; ".join(sorted({row[-1] for row in PUBLISHED})),
        ],
        quick=quick,
    )  # fmt: skip


def _interval(figure: Interval) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    return "–" if np.isnan(value) else f"{value:.3f} ({low:.3f}–{high:.3f})"


def _group_rows(found: dict[str, Any]) -> list[list[str]]:
    return [
        [f"{by} {name} (n={group['n']})", "", _interval(group["metrics"]["auroc"]), "", "", "",
         _interval(group["metrics"]["ece"])]
        for by, groups in found.items()
        for name, group in groups["groups"].items()
    ]  # fmt: skip


def _calibration_rows(outcome: Outcome) -> list[list[str]]:
    """What was said and what came true, in ten equal steps."""
    (bins,) = reliability(outcome, 10)
    return [
        [f"said {place / 10:.1f}–{(place + 1) / 10:.1f} (n={bins.count[place]})", "", f"said {bins.said[place]:.3f}",
         f"died {bins.came_true[place]:.3f}", "", "", ""]
        for place in range(10) if bins.count[place]
    ]  # fmt: skip


def worst_group(found: dict[str, Any]) -> tuple[str, Interval]:
    """The unmarked group with the lowest AUROC."""
    groups = {
        f"{by} {name}": group["metrics"]["auroc"]
        for by, groups in found.items()
        for name, group in groups["groups"].items()
        if not group["note"]
    }
    worst = min(groups, key=lambda name: groups[name]["value"])
    return worst, groups[worst]


def _verdicts(found: dict[str, Any], test: str, worst: tuple[str, Interval]) -> list[Verdict]:
    ours, minutes = found["figures"][ENSEMBLE], found["seconds"] / 60
    beside = {
        "auroc": ", ".join(f"{name} {auroc:.3f}" for name, auroc, _, _ in PUBLISHED if auroc is not None),
        "event_one": ", ".join(f"{name} {one:.3f}" for name, _, one, _ in PUBLISHED if one is not None),
    }
    logistic, score = (found["figures"][name] for name in ("logistic regression", SCORES[0]))
    return [
        Verdict(
            what=f"PhysioNet 2012: AUROC on set {test}, learned on set a",
            value=_interval(ours["auroc"]),
            reach=f"≥ {AUROC}",
            met=ours["auroc"]["value"] >= AUROC,
            beside=f"logistic {logistic['auroc']['value']:.3f}, SAPS-I {score['auroc']['value']:.3f}; published, on "
            f"other splits: {beside['auroc']}",
        ),
        Verdict(
            what=f"PhysioNet 2012: min(sensitivity, precision) on set {test}, threshold from set a",
            value=_interval(ours["event_one"]),
            reach=f"≥ {EVENT_ONE:.2f}",
            met=ours["event_one"]["value"] >= EVENT_ONE,
            beside=f"SAPS-I here {score['event_one']['value']:.3f}; published, on set c: {beside['event_one']}",
        ),
        Verdict(
            what=f"PhysioNet 2012: expected calibration error on set {test}",
            value=_interval(ours["ece"]),
            reach=f"≤ {ECE}",
            met=ours["ece"]["value"] <= ECE,
        ),
        Verdict(
            what=f"PhysioNet 2012: AUROC of the worst of {'/'.join(BY)}, {worst[0]}",
            value=_interval(worst[1]),
            reach="for information",
            met=None,
        ),
        Verdict(
            what="PhysioNet 2012: from the zip to the figures",
            value=f"{minutes:.1f} min",
            reach=f"≤ {SECONDS / 60:.0f} min",
            met=found["seconds"] <= SECONDS,
        ),
    ]
