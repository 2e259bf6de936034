"""A batch of rows of one OMOP table → events, and which rows gave none and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from suwen.data.records.dates import ENDS_EARLY
from suwen.data.records.events import DEATH, END, SCHEMA, START, later
from suwen.data.records.omop.tables import BORN, DATED, ONCE, OPERATORS, SPAN, STATIC, Line, Table
from suwen.data.records.omop.vocabulary import Vocabulary
from suwen.data.records.tables import casts
from suwen.data.records.tables.zones import Zones

SOURCE = "OMOP_SOURCE"
NOBODY, STRANGER = "broken reference: no person", "broken reference: a person who is not in PERSON"
NO_CODE, NO_TIME, NOTHING = "no concept and no source value", "no date", "a person of whom nothing is told"

PART = "part of a row: "
"""Before the reason for which a row gave less than it has."""

DAY = 86_400_000_000
"""Microseconds."""

DENSE = 2**27
"""If the numbers of persons span no more than this, a table with a byte for each tells who is there."""

CASTS: dict[Callable[[pa.Array], casts.Cast], str] = {
    casts.whole: "not a whole number",
    casts.number: "not a number",
    casts.time: "not a time",
    casts.text: "not UTF-8",
}


class People:
    """Who is in PERSON.

    Args:
        subjects: int64, in any order.
    """

    def __init__(self, subjects: np.ndarray) -> None:
        self._sorted = np.unique(subjects)
        self._first = int(self._sorted[0]) if len(subjects) else 0
        self._table = np.zeros(0, bool)
        if len(subjects) and int(self._sorted[-1]) - self._first < DENSE:
            self._table = np.zeros(int(self._sorted[-1]) - self._first + 1, bool)
            self._table[self._sorted - self._first] = True

    def has(self, subjects: np.ndarray) -> np.ndarray:
        """bool: whether each is there."""
        if not len(self._sorted):
            return np.zeros(len(subjects), bool)
        if len(self._table):
            within = (subjects >= self._first) & (subjects <= self._sorted[-1])
            return np.asarray(self._table[np.where(within, subjects - self._first, 0)] & within)
        place = np.searchsorted(self._sorted, subjects).clip(max=len(self._sorted) - 1)
        return np.asarray(self._sorted[place] == subjects)


class Rows:
    """Rows, of which some are refused.

    Args:
        batch: columns as the file has them.
        subject: the column of the person.
        people: all of them; None where no table tells.
        zones: of the file; clocks are kept unless given.

    Attributes:
        reasons: of the refusals.
        refused: (n,) which of them, counted from 1; 0 for rows that are not.
        lost: reason → bool, rows of which a part is lost.
    """

    def __init__(self, batch: pa.RecordBatch, subject: str, people: People | None, zones: Zones | None = None) -> None:
        self.batch, self._zones = batch, zones
        self.reasons: list[str] = []
        self.refused = np.zeros(len(batch), np.int16)
        self.lost: dict[str, np.ndarray] = {}
        self._made: dict[tuple[str, str], pa.Array] = {}
        self.subjects = self.cast(subject, casts.whole)
        self.refuse(~np.asarray(self.subjects.is_valid()), NOBODY)
        if people is not None:
            self.refuse(~people.has(np.asarray(self.subjects.fill_null(0))), STRANGER)

    def __len__(self) -> int:
        return len(self.batch)

    def cast(self, name: str, kind: Callable[[pa.Array], casts.Cast]) -> pa.Array:
        """A column of a type; null where the table has no such column. Rows with anything else in it are refused."""
        key = (name, kind.__name__)
        if key not in self._made:
            column = self.batch.column(name) if name else pa.nulls(len(self))
            if kind is casts.time and self._zones is not None:
                found = casts.time(column, partial(self._zones.several, name))
            else:
                found = kind(column)
            if found.bad is not None:
                self.refuse(found.bad, f"{CASTS[kind]}: {name}")
            self._made[key] = found.values
        return self._made[key]

    def text(self, name: str) -> pa.Array:
        """A column of text; null where it is empty, as in the database that the model comes from."""
        found = self.cast(name, casts.text)
        blank = pc.equal(found, "")
        return pc.if_else(blank, pa.scalar(None, pa.string()), found) if pc.any(blank).as_py() else found

    def numbers(self, name: str) -> np.ndarray:
        """A column of concepts; 0 where there is none, as OMOP has it."""
        return np.asarray(self.cast(name, casts.whole).fill_null(0))

    def types(self, name: str) -> np.ndarray:
        """A column of types of rows: it is only looked for our own, and may hold anything else."""
        if not name:
            return np.zeros(len(self), np.int64)
        return np.asarray(casts.whole(self.batch.column(name)).values.fill_null(0))

    def time(self, names: tuple[str, ...]) -> pa.Array:
        """The first column that says when; the others are read only where it does not."""
        if names == BORN:
            return self._born()
        found = self.cast(names[0], casts.time)
        for name in names[1:]:
            if found.null_count:
                found = pc.coalesce(found, self.cast(name, casts.time))
        return found

    def dated(self, names: tuple[str, ...]) -> np.ndarray | None:
        """bool: whose `time` has no time of day: a column of days has it, at midnight. None where that is nowhere."""
        if names == BORN:
            return None
        found, open_ = np.zeros(len(self), bool), np.ones(len(self), bool)
        for name in names:
            column = self.cast(name, casts.time)
            there = open_ & np.asarray(column.is_valid())
            if name.endswith(DATED) and there.any():
                found |= there & (np.asarray(column.cast(pa.int64()).fill_null(1)) % DAY == 0)
            elif there.any() and (days := casts.days_only(self.batch.column(name))) is not None:
                found |= there & days
            open_ &= ~there
            if not open_.any():
                break
        return found if found.any() else None

    def _born(self) -> pa.Array:
        found = self.cast(BORN[0], casts.time)
        if not found.null_count:
            return found
        day = casts.date(*(self.cast(name, casts.whole) for name in BORN[1:]))
        assert day.bad is not None
        self.refuse(day.bad & ~np.asarray(found.is_valid()), f"no such day: {', '.join(BORN[1:])}")
        return pc.coalesce(found, day.values)

    def refuse(self, where: np.ndarray, reason: str) -> None:
        """Give the reason to rows that have none yet."""
        if where.any():
            self.reasons.append(reason)
            self.refused[where & (self.refused == 0)] = len(self.reasons)

    def refusals(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each reason with its rows."""
        for number, reason in enumerate(self.reasons, start=1):
            rows = np.flatnonzero(self.refused == number)
            if len(rows):
                yield reason, rows
        for reason, where in self.lost.items():
            rows = np.flatnonzero(where & (self.refused == 0))
            if len(rows):
                yield PART + reason, rows

    def events(self, **columns: pa.Array) -> pa.Table:
        """Events of the rows that are not refused and have a code, of columns of `SCHEMA`."""
        mask = pa.array(np.asarray(columns["code"].is_valid()) & (self.refused == 0))
        arrays = []
        for field in SCHEMA:
            found = columns.get(field.name)
            found = found.filter(mask) if found is not None else pa.nulls(pc.sum(mask).as_py() or 0, field.type)
            arrays.append(found.cast(field.type))
        return pa.Table.from_arrays(arrays, schema=SCHEMA)


