"""``evaluate``: a Run judged on other labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from suwen.core.dataset import bound
from suwen.core.files import write_json
from suwen.core.model import Model
from suwen.core.registry import READERS
from suwen.core.run import Run, load
from suwen.evaluation.report import ReportContent, write_report
from suwen.verbs.judges import groups_of, judge_of
from suwen.verbs.reporting import hospital_of
from suwen.verbs.seen import seen_before
from suwen.verbs.work import counts_of, versions


def evaluate(
    run: Model | str | Path,
    data: str | Path,
    *,
    by: Sequence[str] = (),
    split: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
    out: str | Path | None = None,
    skip_bad: bool = False,
    allow_leak: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Judge a Run on labelled data, with the temperature and threshold it learned on its own validation split.

    Args:
        run: a Model or the folder of a Run.
        data: as for ``finetune``.
        by: metadata columns to report subgroups of.
        split: which part of the data; the test part if the data has one, else all of it.
        resamples, seed: of the bootstrap over subjects.
        out: folder for ``metrics.json`` and ``report.html``; nothing is written unless given.
        skip_bad: leave out unreadable files and count them.
        allow_leak: go on although some of these images were trained on.
        quiet: print nothing.

    Returns:
        The figures, in the shape of ``metrics.json``.

    Raises:
        LeakError: some of these images were used in training or validation of this Run.
        DataError: the data are unreadable, unlabelled, or have labels that the Run does not know.
    """
    model = run if isinstance(run, Model) else load(run)
    console = Console(quiet=quiet, highlight=False)
    reader = bound(READERS[model.task.reader], model.preprocess.model_dump())
    samples = reader.read(data)
    dataset = reader.build(
        samples, model.preprocess, seed=seed, labels=model.head.labels, fractions=None, skip_bad=skip_bad
    )
    judge = judge_of(model.task)
    rows = judge.rows(dataset, split)
    leaks = seen_before([] if isinstance(run, Model) else [Run(run)], dataset, rows, allow_leak=allow_leak)
    outcome = judge.judge(model, dataset, rows)
    figures = judge.figures(
        outcome,
        names=model.head.metrics,
        threshold=model.calibration.threshold,
        by=tuple(by) or groups_of(judge, dataset),
        resamples=resamples,
        seed=seed,
    )
    name = split or "test"
    metrics = {
        "task": model.task.name,
        "model": model.name,
        "seed": seed,
        "splits": {name: figures},
        "baselines": {},
        "training": model.card.get("training", {}),
        "data": {"fingerprint": dataset.fingerprint, "counts": counts_of(dataset)},
        "versions": versions(),
    }
    if out is not None:
        write_json(Path(out) / "metrics.json", metrics)
        shown = judge.report(model, dataset, rows, {name: outcome})
        write_report(Path(out) / "report.html", _content(model, data, metrics, {name: outcome}, leaks, shown))
    _say(console, metrics, name, out)
    return metrics


def _content(
    model: Model,
    data: str | Path,
    metrics: dict[str, Any],
    outcomes: dict[str, Any],
    leaks: list[str],
    shown: dict[str, Any],
) -> ReportContent:
    return ReportContent(
        title=f"{model.name} on {Path(data).name}",
        task=model.task.name,
        model=model.name,
        metrics=metrics,
        outcomes=outcomes,
        data_check={"tables": [], "warnings": [], "leaks": leaks},
        versions=metrics["versions"],
        simulated=hospital_of(data) is not None,
        headline=model.task.metric,
        **shown,
    )


def _say(console: Console, metrics: dict[str, Any], split: str, out: str | Path | None) -> None:
    from rich.table import Table

    figures = metrics["splits"][split]
    table = Table(title=f"{metrics['model']} on {figures['n']} samples of {figures['subjects']} subjects")
    for column in ("metric", "value", "95 % interval"):
        table.add_column(column)
    for name, found in figures["metrics"].items():
        value = "not defined" if found["value"] is None else f"{found['value']:.4f}"
        interval = "" if found["low"] is None else f"{found['low']:.4f} – {found['high']:.4f}"
        table.add_row(name, value, interval)
    console.print(table)
    if out is not None:
        console.print(f"open    {Path(out) / 'report.html'}")
