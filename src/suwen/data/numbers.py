"""The reader ``numbers``: images with a number each → Samples → a Dataset, and the data check."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.errors import DataError
from suwen.core.sample import SPLITS, Sample
from suwen.data.check import DataCheck, Table, raise_found, shared_pictures, shared_subjects
from suwen.data.columns import Dataset
from suwen.data.duplicates import exact_groups
from suwen.data.images import ImageReader
from suwen.data.samples import Samples

SHOWN = 5

NAME = "value"
"""What the number is called where the recipe's ``data.labels`` does not say."""


class NumberReader(ImageReader):
    """As images with labels, but each label is a number (a `suwen.core.dataset.Reader`)."""

    def read(self, source: str | Path, *, labelled: bool = True) -> Samples:
        """See `find`; the column ``label`` of a manifest holds the numbers.

        Raises:
            DataError: a label that is no finite number; the image is named.
        """
        found = self.find(source, labelled)
        if not labelled:
            return found
        return replace(found, targets=[_number(text, found.ids[row]) for row, text in enumerate(found.targets)])

    def split(self, samples: Sequence[Sample], *, seed: int, fractions: tuple[float, float, float]) -> Samples:
        """See `assign_splits`; the numbers play no part in it."""
        columns = Samples.of(samples)
        bare = replace(columns, targets=[None] * len(columns))
        return columns.with_splits(self.cut(bare, seed, fractions).splits)

    def build(
        self,
        samples: Sequence[Sample],
        preprocess: Any,
        *,
        seed: int,
        labels: tuple[str, ...] | None = None,
        fractions: tuple[float, float, float] | None = (0.7, 0.15, 0.15),
        skip_bad: bool = False,
    ) -> Dataset:
        """Split, unless `fractions` is None, and decode into the cache; targets are float64 (N,)."""
        columns = self.split(samples, seed=seed, fractions=fractions) if fractions is not None else Samples.of(samples)
        nameless = replace(columns, targets=[None] * len(columns))
        bare = self.decode(nameless, preprocess, labels=None, skip_bad=skip_bad)
        by_id = dict(zip(columns.ids, columns.targets, strict=True))
        values = np.array([math.nan if (value := by_id[id]) is None else float(value) for id in bare.ids.tolist()])
        content = hashlib.blake2b(f"{bare.fingerprint} {labels}".encode(), digest_size=16)
        content.update(values.tobytes())
        return replace(bare, targets=values, labels=labels or (NAME,), fingerprint=content.hexdigest())

    def check(self, dataset: Dataset, *, allow_leak: bool = False, labelled: bool = True) -> DataCheck:
        """Numbers of each split, and leaks.

        Raises:
            LeakError: a leak that is not allowed.
            DataError: an image in train without a number, or one number throughout.
        """
        seen = DataCheck()
        seen.tables = [_numbers(dataset)]
        groups = exact_groups(dataset)
        train = dataset.targets[dataset.splits == "train"]
        if labelled and len(train):
            missing = np.flatnonzero(~np.isfinite(dataset.targets))
            if len(missing):
                named = ", ".join(map(str, dataset.ids[missing[:SHOWN]]))
                seen.errors = [f"{len(missing)} of {len(dataset)} images have no number, such as {named}"]
            elif np.ptp(train) == 0:
                seen.errors = [f"all {len(train)} training images have the number {train[0]:g}"]
        if dataset.skipped:
            seen.warnings.append(f"{len(dataset.skipped)} inputs cannot be decoded and were skipped")
        seen.leaks = [*shared_pictures(dataset, groups), *shared_subjects(dataset)]
        why = "a number is learnt from images that differ in it"
        raise_found(seen, allow_leak, why=why, fix="check the column 'label' of the manifest")
        return seen


def _number(text: Any, id: str) -> float | None:
    if text is None:
        return None
    try:
        value = float(text if not isinstance(text, tuple) else "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{id} has the label {text!r}",
            why="a regression learns from finite numbers",
            fix="correct the column 'label', or use image-classification",
        )
    return value


def _numbers(dataset: Dataset) -> Table:
    rows: list[list[str | int]] = []
    for split in (*SPLITS, ""):
        values = dataset.targets[dataset.splits == split]
        if len(values):
            known = values[np.isfinite(values)]
            figures = (
                [f"{each:.4g}" for each in (known.mean(), known.std(), known.min(), known.max())]
                if len(known)
                else [""] * 4
            )
            rows.append([split or "all", len(values), *figures])
    return Table(f"Numbers: {dataset.labels[0]}", ["split", "images", "mean", "sd", "least", "most"], rows)


NUMBERS = NumberReader()
