"""The data check: what is in a data set, and what is wrong with it, before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import rich.table
from rich.console import Group, RenderableType
from rich.text import Text

from suwen.core.errors import DataError, LeakError
from suwen.core.sample import SPLITS
from suwen.data.columns import Dataset
from suwen.data.duplicates import NearPairs, exact_groups, near_pairs

FEW = 10
"""A class with fewer training images than this gets a warning."""

BLANKS_AT_A_TIME = 1024

SHOWN = 5
"""Examples named in one line."""


@dataclass(frozen=True)
class Table:
    """A titled table of text and numbers."""

    title: str
    columns: list[str]
    rows: list[list[str | int]]


@dataclass
class DataCheck:
    """What the check saw.

    Attributes:
        tables: counts, sizes, duplicates and skipped files.
        warnings: what a reader of the results should know.
        leaks: leaks that were allowed. (Without that they are raised.)
        errors: what forbids training. (Raised, all in one.)
    """

    tables: list[Table] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """``{"tables": [{"title", "columns", "rows"}], "warnings": […], "leaks": […]}``, JSON-able."""
        tables = [{"title": table.title, "columns": table.columns, "rows": table.rows} for table in self.tables]
        return {"tables": tables, "warnings": self.warnings, "leaks": self.leaks}

    def render(self) -> RenderableType:
        """For the console."""
        parts: list[RenderableType] = []
        for table in self.tables:
            drawn = rich.table.Table(title=table.title, title_justify="left")
            for position, column in enumerate(table.columns):
                numeric = all(isinstance(row[position], int) for row in table.rows)
                drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
            for row in table.rows:
                drawn.add_row(*(Text(str(cell)) for cell in row))
            parts.append(drawn)
        parts += [Text(f"leak: {line}", style="bold red") for line in self.leaks]
        parts += [Text(f"warning: {line}", style="yellow") for line in self.warnings]
        return Group(*parts)


def check(dataset: Dataset, *, allow_leak: bool = False, labelled: bool = True) -> DataCheck:
    """Look at the whole data set.

    A class that cannot be learnt or a leak is an error. A leak is a picture of the test split that another split
    also has, or a subject in two splits. A picture both in train and val is a warning: it flatters the choice of
    the best epoch, not the result.

    Args:
        dataset: as built; where it has no train split (an evaluation set), classes are only counted.
        allow_leak: list leaks in `DataCheck.leaks` instead of raising.
        labelled: whether classes are to be learnt; False asks instead for different pictures to learn from.

    Raises:
        LeakError: a leak that is not allowed.
        DataError: no label, one class only, or a class that train lacks; or, without labels, one picture only or
            pictures of one shade only.
    """
    groups = exact_groups(dataset)
    near = near_pairs(dataset, groups)
    seen = DataCheck()
    seen.tables = [_classes(dataset), _pictures(dataset)]
    if repeats := _repeats(dataset, groups, near):
        seen.tables.append(Table("Repeated pictures", ["what", "count", "examples"], repeats))
    if dataset.skipped:
        rows: list[list[str | int]] = [[id, reason] for id, reason in dataset.skipped]
        seen.tables.append(Table(f"Skipped: {len(rows)} that cannot be decoded", ["input", "reason"], rows))
    blank = blank_rows(dataset)
    seen.errors = _class_errors(dataset) if labelled else _variety_errors(dataset, groups, blank)
    seen.warnings = [
        *(_class_warnings(dataset) if labelled else []),
        *_picture_warnings(dataset),
        *_blank_warnings(dataset, blank),
        *_repeat_warnings(dataset, groups, near),
    ]
    seen.leaks = [*shared_pictures(dataset, groups), *shared_subjects(dataset)]
    raise_found(
        seen,
        allow_leak,
        why="a class is learnt from at least two classes, each with labelled images in train"
        if labelled
        else "without labels, what is learnt is how pictures differ",
        fix="check the class folders or the label column, and how the images are split"
        if labelled
        else "look at the files: were they all exported from one film, or exported empty?",
    )
    return seen


def raise_found(seen: DataCheck, allow_leak: bool, *, why: str, fix: str) -> None:
    """Raise what forbids training: errors, for which `why` and `fix` are said, and leaks that are not allowed."""
    if seen.errors:
        raise DataError("; ".join(seen.errors), why=why, fix=fix)
    if seen.leaks and not allow_leak:
        raise LeakError(
            "; ".join(seen.leaks),
            why="a model is then tested on what it has seen, and every figure looks too good",
            fix="remove them from one of the splits; or pass --allow-leak, and the report will say so at its top",
        )


def _present(dataset: Any) -> list[str]:
    """The splits that have rows, in order; the empty name where there are no splits."""
    return [split for split in (*SPLITS, "") if (dataset.splits == split).any()]


def _counts(dataset: Dataset, split: str) -> np.ndarray:
    """int64 (K,): images of each class in a split."""
    targets = dataset.targets[dataset.splits == split]
    counts: np.ndarray = (
        targets.sum(axis=0, dtype=np.int64)
        if dataset.multi_label
        else np.bincount(targets[targets >= 0], minlength=len(dataset.labels))
    )
    return counts


def _unlabelled(dataset: Dataset) -> np.ndarray:
    """bool (N,). In a multi-label set an image may have no label."""
    missing: np.ndarray = dataset.targets < 0
    return np.zeros(len(dataset), bool) if dataset.multi_label else missing


def _classes(dataset: Dataset) -> Table:
    splits = _present(dataset)
    counts = {split: _counts(dataset, split).tolist() for split in splits}
    rows: list[list[str | int]] = [
        [label, *(counts[split][index] for split in splits)] for index, label in enumerate(dataset.labels)
    ]
    if (missing := _unlabelled(dataset)).any():
        rows.append(["(no label)", *(int(missing[dataset.splits == split].sum()) for split in splits)])
    rows.append(["images", *(int((dataset.splits == split).sum()) for split in splits)])
    people = _people(dataset)
    rows.append(["subjects", *(len(np.unique(people[dataset.splits == split])) for split in splits)])
    return Table("Classes", ["class", *(split or "all" for split in splits)], rows)


def _pictures(dataset: Dataset) -> Table:
    """Kinds of picture: how they are stored, how many, and the range of their sizes."""
    rows: list[list[str | int]] = []
    found, numbers = np.unique(dataset.modes, return_counts=True)
    for mode, count in Counter(dict(zip(found.tolist(), numbers.tolist(), strict=True))).most_common():
        sizes = dataset.sizes[dataset.modes == mode]
        low, middle, high = (np.percentile(sizes, q, axis=0).astype(int) for q in (0, 50, 100))
        rows.append([mode, count, *(" x ".join(map(str, _as_said(size))) for size in (low, middle, high))])
    flat = dataset.sizes.shape[1] == 2
    return Table(
        "Pictures" if flat else "Volumes",
        ["stored as", "count", "smallest", "median width x height" if flat else "median voxels", "largest"],
        rows,
    )


def _as_said(size: np.ndarray) -> list[int]:
    """Width and height of an image, axes in the order of the file of a volume."""
    found: list[int] = size.tolist()
    return found[::-1] if len(found) == 2 else found


def _repeats(dataset: Dataset, groups: np.ndarray, near: NearPairs) -> list[list[str | int]]:
    """Rows of the table of repeats: equal pictures within and between splits, and pictures that look alike."""
    rows: list[list[str | int]] = []
    for split in _present(dataset):
        again = _repeated(groups, np.flatnonzero(dataset.splits == split))
        if len(again):
            rows.append([f"repeated in {split or 'the set'}", len(again), _named(dataset, again)])
    for one, other in combinations(_present(dataset), 2):
        shared = _shared(dataset, groups, one, other)
        if len(shared):
            rows.append([f"{other} pictures also in {one}", len(shared), _named(dataset, shared)])
    if near.pairs:
        rows.append([f"pairs that look alike{'' if near.complete else ' (not all were searched)'}",
                     len(near.pairs), "; ".join(_pair(dataset, pair) for pair in near.pairs[:SHOWN])])  # fmt: skip
    return rows


def _repeated(groups: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Those of `rows` that repeat an earlier one."""
    _, firsts = np.unique(groups[rows], return_index=True)
    return np.delete(rows, firsts)


