"""Rows of a table → events, by the rules of a `suwen.data.records.tables.mapping.Table`, a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from suwen.data.records.dates import ENDS_EARLY
from suwen.data.records.events import END, SCHEMA, START, later, number_of
from suwen.data.records.tables import casts
from suwen.data.records.tables.mapping import MISSING, Event, Table, columns_in, pieces
from suwen.data.records.tables.times import Moments, moments
from suwen.data.records.tables.zones import Zones

NO_SUBJECT, NO_TIME, NOTHING = "no subject", "no time", "nothing in it is mapped"
PART = "part of a row: "
"""Before a reason where the row gave other events."""

NO_CODE = "no code: "
ABSENT = (NO_TIME, NO_CODE)
"""What a row without it is refused for. In a row that gave others it is just not there, as a death of the living."""

NO_TEXT = pa.scalar(None, pa.string())

JOIN = "\x1f"
"""Between the columns of a key; ASCII's unit separator, which is in no code."""


class Joined:
    """Columns of a lookup by its key."""

    def __init__(self, key: pa.Array, columns: Mapping[str, pa.Array]) -> None:
        self.key, self.columns = key, columns

    def take(self, keys: pa.Array, column: str) -> pa.Array:
        """The column for each of the keys, null where there is none."""
        return self.columns[column].take(pc.index_in(keys, value_set=self.key))


class Rows:
    """A batch, and what became of each row.

    Args:
        batch: the columns of the table, and those of the path.
        table: its mapping.
        missing: what is nothing in every column.
        joined: the lookups.
        name: of the file, for messages.
        zones: of the file; clocks are kept unless given.
    """

    def __init__(
        self,
        batch: pa.RecordBatch,
        table: Table,
        missing: Sequence[str] = MISSING,
        joined: Mapping[str, Joined] | None = None,
        name: str = "table",
        zones: Zones | None = None,
    ) -> None:
        self._zones = zones
        self.batch, self.table, self.name = batch, table, name
        self._missing, self._joined = missing, joined or {}
        self._columns: dict[str, pa.Array] = {}
        self._texts: dict[str, pa.Array] = {}
        self._times: dict[str, Moments] = {}
        self.lost: dict[str, np.ndarray] = {}
        self.made = np.zeros(len(batch), bool)
        subject = self.template(table.subject) if "{" in table.subject else self.text(table.subject)
        self.subjects = numbered(subject)
        self.taken = ~self.lose(NO_SUBJECT, np.asarray(subject.is_null()))
        for refused in table.reject:
            self.taken &= ~self.lose(refused.reason, self.taken & self.among(refused.when))

    def __len__(self) -> int:
        return len(self.batch)

    def column(self, name: str) -> pa.Array:
        """As the file has it, null where it holds what counts as nothing."""
        if name not in self._columns:
            self._columns[name] = self._looked_up(name) if self.table.joined(name) else self._cleaned(name)
        return self._columns[name]

    def _cleaned(self, name: str) -> pa.Array:
        values = self.batch.column(name)
        values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
        own = [*self.table.missing.get(name, ()), *self.table.missing.get("*", ())]
        gone = nothing(values, self._missing, own)
        return pc.if_else(gone, pa.scalar(None, values.type), values) if gone is not None else values

    def _looked_up(self, name: str) -> pa.Array:
        lookup, _, column = name.partition(".")
        keys = [self.text(key) for key in self.table.join[lookup]]
        return self._joined[lookup].take(pc.binary_join_element_wise(*keys, JOIN), column)

    def several(self, name: str) -> bool:
        """Whether the times of a column have more than one offset, in all of its file."""
        return self._zones is not None and self._zones.several(name)

    def text(self, name: str) -> pa.Array:
        """A column as text, without spaces around."""
        if name not in self._texts:
            self._texts[name] = pc.utf8_trim_whitespace(casts.text(self.column(name)).values)
        return self._texts[name]

    def template(self, template: str) -> pa.Array:
        """What a template makes of each row: null where a column of it is."""
        return filled(template, len(self), self.text)

    def among(self, wanted: Mapping[str, Sequence[str]]) -> np.ndarray:
        """bool: where every column is one of those it may be; an empty one is ``""``."""
        found = np.ones(len(self), bool)
        for name, values in wanted.items():
            found &= np.asarray(pc.is_in(self.text(name).fill_null(""), value_set=pa.array(values, pa.string())))
        return found

    def lose(self, reason: str, where: np.ndarray) -> np.ndarray:
        """Note why rows did not give an event."""
        if where.any():
            self.lost[reason] = self.lost.get(reason, False) | where
        return where

    def moments(self, rule: Event, which: str) -> Moments:
        """Its time, end or available time for every row, made once."""
        times = getattr(rule, which)
        key = repr(times)
        if key not in self._times:
            self._times[key] = moments(self, times)
        return self._times[key]

    def events(self, rule: Event, descriptions: dict[str, str]) -> list[pa.Table]:
        """What a rule makes of the rows; descriptions of its codes are added."""
        there = self.taken & self.among(rule.when)
        for name, values in rule.unless.items():
            there &= ~self.among({name: values})
        for name in rule.needs:
            there &= np.asarray(self.column(name).is_valid())
        if not there.any():
            return []
        picked = None if there.all() else np.flatnonzero(there)
        return _Picked(self, rule, picked).events(descriptions)

    def refusals(self) -> list[tuple[str, np.ndarray]]:
        """Reasons and rows. A row that gave no event is under one reason only, and not under one with `PART`."""
        found: list[tuple[str, np.ndarray]] = []
        open_ = ~self.made
        for reason, where in self.lost.items():
            found.append((reason, np.flatnonzero(where & open_)))
            if not reason.startswith(ABSENT):
                found.append((PART + reason, np.flatnonzero(where & self.made)))
            open_ = open_ & ~where
        found.append((NOTHING, np.flatnonzero(open_)))
        return [(reason, rows) for reason, rows in found if len(rows)]


