"""``demo foundation``: what pretraining is good for when labels are few.

Many films without labels, fifty with. The encoder is pretrained on all of them, and then adapted to the fifty; beside
it stands the same encoder trained on the fifty from random weights, with the same recipe, judged on the same films.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from rich.console import Console

from suwen.core.errors import ExtraMissing
from suwen.core.files import atomic_path
from suwen.core.model import Model
from suwen.core.registry import READERS
from suwen.core.run import Run
from suwen.evaluation.report import write_page
from suwen.simulation.hospital import simulate
from suwen.verbs.demos.foundation_page import Arm, Found, foundation_page
from suwen.verbs.explain import explain
from suwen.verbs.export import FORMATS, export
from suwen.verbs.finetune import finetune
from suwen.verbs.judge import judge
from suwen.verbs.pretrain import pretrain

LABELS = 50
"""Labelled films to learn from, and as many to choose the epoch and calibrate with."""

TEST, SHARE_HELD = 0.2, 0.25
"""Share of the subjects for test, and for test and validation together."""

LABELLED, UNLABELLED = "few.csv", "unlabelled.csv"
"""Manifests that the demo writes beside that of the hospital."""

OBJECTIVE = "image-foreign-patches"

PRETRAINING = ("inputs.size=64", "training.epochs=25")

ADAPTING = ("inputs.size=64",)
"""Settings of the demo, chosen for two cores and a few minutes; the same for every arm."""


ARMS = (
    Arm(title="from random weights", run="scratch", pretrained=False),
    Arm(title="pretrained, every weight adapted", run="adapted", pretrained=True),
    Arm(title="pretrained, the head alone", run="head", pretrained=True, adapt="head"),
)
"""The first is what the others are compared with; the second is the one explained and exported."""


def foundation(*, out: Path, patients: int, seed: int, quiet: bool) -> Path:
    """Pretrain on unlabelled films, adapt with 50 labels, explain, export, time; returns the report."""
    console = Console(quiet=quiet, highlight=False)
    console.print("[bold]1 simulate[/]   a hospital whose patients do not exist, and hide most of its labels")
    films = _hospital(out, patients, seed, quiet) / "films"
    found = Found(counts=_hide_labels(films, seed))
    with _clock(found, "pretraining"):
        console.print(f"[bold]2 pretrain[/]   {found.counts['pretraining']} films, no label")
        base = _pretrain(films, out / "base", seed, quiet, found)
    for number, arm in enumerate(ARMS, start=3):
        console.print(f"[bold]{number} fine-tune[/]   {LABELS} labels, {arm.title}")
        with _clock(found, arm.title):
            model = _adapt(arm, films, base, out / arm.run, seed, quiet, found)
        if arm is ARMS[1]:
            chosen = model
    console.print("[bold]6 explain[/]   one film")
    film = _film(films, "opacity")
    with _clock(found, "explanation"):
        found.explanation = explain(chosen, film, label="opacity", out=out / "why.png")
    console.print("[bold]7 export and time[/]   for faster engines")
    with _clock(found, "export"):
        _export(out / ARMS[1].run, quiet, found)
    report = out / "report.html"
    write_page(report, foundation_page(found))
    console.print(f"\nall done in {sum(found.seconds.values()):.0f} s\n\nopen    {report}")
    console.print("type    suwen pretrain image-contrastive YOUR_FILMS --out runs/base")
    console.print("        suwen finetune image-classification YOUR_LABELLED --encoder run:runs/base --out runs/mine")
    return report


def _hospital(out: Path, patients: int, seed: int, quiet: bool) -> Path:
    """The simulated hospital; what an earlier demo added to it gives way, so that it may be replaced."""
    for name in (LABELLED, UNLABELLED):
        (out / "hospital" / "films" / name).unlink(missing_ok=True)
    return simulate(patients=patients, seed=seed, size=64, out=out / "hospital", wards=["films"], progress=not quiet)


def _hide_labels(films: Path, seed: int) -> dict[str, int]:
    """Two manifests beside the full one: films without labels, and the few with, of the same hospital.

    Subjects are split first. The labelled films are of as many subjects, drawn by lot; the test films are all those of
    the test subjects. Films to pretrain on are those of the training subjects alone.
    """
    table = pd.read_csv(films / "manifest.csv")
    subjects = pd.Series(table["subject"].unique()).sample(frac=1, random_state=seed)
    test, held = round(TEST * len(subjects)), round(SHARE_HELD * len(subjects))
    place = dict.fromkeys(subjects, "train") | dict.fromkeys(subjects[:test], "test")
    place |= dict.fromkeys(subjects[test:held], "val")
    table["split"] = table["subject"].map(place)
    parts = {split: table[table["split"] == split] for split in ("train", "val", "test")}
    few = [_one_film_each(parts[split], seed) for split in ("train", "val")]
    _write(films / UNLABELLED, parts["train"][["path", "subject"]])
    _write(films / LABELLED, pd.concat([*few, parts["test"]]))
    counts = dict(zip(("training", "validation"), map(len, few), strict=True))
    return {"pretraining": len(parts["train"]), **counts, "test": len(parts["test"])}


def _one_film_each(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    subjects = table.sample(frac=1, random_state=seed).drop_duplicates("subject")
    return subjects.head(LABELS)


def _write(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def _pretrain(films: Path, base: Path, seed: int, quiet: bool, found: Found) -> Path:
    source = films / UNLABELLED
    pretrain(OBJECTIVE, source, set=PRETRAINING, seed=seed, out=base, overwrite=True, quiet=quiet)
    found.history = [json.loads(line) for line in Run(base).log.read_text(encoding="utf-8").splitlines()]
    found.history = [row for row in found.history if "epoch" in row]
    found.commands.append(f"suwen pretrain {OBJECTIVE} {source} {_as_set(PRETRAINING)} --seed {seed} --out {base}")
    return base


def _adapt(arm: Arm, films: Path, base: Path, out: Path, seed: int, quiet: bool, found: Found) -> Model:
    """Fine-tune one arm and note its answers on the test films."""
    source, encoder = films / LABELLED, f"run:{base}" if arm.pretrained else None
    model = finetune(
        "image-classification",
        source,
        encoder=encoder,
        adapt=arm.adapt,
        set=ADAPTING,
        seed=seed,
        out=out,
        overwrite=True,
        quiet=quiet,
    )
    reader = READERS[model.task.reader]
    dataset = reader.build(reader.read(source), model.preprocess, seed=seed, labels=model.head.labels, fractions=None)
    found.outcomes[arm] = judge(model, dataset, dataset.where("test"))
    found.metrics[arm] = json.loads(Run(out).metrics.read_text(encoding="utf-8"))
    chosen = "" if encoder is None else f" --encoder {encoder}"
    found.commands.append(
        f"suwen finetune image-classification {source}{chosen} --adapt {arm.adapt} {_as_set(ADAPTING)} --seed {seed} "
        f"--out {out}"
    )
    return model


def _export(run: Path, quiet: bool, found: Found) -> None:
    for name in FORMATS:
        try:
            found.exported.append(export(run, to=name, quiet=quiet))
        except ExtraMissing as error:
            found.missing.append(str(error))
        else:
            found.commands.append(f"suwen export {run} --to {name}")


def _as_set(settings: Sequence[str]) -> str:
    return " ".join(f"--set {each}" for each in settings)


def _film(films: Path, label: str) -> Path:
    """A test film with this finding."""
    table = pd.read_csv(films / LABELLED)
    return films / str(table.loc[(table["split"] == "test") & (table["label"] == label), "path"].iloc[0])


@contextmanager
def _clock(found: Found, step: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    found.seconds[step] = time.monotonic() - began