def _shared(dataset: Dataset, groups: np.ndarray, one: str, other: str) -> np.ndarray:
    """Rows of split `other` whose picture split `one` also has."""
    return np.flatnonzero((dataset.splits == other) & np.isin(groups, groups[dataset.splits == one]))


def _class_errors(dataset: Dataset) -> list[str]:
    """What forbids training. Nothing, for a set without a train split."""
    if not len(dataset.where("train")):
        return []
    missing = np.flatnonzero(_unlabelled(dataset))
    if len(missing):
        return [f"{len(missing)} of {len(dataset)} images have no label, such as {_named(dataset, missing)}"]
    train, errors = _counts(dataset, "train"), []
    if len(dataset.labels) < 2 and not dataset.multi_label:
        errors.append(f"all images are of one class, {dataset.labels[0]!r}")
    for split in ("val", "test"):
        unseen = [dataset.labels[index] for index in np.flatnonzero((train == 0) & (_counts(dataset, split) > 0))]
        if unseen:
            errors.append(f"{split} has images of the class {', '.join(map(repr, unseen))}, and train has none")
    return errors


def _variety_errors(dataset: Dataset, groups: np.ndarray, blank: np.ndarray) -> list[str]:
    """What forbids learning without labels."""
    train = dataset.splits == "train"
    if not train.any():
        return []
    if blank[train].all():
        return [f"all {train.sum()} pictures in train are of one shade each, with nothing to see in them"]
    if len(np.unique(groups[train])) < 2:
        return [f"all {train.sum()} pictures in train are the same, {_named(dataset, np.flatnonzero(train))}"]
    return []


