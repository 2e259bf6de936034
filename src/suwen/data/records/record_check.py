"""The data check of histories: who, how long, how much of it the vocabulary knows, before anything is trained."""

from __future__ import annotations

from collections import Counter

import numpy as np

from suwen.core.sample import SPLITS
from suwen.data.check import DataCheck, Table, raise_found
from suwen.data.records.sequences import RecordDataset

LOOKED_AT = 2000
"""Rows whose tokens are counted."""

MOST_UNKNOWN, MANY_UNKNOWN = 0.95, 0.2
"""Share of tokens that training never saw from which a set is refused, and from which it is warned of."""

FEW = 10


def check_records(dataset: RecordDataset, *, allow_leak: bool, labelled: bool) -> DataCheck:
    """Look at the whole set of histories.

    Raises:
        DataError: one answer only, or one that train lacks; or nothing of these records is in the vocabulary.
        LeakError: a subject is in two splits.
    """
    seen, splits = DataCheck(), [split for split in (*SPLITS, "") if (dataset.splits == split).any()]
    counts = {split: dict(dataset.counts(split)) for split in splits}
    rows: list[list[str | int]] = [[name, *(counts[split][name] for split in splits)] for name in counts[splits[0]]]
    if labelled or dataset.labels:
        people = [len(np.unique(dataset.subjects[dataset.splits == split])) for split in splits]
        rows.append(["subjects", *people])
    seen.tables.append(
        Table("Answers" if dataset.labels else "Histories", ["", *(each or "all" for each in splits)], rows)
    )
    unknown = _histories(dataset, seen)
    if dataset.skipped:
        reasons = Counter(reason for _, reason in dataset.skipped)
        seen.tables.append(Table("Skipped", ["reason", "labels"], [[name, count] for name, count in reasons.items()]))
    if labelled:
        _answers(dataset, seen)
    if unknown > MOST_UNKNOWN:
        seen.errors.append(f"{unknown:.0%} of the events have codes that the vocabulary does not know")
    elif unknown > MANY_UNKNOWN:
        seen.warnings.append(f"{unknown:.0%} of the events have codes that the vocabulary does not know")
    seen.leaks = _leaks(dataset)
    raise_found(
        seen,
        allow_leak,
        why="there is nothing to learn to tell apart" if labelled else "nothing could be read",
        fix="look at the labels and at the codes: suwen records describe STORE",
    )
    return seen


def _histories(dataset: RecordDataset, seen: DataCheck) -> float:
    """A table of lengths; returns the share of unknown tokens among some rows."""
    statics, timed = dataset.sequences.lengths(np.arange(len(dataset)))
    lengths = statics + timed
    low, middle, high = np.percentile(lengths, [5, 50, 95]).astype(int).tolist()
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(LOOKED_AT, len(dataset))).astype(np.int64))
    codes = dataset.take(rows)["codes"]
    unknown = float((codes == 0).mean()) if len(codes) else 0.0
    full = float((lengths >= dataset.preprocess.length).mean())
    table: list[list[str | int]] = [
        ["tokens of a sequence: 5 %, median, 95 %", f"{low}, {middle}, {high}"],
        ["as long as allowed", f"{full:.0%} of {len(dataset):,}"],
        ["tokens in the vocabulary", f"{dataset.preprocess.count:,}"],
        ["tokens that are unknown codes", f"{unknown:.1%}"],
    ]
    seen.tables.append(Table("Sequences", ["what", "how many"], table))
    return unknown


def _answers(dataset: RecordDataset, seen: DataCheck) -> None:
    if not (dataset.splits == "train").any():
        return
    counts = dict(dataset.counts("train"))
    there = [name for name, count in counts.items() if count]
    if len(there) < 2:
        seen.errors.append(f"in train all labels are {there[0] if there else 'missing'}")
    seen.warnings += [
        f"only {count} of the training labels are {name}" for name, count in counts.items() if 0 < count < FEW
    ]


def _leaks(dataset: RecordDataset) -> list[str]:
    held = set(dataset.subjects[dataset.splits == "test"].tolist())
    again = sorted(held & set(dataset.subjects[np.isin(dataset.splits, ("train", "val"))].tolist()))
    return [f"{len(again)} subjects are both in test and in another split: {', '.join(again[:5])}"] if again else []
