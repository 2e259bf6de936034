"""Windows: from when to when, what must be within, and which of them is predicted.

A window has two ends. One of them hangs on something outside (``trigger``, ``gap.end``), the other on the first
(``start + 24h``, ``end <- admission``). Both are read into the same form, an `Endpoint`: the moment of another one, so
much later, or the next or last moment at which a predicate holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from suwen.core.errors import RecipeError
from suwen.data.records.cohorts.durations import microseconds_of, told
from suwen.data.records.cohorts.entry import Entry
from suwen.data.records.cohorts.predicates import RECORD_END, RECORD_START, WORD

TRIGGER = "trigger"
KEYS = ("start", "end", "start_inclusive", "end_inclusive", "has", "label", "index_timestamp", "censoring", "value")
"""``censoring`` and ``value`` are suwen's own."""

REFERENCE = re.compile(r"\w+(\.(start|end))?")
Side = Literal["start", "end"]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """When a window begins, or ends.

    Attributes:
        of: another endpoint: ``trigger`` or ``WINDOW.start`` or ``WINDOW.end``.
        offset: microseconds after it.
        towards: the ``next`` moment from there on, or the ``last`` up to there, at which `predicate` holds.
        predicate: a name; empty where there is an offset.
        strict: a moment at the very time of `of` does not count.
    """

    of: str
    offset: int = 0
    towards: Literal["", "next", "last"] = ""
    predicate: str = ""
    strict: bool = True

    def told(self) -> str:
        """As it could be written."""
        if self.towards:
            return f"{self.of} {'->' if self.towards == 'next' else '<-'} {self.predicate}"
        return f"{self.of} {'+' if self.offset > 0 else '-'} {told(abs(self.offset))}" if self.offset else self.of


@dataclass(frozen=True, kw_only=True)
class Has:
    """How often a predicate holds in a window: from `least` to `most` times (None: no limit)."""

    predicate: str
    least: int | None
    most: int | None


@dataclass(frozen=True, kw_only=True)
class Window:
    """From `start` to `end`.

    Attributes:
        name: of it.
        start, end: its ends; the one that `loose` names hangs on the other.
        start_inclusive, end_inclusive: whether what happens at that very time is within.
        has: what must be within; all of it.
        label: the predicate that is predicted to be within; empty for none.
        index: the end at which the prediction is made.
        censoring: what becomes of negative labels that the record does not cover to the end.
        counted: the label is how often, not whether.
    """

    name: str
    start: Endpoint
    end: Endpoint
    start_inclusive: bool
    end_inclusive: bool
    loose: Side
    has: tuple[Has, ...] = ()
    label: str = ""
    index: Side | None = None
    censoring: Literal["keep", "drop"] | None = None
    counted: bool = False

    def predicates(self) -> Iterator[str]:
        """All that are named."""
        yield from (end.predicate for end in (self.start, self.end) if end.predicate)
        yield from (has.predicate for has in self.has)
        if self.label:
            yield self.label


def read_window(entry: Entry) -> Window:
    """One, as it is written.

    Raises:
        RecipeError: it says something that is not supported, or that cannot be.
    """
    entry.keys_in(KEYS, "of a window")
    name = str(entry.place[-1])
    if not WORD.fullmatch(name) or name == TRIGGER:
        raise entry.refused(
            f"a window named {name!r}", why="a name is letters, digits and _, and trigger is another thing"
        )
    inclusive = {side: entry.get(f"{side}_inclusive").flag() for side in ("start", "end")}
    start, end = _endpoint(entry.get("start"), "start"), _endpoint(entry.get("end"), "end")
    loose = _loose(entry, start, end)
    # what happens at the very time of the other end counts as this end if this end is within the window
    tied = replace(start if loose == "start" else end, strict=not inclusive[loose])
    start, end = (tied, end) if loose == "start" else (start, tied)
    window = Window(
        name=name,
        start=_absolute(start, name),
        end=_absolute(end, name),
        start_inclusive=inclusive["start"],
        end_inclusive=inclusive["end"],
        loose=loose,
        has=tuple(_has(has) for _, has in entry.get("has").items()),
        label="" if entry.get("label").nothing else entry.get("label").text(),
        index=_choice(entry.get("index_timestamp"), ("start", "end")),
        censoring=_choice(entry.get("censoring"), ("keep", "drop")),
        counted=_choice(entry.get("value"), ("boolean", "integer")) == "integer",
    )
    _refuse_useless(entry, window)
    return window


def _choice(entry: Entry, known: tuple[str, ...]) -> Any:
    if entry.nothing:
        return None
    if entry.value not in known:
        raise entry.refused(
            f"{entry.place[-1]} is {entry.value!r}", why="nothing else is known", fix=" or ".join(known)
        )
    return str(entry.value)