def blank_rows(dataset: Dataset) -> np.ndarray:
    """bool (N,): pictures of one shade, such as all black."""
    found = np.zeros(len(dataset), bool)
    for start in range(0, len(dataset), BLANKS_AT_A_TIME):
        pixels = dataset.pixels[start : start + BLANKS_AT_A_TIME].reshape(-1, dataset.pixels[0].size)
        found[start : start + len(pixels)] = pixels.min(1) == pixels.max(1)
    return found


def _blank_warnings(dataset: Dataset, blank: np.ndarray) -> list[str]:
    rows = np.flatnonzero(blank)
    return [f"{len(rows)} pictures are of one shade, with nothing to see in them: {_named(dataset, rows)}"] * bool(
        len(rows)
    )


def _class_warnings(dataset: Dataset) -> list[str]:
    lines = []
    present = _present(dataset)
    if "train" in present:
        few = [f"{dataset.labels[i]} ({count})" for i, count in enumerate(_counts(dataset, "train")) if count < FEW]
        if few:
            lines.append(f"few training images (under {FEW}): {', '.join(few)}")
        if absent := [split for split in ("val", "test") if split not in present]:
            lines.append(f"there is no {' and no '.join(absent)} split")
    for split in present:
        counts = _counts(dataset, split)
        lacking = [dataset.labels[index] for index in np.flatnonzero(counts == 0)]
        if split in ("val", "test") and lacking:
            lines.append(f"{split} has no image of {', '.join(lacking[:SHOWN])}: its score says nothing about that")
    return lines


def _picture_warnings(dataset: Dataset) -> list[str]:
    lines = []
    if dataset.skipped:
        lines.append(f"{len(dataset.skipped)} inputs cannot be decoded and were skipped")
    flat = dataset.sizes.shape[1] == 2
    small = int((dataset.sizes.max(axis=1) < dataset.preprocess.size).sum())
    if flat and small:
        lines.append(f"{small} pictures are smaller than {dataset.preprocess.size} px and are enlarged")
    modes = np.unique(dataset.modes).tolist()
    if len(modes) > 1:
        lines.append(f"pictures are stored in different ways ({', '.join(modes)}); each becomes 8 bits in its own way")
    if len(modes) > 1 and not dataset.multi_label and len(dataset.labels) > 1:
        lines += _telling_modes(dataset, modes)
    return lines


