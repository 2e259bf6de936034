"""What is looked at in a set of images with masks before anything is trained."""

from __future__ import annotations

import numpy as np

from suwen.core.sample import SPLITS
from suwen.data.case import DensePreprocess
from suwen.data.cases import CaseSet
from suwen.data.check import DataCheck, Table, raise_found, shared_subjects
from suwen.data.codebook import IGNORED

FEW = 5
SHOWN = 5


def check_cases(cases: CaseSet, *, allow_leak: bool = False, labelled: bool = True) -> DataCheck:
    """Look at the whole set.

    Nothing to learn from is an error: a training set in which no pixel has a label besides the background, or a label
    of val or test that no training image has. An image of the test split that another split also has, or a subject in
    two splits, is a leak. Masks without any label are counted, and warned of.

    Raises:
        LeakError: a leak that is not allowed.
        DataError: see above.
    """
    seen = DataCheck()
    seen.tables = [_labels(cases), _images(cases), plan_table(cases.preprocess, cases.columns.shapes)]
    if cases.skipped:
        rows: list[list[str | int]] = [[id, reason] for id, reason in cases.skipped]
        seen.tables.append(Table(f"Skipped: {len(rows)} that cannot be decoded", ["input", "reason"], rows))
    if labelled:
        seen.errors = _errors(cases)
        seen.warnings = _warnings(cases)
    seen.leaks = [*_shared_images(cases), *shared_subjects(cases)]
    raise_found(
        seen,
        allow_leak,
        why="a label is learnt from images in train that show it",
        fix="check that the masks are masks, and how the images are split",
    )
    return seen


def _splits(cases: CaseSet) -> list[str]:
    return [split for split in (*SPLITS, "") if (cases.splits == split).any()]


def _named(cases: CaseSet, rows: np.ndarray) -> str:
    return ", ".join(str(cases.ids[row]) for row in rows[:SHOWN]) + (" …" if len(rows) > SHOWN else "")


def _labels(cases: CaseSet) -> Table:
    """Label → in how many images of each split it is, and its share of all labelled pixels."""
    splits, counts = _splits(cases), cases.sizes
    known = cases.columns.counts[:, :IGNORED].sum()
    rows: list[list[str | int]] = []
    for code, label in enumerate(cases.labels):
        shares = f"{counts[:, code].sum() / max(known, 1):.2%}"
        rows.append([label, *(int((counts[cases.splits == split, code] > 0).sum()) for split in splits), shares])
    rows.append(["images", *(int((cases.splits == split).sum()) for split in splits), ""])
    rows.append(["subjects", *(len(np.unique(cases.subjects[cases.splits == split])) for split in splits), ""])
    return Table("Labels: images that show them", ["label", *(split or "all" for split in splits), "of pixels"], rows)


def _images(cases: CaseSet) -> Table:
    rows: list[list[str | int]] = []
    for mode in np.unique(cases.columns.modes).tolist():
        sizes = cases.columns.own_shapes[cases.columns.modes == mode]
        ends = (np.percentile(sizes, q, axis=0).astype(int) for q in (0, 50, 100))
        rows.append([mode, len(sizes), *(" x ".join(map(str, each[::-1])) for each in ends)])
    return Table("Images", ["stored as", "count", "smallest", "median width x height", "largest"], rows)


def plan_table(preprocess: DensePreprocess, shapes: np.ndarray) -> Table:
    """What was chosen for inputs of these shapes (N, S), and why; each can be set."""
    rows: list[list[str | int]] = [list(row) for row in preprocess.plan(shapes)]
    return Table("Plan", ["setting", "value", "why"], rows)


def _errors(cases: CaseSet) -> list[str]:
    train = cases.where("train")
    if not len(train):
        return []
    counts = cases.sizes
    if not cases.columns.labelled[train].all():
        return [f"{int((~cases.columns.labelled[train]).sum())} training images have no mask"]
    if not counts[train, 1 : len(cases.labels)].any():
        return [f"all {len(train)} training masks are background alone"]
    errors = []
    for split in ("val", "test"):
        rows = cases.where(split)
        for code in range(1, len(cases.labels)):
            if counts[rows, code].any() and not counts[train, code].any():
                errors.append(f"{split} has images with {cases.labels[code]!r}, and train has none")
    return errors


def _warnings(cases: CaseSet) -> list[str]:
    counts, lines = cases.sizes, []
    empty = np.flatnonzero(cases.columns.labelled & ~counts[:, 1 : len(cases.labels)].any(axis=1))
    if len(empty):
        lines.append(f"{len(empty)} of {len(cases)} masks show no label: {_named(cases, empty)}")
    train = cases.where("train")
    few = [
        f"{label} ({count})"
        for label, count in zip(cases.labels, (counts[train] > 0).sum(axis=0).tolist(), strict=False)
        if len(train) and count < FEW
    ]
    if few:
        lines.append(f"few training images (under {FEW}) show {', '.join(few)}")
    lines += [f"there is no {split} split" for split in ("val", "test") if len(train) and split not in _splits(cases)]
    if len(cases.skipped):
        lines.append(f"{len(cases.skipped)} inputs cannot be decoded and were skipped")
    modes = np.unique(cases.columns.modes).tolist()
    if len(modes) > 1:
        lines.append(f"images are stored in different ways ({', '.join(modes)}); each becomes 8 bits in its own way")
    return lines


def _shared_images(cases: CaseSet) -> list[str]:
    digests = np.ascontiguousarray(cases.digests).view("S16").reshape(-1)
    lines = []
    for split in ("train", "val"):
        rows = np.flatnonzero((cases.splits == "test") & np.isin(digests, digests[cases.splits == split]))
        if len(rows):
            lines.append(f"{len(rows)} test images are also in {split}: {_named(cases, rows)}")
    return lines
