"""What is looked at in a store: whether it is MEDS, and what in it cannot be, or had better be known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from suwen.core.errors import DataError
from suwen.data.progress import track
from suwen.data.records.events import BIRTH, DEATH, NOWHEN, SCHEMA, microseconds
from suwen.data.records.store import RecordStore, read_shard

SHOWN = 5
OLDEST = int(datetime(1901, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
"""Records that have no date often say 1900-01-01."""


@dataclass
class Finding:
    """One kind of thing that was found.

    Attributes:
        name: in a few words.
        broken: whether the store is no MEDS store because of it; else it is for information.
        count: events, subjects or codes, as the name says.
        examples: some of them.
    """

    name: str
    broken: bool
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, count: int, example: str) -> None:
        """So many more."""
        self.count += count
        if len(self.examples) < SHOWN:
            self.examples.append(example)


def check_store(store: RecordStore, *, now: datetime | None = None, progress: bool = True) -> list[Finding]:
    """Everything that was found, what breaks the store first; empty where all is well.

    Args:
        store: to look at.
        now: events after it are in the future.
        progress: show a bar.

    Raises:
        FileUnreadable: a shard is damaged.
    """
    found = {row.name: Finding(row.name, row.broken) for row in CHECKS}
    latest = int((now or datetime.now(UTC)).timestamp() * 1_000_000)
    units: dict[str, Counter[str]] = {}
    seen: set[int] = set()
    for shard in track(store.shards, "Checking", len(store.shards), enabled=progress):
        table = read_shard(shard)
        if (wrong := _not_meds(table)) is not None:
            found[FOREIGN].add(1, f"{shard.name}: {wrong}")
            continue
        view = _View(table, latest)
        for row in CHECKS:
            for count, example in row.look(view):
                found[row.name].add(count, f"{shard.name}: {example}")
        subjects = set(np.unique(view.subjects).tolist())
        for again in sorted(seen & subjects):
            found[TWICE].add(1, f"{shard.name}: subject {again}")
        seen |= subjects
        _count_units(table, units)
    for code, counts in sorted(units.items()):
        if len(counts) > 1:
            said = ", ".join(f"{unit} {count}" for unit, count in counts.most_common())
            found[UNITS].add(1, f"{code}: {said}")
    return sorted((each for each in found.values() if each.count), key=lambda each: not each.broken)


@dataclass(frozen=True)
class Check:
    """One row.

    Attributes:
        name: of what is found.
        broken: see `Finding`.
        look: a shard → (how many, an example) of each thing found.
    """

    name: str
    broken: bool
    look: Callable[[_View], Iterator[tuple[int, str]]]


def _not_meds(table: pa.Table) -> str | None:
    """What keeps a table from being MEDS; None where nothing does."""
    from flexible_schema import SchemaValidationError, TableValidationError
    from meds.schema import DataSchema

    try:
        DataSchema.validate(table)
    except (SchemaValidationError, TableValidationError) as error:
        return " ".join(str(error).split())[:200]
    return None


class _View:
    """A shard as columns of numbers."""

    def __init__(self, table: pa.Table, latest: int) -> None:
        self.table, self.latest = table, latest
        self.subjects: np.ndarray = table["subject_id"].to_numpy()
        self.times: np.ndarray = microseconds(table["time"])

    def at(self, code: str) -> dict[int, int]:
        """Subject → first time of a code."""
        rows = np.flatnonzero(np.asarray(pc.equal(self.table["code"], code).combine_chunks().fill_null(False)))
        found: dict[int, int] = {}
        for row in rows.tolist():
            if self.times[row] != NOWHEN:
                found.setdefault(int(self.subjects[row]), int(self.times[row]))
        return found


def _scattered(view: _View) -> Iterator[tuple[int, str]]:
    if len(view.subjects):
        starts = view.subjects[np.flatnonzero(np.diff(view.subjects, prepend=view.subjects[0] - 1))]
        numbers, counts = np.unique(starts, return_counts=True)
        if (counts > 1).any():
            yield int((counts > 1).sum()), f"subject {numbers[counts > 1][0]}"


def _unsorted(view: _View) -> Iterator[tuple[int, str]]:
    back = (np.diff(view.subjects) == 0) & (view.times[1:] < view.times[:-1])
    if back.any():
        yield int(back.sum()), f"subject {view.subjects[1:][back][0]}"


def _future(view: _View) -> Iterator[tuple[int, str]]:
    late = view.times > view.latest
    if late.any():
        yield int(late.sum()), f"subject {view.subjects[late][0]}, {_date(view.times[late].max())}"


def _ancient(view: _View) -> Iterator[tuple[int, str]]:
    early = (view.times < OLDEST) & (view.times != NOWHEN)
    if early.any():
        yield int(early.sum()), f"subject {view.subjects[early][0]}, {_date(view.times[early].min())}"


def _dead_before_birth(view: _View) -> Iterator[tuple[int, str]]:
    births = view.at(BIRTH)
    for subject, time in view.at(DEATH).items():
        if time < births.get(subject, time):
            yield 1, f"subject {subject}: died {_date(time)}, born {_date(births[subject])}"


def _before_birth(view: _View) -> Iterator[tuple[int, str]]:
    births = view.at(BIRTH)
    known = np.array([births.get(subject, NOWHEN) for subject in view.subjects.tolist()], np.int64)
    early = (view.times < known) & (view.times != NOWHEN)
    if early.any():
        yield int(early.sum()), f"subject {view.subjects[early][0]}"


def _known_before(view: _View) -> Iterator[tuple[int, str]]:
    if "available_time" in view.table.column_names:
        known = microseconds(view.table["available_time"])
        early = (known < view.times) & (known != NOWHEN)
        if early.any():
            yield int(early.sum()), f"subject {view.subjects[early][0]}"


FOREIGN, TWICE, UNITS = "files that are not MEDS", "subjects in more than one file", "codes with more than one unit"


def _none(_: _View) -> Iterator[tuple[int, str]]:
    return iter(())


CHECKS: tuple[Check, ...] = (
    Check(FOREIGN, True, _none),
    Check("subjects whose events lie apart", True, _scattered),
    Check("events before the one above", True, _unsorted),
    Check(TWICE, True, _none),
    Check("subjects who died before they were born", False, _dead_before_birth),
    Check("events before birth", False, _before_birth),
    Check("events known before they happened", False, _known_before),
    Check("events in the future", False, _future),
    Check("events before 1901", False, _ancient),
    Check(UNITS, False, _none),
)
"""In the order in which they are told. What needs all shards is counted beside."""


def _count_units(table: pa.Table, units: dict[str, Counter[str]]) -> None:
    if "unit" not in table.column_names:
        return
    known = table.filter(pc.is_valid(table["unit"])).select(["code", "unit"])
    counts = known.group_by(["code", "unit"]).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        units.setdefault(row["code"], Counter())[row["unit"]] += row["count_all"]


def _date(time: Any) -> str:
    return str(np.datetime64(int(time), "us").astype("datetime64[D]"))


def refuse_broken(found: list[Finding]) -> None:
    """Refuse a store that is no MEDS store.

    Raises:
        DataError: something breaks it; what, and where, is said.
    """
    broken = [each for each in found if each.broken]
    if broken:
        first = broken[0]
        raise DataError(
            f"{first.count} {first.name}: {'; '.join(first.examples)}",
            why=f"what reads it relies on {', '.join(SCHEMA.names[:3])}, and on subjects in one piece, in order",
            fix="suwen records import STORE --from meds --out NEW puts it in order",
        )