class _Picked:
    """The rows that a rule is for.

    Args:
        rows: all of the batch.
        rule: not melted.
        picked: int, their numbers; None for every one.
    """

    def __init__(self, rows: Rows, rule: Event, picked: np.ndarray | None) -> None:
        self.rows, self.rule = rows, rule
        self._numbers = np.arange(len(rows)) if picked is None else picked
        self._all = picked is None
        self.good = np.ones(len(self._numbers), bool)

    def take(self, column: pa.Array) -> pa.Array:
        """Of a column of the batch what belongs to them."""
        return column if self._all else column.take(pa.array(self._numbers))

    def lose(self, reason: str, where: np.ndarray, *, whole: bool = True) -> None:
        """These give no event; or, unless `whole`, only a part of it."""
        if not where.any():
            return
        mask = np.zeros(len(self.rows), bool)
        mask[self._numbers[where & self.good]] = True
        self.rows.lose(reason, mask)
        if whole:
            self.good = self.good & ~where

    def template(self, template: str) -> pa.Array:
        """As `Rows.template`."""
        return filled(template, len(self._numbers), lambda name: self.take(self.rows.text(name)))

    def events(self, descriptions: dict[str, str]) -> list[pa.Table]:
        """Tables of `SCHEMA`: one, or that of the beginnings and that of the ends."""
        rule = self.rule
        code = self._code()
        time = self._time("time")
        value, text = self._value(rule.value)
        columns = {
            "subject_id": self.take(self.rows.subjects),
            "time": time,
            "code": pc.binary_join_element_wise(code, START, "") if rule.end else code,
            "numeric_value": value,
            "text_value": self.template(rule.text) if rule.text else text,
            "available_time": later(self._time("available"), time),
            "unit": self.template(rule.unit),
            "encounter_id": self._encounter(),
        }
        if rule.description:
            self._describe(code, descriptions)
        ends = self._ends(columns, code, time) if rule.end else []
        self.rows.made[self._numbers[self.good]] = True
        first = _table({**columns, "text_value": _legible(columns["text_value"])}, self.good)
        return [table for table in (_once(first) if rule.once else first, *ends) if len(table)]

    def _code(self) -> pa.Array:
        code = self.template(self.rule.code)
        for name in columns_in(self.rule.code):
            if code.null_count:
                empty = np.asarray(self.take(self.rows.text(name)).is_null()) & np.asarray(code.is_null())
                self.lose(f"{NO_CODE}{name} is empty", empty)
        return code

    def _time(self, which: str) -> pa.Array:
        if not getattr(self.rule, which):
            return pa.nulls(len(self._numbers), pa.timestamp("us"))
        found = self.rows.moments(self.rule, which)
        for name, bad in found.bad.items():
            self.lose(f"time does not parse: {name}", bad[self._numbers], whole=which != "end")
        values = self.take(found.values)
        if which == "time" and values.null_count:
            self.lose(NO_TIME, np.asarray(values.is_null()))
        return values

    def _value(self, names: Sequence[str]) -> tuple[pa.Array, pa.Array]:
        number, text = pa.nulls(len(self._numbers), pa.float32()), pa.nulls(len(self._numbers), pa.string())
        for name in names:
            found = casts.number(self.take(self.rows.column(name)))
            number = pc.coalesce(number, found.values)
            if found.bad is None or not found.bad.any():
                continue
            if self.rule.or_text:
                text = pc.coalesce(text, pc.if_else(pa.array(found.bad), self.take(self.rows.text(name)), NO_TEXT))
            else:
                self.lose(f"not a number: {name}", found.bad)
        return number, text

    def _encounter(self) -> pa.Array:
        name = self.rule.encounter
        return numbered(self.take(self.rows.text(name))) if name else pa.nulls(len(self._numbers), pa.int64())

    def _ends(self, columns: dict[str, pa.Array], code: pa.Array, time: pa.Array) -> list[pa.Table]:
        end = self._time("end")
        early = np.asarray(pc.less(end, time).fill_null(False))
        self.lose(ENDS_EARLY, early, whole=False)
        value, text = self._value(self.rule.end_value)
        there = np.asarray(end.is_valid()) & ~early & self.good
        made = {
            **{name: columns[name] for name in ("subject_id", "encounter_id")},
            "time": end,
            "code": pc.binary_join_element_wise(code, END, ""),
            "numeric_value": value,
            "text_value": _legible(text),
            "available_time": later(self._time("available"), end),
            "unit": self.template(self.rule.end_unit),
        }
        return [_table(made, there)]

    def _describe(self, code: pa.Array, descriptions: dict[str, str]) -> None:
        """The first description of each code of this batch, where there is none yet."""
        texts = self.template(self.rule.description)
        there = pa.array(np.asarray(texts.is_valid()) & np.asarray(code.is_valid()) & self.good)
        pairs = pa.table({"code": code.filter(there), "text": texts.filter(there)})
        # ordered, or "first" is any
        found = pairs.group_by("code", use_threads=False).aggregate([("text", "first")])
        for each, text in zip(found["code"].to_pylist(), found["text_first"].to_pylist(), strict=True):
            for step in (START, END) if self.rule.end else ("",):
                descriptions.setdefault(each + step, text)