def _telling_modes(dataset: Dataset, modes: Sequence[str]) -> list[str]:
    """Ways of storing pictures that occur in one class only, and so give the class away."""
    lines = []
    for mode in modes:
        targets = dataset.targets[dataset.modes == mode]
        if len(targets) >= FEW and len(np.unique(targets)) == 1 and targets[0] >= 0:
            label = dataset.labels[targets[0]]
            lines.append(f"all {mode} pictures are of the class {label!r}: a model may learn the file format instead")
    return lines


def _repeat_warnings(dataset: Dataset, groups: np.ndarray, near: NearPairs) -> list[str]:
    lines = []
    for split in _present(dataset):
        if count := len(_repeated(groups, np.flatnonzero(dataset.splits == split))):
            lines.append(f"{count} pictures of {split or 'the set'} are repeats of another one there")
    if len(shared := _shared(dataset, groups, "train", "val")):
        lines.append(f"{len(shared)} val pictures are also in train: {_named(dataset, shared)}")
    if clash := _clashes(dataset, groups):
        lines.append(f"{len(clash)} pictures occur with different labels: {_named(dataset, np.array(clash))}")
    across = [pair for pair in near.pairs if dataset.splits[pair[0]] != dataset.splits[pair[1]]]
    if near.pairs:
        lines.append(
            f"{len(near.pairs)} pairs of pictures look alike, {len(across)} of them across splits: "
            + "; ".join(_pair(dataset, pair) for pair in (across or near.pairs)[:SHOWN])
        )
    if not near.complete:
        lines.append("there are too many similar pictures to compare them all: more pairs may look alike")
    return lines


def _clashes(dataset: Dataset, groups: np.ndarray) -> list[int]:
    """One row of each group of equal pictures that differ in their label."""
    _, firsts, members = np.unique(groups, return_index=True, return_inverse=True)
    targets = dataset.targets.reshape(len(dataset), -1)
    differs = (targets != targets[firsts[members]]).any(axis=1)
    return [int(firsts[group]) for group in np.unique(members[differs])]


def shared_pictures(dataset: Dataset, groups: np.ndarray) -> list[str]:
    """What to say of pictures of the test split that another split also has."""
    lines = []
    for split in ("train", "val"):
        shared = _shared(dataset, groups, split, "test")
        if len(shared):
            lines.append(f"{len(shared)} test pictures are also in {split}: {_named(dataset, shared)}")
    return lines


def shared_subjects(dataset: Any) -> list[str]:
    """What to say of subjects in two splits; `dataset` has splits, subjects and ids."""
    people = _people(dataset)
    splits = _present(dataset)
    among = np.stack([np.isin(np.arange(people.max() + 1), people[dataset.splits == split]) for split in splits])
    twice = np.flatnonzero(among.sum(axis=0) > 1)
    if not len(twice):
        return []
    firsts = np.unique(people, return_index=True)[1]
    found = sorted(
        (
            str(dataset.subjects[firsts[person]]),
            sorted(split for split, has in zip(splits, among[:, person], strict=True) if has),
        )
        for person in twice
    )
    named = "; ".join(f"{subject} in {' and '.join(where)}" for subject, where in found[:SHOWN])
    return [f"{len(twice)} subjects are in two splits: {named}"]


def _people(dataset: Any) -> np.ndarray:
    """int64 (N,): one number a subject, counted from 0."""
    if dataset.subjects is dataset.ids:
        return np.arange(len(dataset))
    seen: dict[str, int] = {}
    return np.fromiter((seen.setdefault(str(name), len(seen)) for name in dataset.subjects), np.int64, len(dataset))


def _named(dataset: Dataset, rows: Sequence[int] | np.ndarray) -> str:
    """The ids of some rows."""
    return ", ".join(str(dataset.ids[row]) for row in rows[:SHOWN]) + (" …" if len(rows) > SHOWN else "")


def _pair(dataset: Dataset, pair: tuple[int, int, float]) -> str:
    one, other, correlation = pair
    # Rounded down, so that no near pair reads as an equal one.
    return f"{dataset.ids[one]} ~ {dataset.ids[other]} ({int(correlation * 1000) / 1000:.3f})"
