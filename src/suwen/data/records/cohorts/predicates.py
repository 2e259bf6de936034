"""Predicates: which events are meant by a name.

A *plain* one is that of an event: its code, and where it says so the value. A *derived* one is that of a moment, all
events of one time together: ``and(a, b)`` where each of them is there, ``or(a, b)`` where one is. A plain one counts
events, a derived one moments, as in ACES.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suwen.core.errors import RecipeError
from suwen.data.records.cohorts.entry import Entry

ANY_EVENT, RECORD_START, RECORD_END = "_ANY_EVENT", "_RECORD_START", "_RECORD_END"
SPECIAL = (ANY_EVENT, RECORD_START, RECORD_END)
"""Any moment at which something happened; the first of them; the last."""

WORD = re.compile(r"\w+")
PLAIN_KEYS = ("code", "value_min", "value_max", "value_min_inclusive", "value_max_inclusive", "static")
DEMOGRAPHIC_KEYS = PLAIN_KEYS[:-1]
DERIVED_KEYS = ("expr",)
UNKNOWN = "???"
"""What ACES' tasks write where a file of predicates is to fill in."""


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Events of some codes, and where limits are given, with a value within them.

    Attributes:
        codes: which; empty where there is a `regex`.
        regex: found anywhere in the code (`re.search`).
        low, high: limits of the value; None: no limit.
        low_inclusive, high_inclusive: whether the limit itself is within.
        static: looked for among events without a time; who has none is not in the cohort.
    """

    codes: tuple[str, ...] = ()
    regex: str = ""
    low: float | None = None
    high: float | None = None
    low_inclusive: bool = False
    high_inclusive: bool = False
    static: bool = False

    @property
    def valued(self) -> bool:
        """Whether the value matters."""
        return self.low is not None or self.high is not None

    def among(self, numbers: Mapping[str, int]) -> np.ndarray:
        """int64: the numbers of the codes that are meant, of all codes by name."""
        if self.regex:
            found = re.compile(self.regex)
            return np.array([number for code, number in numbers.items() if found.search(code)], np.int64)
        return np.array([numbers[code] for code in dict.fromkeys(self.codes) if code in numbers], np.int64)

    def interval(self) -> tuple[np.float32, np.float32]:
        """Lowest and highest float32 within the limits, which are compared as float32, as values are stored."""
        low = np.float32(-np.inf) if self.low is None else np.float32(self.low)
        high = np.float32(np.inf) if self.high is None else np.float32(self.high)
        if self.low is not None and not self.low_inclusive:
            low = np.nextafter(low, np.float32(np.inf)) if low < np.inf else np.float32(np.nan)
        if self.high is not None and not self.high_inclusive:
            high = np.nextafter(high, np.float32(-np.inf)) if high > -np.inf else np.float32(np.nan)
        return low, high


@dataclass(frozen=True, kw_only=True)
class Derived:
    """Moments at which every one of the others holds (`every`), or any."""

    every: bool
    of: tuple[str, ...]


Predicate = Plain | Derived


def read_predicates(
    entries: Mapping[str, Entry], wanted: Sequence[str], demographics: Collection[str] = ()
) -> dict[str, Predicate]:
    """The predicates that are wanted, and those that they are made of; each after what it is made of.

    Others are not looked at: a file of predicates serves many cohorts.

    Args:
        entries: by name, as they are written.
        wanted: names.
        demographics: names of those that are static without saying so.

    Raises:
        RecipeError: one is not there, made of itself, or says something that is not supported.
    """
    found: dict[str, Predicate] = {}
    for name in wanted:
        _read(name, entries, demographics, found, ())
    return found


def _read(
    name: str,
    entries: Mapping[str, Entry],
    demographics: Collection[str],
    found: dict[str, Predicate],
    above: tuple[str, ...],
) -> None:
    if name in found or name in SPECIAL:
        return
    if name in above:
        raise RecipeError(f"predicate {name} is made of itself: {' → '.join((*above, name))}", why="it never ends")
    if name not in entries:
        raise RecipeError(
            f"predicate {name} is not defined" + (f", of which {above[-1]} is made" if above else ""),
            why="what is asked of a window, a trigger or a label is a predicate",
            fix=f"add it below predicates: (there are {', '.join(entries) or 'none'})",
        )
    predicate = read_predicate(entries[name], demographic=name in demographics)
    for other in predicate.of if isinstance(predicate, Derived) else ():
        _read(other, entries, demographics, found, (*above, name))
    found[name] = predicate


def read_predicate(entry: Entry, *, demographic: bool = False) -> Predicate:
    """One, as it is written.

    Raises:
        RecipeError: it says something that is not supported.
    """
    name = entry.place[-1]
    if entry.value == UNKNOWN:
        raise entry.refused(
            f"predicate {name} is {UNKNOWN}", why="which codes it means depends on the data", fix="predicates=FILE"
        )
    if isinstance(entry.value, dict) and "expr" in entry.value and not demographic:
        entry.keys_in(DERIVED_KEYS, "beside expr")
        return _derived(entry.get("expr"))
    entry.keys_in(DEMOGRAPHIC_KEYS if demographic else PLAIN_KEYS, "of a predicate")
    codes, regex = _codes(entry.get("code"))
    return Plain(
        codes=codes,
        regex=regex,
        low=entry.get("value_min").number(),
        high=entry.get("value_max").number(),
        low_inclusive=entry.get("value_min_inclusive").flag(False),
        high_inclusive=entry.get("value_max_inclusive").flag(False),
        static=demographic or entry.get("static").flag(False),
    )


def _derived(entry: Entry) -> Derived:
    text = entry.text().strip()
    found = re.fullmatch(r"(and|or)\(([\w\s,]*)\)", text)
    of = [name.strip() for name in found[2].split(",")] if found else []
    if not found or len(of) < 2 or not all(WORD.fullmatch(name) for name in of):
        raise entry.refused(
            f"expr is {text!r}",
            why="it is and() or or() of two names or more, not nested",
            fix="expr: or(discharge, death); give what is nested a name of its own",
        )
    return Derived(every=found[1] == "and", of=tuple(of))


def _codes(entry: Entry) -> tuple[tuple[str, ...], str]:
    """Codes, or a regular expression."""
    if isinstance(entry.value, dict):
        entry.keys_in(("regex", "any"), "of a code")
        if len(entry.value) != 1:
            raise entry.refused(
                "code has regex and any", why="one of the two says what is meant", fix="code: {any: [A, B]}"
            )
        if "regex" in entry.value:
            return (), _regex(entry.get("regex"))
        codes = entry.get("any").value
        if not isinstance(codes, list) or not codes or not all(isinstance(code, str) for code in codes):
            raise entry.refused(f"any is {codes!r}", why="it is a list of codes", fix="code: {any: [A, B]}")
        return tuple(codes), ""
    if entry.nothing or entry.value == UNKNOWN:
        raise entry.refused("there is no code", why="an event is known by its code", fix="code: CODE, or {regex: …}")
    return (entry.text(),), ""


def _regex(entry: Entry) -> str:
    text = entry.text()
    try:
        re.compile(text)
    except re.error as error:
        raise entry.refused(f"{text!r}: {error}", why="it is no regular expression") from error
    return text


def flattened(predicate: Derived, among: Mapping[str, Predicate]) -> list[Plain] | None:
    """The plain ones of which an ``or``, or an ``or`` of them, is made; None where it is made of others too."""
    leaves: list[Plain] = []
    for each in _leaves(predicate, among):
        if each is None or each.static:
            return None
        leaves.append(each)
    return leaves


def _leaves(predicate: Derived, among: Mapping[str, Predicate]) -> Iterator[Plain | None]:
    if predicate.every:
        yield None
        return
    for name in predicate.of:
        of = among.get(name)
        if isinstance(of, Derived):
            yield from _leaves(of, among)
        else:
            yield of
