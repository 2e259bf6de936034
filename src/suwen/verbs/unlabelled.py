"""Unlabelled data beside the labelled ones: read, held against validation and test, and counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.errors import DataError, LeakError, RecipeError
from suwen.core.recipe import Recipe
from suwen.core.registry import HEADS, READERS
from suwen.core.task import Task
from suwen.data.samples import Samples
from suwen.learn.device import several
from suwen.learn.keep import KEEP
from suwen.verbs.seen import digests_of
from suwen.verbs.sources import SHOWN


@dataclass(frozen=True)
class Unlabelled:
    """Inputs to learn from without labels.

    Attributes:
        source: as the recipe names it.
        dataset: as the labelled data are preprocessed; its split ``train`` is learned from, the rest was dropped.
        counts: what there was, what was dropped and why, what is used.
        warnings: of the data check.
        leaks: those that were allowed. (Else they are raised.)
    """

    source: str
    dataset: Dataset
    counts: dict[str, int]
    warnings: list[str]
    leaks: list[str]

    @property
    def rows(self) -> np.ndarray:
        """Of the dataset, those to learn from."""
        return self.dataset.where("train")

    def table(self) -> dict[str, Any]:
        """For the data check of the report."""
        rows = [[what, count] for what, count in self.counts.items()]
        return {"title": f"Unlabelled images: {self.source}", "columns": ["what", "count"], "rows": rows}

    def to_json(self, history: list[dict[str, Any]]) -> dict[str, Any]:
        """``data.unlabelled`` of ``metrics.json``; ``sure``: the share above the threshold in the last epoch."""
        sure = history[-1].get("sure") if history else None
        return {
            "source": self.source,
            "fingerprint": self.dataset.fingerprint,
            "counts": self.counts,
            "sure": None if sure is None else round(sure, 4),
        }


def refuse_unlabelled(task: Task, recipe: Recipe) -> None:
    """Before anything is read: what cannot be learned together with unlabelled data.

    Raises:
        RecipeError: the recipe asks for unlabelled data and for that.
    """
    if recipe.unlabelled.source is None:
        return
    head, keep = recipe.head.name or task.head, recipe.first.keep
    refused = (
        (task.unlabelled is None, f"the task {task.name}", "it learns from labels only", "drop --unlabelled"),
        (
            hasattr(HEADS[head], "remember"),
            f"the head {head}",
            "it learns nothing: it remembers labelled images",
            "--head classify",
        ),
        (
            recipe.training.adapt == "head",
            "--adapt head",
            "pseudo-labels teach an encoder what stays the same in two views of an image; a frozen one learns nothing",
            "--adapt full, or --adapt lora",
        ),
        (
            several(recipe.training),
            f"--devices {recipe.training.devices} --nodes {recipe.training.nodes}",
            "unlabelled batches are not shared between processes yet",
            "--devices 1",
        ),
        (
            recipe.teacher.run is not None,
            f"teacher.run = {recipe.teacher.run}",
            "both are terms of the loss, and nobody has measured how to weigh three of them",
            "drop one of them",
        ),
        (
            keep is not None and KEEP[keep].penalty is not None,
            f"--keep {keep}",
            "both are terms of the loss, and nobody has measured how to weigh three of them",
            "--keep plain or --keep rehearsal, or drop --unlabelled",
        ),
    )
    for bad, seen, why, fix in refused:
        if bad:
            raise RecipeError(f"--unlabelled with {seen}", why=why, fix=fix)


def read_unlabelled(task: Task, recipe: Recipe, labelled: Dataset) -> Unlabelled | None:
    """The unlabelled data of a recipe; None where it names none.

    Labels are not looked at. Where the source itself has splits, only its training images are used. Dropped, and
    counted, are unreadable images (if they may be), those that equal a labelled training image, and repeated ones.

    Raises:
        LeakError: images of the validation or test split, or of the people they show, are among them.
        DataError: nothing is left to learn from.
    """
    source = recipe.unlabelled.source
    if source is None:
        return None
    reader = READERS[task.reader]
    samples = Samples.of(reader.read(source, labelled=False))
    own = [split in (None, "train") for split in samples.splits]
    dataset = reader.build(
        replace(samples, targets=[None] * len(own), splits=["train" if each else None for each in own]),
        labelled.preprocess,
        seed=recipe.seed,
        labels=tuple(labelled.labels),
        fractions=None,
        skip_bad=recipe.data.skip_bad,
    )
    counts = {"images": len(samples)}
    if outside := len(own) - sum(own):
        counts["in its own validation or test split, left out"] = outside
    if dataset.skipped:
        counts["unreadable, skipped"] = len(dataset.skipped)
    rows, digests = dataset.where("train"), digests_of(dataset, np.arange(len(dataset)))
    leaks = _leaks(source, dataset, labelled, recipe.data.allow_leak)
    known = np.isin(digests[rows], digests_of(labelled, labelled.where("train")))
    counts["equal to a labelled training image, dropped"] = int(known.sum())
    rows = rows[~known]
    first = rows[np.sort(np.unique(digests[rows], return_index=True)[1])]
    counts["repeated, dropped"] = len(rows) - len(first)
    counts["learned from without labels"] = len(first)
    if not len(first):
        listed = ", ".join(f"{count} {what}" for what, count in counts.items())
        raise DataError(
            f"no unlabelled image is left of {source}: {listed}",
            why="those with a label teach what they can already",
            fix="drop --unlabelled, or give images that are not labelled yet",
        )
    kept = np.zeros(len(dataset), bool)
    kept[first] = True
    dataset = replace(dataset, splits=np.where(kept, "train", ""))
    check = reader.check(dataset, labelled=False)
    return Unlabelled(source, dataset, counts, [f"{source}: {line}" for line in check.warnings], leaks)


def _leaks(source: str, dataset: Any, labelled: Dataset, allowed: bool) -> list[str]:
    """A sentence about images, or people, that are validated or tested on; nothing where there are none.

    Raises:
        LeakError: there are, and that is not allowed.
    """
    rows = dataset.where("train")
    held_out = np.concatenate([labelled.where("val"), labelled.where("test")])
    again = np.isin(digests_of(dataset, rows), digests_of(labelled, held_out))
    # an image that is a subject of its own says nothing about who it shows
    people = labelled.subjects[held_out]
    people = people[people != labelled.ids[held_out]]
    again |= (dataset.subjects[rows] != dataset.ids[rows]) & np.isin(dataset.subjects[rows], people)
    if not again.any():
        return []
    names = ", ".join(str(name) for name in dataset.ids[rows[again]][:SHOWN]) + (" …" if again.sum() > SHOWN else "")
    seen = (
        f"{again.sum()} of {len(rows)} images in {source} are validated or tested on, or show people who are: {names}"
    )
    if not allowed:
        raise LeakError(
            seen,
            why="what is learned from an image without its label still flatters the answer to it",
            fix="move them out of there; or pass --allow-leak, and the report will say so at its top",
        )
    return [seen]
