"""Labels: what is to be predicted of whom, when; as files of MEDS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.files import atomic_path, write_json
from suwen.data.records.cohorts.config import Cohort
from suwen.data.records.cohorts.funnel import Funnel
from suwen.data.records.cohorts.units import told

LABELS, SURVIVAL, ABOUT = "labels.parquet", "survival.parquet", "cohort.json"

NEEDED = {"subject_id": pa.int64(), "prediction_time": pa.timestamp("us")}
VALUES = {
    "boolean_value": pa.bool_(),
    "integer_value": pa.int64(),
    "float_value": pa.float32(),
    "categorical_value": pa.string(),
}
"""Columns of `meds.LabelSchema` (MEDS 0.4)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """L labels, by subject in the order of the store, then by time of the trigger.

    Times are int64 microseconds since 1970. Two triggers may lead to one prediction time: both labels are there, as in
    ACES.

    Attributes:
        cohort: what they are labels of.
        subject_ids: int64 (L,).
        prediction_times: (L,), when it is predicted.
        triggers: (L,), when it was triggered.
        values: bool (L,), whether the label's predicate holds in its window, or int64 (L,), how often (``value:
            integer``); None where no window has a label.
        starts, ends: (L,) of each window by name.
        censored: bool (L,): the subject's record, which ends with its last event or with death, ends before the label's
            window does and not with death. A negative value then means that nothing is known to have happened.
        events: bool (L,): whether the label's predicate holds in its window; for survival analysis.
        days: float64 (L,): from prediction until it first does, else until following up ended: with the window, the
            record or death.
        funnel: where triggers were lost.
        unmatched: predicates that no code of the store fits.
        units: of the numbers that each predicate with limits is compared with: predicate → unit → events.
        fingerprint: of the store.
    """

    cohort: Cohort
    subject_ids: np.ndarray
    prediction_times: np.ndarray
    triggers: np.ndarray
    values: np.ndarray | None
    starts: Mapping[str, np.ndarray]
    ends: Mapping[str, np.ndarray]
    censored: np.ndarray
    events: np.ndarray
    days: np.ndarray
    funnel: Funnel
    unmatched: tuple[str, ...]
    units: Mapping[str, Mapping[str, int]]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.subject_ids)

    @property
    def positive(self) -> int:
        """Labels above zero."""
        return 0 if self.values is None else int((self.values > 0).sum())

    @property
    def censored_negative(self) -> int:
        """Labels of zero whose window the record does not cover."""
        return 0 if self.values is None else int((self.censored & (self.values == 0)).sum())

    @property
    def repeated(self) -> int:
        """Labels of a subject and prediction time that another has too."""
        pairs = np.stack([self.subject_ids, self.prediction_times])
        return len(self) - int(np.unique(pairs, axis=1).shape[1])

    def table(self) -> pa.Table:
        """As `meds.LabelSchema`: subject_id, prediction_time, and boolean_value or integer_value where there is one."""
        columns = self._when()
        if self.values is not None:
            columns["boolean_value" if self.values.dtype == bool else "integer_value"] = pa.array(self.values)
        return _validated(pa.table(columns))

    def survival(self) -> pa.Table:
        """subject_id, prediction_time, event (bool) and time (float64, days from the prediction)."""
        return pa.table({**self._when(), "event": pa.array(self.events), "time": pa.array(self.days)})

    def _when(self) -> dict[str, pa.Array]:
        times = pa.array(self.prediction_times, pa.int64()).cast(pa.timestamp("us"))
        return {"subject_id": pa.array(self.subject_ids, pa.int64()), "prediction_time": times}

    def summary(self) -> dict[str, Any]:
        """Numbers, for JSON: labels, subjects, positive, repeated, censored, funnel, and what they rest on."""
        return {
            "cohort": self.cohort.name,
            "labels": len(self),
            "subjects": len(np.unique(self.subject_ids)),
            "positive": None if self.values is None else self.positive,
            "repeated": self.repeated,
            "censored": int(self.censored.sum()),
            "censored_negative": self.censored_negative,
            "funnel": self.funnel.told(),
            "unmatched": list(self.unmatched),
            "units": {name: dict(units) for name, units in self.units.items()},
            "store": self.fingerprint,
            "definition": {"digest": self.cohort.digest, **self.cohort.told()},
        }

    def lines(self) -> list[str]:
        """For people: the funnel, how many are positive, how far to believe the others, and the units of limits."""
        found = self.funnel.lines(self.cohort.trigger)
        if self.values is not None:
            negative = len(self) - self.positive
            found.append(
                f"{self.positive:,} positive, {negative:,} negative, {self.censored_negative:,} of these censored"
            )
        if self.unmatched:
            found.append(f"no code of the store fits {', '.join(self.unmatched)}")
        return [*found, *told(self.units)]

    def write(self, folder: Path | str) -> Path:
        """Write ``labels.parquet``, ``cohort.json`` and, where there is a label, ``survival.parquet`` into a folder.

        Each file is whole or not there; the JSON comes last.

        Raises:
            SuwenError: the disk is full.
        """
        home = Path(folder)
        tables = {LABELS: self.table()} | ({SURVIVAL: self.survival()} if self.values is not None else {})
        for name, table in tables.items():
            with atomic_path(home / name) as temporary:
                pq.write_table(table, temporary, compression="zstd")
        if self.values is None:
            (home / SURVIVAL).unlink(missing_ok=True)
        write_json(home / ABOUT, self.summary())
        return home


def _validated(table: pa.Table) -> pa.Table:
    from meds.schema import LabelSchema

    table = LabelSchema.align(table)
    LabelSchema.validate(table)
    return table


def read_labels(path: Path | str) -> pa.Table:
    """Labels of any MEDS label file, or of all files of a folder: what `Features` takes.

    Of the value columns those are there that hold anything. ``survival.parquet`` is no label file.

    Raises:
        DataError: no labels there; no subject_id or prediction_time; some of them are null; values of another type.
        FileUnreadable: a file is damaged.
    """
    home = Path(path)
    files = [home] if home.is_file() else sorted(file for file in home.glob("**/*.parquet") if file.name != SURVIVAL)
    if not files:
        raise DataError(f"no labels in {path}", why="they are Parquet files", fix="suwen records label STORE COHORT")
    whole = pa.concat_tables([_read(file) for file in files], promote_options="default")
    kept = [name for name in whole.column_names if name in NEEDED or whole[name].null_count < len(whole)]
    return whole.select(kept)


def _read(file: Path) -> pa.Table:
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise FileUnreadable(f"{file}: {error}", why="the file is damaged", fix="make the labels again") from error
    columns = {}
    for name, kind in {**NEEDED, **VALUES}.items():
        if name not in table.column_names:
            if name in NEEDED:
                raise DataError(f"{file} has no column {name}", why="MEDS asks labels for it", fix=", ".join(NEEDED))
            continue
        try:
            columns[name] = table[name].cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"{file}, {name}: {error}", why=f"MEDS says that it is {kind}") from error
        if name in NEEDED and columns[name].null_count:
            raise DataError(
                f"{file}: {columns[name].null_count} labels without a {name}",
                why="nothing is known of nobody, or at no time",
                fix="index_timestamp: end   in a window of the cohort",
            )
    return pa.table(columns)
