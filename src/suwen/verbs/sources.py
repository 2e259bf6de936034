"""The data of a recipe: its source, and what is joined to the training rows, without moving anybody between splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.errors import DataError, LeakError
from suwen.core.preprocess import Preprocess
from suwen.core.recipe import Recipe
from suwen.core.run import Run
from suwen.core.sample import Sample
from suwen.verbs.seen import digests_of, read_seen, used_by

SHOWN = 5


def build_dataset(
    reader: Any, samples: Sequence[Sample], preprocess: Preprocess, recipe: Recipe, extra: list[Sample] | None = None
) -> Dataset:
    """Decode the samples of ``data.source``, those of ``data.more`` and `extra`.

    The source is split by itself first, so that what is joined to it moves nobody: the same subjects are validated
    and tested on as without it.

    Args:
        reader: a `suwen.core.dataset.Reader`.
        samples: of ``data.source``, as read.
        preprocess: what becomes of each.
        recipe: its data settings and seed.
        extra: further samples that have a split.

    Raises:
        LeakError: a subject of the validation or test split is among the joined rows that train.
    """
    data, seed = recipe.data, split_seed(recipe)
    fractions: tuple[float, float, float] | None = (data.train, data.val, data.test)
    joined = [*(sample for source in data.more for sample in read_more(reader, source)), *(extra or [])]
    if joined:
        samples, fractions = [*reader.split(samples, seed=seed, fractions=fractions), *joined], None
        if not data.allow_leak:
            _refuse_held_out(samples, joined)
    dataset: Dataset = reader.build(
        samples, preprocess, seed=seed, labels=data.labels, fractions=fractions, skip_bad=data.skip_bad
    )
    return dataset


def split_seed(recipe: Recipe) -> int:
    """What draws the split: its own seed, or that of the run."""
    return recipe.seed if recipe.data.seed is None else recipe.data.seed


def read_more(reader: Any, source: str) -> list[Sample]:
    """The rows of a joined source, in train unless they say otherwise.

    Ids, and subjects that are only ids, get the source's path before them: ``000.png`` of two folders is two images.
    """
    place = Path(source).parent if source.lower().endswith(".csv") else Path(source)
    found = []
    for sample in reader.read(source):
        id = (place / sample.id).as_posix()
        subject = id if sample.subject == sample.id else sample.subject
        found.append(replace(sample, id=id, subject=subject, split=sample.split or "train"))
    return found


def _refuse_held_out(samples: Sequence[Sample], joined: list[Sample]) -> None:
    held_out = {sample.subject: sample.split for sample in samples if sample.split in ("val", "test")}
    leaks = [sample for sample in joined if sample.split == "train" and sample.subject in held_out]
    if leaks:
        named = ", ".join(f"{sample.id} ({sample.subject}, {held_out[sample.subject]})" for sample in leaks[:SHOWN])
        raise LeakError(
            f"{len(leaks)} rows to be trained on are of subjects who are validated or tested on: {named}"
            + (" …" if len(leaks) > SHOWN else ""),
            why="the model would be judged on people it has seen, and every figure would look too good",
            fix="remove these rows from the joined file",
        )


def same_held_out(run: Run, dataset: Dataset) -> None:
    """Refuse data whose validation or test images are not those of the earlier Run.

    Raises:
        LeakError: an image of the new test split trained or chose that Run.
        DataError: the splits hold other images, so that the figures of both Runs could not be compared.
    """
    kept = read_seen(run)
    now = {split: np.unique(digests_of(dataset, dataset.where(split))) for split in ("val", "test")}
    again = np.isin(now["test"], used_by(run))
    if again.any():
        raise LeakError(
            f"{int(again.sum())} of {len(again)} test images trained or chose {run.path}",
            why=f"its data have changed since, so that they are split otherwise: {dataset.fingerprint[:12]}",
            fix="put the data back as they were, or start anew with suwen finetune TASK DATA",
        )
    for split, digests in now.items():
        if split in kept and not np.array_equal(kept[split], digests):
            raise DataError(
                f"the {split} split has {len(digests)} different images, that of {run.path} has {len(kept[split])}, "
                f"and {len(np.intersect1d(kept[split], digests))} are in both",
                why="figures before and after new labels can be compared only on the same images",
                fix="put the data back as they were, or start anew with suwen finetune TASK DATA",
            )


def counted(names: list[str]) -> str:
    """``"a, b and 3 more"``."""
    unique = list(Counter(names))
    more = f" and {len(unique) - SHOWN} more" if len(unique) > SHOWN else ""
    return ", ".join(unique[:SHOWN]) + more
