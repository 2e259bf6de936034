"""Features of records at prediction times, for scikit-learn and whatever takes its matrices (LightGBM, XGBoost)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from suwen.core.errors import DataError, NameUnknown
from suwen.data.records.columns import Columns, build_columns
from suwen.data.records.events import NOWHEN, microseconds
from suwen.data.records.features_file import Fitted, read_fitted, refuse_other_units, write_fitted
from suwen.data.records.kernels import Slots, aggregate, dense
from suwen.data.records.tallies import quantiles, tally
from suwen.data.records.windows import length_of, name_of

NAMED = 5
"""Subjects that an error names."""

ELSEWHERE = frozenset({"store", "threads"})
"""Parameters that are not saved: they belong to where the features are made."""


class Features(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Labels (a subject and a prediction time each) → what was known of the subject then, aggregated a code.

    ``Features("hospital/records").fit(train).transform(test)`` gives a sparse matrix whose columns are named
    ``"LOINC//718-7|mean|30d"``. Only events that had happened, and were available, at the prediction time count; see
    `suwen.data.records.kernels`. What is fitted (which codes are kept, how values are spread) is learned from the
    subjects of the training labels, until the last of them.

    In a sparse matrix what is undefined is not stored, and reads as 0; ``output="dense"`` has NaN there.

    Args:
        store: a `RecordStore`'s folder, or its `Columns`; the folder where work is spread over processes (``n_jobs``).
        windows: how far back, ``"6h"``, ``"30d"``, ``"all"``, or microseconds. Events without a time are in ``"all"``.
        aggregates: of `suwen.data.records.kernels.AGGREGATES`.
        codes: which; all when None. A mapping code → name puts codes of one name into one feature.
        min_subjects: codes, or names, that fewer training subjects have are left out.
        clip: quantiles of the training values of each code, as ``(0.001, 0.999)``, to which values are clipped.
        standardize: take away the mean of the training values, and divide by their deviation.
        output: ``"sparse"`` (CSR) or ``"dense"``, float32.
        threads: as many as there are processors when None.

    Attributes:
        codes_: the codes, or names, that are kept, the commonest in the store first.
        statistics_: one row for each: subjects, values, mean, std, low and high, of the training subjects.
        groups_: code → name, of those that are kept.
        units_: code → the unit of most of its numbers in the store that was fitted on, where it names one.
    """

    def __init__(
        self,
        store: Path | str | Columns,
        *,
        windows: Sequence[str | int] = ("1d", "7d", "30d", "365d"),
        aggregates: Sequence[str] = ("count", "mean", "min", "max", "last"),
        codes: Sequence[str] | Mapping[str, str] | None = None,
        min_subjects: int = 10,
        clip: tuple[float, float] | None = None,
        standardize: bool = False,
        output: Literal["sparse", "dense"] = "sparse",
        threads: int | None = None,
    ) -> None:
        self.store = store
        self.windows = windows
        self.aggregates = aggregates
        self.codes = codes
        self.min_subjects = min_subjects
        self.clip = clip
        self.standardize = standardize
        self.output = output
        self.threads = threads

    def fit(self, X: Any, y: Any = None) -> Features:
        """Learn which codes to keep, and how their values are spread.

        Args:
            X: labels as MEDS has them, columns ``subject_id`` and ``prediction_time`` (DataFrame or Arrow table); or
                int64 (L, 2), the times in microseconds since 1970.
            y: not looked at.

        Raises:
            DataError: subjects that the store does not have, or labels without a time.
            NameUnknown: a code that the store does not have.
        """
        columns = self._columns()
        places, until = _last_of_each(*_placed(columns, X))
        names, of_code = _slots(columns, self._groups(columns))
        found = tally(columns, places, until, of_code, len(names))
        cut = np.tile([-np.inf, np.inf], (len(names), 1))
        if self.clip is not None:
            cut = quantiles(columns, places, until, of_code, found.values, tuple(self.clip))
        table = pd.DataFrame({"subjects": found.subjects, "values": found.values, "mean": found.mean, "std": found.std})
        table[["low", "high"]] = cut
        table.index = pd.Index(names, name="code")
        self.statistics_ = table[table["subjects"] >= max(1, self.min_subjects)]
        self.codes_ = np.array(self.statistics_.index, dtype=object)
        kept = set(self.codes_.tolist())
        self.groups_ = {code: name for code, name in self._groups(columns).items() if name in kept}
        self.units_ = _units(columns, self.groups_)
        return self

    def transform(self, X: Any) -> sparse.csr_matrix | np.ndarray:
        """float32 (L, features), rows in the order of the labels.

        The store may be another than the one that was fitted on (``set_params(store=…)``): a code it does not have is
        one that never occurred.

        Raises:
            DataError: subjects that the store does not have, or labels without a time.
        """
        check_is_fitted(self, "codes_")
        columns = self._columns()
        places, times = _placed(columns, X)
        position = {name: slot for slot, name in enumerate(self.codes_)}
        named = (self.groups_.get(code) for code in columns.vocabulary)
        of_code = np.fromiter((-1 if name is None else position[name] for name in named), np.int32)
        work = aggregate if self.output == "sparse" else dense
        return work(
            columns,
            places,
            times,
            Slots.of(of_code, len(self.codes_), self._scales()),
            [length_of(window) for window in self._windows()],
            tuple(self.aggregates),
            threads=self.threads,
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """``CODE|AGGREGATE|WINDOW`` of each column."""
        check_is_fitted(self, "codes_")
        windows = [name_of(window) for window in self._windows()]
        names = [f"{code}|{what}|{window}" for code in self.codes_ for window in windows for what in self.aggregates]
        return np.array(names, dtype=object)

    def save(self, path: Path | str) -> Path:
        """Write what is fitted, and the parameters but the store and the threads, as JSON.

        Raises:
            NotFittedError: nothing is fitted yet.
        """
        check_is_fitted(self, "codes_")
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in ELSEWHERE}
        write_fitted(Path(path), Fitted(parameters, self.statistics_, self.groups_, self.units_))
        return Path(path)

    @classmethod
    def load(
        cls, path: Path | str, store: Path | str | Columns, *, threads: int | None = None, any_unit: bool = False
    ) -> Features:
        """What `save` wrote, for the same or another store: transforms to the same numbers, bit for bit.

        Args:
            path: the file.
            store: see `Features`; with the conversions of the store that was fitted on.
            threads: as many as there are processors when None.
            any_unit: do not look whether the codes have the units that they had.

        Raises:
            FileUnreadable: there is no such file, or it is damaged.
            DataError: it holds something else, was written by a newer suwen, or a code has another unit in this store.
        """
        fitted = read_fitted(Path(path))
        known = set(cls._get_param_names()) - ELSEWHERE
        if set(fitted.parameters) != known:
            odd = ", ".join(sorted(set(fitted.parameters) ^ known))
            raise DataError(f"{path}: parameters {odd}", why="it is not as it was written", fix="Features.save again")
        found = cls(store, threads=threads, **fitted.parameters)
        found.statistics_, found.groups_, found.units_ = fitted.statistics, fitted.groups, fitted.units
        found.codes_ = np.array(fitted.statistics.index, dtype=object)
        if not any_unit:
            columns = found._columns()
            here = "the columns" if isinstance(store, Columns) else str(store)
            refuse_other_units(found.units_, _units(columns, found.groups_), here)
        return found

    def _columns(self) -> Columns:
        return self.store if isinstance(self.store, Columns) else build_columns(self.store)

    def _windows(self) -> list[str | int]:
        return sorted(self.windows, key=length_of)

    def _groups(self, columns: Columns) -> dict[str, str]:
        """Code → name of its features."""
        if self.codes is None:
            return {code: code for code in columns.vocabulary}
        groups = dict(self.codes) if isinstance(self.codes, Mapping) else {code: code for code in self.codes}
        for code in groups:
            if code not in columns.numbers:
                raise NameUnknown("code", code, columns.vocabulary[:2000], fix="see build_columns(store).vocabulary")
        return groups

    def _scales(self) -> np.ndarray:
        """float64 (slots, 4), see `Slots`."""
        table = self.statistics_
        scales = Slots.of(np.zeros(0, np.int32), len(table)).scales
        known = table["values"].to_numpy() > 0
        if self.clip is not None:
            scales[known, :2] = table[["low", "high"]].to_numpy()[known]
        if self.standardize:
            std = table["std"].to_numpy()
            scales[known, 2] = table["mean"].to_numpy()[known]
            spread = known & (std > 0)
            scales[spread, 3] = 1 / std[spread]
        return scales


