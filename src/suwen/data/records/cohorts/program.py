"""A cohort, and the codes of a store, as the arrays that the kernels work through.

Each predicate that something asks for gets a bit of an int64. The bits of plain ones are looked up by the code of an
event, those with limits are checked against its value; an ``or`` of plain ones is as good as a plain one, and has one
bit. The others are put together once all events of a moment are seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from suwen.core.errors import RecipeError
from suwen.data.records.cohorts.config import Cohort
from suwen.data.records.cohorts.predicates import RECORD_END, RECORD_START, SPECIAL, Derived, Plain, flattened
from suwen.data.records.cohorts.windows import TRIGGER, in_order
from suwen.data.records.events import DEATH

ANY, FIRST, LAST = 1, 2, 4
"""Bits of `SPECIAL`."""

CONDITION = 1 << 62
"""Of a code: a value is to be looked at."""

BITS = 62
OFFSET, NEXT, BEFORE = range(3)
"""How a moment hangs on another."""

UNLIMITED = int(np.iinfo(np.int64).max)


CONDITIONS = np.dtype([("bit", np.int64), ("low", np.float32), ("high", np.float32)])
"""The bit holds if the value is from low to high."""

FORMULAS = np.dtype([("needs", np.int64), ("all", np.int64), ("gives", np.int64)])
"""A moment gets a bit if all others are there, or any."""

COUNTED = np.dtype([("bit", np.int64), ("eventwise", np.int64)])
"""What is counted: by events, or by moments."""

SOUGHT = np.dtype([("bit", np.int64), ("forward", np.int64)])
"""A bit whose next moment is looked for, or whose last."""

MOMENTS = np.dtype(
    [(name, np.int64) for name in ("parent", "kind", "offset", "sought", "strict", "missing", "unknown")]
)
"""Endpoints of windows, each after its parent, on which it hangs; the first is the trigger. `kind`: OFFSET, NEXT or
BEFORE. `offset`: microseconds. `sought`: position in `Matching.sought`. `strict`: the very time of the parent does not
count. `missing`, `unknown`: reasons, -1 for none."""

WINDOWS = np.dtype([(name, np.int64) for name in ("start", "end", "left", "right", "criteria")])
"""Moments of start and end; whether these are inclusive; the last of the criteria, exclusive."""

CRITERIA = np.dtype([(name, np.int64) for name in ("counted", "least", "most", "fewer", "more")])
"""What is counted, from least to most times, and the reasons if it is fewer or more."""


class Matching(NamedTuple):
    """What is looked for in events, and in moments.

    `always` (V,): bits of a code; `starts` (V + 1,): where in the `conditions` its own begin. `formulas`, `counted`,
    `sought`: see above. `statics`: bits of demographics. `relevant`: bits that make an event worth keeping; `every`:
    all moments are kept. `death`: bit of it.
    """

    always: np.ndarray
    starts: np.ndarray
    conditions: np.ndarray
    formulas: np.ndarray
    statics: np.ndarray
    counted: np.ndarray
    sought: np.ndarray
    relevant: int
    every: bool
    death: int


class Aim(NamedTuple):
    """The bit of the `trigger`, the moment at which is `predicted`, the window of the `label` (-1: none), where it is
    `counted` and where its `next` moment is sought, and reasons: the prediction would be `early`, before the first
    event; the trigger, or demographics, are not yet known."""

    trigger: int
    predicted: int
    label: int
    counted: int
    next: int
    early: int
    trigger_unknown: int
    statics_unknown: int


class Program(NamedTuple):
    """All of it, with the `reasons` for which triggers are lost, and predicates that no code of the store fits."""

    matching: Matching
    moments: np.ndarray
    windows: np.ndarray
    criteria: np.ndarray
    aim: Aim
    reasons: tuple[str, ...]
    unmatched: tuple[str, ...]


class _Bits:
    """Bits as they are handed out."""

    def __init__(self, cohort: Cohort, numbers: Mapping[str, int]) -> None:
        self.cohort, self.numbers = cohort, numbers
        self.always = np.zeros(len(numbers), np.int64)
        self.conditions: list[tuple[int, int, np.float32, np.float32]] = []
        self.formulas: list[tuple[int, bool, int]] = []
        self.given = len(SPECIAL)
        self.atoms: dict[tuple[Plain, ...], int] = {}
        self.named: dict[str, int] = dict(zip(SPECIAL, (ANY, FIRST, LAST), strict=True))

    def of(self, name: str) -> int:
        """The bit of a predicate."""
        if name not in self.named:
            self.named[name] = self._new(name)
        return self.named[name]

    def _new(self, name: str) -> int:
        predicate = self.cohort.predicates[name]
        if isinstance(predicate, Plain):
            return ANY if predicate.static else self.atom([predicate])  # who has no static one is not looked at
        leaves = flattened(predicate, self.cohort.predicates)
        return self.atom(leaves) if leaves is not None else self._formula(predicate)

    def _formula(self, predicate: Derived) -> int:
        needs = 0
        for other in predicate.of:
            needs |= self.of(other)
        if predicate.every:
            needs = needs & ~ANY or ANY
        if needs == ANY or (not predicate.every and needs & ANY):
            return ANY
        self.formulas.append((needs, predicate.every, self._next()))
        return self.formulas[-1][2]

    def _next(self) -> int:
        if self.given == BITS:
            raise RecipeError(
                f"{self.cohort.name} asks for more than {BITS - len(SPECIAL)} predicates",
                why="each has a bit of one number; an or() of plain ones counts as one",
                fix="code: {any: [A, B, …]}",
            )
        self.given += 1
        return 1 << (self.given - 1)

    def atom(self, leaves: Sequence[Plain]) -> int:
        """The bit of events that fit any of these."""
        key = tuple(leaves)
        if key not in self.atoms:
            self.atoms[key] = bit = self._next()
            for leaf in leaves:
                codes = leaf.among(self.numbers)
                if leaf.valued:
                    self.conditions += [(int(code), bit, *leaf.interval()) for code in codes]
                    self.always[codes] |= CONDITION
                else:
                    self.always[codes] |= bit
        return self.atoms[key]


MISSED = ("no {0} before {1}", "no {0} after {1}")
MISSING = {
    RECORD_START: ("the record begins after {1}", MISSED[1]),
    RECORD_END: (MISSED[0], "the record ends before {1}"),
}
"""Why an endpoint is not there that is looked for backward, and forward."""


class _Places(dict[tuple[int, bool], int]):
    """What is counted, or sought, in the order in which it is asked for."""

    def of(self, bit: int, how: bool) -> int:
        return self.setdefault((bit, how), len(self))

    def table(self, kind: np.dtype[Any]) -> np.ndarray:
        return np.array(list(self), kind)


class _Reasons(list[str]):
    """Why triggers are lost."""

    def new(self, text: str) -> int:
        self.append(text)
        return len(self) - 1

    def unknown(self, what: str, predicate: str) -> int:
        """-1 for start and end of the record, which are where they are whatever is known."""
        return (
            -1 if predicate in (RECORD_START, RECORD_END) else self.new(f"{what} was not yet known at the prediction")
        )


def program_of(cohort: Cohort, numbers: Mapping[str, int]) -> Program:
    """A cohort for a store.

    Args:
        cohort: as it was read.
        numbers: code → its number, 0 to V - 1.

    Raises:
        RecipeError: more predicates than there are bits.
    """
    bits, reasons, counted, sought = _Bits(cohort, numbers), _Reasons(), _Places(), _Places()
    places, moments = _moments(cohort, bits, sought, reasons)
    windows, criteria = _windows(cohort, places, bits, counted, reasons)
    label = cohort.label
    aim = Aim(
        trigger=bits.of(cohort.trigger),
        predicted=places[f"{cohort.index.name}.{cohort.index.index}"],
        label=-1 if label is None else cohort.windows.index(label),
        counted=-1 if label is None else counted.of(bits.of(label.label), cohort.eventwise(label.label)),
        next=-1 if label is None else sought.of(bits.of(label.label), True),
        early=reasons.new("predicted before the subject's first event"),
        trigger_unknown=reasons.unknown(f"the trigger, {cohort.trigger},", cohort.trigger),
        statics_unknown=reasons.new("demographics were not yet known at the prediction"),
    )
    matching = _matching(cohort, bits, counted, sought)
    plain = {name: each for name, each in cohort.predicates.items() if isinstance(each, Plain)}
    unmatched = tuple(name for name, each in plain.items() if not len(each.among(numbers)))
    return Program(matching, moments, windows, criteria, aim, tuple(reasons), unmatched)


def _moments(cohort: Cohort, bits: _Bits, sought: _Places, reasons: _Reasons) -> tuple[dict[str, int], np.ndarray]:
    """Places of all endpoints by name, and those that differ from what they hang on."""
    places, rows = {TRIGGER: 0}, [(0, OFFSET, 0, 0, False, -1, -1)]
    for name, end in in_order(cohort.windows):
        parent = places[end.of]
        if not end.towards and not end.offset:
            places[name] = parent
            continue
        places[name] = len(rows)
        if not end.towards:
            rows.append((parent, OFFSET, end.offset, 0, False, -1, -1))
            continue
        forward = end.towards == "next"
        missing = reasons.new(f"{name}: {MISSING.get(end.predicate, MISSED)[forward].format(end.predicate, end.of)}")
        unknown = reasons.unknown(f"{name}: {end.predicate}", end.predicate)
        at = sought.of(bits.of(end.predicate), forward)
        rows.append((parent, NEXT if forward else BEFORE, 0, at, end.strict, missing, unknown))
    return places, np.array(rows, MOMENTS)


def _windows(
    cohort: Cohort, places: Mapping[str, int], bits: _Bits, counted: _Places, reasons: _Reasons
) -> tuple[np.ndarray, np.ndarray]:
    windows, criteria = [], []
    for window in cohort.windows:
        for has in window.has:
            fewer = reasons.new(f"{window.name}: fewer than {has.least} of {has.predicate}") if has.least else -1
            more = (
                reasons.new(f"{window.name}: more than {has.most} of {has.predicate}") if has.most is not None else -1
            )
            column = counted.of(bits.of(has.predicate), cohort.eventwise(has.predicate))
            criteria.append((column, has.least or 0, UNLIMITED if has.most is None else has.most, fewer, more))
        ends = (places[f"{window.name}.start"], places[f"{window.name}.end"])
        windows.append((*ends, window.start_inclusive, window.end_inclusive, len(criteria)))
    return np.array(windows, WINDOWS), np.array(criteria, CRITERIA)


def _matching(cohort: Cohort, bits: _Bits, counted: _Places, sought: _Places) -> Matching:
    death = bits.of(cohort.death) if cohort.death else bits.atom([Plain(codes=(DEATH,))])
    used = bits.of(cohort.trigger) | death
    for bit in (*(bit for bit, _ in (*counted, *sought)), *(needs for needs, _, _ in bits.formulas)):
        used |= bit
    demographics = (cohort.predicates[name] for name in cohort.demographics)
    statics = [bits.atom([plain]) for plain in demographics if isinstance(plain, Plain)]
    conditions = sorted(bits.conditions, key=lambda each: each[0])
    return Matching(
        always=bits.always,
        starts=np.searchsorted([code for code, *_ in conditions], np.arange(len(bits.always) + 1)).astype(np.int64),
        conditions=np.array([each[1:] for each in conditions], CONDITIONS),
        formulas=np.array(bits.formulas, FORMULAS),
        statics=np.array(statics, np.int64),
        counted=counted.table(COUNTED),
        sought=sought.table(SOUGHT),
        relevant=used & ~(ANY | FIRST | LAST),
        every=bool(used & ANY),
        death=death,
    )
