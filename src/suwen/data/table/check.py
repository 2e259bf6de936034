"""The data check of a table: what each column holds, and what is wrong with it, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata

from suwen.core.sample import SPLITS
from suwen.data.check import FEW, SHOWN, DataCheck, Table, raise_found, shared_subjects
from suwen.data.table.column import FAR, Column
from suwen.data.table.dataset import TableDataset

TELLS_ALL = 0.999
"""AUROC from which one column alone gives the target away."""

SPIKE, APART, ALONE = 5.0, 0.1, 3.0
"""0 or -1 looks like a missing code where the gap to the next value is so many times the usual step there, and at least
so large a part of a standard deviation; a single 0 where the gap is so many of them."""

LEAST_STEPS = 10
"""Different values that a column needs for its usual step to be known."""


def check_table(dataset: TableDataset, *, allow_leak: bool, labelled: bool) -> DataCheck:
    """Look at the whole table.

    Raises:
        LeakError: a person in two splits, unless allowed.
        DataError: rows without a target, one label only, or a label that train lacks.
    """
    seen = DataCheck()
    seen.tables = [_splits(dataset), _columns(dataset)]
    if dataset.dropped:
        rows: list[list[str | int]] = [[name, why] for name, why in dataset.dropped.items()]
        seen.tables.append(Table("Columns left out", ["column", "why"], rows))
    if dataset.said:
        seen.tables.append(Table("What was taken for what", ["column roles"], [[line] for line in dataset.said]))
    times = dataset.targets.dtype.kind == "f"
    if labelled:
        seen.errors = [*_without_target(dataset), *(_all_censored(dataset) if times else _label_errors(dataset))]
        seen.warnings = [] if times else [*_few(dataset), *_gives_away(dataset)]
    seen.warnings += [f"{name!r} is left out: {why}" for name, why in dataset.dropped.items()]
    seen.warnings += [*_spikes(dataset), *_far(dataset), *_unknown(dataset), *_again(dataset)]
    if dataset.skipped:
        seen.warnings.append(f"{len(dataset.skipped)} rows without a target were left out")
    seen.leaks = shared_subjects(dataset) if dataset.subjects is not dataset.ids else []
    raise_found(
        seen,
        allow_leak,
        why="a label is learnt from rows of at least two labels in train, each row with one",
        fix="check the target column (inputs.target) and the split; --skip-bad leaves rows without a target out",
    )
    return seen


def _present(dataset: TableDataset) -> list[str]:
    return [split for split in (*SPLITS, "") if (dataset.splits == split).any()]


def _counts(dataset: TableDataset, split: str) -> np.ndarray:
    targets = dataset.targets[dataset.splits == split]
    if targets.dtype.kind == "f":
        codes = np.nan_to_num(targets[:, 1]).astype(np.int64)
        return np.bincount(codes, minlength=len(dataset.labels) + 1)[1:]
    if dataset.multi_label:
        return np.asarray(targets.sum(axis=0, dtype=np.int64))
    return np.bincount(targets[targets >= 0], minlength=len(dataset.labels))


def _splits(dataset: TableDataset) -> Table:
    splits = _present(dataset)
    counts = {split: _counts(dataset, split).tolist() for split in splits}
    rows: list[list[str | int]] = [
        [label, *(counts[split][index] for split in splits)] for index, label in enumerate(dataset.labels)
    ]
    rows.append(["rows", *(int((dataset.splits == split).sum()) for split in splits)])
    people = dataset.subjects
    rows.append(["persons", *(len(set(people[dataset.splits == split].tolist())) for split in splits)])
    return Table("Rows", ["label", *(split or "all" for split in splits)], rows)


def _columns(dataset: TableDataset) -> Table:
    """What each column holds, in the training rows."""
    rows: list[list[str | int]] = []
    for column in dataset.preprocess.columns:
        if column.kind == "number":
            holds = f"{column.low:.4g} to {column.high:.4g}, mean {column.mean:.4g}, sd {column.sd:.3g}"
        else:
            more = f" and {len(column.levels) - SHOWN} more" if len(column.levels) > SHOWN else ""
            holds = ", ".join(column.levels[:SHOWN]) + more
        rows.append([column.name, "numbers" if column.kind == "number" else "levels", holds, column.blanks])
    return Table("Columns, in the training rows", ["column", "kind", "values", "missing"], rows)


def _without_target(dataset: TableDataset) -> Iterator[str]:
    targets = dataset.targets.reshape(len(dataset), -1)
    missing = np.flatnonzero((np.isnan(targets) if targets.dtype.kind == "f" else targets < 0).any(axis=1))
    if len(missing):
        named = ", ".join(map(str, dataset.ids[missing[:SHOWN]]))
        yield f"{len(missing)} of {len(dataset)} rows have no target, such as {named}"


def _all_censored(dataset: TableDataset) -> Iterator[str]:
    train = dataset.where("train")
    if len(train) and not (dataset.targets[train, 1] > 0).any():
        yield f"nothing happens in any of the {len(train)} training rows"


def _label_errors(dataset: TableDataset) -> Iterator[str]:
    if not (dataset.splits == "train").any():
        return
    train = _counts(dataset, "train")
    if not dataset.multi_label and len(dataset.labels) < 2:
        yield f"the target is {dataset.labels[0]!r} in every row" if dataset.labels else "no row has a target"
    for split in ("val", "test"):
        for index in np.flatnonzero((train == 0) & (_counts(dataset, split) > 0)):
            yield f"{split} has rows of {dataset.labels[index]!r}, and train has none"


def _few(dataset: TableDataset) -> Iterator[str]:
    present = _present(dataset)
    if "train" not in present:
        return
    counts = zip(dataset.labels, _counts(dataset, "train").tolist(), strict=True)
    if few := [f"{label} ({count})" for label, count in counts if count < FEW]:
        yield f"few training rows (under {FEW}): {', '.join(few)}"
    if absent := [split for split in ("val", "test") if split not in present]:
        yield f"there is no {' and no '.join(absent)} split"


def _gives_away(dataset: TableDataset) -> Iterator[str]:
    """Columns that alone tell the target: mostly what was written down after it was known."""
    train = dataset.where("train")
    truths = dataset.targets[train]
    truth = truths if dataset.multi_label else truths[:, None] == np.arange(len(dataset.labels))
    for place, column in enumerate(dataset.preprocess.columns):
        values = dataset.values[train, place]
        for label, holds in zip(dataset.labels, truth.astype(bool).T, strict=True):
            best = max((_auroc(score, holds) for score in _scores(column, values)), default=0.5)
            if best >= TELLS_ALL:
                yield (
                    f"{column.name!r} alone tells {label!r} (AUROC {best:.4f} on training): was it written down "
                    f"after the target was known? --set 'inputs.ignore=[{column.name}]' leaves it out"
                )
                break


def _scores(column: Column, values: np.ndarray) -> Iterator[np.ndarray]:
    """Orders in which a column could rank rows: its numbers either way, each level, and whether it is missing."""
    missing = np.isnan(values)
    if missing.any():
        yield missing.astype(np.float64)
        yield -missing.astype(np.float64)
    if column.kind == "number":
        filled = np.where(missing, column.median, values)
        yield filled
        yield -filled
        return
    for code in np.unique(values[~missing]):
        yield (values == code).astype(np.float64)
        yield -(values == code).astype(np.float64)


def _auroc(score: np.ndarray, holds: np.ndarray) -> float:
    """The share of pairs in the right order (Hanley & McNeil, Radiology 1982;143:29)."""
    positive = int(holds.sum())
    negative = len(holds) - positive
    if not positive or not negative:
        return 0.5
    ranks = rankdata(score)
    return float((ranks[holds].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _spikes(dataset: TableDataset) -> Iterator[str]:
    """Columns in which 0 or -1 stands apart from all other values, as codes of a missing value do."""
    train = dataset.where("train") if (dataset.splits == "train").any() else np.arange(len(dataset))
    for place, column in enumerate(dataset.preprocess.columns):
        values = dataset.values[train, place].astype(np.float64)
        values = values[~np.isnan(values)]
        if column.kind != "number" or len(values) < FEW:
            continue
        low = float(values.min())
        count, others = int((values == low).sum()), np.unique(values[values > low])
        if low not in (0.0, -1.0) or len(others) < LEAST_STEPS:
            continue
        gap, lowest = float(others[0]) - low, others[: max(LEAST_STEPS, len(others) // 5)]
        far_enough = gap > (APART if count > 1 else ALONE) * column.sd
        if far_enough and gap > SPIKE * float(np.median(np.diff(lowest))):
            yield (
                f"{column.name!r} is {low:g} in {count} training rows and {others[0]:g} or more in all others: if that "
                f"means missing, --set 'inputs.missing={{{column.name}: [{low:g}]}}'"
            )


def _far(dataset: TableDataset) -> Iterator[str]:
    for place, column in enumerate(dataset.preprocess.columns):
        if column.kind != "number":
            continue
        apart = np.abs(dataset.values[:, place] - column.mean) / column.sd
        if len(rows := np.flatnonzero(apart > FAR)):
            yield (
                f"{column.name!r} lies more than {FAR:g} standard deviations from its mean in {len(rows)} rows, such "
                f"as {dataset.ids[rows[0]]} ({column.cell(float(dataset.values[rows[0], place]))})"
            )


def _unknown(dataset: TableDataset) -> Iterator[str]:
    for place, column in enumerate(dataset.preprocess.columns):
        if column.kind == "level" and (count := int((dataset.values[:, place] == column.unknown).sum())):
            yield f"{column.name!r} has levels in {count} rows that training does not have: they count as unknown"
    for row in np.flatnonzero(np.isnan(dataset.values).all(axis=1))[:1]:
        count = int(np.isnan(dataset.values).all(axis=1).sum())
        yield f"every value is missing in {count} rows, such as {dataset.ids[row]}"


def _again(dataset: TableDataset) -> Iterator[str]:
    """Rows that occur again."""
    if not dataset.preprocess.distinct:
        yield "many rows are alike, so that their cells do not tell whose they are: name the person in a subject column"
        return
    values = np.ascontiguousarray(dataset.values).view(np.uint8).reshape(len(dataset), -1)
    _, groups, sizes = np.unique(values, axis=0, return_inverse=True, return_counts=True)
    groups = groups.reshape(-1)
    again = sizes[groups] > 1
    if again.any():
        yield f"{int(again.sum())} rows have the same values as another row"
    targets = dataset.targets.reshape(len(dataset), -1)
    firsts = np.unique(groups, return_index=True)[1]
    if clash := np.unique(groups[(targets != targets[firsts[groups]]).any(axis=1)]).tolist():
        yield f"{len(clash)} sets of equal rows have different targets, such as {dataset.ids[firsts[clash[0]]]}"
    for split in ("train", "val"):
        inside = np.isin(groups, groups[dataset.splits == split])
        if len(rows := np.flatnonzero(inside & (dataset.splits == "test"))):
            named = ", ".join(map(str, dataset.ids[rows[:SHOWN]]))
            yield f"{len(rows)} test rows are also in {split}: {named}"