class Mapping:
    """How the rows of a table become events.

    Args:
        name: of the table.
        table: its row of `omop_tables.TABLES`.
        vocabulary: of the concepts.
        own: the tables are an export of ours, whose times are exact where a table has days only.

    Attributes:
        used, spanned: concepts of codes so far; and of those that have a start.
    """

    def __init__(self, name: str, table: Table, vocabulary: Vocabulary, *, own: bool = False) -> None:
        self.name, self.table, self.vocabulary, self.own = name, table, vocabulary, own
        self.used, self.spanned = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def events(self, rows: Rows) -> list[pa.Table]:
        """Events of rows, line by line; rows of which there are none are refused."""
        lines = [self._columns(line, rows) for line in self.table.lines]
        self._refuse_empty(rows, lines)
        once = rows.types(self.table.type) == ONCE
        found: list[pa.Table] = []
        for line, columns in zip(self.table.lines, lines, strict=True):
            found += self._of_line(line, columns, rows, once)
        return [table for table in found if len(table)]

    def _refuse_empty(self, rows: Rows, lines: list[dict[str, pa.Array]]) -> None:
        coded, made = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
        for line, columns in zip(self.table.lines, lines, strict=True):
            code = np.asarray(columns["code"].is_valid())
            coded |= code
            made |= code & (np.asarray(columns["time"].is_valid()) | (line.kind == STATIC))
        if len(lines) > 1:
            rows.refuse(~made, NOTHING)
        rows.refuse(~made & coded, NO_TIME)
        rows.refuse(~made, NO_CODE)

    def _of_line(self, line: Line, columns: dict[str, pa.Array], rows: Rows, once: np.ndarray) -> list[pa.Table]:
        code, time = columns["code"], columns["time"]
        nothing = pa.scalar(None, pa.string())
        if line.kind != STATIC and time.null_count:
            columns["code"] = code = pc.if_else(time.is_valid(), code, nothing)
        if line.kind != SPAN:
            return [rows.events(**columns)]
        ended, ended_known, early = self._over(line, rows, time)
        begun = pc.binary_join_element_wise(code, START, "")
        columns["code"] = pc.if_else(pa.array(once), code, begun) if once.any() else begun
        over = pa.array(np.asarray(ended.is_valid()) & ~once & ~early)
        end = pc.if_else(over, pc.binary_join_element_wise(code, END, ""), nothing)
        kept = {name: columns[name] for name in ("subject_id", "encounter_id")}
        return [rows.events(**columns), rows.events(**kept, code=end, time=ended, available_time=ended_known)]

    def _over(self, line: Line, rows: Rows, begun: pa.Array) -> tuple[pa.Array, pa.Array, np.ndarray]:
        """When spans end, since when that is known, and which of them would end before they begin.

        An end that is a day, and would lie before the beginning on it, lies at its last instant.
        """
        ended, last = rows.time(line.end), self._last(line.end, rows)
        early = np.asarray(pc.less(ended, begun).fill_null(False))
        if early.any():
            if last is not None:
                ended = pc.if_else(pa.array(early), pc.coalesce(last, ended), ended)
                early = np.asarray(pc.less(ended, begun).fill_null(False))
            if early.any():
                rows.lost[ENDS_EARLY] = early
        nothing = pa.nulls(len(rows), pa.timestamp("us"))
        return ended, nothing if last is None else later(last, ended), early

    def _last(self, names: tuple[str, ...], rows: Rows) -> pa.Array | None:
        """timestamp[us]: the last instant of times that are days only, null for others; None where there are none."""
        days = None if self.own else rows.dated(names)
        if days is None:
            return None
        last = pc.add(rows.time(names), pa.scalar(DAY - 1, pa.duration("us")))
        return pc.if_else(pa.array(days), last, pa.scalar(None, last.type))

    def _columns(self, line: Line, rows: Rows) -> dict[str, pa.Array]:
        time = known = pa.nulls(len(rows), pa.timestamp("us"))
        if line.kind != STATIC:
            time, last = rows.time(line.start), self._last(line.start, rows)
            if line.code == DEATH and last is not None:
                time = pc.coalesce(last, time)  # until then the patient may have been alive
            else:
                known = known if last is None else last
        if line.kind == SPAN:
            rows.time(line.end)  # whatever is wrong with it is known before a row gives its first event
        return {
            "subject_id": rows.subjects,
            "time": time,
            "available_time": known,
            "code": self._code(line, rows),
            "numeric_value": rows.cast(line.number, casts.number),
            "text_value": self._text(line, rows),
            "unit": self._first(() if line.unit_of_other and not self.own else line.unit, rows, self.vocabulary.units),
            "encounter_id": rows.cast(self.table.visit, casts.whole),
        }

    def _code(self, line: Line, rows: Rows) -> pa.Array:
        if line.code:
            return pa.repeat(line.code, len(rows))
        concept = rows.numbers(line.concept)
        if line.source_concept:
            origin = rows.numbers(line.source_concept)
            first = (concept == 0) | self._ours(origin)
            concept = np.where(first, origin, concept) if first.any() else concept
        found = self._codes(concept, line.kind == SPAN)
        if found.null_count and line.source:
            said = rows.text(line.source)
            made = pc.binary_join_element_wise(SOURCE, line.label or self.name.upper(), said, "//")
            found = pc.coalesce(found, made)
        return found.fill_null(line.otherwise) if line.otherwise else found

    def _ours(self, concepts: np.ndarray) -> np.ndarray:
        if not self.vocabulary.has_ours or not concepts.any():
            return np.zeros(len(concepts), bool)
        numbers, place = _distinct(concepts)
        return np.asarray(self.vocabulary.ours(numbers)[np.asarray(place)])

    def _codes(self, concepts: np.ndarray, spanned: bool = False) -> pa.Array:
        """Codes of concepts, null for 0."""
        numbers, place = _distinct(concepts)
        real = numbers[numbers != 0]
        self.used = np.union1d(self.used, real)
        self.spanned = np.union1d(self.spanned, real) if spanned else self.spanned
        codes = pc.if_else(pa.array(numbers != 0), self.vocabulary.codes(numbers), pa.scalar(None, pa.string()))
        return codes.take(place)

    def _text(self, line: Line, rows: Rows) -> pa.Array:
        found = self._first(line.text, rows, self.vocabulary.codes)
        if line.spare:
            said = rows.cast(line.number, casts.number)
            if said.null_count:
                spare = pc.if_else(said.is_null(), rows.text(line.spare), pa.scalar(None, pa.string()))
                found = pc.coalesce(found, spare)
        if line.operator:
            concepts = rows.numbers(line.operator)
            compared = np.isin(concepts, list(OPERATORS))
            if compared.any():
                signs = pa.array([OPERATORS.get(number) for number in concepts.tolist()], pa.string())
                found = pc.coalesce(pc.binary_join_element_wise(signs, rows.text(line.number), ""), found)
        return found

    def _first(self, names: tuple[str, ...], rows: Rows, told: Callable[[np.ndarray], pa.Array]) -> pa.Array:
        """The first of columns that says something; concepts as `told` names them."""
        found = pa.nulls(len(rows), pa.string())
        for name in names:
            if not found.null_count:
                break
            if name.endswith("_concept_id"):
                concepts, place = _distinct(rows.numbers(name))
                codes = pc.if_else(pa.array(concepts != 0), told(concepts), pa.scalar(None, pa.string()))
                found = pc.coalesce(found, codes.take(place))
            else:
                found = pc.coalesce(found, rows.text(name))
        return found


def _distinct(concepts: np.ndarray) -> tuple[np.ndarray, pa.Array]:
    """Each number once, and where it stands among them."""
    coded = pa.array(concepts).dictionary_encode()
    return np.asarray(coded.dictionary), coded.indices


def extra_events(rows: Rows) -> list[pa.Table]:
    """Events of the table `omop_tables.EXTRA`, which has the columns of `SCHEMA`: an empty text is not null in it."""
    kinds = {pa.int64(): casts.whole, pa.float32(): casts.number, pa.timestamp("us"): casts.time}
    columns = {field.name: rows.cast(field.name, kinds.get(field.type, casts.text)) for field in SCHEMA}
    rows.refuse(~np.asarray(columns["code"].is_valid()), NO_CODE)
    return [rows.events(**columns)]
