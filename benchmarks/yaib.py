"""``python -m benchmarks yaib``: death in intensive care from its first day, on the eICU demo stays that YAIB ships."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from benchmarks.results import RESULTS, ROOT, Result, Stopwatch, Verdict
from benchmarks.stay_models import MEMBERS, Floats, answers
from benchmarks.stays import BEGAN, HOUR, Sight, StayFeatures, Stays, of_each
from suwen.core.errors import DataError
from suwen.data.records.columns import build_columns
from suwen.data.records.derived.derive import derive
from suwen.data.records.derived.meanings import meanings_of
from suwen.verbs.records import import_

YAIB = ROOT.parent / "shared" / "data" / "yaib_demo"
TASK, HOSPITAL, LABEL = "mortality24", "eicu_demo", "LABEL//mortality24"
AUROC = 0.80
"""To reach, mean over folds."""

MEASURED_BEFORE = (("LightGBM", 0.793), ("random forest", 0.768), ("logistic regression", 0.707))
"""AUROC on the same stays, mean of 5 folds, twice; measured in preparation with YAIB's own features, other folds."""

SIGHTS = (
    Sight(24, ("all",), ("count", "last", "first", "mean", "min", "max", "std", "slope")),
    Sight(24, ("6h",), ("mean", "min", "max")),
)
ENSEMBLE = "mean of the three"


def yaib(
    data: Annotated[Path, typer.Option(help="Folder with mortality24/eicu_demo.")] = YAIB,
    folds: Annotated[int, typer.Option(help="Of the cross-validation.", min=2)] = 5,
    repeats: Annotated[int, typer.Option(help="Of the cross-validation.", min=1)] = 2,
    seeds: Annotated[int, typer.Option(help="Models of each kind whose answers are averaged.", min=1)] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Two folds, one seed; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of yaib.json.")] = RESULTS,
) -> None:
    """The members of `physionet2012` as they are, and their mean; nothing is chosen on these stays."""
    watch = Stopwatch()
    if quick:
        folds, repeats, seeds = 2, 1, 1
    with tempfile.TemporaryDirectory(prefix="yaib-") as work:
        stays = read_demo(data, Path(work))
        found = _crossed(stays, folds, repeats, seeds)
    rows = [[name, *(f"{np.mean(each):.3f} ± {np.std(each):.3f}" for each in zip(*values, strict=True))]
            for name, values in found.items()]  # fmt: skip
    auroc = float(np.mean([value for value, _ in found[ENSEMBLE]]))
    beside = ", ".join(f"{name} {value:.3f}" for name, value in MEASURED_BEFORE)
    result = Result(
        name="yaib",
        settings={
            "folds": folds,
            "repeats": repeats,
            "seeds": seeds,
            "stays": len(stays),
            "died": int(stays.died.sum()),
        },
        columns=["", "AUROC", "AUPRC"],
        rows=[*rows, *([f"before: {name}", f"{value:.3f}", ""] for name, value in MEASURED_BEFORE)],
        verdicts=[
            Verdict(
                what=f"YAIB eICU demo, death in intensive care after 24 h: AUROC, mean of {folds} folds × {repeats}",
                value=f"{auroc:.3f}",
                reach=f"≥ {AUROC:.2f}",
                met=auroc >= AUROC,
                beside=f"on other folds: {beside}",
            )
        ],
        figures={name: [list(each) for each in values] for name, values in found.items()},
        notes=[
            "± is the deviation over folds; each fold's features and models are learned from the others",
            "settings of the members are those of physionet2012, of other hospitals",
        ],
        quick=quick,
    )
    watch.finish(result, results)


def read_demo(data: Path, work: Path) -> Stays:
    """The stays of the eICU demo, through ``suwen records import --from yaib``.

    Raises:
        DataError: the files are not there.
    """
    folder = data / TASK / HOSPITAL
    if not (folder / "outc.parquet").is_file():
        raise DataError(f"{folder} not found", why="it is YAIB's, and no part of suwen", fix="--data FOLDER")
    source = work / "source" / TASK / HOSPITAL
    source.mkdir(parents=True)
    for file in folder.glob("*.parquet"):  # of this hospital and task only
        (source / file.name).symlink_to(file.resolve())
    import_(work / "source", "yaib", out=work / "store", quiet=True)
    columns = build_columns(work / "store")
    label = of_each(columns, LABEL)
    if np.isnan(label).any():
        raise DataError(f"{int(np.isnan(label).sum())} stays have no label", why="the files differ", fix="fetch anew")
    derived = derive(columns, meanings_of(columns, "yaib"))
    return Stays(
        columns=derived.columns,
        died=label > 0,
        about=pd.DataFrame(index=range(len(label))),
        labels=np.stack([columns.subjects, np.full(len(label), BEGAN + 24 * HOUR)], axis=1),
    )


def _crossed(stays: Stays, folds: int, repeats: int, seeds: int) -> dict[str, list[tuple[float, float]]]:
    """AUROC and average precision of each member in each fold."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*MEMBERS, ENSEMBLE)}
    codes = [code for code in stays.columns.vocabulary if not code.startswith(("LABEL", "HOSPITAL", "DERIVED"))]
    for repeat in range(repeats):
        dealt = StratifiedKFold(folds, shuffle=True, random_state=repeat).split(stays.died, stays.died)
        for train, test in dealt:
            learning, asked = (_some(stays, rows) for rows in (train, test))
            features = StayFeatures(SIGHTS, codes).fit(learning)
            job = (features.transform(learning), learning.died, features.transform(asked))
            said: dict[str, Floats] = {name: expit(answers(name, [job], seeds, 100 * repeat)[0]) for name in MEMBERS}
            said[ENSEMBLE] = np.mean(list(said.values()), axis=0)
            for name, each in said.items():
                found[name].append(
                    (float(roc_auc_score(asked.died, each)), float(average_precision_score(asked.died, each)))
                )
        typer.echo(f"  repeat {repeat}: {_means(found)}")
    return found


def _some(stays: Stays, rows: np.ndarray) -> Stays:
    some: dict[str, Any] = {"died": stays.died[rows], "about": stays.about.iloc[rows], "labels": stays.labels[rows]}
    return Stays(columns=stays.columns, **some)


def _means(found: dict[str, list[tuple[float, float]]]) -> str:
    return ", ".join(f"{name} {np.mean([each for each, _ in values]):.3f}" for name, values in found.items())
