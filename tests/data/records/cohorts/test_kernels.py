"""Labels against a second implementation: plain Python, moment by moment, by the definitions alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import DataError
from suwen.data.records.cohorts.config import Cohort, read_cohort
from suwen.data.records.cohorts.extract import extract
from suwen.data.records.cohorts.predicates import Plain
from suwen.data.records.cohorts.windows import Window
from suwen.data.records.columns import Columns
from suwen.data.records.events import NOWHEN
from suwen.data.records.units.units import Units

MINUTE = 60_000_000
SUBJECTS = 2
VOCABULARY = ("A", "B", "V", "X", "MALE", "MEDS_DEATH")

Event = tuple[int, int | None, str, float, int | None]
"""Subject, minute, code, value, minute since when it is known."""


def columns_of(events: Sequence[Event], subjects: int) -> Columns:
    rows = sorted(events, key=lambda row: (row[0], NOWHEN if row[1] is None else row[1]))
    times = np.array([NOWHEN if row[1] is None else row[1] * MINUTE for row in rows], np.int64)
    later = np.array(
        [time if row[4] is None else row[4] * MINUTE for row, time in zip(rows, times, strict=True)], np.int64
    )
    codes = np.array([VOCABULARY.index(row[2]) for row in rows], np.int32)
    return Columns(
        codes=codes,
        times=times,
        values=np.array([row[3] for row in rows], np.float32),
        available=later if (later != times).any() else None,
        subjects=np.arange(subjects),
        offsets=np.searchsorted([row[0] for row in rows], np.arange(subjects + 1)).astype(np.int64),
        vocabulary=VOCABULARY,
        counts=np.bincount(codes, minlength=len(VOCABULARY)),
        units=Units(),
        fingerprint="",
    )


@dataclass
class Naive:
    """One subject."""

    cohort: Cohort
    events: list[Event]

    def __post_init__(self) -> None:
        self.times = sorted({event[1] for event in self.events if event[1] is not None})

    def fits(self, plain: Plain, event: Event) -> bool:
        _, _, code, value, _ = event
        if not ((plain.regex and plain.regex.strip("^$") in code) or code in plain.codes):
            return False
        if plain.low is not None and not (value > plain.low or (plain.low_inclusive and value == plain.low)):
            return False
        return plain.high is None or value < plain.high or (plain.high_inclusive and value == plain.high)

    def count(self, name: str, time: int, known: float = math.inf) -> int:
        """How often a predicate holds at a moment, of what was known by then."""
        here = [e for e in self.events if e[1] == time and (e[1] if e[4] is None else e[4]) <= known]
        if not here:
            return 0
        special = {"_ANY_EVENT": True, "_RECORD_START": time == self.times[0], "_RECORD_END": time == self.times[-1]}
        if name in special:
            return int(special[name])
        predicate = self.cohort.predicates[name]
        if isinstance(predicate, Plain):
            return 1 if predicate.static else sum(self.fits(predicate, event) for event in here)
        return int((all if predicate.every else any)(self.count(other, time, known) for other in predicate.of))

    def end(self, name: str, trigger: int) -> int | None:
        """The minute of an endpoint; None where there is none."""
        if name == "trigger":
            return trigger
        window, side = name.split(".")
        end = getattr(next(each for each in self.cohort.windows if each.name == window), side)
        at = self.end(end.of, trigger)
        if at is None or not end.towards:
            return None if at is None else at + end.offset // MINUTE
        forward = end.towards == "next"
        found = [
            time
            for time in self.times
            if self.count(end.predicate, time)
            and (time >= at if forward else time <= at)
            and not (end.strict and time == at)
        ]
        return (min if forward else max)(found, default=None)

    def within(self, window: Window, trigger: int) -> list[int]:
        start, end = (self.end(f"{window.name}.{side}", trigger) for side in ("start", "end"))
        assert start is not None and end is not None
        return [
            time
            for time in self.times
            if (start < time or (window.start_inclusive and start == time))
            and (time < end or (window.end_inclusive and time == end))
        ]

    def known(self, trigger: int, at: int) -> bool:
        """Whether what the prediction hangs on was known."""
        for name in self.cohort.demographics:
            plain = self.cohort.predicates[name]
            assert isinstance(plain, Plain)
            there = [-math.inf if e[4] is None else e[4] for e in self.events if e[1] is None and self.fits(plain, e)]
            if min(there) > at:
                return False
        needed = [(self.cohort.trigger, trigger)]
        for window in self.cohort.windows:
            for side in ("start", "end"):
                end, time = getattr(window, side), self.end(f"{window.name}.{side}", trigger)
                if end.towards and time is not None:
                    needed.append((end.predicate, time))
        return all(
            name in ("_RECORD_START", "_RECORD_END") or time > at or self.count(name, time, at) for name, time in needed
        )

    def holds(self, window: Window, trigger: int, at: int) -> bool:
        end = self.end(f"{window.name}.end", trigger)
        assert end is not None
        for has in window.has:
            found = sum(
                self.count(has.predicate, time, at if end <= at else math.inf) for time in self.within(window, trigger)
            )
            if found < (has.least or 0) or (has.most is not None and found > has.most):
                return False
        return True

    def labels(self) -> Iterator[dict[str, Any]]:
        statics = [self.cohort.predicates[name] for name in self.cohort.demographics]
        if not all(any(e[1] is None and self.fits(plain, e) for e in self.events) for plain in statics):  # type: ignore[arg-type]
            return
        index = self.cohort.index
        for trigger in self.times:
            names = [f"{window.name}.{side}" for window in self.cohort.windows for side in ("start", "end")]
            ends = {name: self.end(name, trigger) for name in names}
            if not self.count(self.cohort.trigger, trigger) or None in ends.values():
                continue
            at = ends[f"{index.name}.{index.index}"]
            assert at is not None
            if at < self.times[0] or not self.known(trigger, at):
                continue
            if all(self.holds(window, trigger, at) for window in self.cohort.windows):
                yield self.label(trigger, at, ends)

    def label(self, trigger: int, at: int, ends: Mapping[str, int | None]) -> dict[str, Any]:
        label = self.cohort.label
        found: dict[str, Any] = {"trigger": trigger, "at": at, **ends}
        if label is None:
            return found
        start, end = ends[f"{label.name}.start"], ends[f"{label.name}.end"]
        assert start is not None and end is not None
        times = [time for time in self.within(label, trigger) if self.count(label.label, time)]
        deaths = [time for time in self.times if any(e[1] == time and e[2] == "MEDS_DEATH" for e in self.events)]
        until = min(end, deaths[0] if deaths else self.times[-1])
        return found | {
            "count": sum(self.count(label.label, time) for time in times),
            "event": bool(times),
            "days": ((times[0] if times else max(at, until)) - at) / 1440,
            "censored": not deaths and end > self.times[-1],
            "seen": start < at or (start == at and label.start_inclusive),
        }


def naive(events: Sequence[Event], subjects: int, cohort: Cohort) -> list[dict[str, Any]]:
    return [
        {"subject": subject} | label
        for subject in range(subjects)
        for label in Naive(cohort, [event for event in events if event[0] == subject]).labels()
    ]


def found(columns: Columns, cohort: Cohort, threads: int) -> list[dict[str, Any]]:
    labels = extract(columns, cohort, threads=threads)
    ends = {
        f"{window.name}.{side}": getattr(labels, f"{side}s")[window.name] // MINUTE
        for window in cohort.windows
        for side in ("start", "end")
    }
    rows = []
    for row in range(len(labels)):
        told: dict[str, Any] = {"subject": labels.subject_ids[row], "trigger": labels.triggers[row] // MINUTE}
        told |= {"at": labels.prediction_times[row] // MINUTE, **{name: each[row] for name, each in ends.items()}}
        if labels.values is not None:
            told |= {"count": labels.values[row], "event": labels.events[row]}
            told |= {"days": labels.days[row], "censored": labels.censored[row]}
        rows.append(told)
    return rows


PREDICATES = ("A", "B", "V", "AB", "both", "nested", "edge")
REACH = st.integers(1, 5)


@st.composite
def endpoints(draw: st.DrawFn, others: Sequence[str]) -> dict[str, str | None]:
    """start and end: one of them outside, the other hanging on it."""
    outside = draw(st.sampled_from(["trigger", *(f"{other}.{side}" for other in others for side in ("start", "end"))]))
    named = draw(st.sampled_from((*PREDICATES, "_ANY_EVENT")))
    shift = draw(st.sampled_from(["", f" + {draw(REACH)}m", f" - {draw(REACH)}m", f" -> {named}", f" <- {named}"]))
    towards = draw(st.sampled_from((*PREDICATES, "_ANY_EVENT")))
    if draw(st.booleans()):
        inside = draw(st.sampled_from([None, f"start + {draw(REACH)}m", f"start -> {towards}"]))
        return {"start": outside + shift, "end": inside}
    return {
        "end": outside + shift,
        "start": draw(st.sampled_from([None, f"end - {draw(REACH)}m", f"end <- {towards}"])),
    }


@st.composite
def cohorts(draw: st.DrawFn) -> dict[str, Any]:
    names = [f"w{number}" for number in range(draw(st.integers(1, 3)))]
    windows: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(names):
        inclusive = {f"{side}_inclusive": draw(st.booleans()) for side in ("start", "end")}
        counted = st.sampled_from((*PREDICATES, "_ANY_EVENT", "_RECORD_START", "_RECORD_END"))
        limits = st.sampled_from([(None, 0), (1, None), (None, 2), (0, 9)])
        windows[name] = {
            **draw(endpoints(names[:number])),
            **inclusive,
            "has": draw(st.dictionaries(counted, limits, max_size=1)),
        }
    windows[draw(st.sampled_from(names))]["index_timestamp"] = draw(st.sampled_from(["start", "end"]))
    if draw(st.integers(0, 3)):
        # after what was drawn last, so that most predictions do not see it
        tail = {"start": f"{names[-1]}.end", "end": draw(st.sampled_from([None, "start + 4m", "start -> AB"]))}
        label = {"label": draw(st.sampled_from(PREDICATES)), "value": "integer", "start_inclusive": False}
        windows["target"] = {**tail, **label, "end_inclusive": draw(st.booleans())}
    limits = {f"value_{side}_inclusive": draw(st.booleans()) for side in ("min", "max")}
    return {
        "predicates": {
            "A": {"code": "A"},
            "B": {"code": {"any": ["B", "ABSENT"]}},
            "V": {"code": {"regex": "^V$"}, "value_min": 1, "value_max": 2, **limits},
            "AB": {"expr": "or(A, B)"},
            "both": {"expr": "and(A, B)"},
            "nested": {"expr": draw(st.sampled_from(["or(both, V)", "and(AB, V)", "or(AB, V)", "and(AB, male)"]))},
            "edge": {"expr": draw(st.sampled_from(["or(A, _RECORD_END)", "and(AB, _RECORD_START)"]))},
            "male": {"code": "MALE", "static": True},
        },
        "trigger": draw(st.sampled_from(("_ANY_EVENT", *PREDICATES, "_RECORD_START"))),
        "windows": windows,
        "censoring": draw(st.sampled_from(["keep", "drop"])) if "target" in windows else "keep",
    }


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Any]:
    """A cohort whose windows end before, at or after the prediction, and ask for something each."""
    written = draw(cohorts())
    limits = st.sampled_from([(1, None), (None, 1), (2, None), (1, 3), (None, 0)])
    windows: dict[str, dict[str, Any]] = {}
    for number in range(draw(st.integers(1, 2))):
        inclusive = {f"{side}_inclusive": draw(st.integers(0, 3)) > 0 for side in ("start", "end")}
        ends = {"start": draw(st.sampled_from([None, "end - 4m"])), "end": f"trigger + {draw(st.integers(0, 3))}m"}
        has = draw(st.dictionaries(st.sampled_from((*PREDICATES, "_ANY_EVENT")), limits, min_size=1, max_size=1))
        windows[f"w{number}"] = {**ends, **inclusive, "has": has}
    windows["w0"]["index_timestamp"] = "end"
    return written | {"windows": windows, "censoring": "keep", "trigger": "_ANY_EVENT"}


def stores(late: bool) -> st.SearchStrategy[list[Event]]:
    minute = st.integers(0, 9)
    value = st.sampled_from([1.5, math.nan, 1.0, 2.0, 3.0])
    known = st.none() | st.integers(0, 14) if late else st.none()
    subject = st.integers(0, SUBJECTS - 1)
    event = st.tuples(subject, minute, st.sampled_from(("A", "B", "V") * 3 + VOCABULARY[3:]), value, known)
    static = st.tuples(subject, st.none(), st.just("MALE"), value, known)
    return st.lists(st.one_of(event, event, event, static), min_size=12, max_size=40)


def answers(events: list[Event], written: dict[str, Any], threads: int) -> tuple[Any, Any]:
    """What `extract` gives, and what the definitions ask for: labels, or why there are none."""
    cohort, columns = read_cohort(written), columns_of(events, SUBJECTS)
    wanted = naive(events, SUBJECTS, cohort)
    begun = any(label.pop("seen", False) for label in wanted)
    if cohort.censoring == "drop":
        wanted = [label for label in wanted if label.get("count", 1) or not label["censored"]]
    asked = "has begun" if begun else wanted or "no labels"
    try:
        labels = extract(columns, cohort, threads=threads)
    except DataError as error:
        return next((why for why in ("has begun", "no labels") if why in str(error)), str(error)), asked
    funnel = labels.funnel
    assert funnel.triggers - sum(step.lost for step in funnel.steps) == funnel.labels == len(labels)
    return found(columns, cohort, threads), asked


@settings(max_examples=60, deadline=None)
@given(stores(late=False), cohorts(), st.sampled_from([1, 2]))
def test_labels_are_those_of_the_definitions(events: list[Event], written: dict[str, Any], threads: int) -> None:
    given, asked = answers(events, written, threads)
    assert given == asked


@settings(max_examples=100, deadline=None)
@given(stores(late=True), st.one_of(inputs(), inputs(), cohorts()))
def test_what_was_not_known_at_the_prediction_does_not_count(events: list[Event], written: dict[str, Any]) -> None:
    given, asked = answers(events, written, 1)
    assert given == asked


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.booleans().flatmap(stores), st.one_of(inputs(), cohorts()), st.sampled_from([1, 2]))
def test_labels_are_those_of_the_definitions_in_many_cases(
    events: list[Event], written: dict[str, Any], threads: int
) -> None:
    given, asked = answers(events, written, threads)
    assert given == asked
