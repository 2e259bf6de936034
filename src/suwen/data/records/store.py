"""A `RecordStore`: a MEDS 0.4 folder, its shards and what is said of its codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from suwen.core.errors import DataError, FileUnreadable

DATA = "data"
CODES = Path("metadata") / "codes.parquet"
DATASET = Path("metadata") / "dataset.json"
MADE = Path("metadata") / "suwen.json"
"""How the store was made: ``{"shards": n, "imports": {KEY: {"part", "from", "events", "rejected"}}}``."""

WORK = ".import"
"""The folder of an import that is not finished."""

REJECTED = Path("metadata") / "rejected.ndjson"

CODES_SCHEMA = pa.schema(
    [
        pa.field("code", pa.string()),
        pa.field("description", pa.string()),
        pa.field("parent_codes", pa.list_(pa.string())),
    ]
)


class RecordStore:
    """The events of many subjects, each in one of the Parquet files below ``data/``, sorted by time.

    Args:
        path: the folder.

    Raises:
        DataError: there is no store.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not (self.path / DATA).is_dir():
            raise DataError(
                f"{path} is no record store",
                why=f"it has no folder {DATA}/",
                fix=f"suwen records import SOURCE --from FORMAT --out {path}",
            )

    @property
    def shards(self) -> list[Path]:
        """Its files, in the order of their names; hidden ones were never finished."""
        return sorted(file for file in (self.path / DATA).glob("**/*.parquet") if not file.name.startswith("."))

    @property
    def made(self) -> dict[str, Any]:
        """``metadata/suwen.json``; empty where the store was not written by suwen."""
        file = self.path / MADE
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}

    @property
    def codes(self) -> pa.Table:
        """Every code with its description and the codes above it."""
        file = self.path / CODES
        return pq.read_table(file) if file.is_file() else CODES_SCHEMA.empty_table()

    def __len__(self) -> int:
        return sum(pq.read_metadata(shard).num_rows for shard in self.shards)

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Shard by shard all events.

        Raises:
            FileUnreadable: a shard is damaged.
        """
        for shard in self.shards:
            yield read_shard(shard, columns)

    def subject(self, subject_id: int) -> pa.Table:
        """The events of one subject, in order.

        Raises:
            DataError: there is no such subject.
        """
        for shard in self.candidates(subject_id):
            found = pq.read_table(shard, filters=[("subject_id", "=", subject_id)])
            if len(found):
                return found
        raise DataError(
            f"no subject {subject_id} in {self.path}",
            why="nothing is known of them",
            fix=f"suwen records check {self.path}",
        )

    def candidates(self, subject_id: int) -> list[Path]:
        """The shards in which a subject may be: one, where the store was written here and no import is under way."""
        count = None if (self.path / WORK).is_dir() else self.made.get("shards")
        named = self.path / DATA / shard_name(int(shard_of(np.array([subject_id]), count)[0])) if count else None
        return [named] if named is not None and named.is_file() else self.shards


def read_shard(shard: Path, columns: list[str] | None = None) -> pa.Table:
    """The events of one file.

    Raises:
        FileUnreadable: it is damaged.
    """
    try:
        return pq.read_table(shard, columns=columns)
    except (OSError, pa.ArrowInvalid) as error:
        raise FileUnreadable(f"{shard}: {error}", why="the file is damaged", fix="import its source again") from error


def shard_of(subject_ids: np.ndarray, count: int) -> np.ndarray:
    """int64: the shard of each subject, by the bits of its number mixed (Steele, Lea & Flood, OOPSLA 2014: SplitMix64),
    so that neighbouring numbers do not lie together."""
    with np.errstate(over="ignore"):
        x = subject_ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x % np.uint64(count)).astype(np.int64)


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"{number:04d}.parquet"