def filled(template: str, rows: int, column: Callable[[str], pa.Array]) -> pa.Array:
    """Text of each row: null where a column that has no default is."""
    found = []
    for piece in pieces(template):
        values = column(piece.column) if piece.column else pa.repeat(piece.text, rows)
        found.append(values if piece.default is None else values.fill_null(piece.default))
    return pc.binary_join_element_wise(*found, "") if found else pa.nulls(rows, pa.string())


def _table(columns: Mapping[str, pa.Array], there: np.ndarray) -> pa.Table:
    found = pa.Table.from_arrays([columns[field.name] for field in SCHEMA], schema=SCHEMA)
    return found if there.all() else found.filter(pa.array(there))


def _legible(text: pa.Array) -> pa.Array:
    return text.cast(pa.large_string())


def _once(table: pa.Table) -> pa.Table:
    names = ["subject_id", "code", "numeric_value", "text_value", "unit"]
    numbered_ = table.append_column("row", pa.array(np.arange(len(table))))
    rows = numbered_.group_by(names, use_threads=False).aggregate([("row", "min")])["row_min"].to_numpy()
    return table.take(pa.array(np.sort(rows)))


def numbered(texts: pa.Array) -> pa.Array:
    """int64: `number_of` of each."""
    coded = texts.dictionary_encode()
    numbers = pa.array([number_of(each) for each in coded.dictionary.to_pylist()], pa.int64())
    return numbers.take(coded.indices)


def nothing(values: pa.Array, everywhere: Sequence[str], own: Sequence[str]) -> pa.Array | None:
    """bool: where a column holds what counts as nothing; None where that is nowhere.

    ``-1`` is also ``-1.0``: what is nothing by a number is compared as one. What is nothing everywhere is compared as
    text, and only in columns of text; in numbers it is NaN.
    """
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    found: list[pa.Array] = []
    if is_text:
        found.append(pc.is_in(pc.utf8_trim_whitespace(values), value_set=pa.array([*everywhere, *own], values.type)))
    elif pa.types.is_floating(values.type):
        found.append(pc.is_nan(values))
    numbers = _numbers(tuple(own))
    if numbers and not pa.types.is_temporal(values.type) and not pa.types.is_boolean(values.type):
        found.append(pc.is_in(casts.number(values).values, value_set=pa.array(numbers, pa.float32())))
    masks = [each.fill_null(False) for each in found]
    gone = masks[0] if masks else None
    for mask in masks[1:]:
        gone = pc.or_(gone, mask)
    return gone if gone is not None and pc.any(gone).as_py() else None


@lru_cache(maxsize=256)
def _numbers(texts: tuple[str, ...]) -> list[float]:
    found = casts.number(pa.array(texts, pa.string()))
    return [each for each in found.values.to_pylist() if each is not None]
