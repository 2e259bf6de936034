"""The reader ``records``: a store and labels of it → what was known of each subject at each prediction time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import ValidationError

from suwen.core.errors import DataError, FileUnreadable, RecipeError
from suwen.core.sample import Sample
from suwen.data.check import DataCheck
from suwen.data.records.codes.hierarchy import Hierarchy
from suwen.data.records.codes.vocabulary import hierarchy_of
from suwen.data.records.cohorts.labels import VALUES
from suwen.data.records.columns import Columns, build_columns, fingerprint
from suwen.data.records.events import microseconds
from suwen.data.records.people import ages_at, deaths, sexes
from suwen.data.records.questions import Question, find_question, labels_of, splits_of
from suwen.data.records.record_check import check_records
from suwen.data.records.sequences import RecordDataset, Sequences, fingerprint_of, ids_of, subject_digests
from suwen.data.records.store import RecordStore
from suwen.data.records.token_fit import fit_tokens
from suwen.data.records.token_kernels import EVER, Rows
from suwen.data.records.tokens import EventTokens
from suwen.data.records.units.table import standard_units

NAMED = 5
"""Refused labels that an error names."""

YES_OR_NO = ("no", "yes")
Fractions = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordSamples(Sequence[Sample]):
    """N subjects, each at a time, of one store.

    Attributes:
        question: where they come from.
        columns: the events.
        subject_ids: int64 (N,).
        times: int64 (N,) microseconds.
        targets: object (N,), names of labels, None where there are none.
        kind: the column of the labels, None where there are none.
        splits: U5 (N,), None before they are drawn.
    """

    question: Question
    columns: Columns
    subject_ids: np.ndarray
    times: np.ndarray
    targets: np.ndarray
    kind: str | None = None
    splits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.subject_ids)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[row] for row in range(len(self))[index]]
        row = range(len(self))[index]
        pair = np.array([self.subject_ids[row], self.times[row]], np.int64)
        return Sample(
            id=str(ids_of(pair[:1], pair[1:])[0]),
            source=pair,
            target=self.targets[row],
            subject=str(pair[0]),
            split=None if self.splits is None else str(self.splits[row]),  # type: ignore[arg-type]
            metadata={"store": self.question.store},
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[row] for row in range(len(self)))

    def some(self, rows: np.ndarray) -> RecordSamples:
        """Some of them."""
        splits = None if self.splits is None else self.splits[rows]
        columns = {name: getattr(self, name)[rows] for name in ("subject_ids", "times", "targets")}
        return replace(self, **columns, splits=splits)


class RecordReader:
    """How labelled histories come in (a `suwen.core.dataset.Reader`).

    Attributes:
        splits_alike: a subject is in the same split whatever is asked, so that pretraining must leave out those on
            whom other questions are tested (`suwen.data.records.questions.splits_of`).
    """

    splits_alike = True

    def read(self, source: str | Path, *, labelled: bool = True) -> RecordSamples:
        """Labels of a store, by subject and time; without labels every subject at the time of the last event.

        Raises:
            DataError: no store; no labels where they are asked for; labels that are numbers.
        """
        question = find_question(source)
        columns = open_columns(question.store)
        if question.labels is None and not labelled:
            return _at_the_end(question, columns)
        table = labels_of(question)
        kind = next((name for name in VALUES if name in table.column_names), None)
        if labelled and kind is None:
            raise DataError(
                f"{question.labels} has no values", why="nothing can be learned from them", fix="label them"
            )
        subject_ids = table["subject_id"].to_numpy().astype(np.int64)
        times = microseconds(table["prediction_time"])
        order = np.lexsort((times, subject_ids))
        targets = np.full(len(table), None, object) if kind is None else _names(table[kind], kind)
        return RecordSamples(
            question=question,
            columns=columns,
            subject_ids=subject_ids[order],
            times=times[order],
            targets=targets[order],
            kind=kind,
        )

    def preprocess(self, samples: Sequence[Sample], settings: dict[str, Any]) -> EventTokens:
        """The settings; the vocabulary is fitted by `build`, which knows who is trained on, unless it is among them."""
        try:
            return EventTokens(**settings)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["inputs", *map(str, first["loc"])])
            known = ", ".join(EventTokens().settings())
            raise RecipeError(f"{place} = {first['input']!r}", why=f"{first['msg']}; known: {known}") from error

    def like(self, base: EventTokens, settings: dict[str, Any]) -> EventTokens:
        """The vocabulary of a Run that is started from; only the length may be another.

        Raises:
            RecipeError: another setting was asked for.
        """
        for name, value in settings.items():
            if name != "length" and base.settings().get(name) != value:
                raise RecipeError(
                    f"inputs.{name} = {value!r} with an encoder that comes from a Run",
                    why="its weights belong to its vocabulary",
                    fix="drop it",
                )
        return EventTokens.model_validate(base.model_dump() | settings)

    def split(self, samples: Sequence[Sample], *, seed: int, fractions: Fractions) -> RecordSamples:
        """See `splits_of`."""
        found = _ours(samples)
        return replace(found, splits=splits_of(found.question.store, found.subject_ids, seed, fractions))

    def build(
        self,
        samples: Sequence[Sample],
        preprocess: EventTokens,
        *,
        seed: int,
        labels: tuple[str, ...] | None = None,
        fractions: Fractions | None = (0.7, 0.15, 0.15),
        skip_bad: bool = False,
    ) -> RecordDataset:
        """Split, unless `fractions` is None, refuse or skip what cannot be answered, and fit the vocabulary.

        Raises:
            FileUnreadable: labels of subjects of whom nothing was known then, or who had died.
            DataError: a label that is not among `labels`, or a store of which the vocabulary knows nothing.
        """
        found = _ours(samples)
        if fractions is not None:
            found = self.split(found, seed=seed, fractions=fractions)
        reasons = reasons_against(found)
        skipped = _refuse_or_skip(found, reasons, skip_bad)
        found = found.some(np.flatnonzero(reasons == ""))
        if not len(found):
            raise DataError("no label that can be answered", why=skipped[0][1] if skipped else "there are none")
        hierarchy = hierarchy_of(found.question.store)
        tokens = preprocess if preprocess.fitted else _fitted(found, preprocess, hierarchy)
        return _dataset(found, tokens, hierarchy, labels, skipped)

    def check(self, dataset: RecordDataset, *, allow_leak: bool = False, labelled: bool = True) -> DataCheck:
        """See `check_records`."""
        return check_records(dataset, allow_leak=allow_leak, labelled=labelled)


def open_columns(store: Path) -> Columns:
    """The events of a store, numbers in the usual unit of their code. Asked again for the same store, the same."""
    return _opened(store.resolve(), fingerprint(RecordStore(store), {})[1])


@lru_cache(maxsize=1)
def _opened(store: Path, state: str) -> Columns:
    return build_columns(store, conversions=standard_units(store))


def reasons_against(samples: RecordSamples) -> np.ndarray:
    """Text (N,): why nothing can be said of a subject at a time; empty where something can."""
    columns = samples.columns
    places = columns.places(samples.subject_ids)
    found = np.full(len(samples), "", object)
    there = places >= 0
    found[~there] = "the store does not have this subject"
    died = np.full(len(samples), EVER)
    died[there] = deaths(columns, places[there])
    found[there & (died <= samples.times)] = "the subject had died by then"
    # which token each event becomes does not matter here
    blank = EventTokens(codes=("",), subjects=(0,), above=((),), edges=((),), mean=(0.0,), deviation=(0.0,))
    rows = _rows(places[there], samples.times[there])
    statics, timed = Sequences(columns=columns, tokens=blank, book=blank.book(columns), rows=rows).lengths(
        np.arange(len(rows.places))
    )
    nothing = np.where(statics > 0, "nothing but what has no time was known by then", "nothing was known by then")
    open_ = np.flatnonzero(there)[timed == 0]
    found[open_] = np.where(found[open_] == "", nothing[timed == 0], found[open_])
    return found


def _ours(samples: Sequence[Sample]) -> RecordSamples:
    if not isinstance(samples, RecordSamples):
        raise DataError(
            "records of several sources joined",
            why="their codes and subjects belong to one store",
            fix="one file of labels: drop data.more, or put the rows into it",
        )
    return samples


def _at_the_end(question: Question, columns: Columns) -> RecordSamples:
    last = np.asarray(columns.times)[columns.offsets[1:] - 1]
    order = np.argsort(columns.subjects, kind="stable")
    return RecordSamples(
        question=question,
        columns=columns,
        subject_ids=np.asarray(columns.subjects)[order],
        times=last[order],
        targets=np.full(len(order), None, object),
    )


def _names(values: pa.ChunkedArray, kind: str) -> np.ndarray:
    if kind == "boolean_value":
        named: np.ndarray = np.array(YES_OR_NO, object)[values.to_numpy().astype(np.int64)]
        return named
    if kind == "categorical_value":
        return np.array(values.to_pylist(), object)
    raise DataError(
        f"labels in {kind}",
        why="disease-risk answers yes or no, or one of several names; numbers are not learned from records yet",
        fix="a cohort with   value: boolean",
    )


def _rows(places: np.ndarray, times: np.ndarray) -> Rows:
    count = len(places)
    return Rows(places.astype(np.int64), times.astype(np.int64), np.full(count, -1), np.full(count, EVER))


def _refuse_or_skip(samples: RecordSamples, reasons: np.ndarray, skip_bad: bool) -> list[tuple[str, str]]:
    bad = np.flatnonzero(reasons != "")
    ids = ids_of(samples.subject_ids[bad], samples.times[bad]).tolist() if len(bad) else []
    found = list(zip(ids, reasons[bad].tolist(), strict=True))
    if found and not skip_bad:
        named = "\n".join(f"{id}: {reason}" for id, reason in found[:NAMED])
        raise FileUnreadable(
            f"{len(found)} of {len(samples)} labels cannot be answered:\n{named}",
            why="an answer for somebody of whom nothing is known, or who is dead, would look like any other",
            fix="leave them out of the labels, or pass --skip-bad to go on without them; the report will count them",
        )
    return found


def _fitted(samples: RecordSamples, settings: EventTokens, hierarchy: Hierarchy) -> EventTokens:
    """The vocabulary of the training subjects, until the last time at which something is asked of them."""
    train = np.ones(len(samples), bool) if samples.splits is None else samples.splits == "train"
    places = samples.columns.places(samples.subject_ids[train])
    order = np.lexsort((samples.times[train], places))
    last = np.flatnonzero(np.diff(places[order], append=-1))
    return fit_tokens(samples.columns, places[order][last], samples.times[train][order][last], settings, hierarchy)


def sequences_at(samples: RecordSamples, tokens: EventTokens, hierarchy: Hierarchy | None = None) -> Sequences:
    """What was known of each subject at each time."""
    columns = samples.columns
    known = hierarchy_of(samples.question.store) if hierarchy is None else hierarchy
    rows = _rows(columns.places(samples.subject_ids), samples.times)
    return Sequences(columns=columns, tokens=tokens, book=tokens.book(columns, known), rows=rows)


def _dataset(
    samples: RecordSamples,
    tokens: EventTokens,
    hierarchy: Hierarchy,
    labels: tuple[str, ...] | None,
    skipped: list[tuple[str, str]],
) -> RecordDataset:
    columns, times = samples.columns, samples.times
    places = columns.places(samples.subject_ids)
    names = _label_names(samples, labels)
    position = {name: number for number, name in enumerate(names)}
    targets = np.array([-1 if name is None else position[name] for name in samples.targets], np.int64)
    splits = np.full(len(samples), "", "U5") if samples.splits is None else samples.splits
    sequences = sequences_at(samples, tokens, hierarchy)
    metadata = pd.DataFrame({"age": ages_at(columns, places, times), **sexes(columns, places)})
    return RecordDataset(
        sequences=sequences,
        ids=ids_of(samples.subject_ids, times),
        subjects=samples.subject_ids.astype(str),
        splits=splits,
        labels=names,
        targets=targets,
        metadata=metadata,
        digests=subject_digests(samples.subject_ids),
        fingerprint=fingerprint_of(
            columns.fingerprint, samples.subject_ids, times, targets, "".join(splits.tolist()), tokens.digest, names
        ),
        skipped=skipped,
    )


def _label_names(samples: RecordSamples, labels: tuple[str, ...] | None) -> tuple[str, ...]:
    seen = {name for name in samples.targets.tolist() if name is not None}
    names = labels or (YES_OR_NO if samples.kind == "boolean_value" else tuple(sorted(seen)))
    if unknown := sorted(seen - set(names)):
        raise DataError(
            f"the label {', '.join(map(repr, unknown[:NAMED]))}",
            why=f"the known labels are {', '.join(names)}",
            fix="rename the label, or leave these rows out",
        )
    return tuple(names)


RECORDS = RecordReader()