def _endpoint(entry: Entry, side: Side) -> Endpoint:
    if entry.nothing:
        if side == "start":
            return Endpoint(of="end", towards="last", predicate=RECORD_START)
        return Endpoint(of="start", towards="next", predicate=RECORD_END)
    text = entry.text()
    arrow = re.fullmatch(r"\s*([\w.]+)\s*(->|<-)\s*(\w+)\s*", text)
    shift = re.fullmatch(r"\s*([\w.]+)\s*([+-])\s*(.+)", text)
    plain = re.fullmatch(r"\s*([\w.]+)\s*", text)
    of = next((found[1] for found in (arrow, shift, plain) if found), "")
    if not REFERENCE.fullmatch(of) or (not arrow and ("->" in text or "<-" in text)):
        raise entry.refused(
            f"{side} is {text!r}",
            why="it is another endpoint, alone, with a duration, or with an arrow and a predicate",
            fix="trigger, WINDOW.end, trigger + 24h, end - 30 days, start -> PREDICATE, end <- PREDICATE, null",
        )
    if arrow:
        return _towards(entry, of, arrow[2], arrow[3])
    try:
        offset = microseconds_of(shift[2] + shift[3]) if shift else 0
    except ValueError as error:
        raise entry.refused(f"{side} is {text!r}", why=str(error)) from error
    return Endpoint(of=of, offset=offset)


def _towards(entry: Entry, of: str, arrow: str, predicate: str) -> Endpoint:
    if (arrow, predicate) in (("->", RECORD_START), ("<-", RECORD_END)):
        raise entry.refused(
            f"{of} {arrow} {predicate}",
            why="nothing comes before the record's start, or after its end",
            fix="turn the arrow",
        )
    return Endpoint(of=of, towards="next" if arrow == "->" else "last", predicate=predicate)


def _loose(entry: Entry, start: Endpoint, end: Endpoint) -> Side:
    """The end that hangs on the other."""
    ties = (start.of == "end", end.of == "start")
    if ties[0] == ties[1]:
        raise entry.refused(
            f"from {start.told()} to {end.told()}",
            why="of the two ends one hangs on the other, and the other on the trigger or another window",
            fix="start: trigger, end: start + 24h",
        )
    if start.of == "end" and (start.towards == "next" or start.offset > 0):
        raise entry.refused(
            f"start is {start.told()}", why="it would come after the end", fix="end - 24h, end <- PREDICATE"
        )
    if end.of == "start" and (end.towards == "last" or end.offset < 0):
        raise entry.refused(
            f"end is {end.told()}", why="it would come before the start", fix="start + 24h, start -> PREDICATE"
        )
    return "start" if ties[0] else "end"


def _absolute(end: Endpoint, name: str) -> Endpoint:
    return replace(end, of=f"{name}.{end.of}") if end.of in ("start", "end") else end


def _has(entry: Entry) -> Has:
    predicate = str(entry.place[-1])
    parts = entry.value if isinstance(entry.value, list) else str(entry.value).strip().strip("()").split(",")
    limits = [str(part).strip() for part in parts]
    good = all(limit in ("None", "null", "") or limit.isdecimal() for limit in limits)
    least, most = ([int(limit) if limit.isdecimal() else None for limit in limits] + [None, None])[:2]
    empty = (least is None and most is None) or (least is not None and most is not None and most < least)
    if len(limits) != 2 or not good or empty:
        raise entry.refused(
            f"{predicate}: {entry.value}",
            why="it is (least, most), either of them None but not both",
            fix="(1, None), (None, 0)",
        )
    return Has(predicate=predicate, least=least, most=most)


def _refuse_useless(entry: Entry, window: Window) -> None:
    """Keys that would do nothing."""
    tied = window.start if window.loose == "start" else window.end
    if not tied.offset and not tied.towards and (window.has or window.label):
        raise entry.refused(
            f"{window.name} has no length",
            why="nothing is counted in it (ACES passes over its has: and fails with a label:)",
            fix="give it one: end: start + 1s",
        )
    for key, used in (("censoring", window.censoring), ("value", window.counted)):
        if used and not window.label:
            raise entry.refused(f"{key} in {window.name}", why="it is about the label, and this window has none")


def in_order(windows: tuple[Window, ...]) -> list[tuple[str, Endpoint]]:
    """All endpoints by name, each after the one it hangs on.

    Raises:
        RecipeError: one hangs on something that is not there, or on itself.
    """
    ends = {f"{each.name}.{side}": getattr(each, side) for each in windows for side in ("start", "end")}
    found: dict[str, Endpoint] = {}
    for name in ends:
        chain: list[str] = []
        at = name
        while at != TRIGGER and at not in found:
            if at in chain:
                raise RecipeError(f"windows hang on each other: {' → '.join([*chain, at])}", why="none is in time")
            if at not in ends:
                raise RecipeError(
                    f"{chain[-1] if chain else name} hangs on {at}, which is not there",
                    why="an end hangs on the trigger, or on an end of a window",
                    fix=f"known: {', '.join([TRIGGER, *ends])}",
                )
            chain.append(at)
            at = ends[at].of
        found.update((each, ends[each]) for each in reversed(chain))
    return list(found.items())
