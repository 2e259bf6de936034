"""A cohort as it is written: YAML in the language of ACES, the Automatic Cohort Extraction System (es-aces on PyPI).

    predicates:
      admission: {code: {regex: "^HOSPITAL_ADMISSION//"}}
      discharge: {code: {regex: "^HOSPITAL_DISCHARGE//"}}
      death: {code: MEDS_DEATH}
      discharge_or_death: {expr: "or(discharge, death)"}
    trigger: admission
    windows:
      input:
        start: null
        end: trigger + 24h
        start_inclusive: True
        end_inclusive: True
        has: {_ANY_EVENT: "(5, None)"}
        index_timestamp: end
      target:
        start: input.end
        end: start -> discharge_or_death
        start_inclusive: False
        end_inclusive: True
        label: death

All events of one time are one moment. Every moment at which the trigger holds may become one label: if all windows
have their ends, and hold what they must. Files of ACES give the same labels, but for these:

- ``index_timestamp: end`` of a window whose start hangs on its end is that end. ACES 0.7.3 takes the start
  (https://github.com/justin13601/ACES/issues/196).
- A trigger whose window never ends is no label. ACES leaves a row without a time where no other window sorts it out.
- Without ``index_timestamp``, or where the prediction would see some of the label's window, there is an error. So there
  is for keys that are not known here (``other_cols``: a store's columns hold codes, times and values only).
- A value that is NaN is none. To polars, and so to ACES, it is above every limit. Regular expressions are Python's.
- Predictions before the subject's first event are left out, and counted.
- ``suwen records label`` compares ``value_min`` and ``value_max`` in the units of suwen's table, where that has the
  code and the unit (`suwen.data.records.units.table.standard_units`); the labels say which these are, and where a
  predicate is left with more than one. ACES, and columns built without conversions, take the numbers as they stand.

Beyond ACES, at the top level or in the window of the label: ``censoring: drop`` leaves out negative labels whose window
goes on after the record ended, as ``requireTimeAtRisk`` with ``includeAllOutcomes`` does in OHDSI's
PatientLevelPrediction; ``keep``, which is ACES' way, keeps them, and they are counted. In the window of the label:
``value: integer`` labels with how often, instead of whether. At the top level: ``death``, the predicate after which
nothing more can happen; the code MEDS_DEATH unless given. In ``or()`` and ``and()`` also ``_RECORD_START`` and
``_RECORD_END`` may stand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from suwen.core.errors import DataError, RecipeError
from suwen.data.records.cohorts.entry import Entry
from suwen.data.records.cohorts.predicates import SPECIAL, WORD, Plain, Predicate, read_predicates
from suwen.data.records.cohorts.windows import Window, in_order, read_window
from suwen.data.records.tables.mapping_text import read_text

PREDICATES = ("predicates", "patient_demographics")
ABOUT = ("description", "metadata")
KEYS = (*PREDICATES, "trigger", "windows", *ABOUT, "censoring", "death")

Source = Path | str | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Who, when, and what is to be predicted.

    Attributes:
        name: of the file.
        predicates: those that are used, each after what it is made of.
        demographics: names of those that a subject must have, among its events without a time.
        trigger: the predicate that begins everything.
        windows: in the order of the file.
        censoring: of negative labels that the record does not cover: ``keep`` or ``drop``.
        death: the predicate after which nothing more can happen; empty: the code MEDS_DEATH.
    """

    name: str
    predicates: Mapping[str, Predicate]
    demographics: tuple[str, ...]
    trigger: str
    windows: tuple[Window, ...]
    censoring: Literal["keep", "drop"]
    death: str

    @property
    def label(self) -> Window | None:
        """The window whose content is predicted."""
        return next((window for window in self.windows if window.label), None)

    @property
    def index(self) -> Window:
        """The window at whose start or end the prediction is made."""
        return next(window for window in self.windows if window.index)

    def eventwise(self, name: str) -> bool:
        """Whether a predicate counts events; else it counts moments."""
        return isinstance(self.predicates.get(name), Plain)

    def told(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self) | {"predicates": {name: asdict(each) for name, each in self.predicates.items()}}

    @cached_property
    def digest(self) -> str:
        """Changes with anything in it but its name."""
        return hashlib.blake2b(json.dumps(self.told() | {"name": ""}).encode(), digest_size=8).hexdigest()


