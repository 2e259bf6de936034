"""In how many files the events of a store lie, and how they are divided anew when it has outgrown them.

A subject lies in the file that `suwen.data.records.store.shard_of` says. A store of n files is divided into a multiple
of n: then each file is cut by itself, since what is the same modulo k n is the same modulo n.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from suwen.core.errors import DataError
from suwen.data.records.lock import LOCK
from suwen.data.records.source import Part
from suwen.data.records.store import DATA, WORK, RecordStore, read_shard, shard_name, shard_of

SHARD_BYTES = 64 * 2**20
"""Of the source, for each shard: an event takes a tenth of that in the store, and a shard fits in memory many times."""

PACKED = {".gz", ".zip", ".parquet"}
TIMES = 10
"""A packed source, of any of these kinds, is counted as so many times as large as it is; so is what is in the store."""

MOST_SHARDS = 256
OUTGROWN = 4
"""A store whose shards are, or would be, more than so many times `SHARD_BYTES` is divided anew."""

PLAN = "plan.json"
"""In the folder of an import, the number of shards for which it lays events down."""

MOST_TEXT = 2**31 - 1
"""Bytes of a column of text in Arrow, whose offsets have 32 bits."""


@dataclass(frozen=True)
class Shards:
    """How many a store has before an import, and after it.

    Attributes:
        before: what is in the store lies in so many; as `count` where there is nothing yet.
        count: events are to lie in so many; a multiple of `before`.
    """

    before: int
    count: int

    @property
    def steps(self) -> tuple[range, range]:
        """Numbers of shards, in which order they are written: those that are new take from the old ones, which are cut
        last, so that an import that is killed loses nothing."""
        return range(self.before, self.count), range(self.before)


def unpacked(part: Part) -> int:
    """Bytes, about, as text."""
    return part.size * (TIMES if part.files[0].suffix.lower() in PACKED else 1)


def planned(out: Path, asked: int | None, size: int) -> Shards:
    """How many the store has, and is to have.

    Args:
        out: the store.
        asked: for a new store.
        size: bytes that are to be imported, as text.

    Raises:
        DataError: another number is asked for than it has, or the folder holds something else.
    """
    file = out / WORK / PLAN
    # of an import that was killed: what it laid down is laid down for so many, whatever the source needs by now
    plan: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    there = (out / DATA).is_dir()
    before = RecordStore(out).made.get("shards") if there else None
    _refuse_others(out, there, before is not None or bool(plan))
    before = before or plan.get("shards")
    if asked is not None and before is not None and asked not in (before, plan.get("shards")):
        raise DataError(f"--shards {asked}", why=f"the store has {before}", fix="leave --shards out, or a new folder")
    if before is None:
        new = asked or min(MOST_SHARDS, max(1, math.ceil(size / SHARD_BYTES)))
        return Shards(new, new)
    if plan:
        return Shards(before, plan["shards"])
    return Shards(before, before if asked or not size else _enough(before, size + TIMES * _held(out)))


def _refuse_others(out: Path, there: bool, ours: bool) -> None:
    if there and not ours:
        raise DataError(
            f"{out} is a MEDS dataset that suwen did not make",
            why="which subject lies in which of its files is not known: events that are added would lie apart from "
            "those of their subjects, and its metadata would be replaced",
            fix=f"suwen records import {out} --from meds --out NEW   and import into NEW",
        )
    if not there and out.is_dir() and {file.name for file in out.iterdir()} - {WORK, LOCK}:
        raise DataError(f"{out} holds other files", why="they might be overwritten", fix="--out with a new folder")


def _held(out: Path) -> int:
    """Bytes of the events of a store, without what each file has besides."""
    groups = (pq.read_metadata(file) for file in RecordStore(out).shards)
    found = (each.row_group(number) for each in groups for number in range(each.num_row_groups))
    return sum(group.column(place).total_compressed_size for group in found for place in range(group.num_columns))


def _enough(before: int, size: int) -> int:
    """How many shards are enough for so many bytes: as many as there are, or a multiple."""
    needed = math.ceil(size / SHARD_BYTES)
    if needed <= OUTGROWN * before:
        return before
    return before * max(1, min(math.ceil(needed / before), MOST_SHARDS // before))


def rows_known(out: Path, number: int, shards: Shards) -> list[pa.Table]:
    """What a store has of a shard, which, where it is divided anew, lies in an old one, or in both."""
    names = dict.fromkeys((shard_name(number), shard_name(number % shards.before)))
    found = [read_shard(file) for name in names if (file := out / DATA / name).is_file()]
    if shards.before == shards.count:
        return found
    return [table.filter(pa.array(shard_of(_subjects(table), shards.count) == number)) for table in found]


def _subjects(table: pa.Table) -> np.ndarray:
    return np.asarray(table["subject_id"].to_numpy())


def refuse_too_large(table: pa.Table, target: Path, shards: Shards) -> None:
    """A shard is put in order as one table in memory.

    Raises:
        DataError: it would have more text in a column than Arrow holds in one.
    """
    for name in ("code", "unit"):
        size = sum(chunk.nbytes for chunk in table[name].chunks)
        if size > MOST_TEXT:
            more = shards.count * math.ceil(2 * size / MOST_TEXT)
            raise DataError(
                f"{target} would have {len(table):,} events, whose {name}s take {size / 2**30:.1f} GiB",
                why="a shard is put in order as a whole, and a column of it holds 2 GiB",
                fix=f"--shards {more} with a new folder: all that is in the store has to be imported again",
            )