def _units(columns: Columns, codes: Mapping[str, str]) -> dict[str, str]:
    """The unit of most numbers of each code that names one."""
    return {code: unit for code in codes if (unit := columns.units.usual(code)) is not None}


def _slots(columns: Columns, groups: Mapping[str, str]) -> tuple[list[str], np.ndarray]:
    """The names, in the order of the vocabulary, and int32 (V,) the slot of each code, -1 for those not asked for."""
    position: dict[str, int] = {}
    of_code = np.full(len(columns.vocabulary), -1, np.int32)
    for number in sorted(columns.numbers[code] for code in groups):
        name = groups[columns.vocabulary[number]]
        of_code[number] = position.setdefault(name, len(position))
    return list(position), of_code


def _placed(columns: Columns, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Place of the subject, and time, of each label."""
    subjects, times = _numbers(labels)
    if (times == NOWHEN).any():
        raise DataError("labels without a prediction_time", why="nothing is known at no time", fix="leave them out")
    places = columns.places(subjects)
    if (places < 0).any():
        absent = np.unique(subjects[places < 0])
        raise DataError(
            f"{len(absent)} subjects that the store does not have: {', '.join(map(str, absent[:NAMED]))}",
            why="of somebody who is not there nothing is known, which is not the same as having no history",
            fix="leave their labels out, or name the store they are in",
        )
    return places, times


def _numbers(labels: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(labels, pa.Table):
        times = microseconds(labels["prediction_time"].cast(pa.timestamp("us")))
        return labels["subject_id"].to_numpy().astype(np.int64), times
    if isinstance(labels, pd.DataFrame):
        times = labels["prediction_time"].to_numpy("datetime64[us]").astype(np.int64)
        return labels["subject_id"].to_numpy(np.int64), times
    array = np.asarray(labels)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype != np.int64:
        raise DataError(
            f"labels of type {array.dtype} and shape {array.shape}",
            why="each is a subject and a time",
            fix="a DataFrame with subject_id and prediction_time, or int64 (L, 2)",
        )
    return np.ascontiguousarray(array[:, 0]), np.ascontiguousarray(array[:, 1])


def _last_of_each(places: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each subject once, with the last of its times."""
    order = np.lexsort((times, places))
    last = np.flatnonzero(np.diff(places[order], append=-1))
    return places[order][last], times[order][last]