def read_cohort(source: Source, *, predicates: Source | None = None) -> Cohort:
    """A cohort out of a YAML file, or a mapping of the same content.

    Args:
        source: the file, or the mapping.
        predicates: a file, or a mapping, whose ``predicates`` and ``patient_demographics`` stand in place of those of
            the same names: what depends on the data, where the cohort does not.

    Raises:
        DataError: no file, or no YAML; the line is said.
        RecipeError: a key or a value that is not supported, or that cannot be; which, where, and what is supported.
    """
    whole = _entry(source)
    whole.keys_in(KEYS, "of a cohort")
    entries, demographics = _definitions(whole, _entry(predicates) if predicates is not None else None)
    windows = tuple(read_window(entry) for _, entry in whole.get("windows").items())
    trigger = whole.get("trigger").text()
    death = "" if whole.get("death").nothing else whole.get("death").text()
    named = [trigger, *(name for window in windows for name in window.predicates()), *([death] if death else [])]
    used = read_predicates(entries, [*demographics, *named], demographics)
    for name in named:
        _refuse_static(name, used)
    censoring = next((window.censoring for window in windows if window.censoring), None)
    found = Cohort(
        name=Path(source).stem if isinstance(source, (str, Path)) else "cohort",
        predicates=used,
        demographics=tuple(name for name, each in used.items() if isinstance(each, Plain) and each.static),
        trigger=trigger,
        windows=windows,
        censoring=censoring or _censoring(whole.get("censoring")),
        death=death,
    )
    _refuse_incomplete(found)
    return found


def _entry(source: Source) -> Entry:
    if isinstance(source, Mapping):
        # written and read, so that there is one way to read
        return Entry.whole(read_text(yaml.safe_dump(dict(source), sort_keys=False), "cohort"))
    try:
        text = Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: {error}", why="a cohort is a text in UTF-8, of YAML") from error
    return Entry.whole(read_text(text, Path(source).name))


def _definitions(whole: Entry, other: Entry | None) -> tuple[dict[str, Entry], list[str]]:
    """All predicates by name, those of `other` before those of the cohort, and which of them are demographics."""
    sources = [whole] if other is None else [whole, other]
    if other is not None:
        other.keys_in((*PREDICATES, *ABOUT), "of a file of predicates")
    plain, static = ({name: entry for each in sources for name, entry in each.get(key).items()} for key in PREDICATES)
    for name, entry in (plain | static).items():
        if not WORD.fullmatch(name) or name in SPECIAL:
            raise entry.refused(
                f"a predicate named {name!r}", why="a name is letters, digits and _, and none of the special ones"
            )
    return plain | static, list(static)


def _censoring(entry: Entry) -> Literal["keep", "drop"]:
    if entry.nothing or entry.value == "keep":
        return "keep"
    if entry.value == "drop":
        return "drop"
    raise entry.refused(f"censoring is {entry.value!r}", why="nothing else is known", fix="censoring: keep   or drop")


def _refuse_static(name: str, used: Mapping[str, Predicate]) -> None:
    predicate = used.get(name)
    if isinstance(predicate, Plain) and predicate.static:
        raise RecipeError(
            f"{name} is static, and asked for at a time",
            why="events without a time are in no window, and begin none",
            fix=f"who has no {name} is left out anyway; and({name}, OTHER) may be asked for",
        )


def _refuse_incomplete(cohort: Cohort) -> None:
    """What only all windows together show."""
    for key, given in (
        ("label", [window.name for window in cohort.windows if window.label]),
        ("index_timestamp", [window.name for window in cohort.windows if window.index]),
    ):
        if len(given) > 1:
            raise RecipeError(
                f"{key} in the windows {', '.join(given)}", why=f"there is one {key}", fix="keep one of them"
            )
    if not any(window.index for window in cohort.windows):
        raise RecipeError(
            f"no window of {cohort.name} has an index_timestamp",
            why="a label says when it is predicted: what is known later is not looked at",
            fix="index_timestamp: end   in the window of what is known",
        )
    if cohort.label is not None and cohort.label.label in SPECIAL:
        raise RecipeError(f"the label is {cohort.label.label}", why="a label is a predicate of the file")
    in_order(cohort.windows)
