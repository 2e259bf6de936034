"""Where histories come from: a store, and the labels that ask something of it; and who is in which split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from suwen.core.errors import DataError
from suwen.core.sample import SPLITS
from suwen.data.records.cohorts.labels import VALUES, read_labels
from suwen.data.records.store import DATA

STORES = ("store", "meds")
"""Names of the folder of a store beside labels."""

LABELS = ("labels.parquet", "labels")
FILES = (".yaml", ".yml")
SUBJECT_SPLITS = Path("metadata") / "subject_splits.parquet"
MEDS_SPLITS = {"train": "train", "tuning": "val", "held_out": "test"}
"""Splits of MEDS 0.4 (``meds.SubjectSplitSchema``) → those of suwen."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A store, and the labels of it, if there are any: a file or a folder of files of `meds.LabelSchema`."""

    store: Path
    labels: Path | None = None


def find_question(source: Path | str) -> Question:
    """What a source means.

    - a store (a folder with ``data/``): no labels
    - a folder with ``store/`` or ``meds/``, and ``labels.parquet`` or ``labels/``
    - a file, or a folder, of labels, with a store in the same folder or in one above it
    - a YAML file: ``store: FOLDER`` and ``labels: FILE``, relative to it

    Raises:
        DataError: it is none of these.
    """
    path = Path(source)
    if (path / DATA).is_dir():
        return Question(store=path)
    if path.suffix.lower() in FILES and path.is_file():
        return _of_yaml(path)
    if path.is_dir() and (store := _store_in(path)) is not None:
        return Question(store=store, labels=next((path / name for name in LABELS if (path / name).exists()), None))
    if path.suffix == ".parquet" or path.is_dir():
        for folder in path.resolve().parents:
            if (store := _store_in(folder)) is not None:
                return Question(store=store, labels=path)
    raise DataError(
        f"{source}: no records",
        why="looked for a store (a folder with data/), for store/ or meds/ beside labels, and above a file of labels",
        fix="suwen records label STORE COHORT.yaml --out FOLDER/labels   with the store at FOLDER/store; or a YAML "
        "file with the lines 'store: FOLDER' and 'labels: FILE'",
    )


def _of_yaml(path: Path) -> Question:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or "store" not in content or not content.keys() <= {"store", "labels"}:
        raise DataError(f"{path} names no store", why="it has the lines store and labels", fix="store: FOLDER")
    labels = content.get("labels")
    return Question(store=path.parent / content["store"], labels=None if labels is None else path.parent / labels)


def _store_in(folder: Path) -> Path | None:
    return next((folder / name for name in STORES if (folder / name / DATA).is_dir()), None)


def labels_of(question: Question) -> pa.Table:
    """subject_id, prediction_time and at most one value column.

    Raises:
        DataError: there are no labels, or of several kinds.
    """
    if question.labels is None:
        raise DataError(
            f"{question.store} without labels",
            why="what is to be predicted of whom, and when, is said by a file of labels",
            fix="suwen records label STORE COHORT.yaml --out labels/, and name that folder",
        )
    table = read_labels(question.labels)
    kinds = [name for name in VALUES if name in table.column_names]
    if len(kinds) > 1 or (kinds and table[kinds[0]].null_count):
        raise DataError(
            f"{question.labels}: values in {', '.join(kinds)}, or missing in some rows",
            why="all labels answer one question",
            fix="name one file of labels, not a folder of several",
        )
    _refuse_two_questions(question.labels, table, kinds)
    return table


def _refuse_two_questions(labels: Path, table: pa.Table, kinds: list[str]) -> None:
    """Files of a folder may be pieces of one set of labels, or ask different things."""
    if labels.is_file() or not kinds or len(list(labels.glob("**/*.parquet"))) < 2:
        return
    alone = table.select(["subject_id", "prediction_time"]).group_by(["subject_id", "prediction_time"]).aggregate([])
    answers = table.group_by(["subject_id", "prediction_time", kinds[0]]).aggregate([])
    if len(answers) > len(alone):
        raise DataError(
            f"{labels}: {len(answers) - len(alone)} times two answers for one subject and time",
            why="its files seem to ask different things",
            fix=f"name one of them: {next(labels.glob('**/*.parquet'))}",
        )


def splits_of(store: Path, subjects: np.ndarray, seed: int, fractions: tuple[float, float, float]) -> np.ndarray:
    """U5 (N,): the split of each subject.

    Where the store has ``metadata/subject_splits.parquet`` that of MEDS; else drawn by hashing the seed with the
    subject's number, whatever is asked of whom: who is in the test split of one question is in that of every other and
    is not pretrained on.

    Raises:
        DataError: subjects without a split, where the store gives some.
    """
    file = store / SUBJECT_SPLITS
    if not file.is_file():
        return _drawn(subjects, seed, fractions)
    table = pq.read_table(file)
    names = [MEDS_SPLITS.get(name, name) for name in table["split"].to_pylist()]
    given = dict(zip(table["subject_id"].to_pylist(), names, strict=True))
    missing = [str(subject) for subject in np.unique(subjects).tolist() if subject not in given]
    if missing:
        raise DataError(
            f"{len(missing)} subjects without a split in {file}: {', '.join(missing[:5])}",
            why="a guess could move somebody from test to train",
            fix="give each a split, or remove the file to have them drawn",
        )
    return np.array([given[subject] for subject in subjects.tolist()], "U5")


def _drawn(subjects: np.ndarray, seed: int, fractions: tuple[float, float, float]) -> np.ndarray:
    if min(fractions) < 0 or fractions[0] <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise DataError(f"fractions {fractions}", why="three parts of 1, the first above 0", fix="(0.7, 0.15, 0.15)")
    known, place = np.unique(subjects, return_inverse=True)
    draws = [
        int.from_bytes(hashlib.blake2b(f"{seed}/subject {each}".encode(), digest_size=8).digest(), "big") / 2**64
        for each in known.tolist()
    ]
    edges = np.cumsum(fractions)[:-1]
    return np.array(SPLITS, "U5")[np.searchsorted(edges, draws, side="right")][place]
