"""A `SurvivalOutcome`: when each person's event came or follow-up ended, and the curves that were said beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from suwen.core.errors import DataError
from suwen.evaluation.outcome import Floats, Integers

_SLACK = 1e-4  # float32 curves sum to one within this


@dataclass(frozen=True, eq=False, kw_only=True)
class SurvivalOutcome:
    """N people, K causes, G times.

    Attributes:
        ids, subjects: (N,) names; bootstraps draw subjects.
        time: float64 (N,), 0 or more, in the data's own unit: of the event, or of the last look.
        event: int64 (N,): 0 censored, k the k-th cause.
        incidence: float64 (N, K, G): the probability said of each cause by each time of the grid.
        grid: float64 (G,) rising times above 0. At 0 nothing has happened; in between, curves are straight.
        horizons: float64 (H,) the times that figures speak of, each within the grid.
        labels: K names of causes.
        metadata: N rows of further columns.

    Raises:
        DataError: no people, shapes that do not agree, times below 0, or curves that are no probabilities.
    """

    ids: NDArray[np.str_]
    subjects: NDArray[np.str_]
    time: Floats
    event: Integers
    incidence: Floats
    grid: Floats
    horizons: Floats
    labels: tuple[str, ...] = ("event",)
    metadata: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        kinds = {"time": np.float64, "event": np.int64, "incidence": np.float64, "grid": np.float64}
        for name, kind in kinds.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        object.__setattr__(self, "horizons", np.atleast_1d(np.asarray(self.horizons, np.float64)))
        self._check_shapes()
        self._check_times()
        self._check_curves()

    def _check_shapes(self) -> None:
        count = len(self.ids)
        if not count:
            raise DataError("no samples to evaluate", why="no figure would be defined", fix="check the split's size")
        wanted: dict[str, tuple[int, ...]] = {
            "subjects": (count,),
            "time": (count,),
            "event": (count,),
            "incidence": (count, len(self.labels), len(self.grid)),
        }
        for name, shape in wanted.items():
            if np.shape(getattr(self, name)) != shape:
                raise DataError(
                    f"{name} has shape {np.shape(getattr(self, name))}",
                    why=f"{count} people, {len(self.labels)} causes and {len(self.grid)} times need {shape}",
                    fix="give one row a person, one layer a cause, one column a time of the grid",
                )

    def _check_times(self) -> None:
        if not (np.isfinite(self.time).all() and (self.time >= 0).all()):
            raise DataError(
                f"{int((~(np.isfinite(self.time) & (self.time >= 0))).sum())} times below 0 or not finite",
                why="follow-up begins at 0",
                fix="count times from the start of each person's follow-up",
            )
        if self.event.min() < 0 or self.event.max() > len(self.labels):
            raise DataError(
                f"event codes run from {self.event.min()} to {self.event.max()}",
                why=f"0 is censored, and 1 … {len(self.labels)} are {', '.join(self.labels)}",
                fix="number the causes in the order of their names",
            )
        rising = len(self.grid) > 0 and self.grid[0] > 0 and bool((np.diff(self.grid) > 0).all())
        inside = len(self.horizons) > 0 and self.horizons.min() > 0 and self.horizons.max() <= self.grid[-1]
        if not rising or not inside:
            raise DataError(
                f"a grid of {len(self.grid)} times and the horizons {self.horizons.tolist()}",
                why="the grid rises from above 0 and reaches every horizon",
                fix="evaluate the curves up to the last horizon at least",
            )

    def _check_curves(self) -> None:
        steps = np.diff(self.incidence, axis=2)
        within = (self.incidence >= -_SLACK).all() and self.incidence.sum(axis=1).max() <= 1 + _SLACK
        if not within or (steps.size and steps.min() < -_SLACK):  # NaN fails the first
            raise DataError(
                "incidences that fall with time, lie below 0, or sum to more than 1 over the causes",
                why="what has happened by one time has happened by the next",
                fix="pass cumulative incidences, not hazards or survival",
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def in_short(self) -> tuple[str, ...]:
        """The few metrics that a table with little room shows beside the headline."""
        return ("ibs", "ece_horizon")

    @property
    def sentence(self) -> str:
        """Which sentence of the report says how good the model is."""
        return "finds_time" if len(self.labels) == 1 else "finds_times"

    @property
    def positive(self) -> int:
        """The cause that a sentence about one names."""
        return 0

    @property
    def causes(self) -> tuple[int, ...]:
        """The event codes that occur: those that a figure can be of."""
        return tuple(int(code) for code in np.unique(self.event) if code)

    def note(self) -> str:
        """What keeps these people from being compared with others; empty if nothing does."""
        lacking = [name for code, name in enumerate(self.labels, 1) if not (self.event == code).any()]
        return f"no event of {', '.join(lacking)}" if lacking else ""

    def said(self, cause: int, times: ArrayLike) -> Floats:
        """(N, T): the probability said of the cause (its code, from 1) by each time."""
        wanted = np.atleast_1d(np.asarray(times, np.float64))
        grid = np.concatenate([[0.0], self.grid])
        curves = np.concatenate([np.zeros((len(self), 1)), self.incidence[:, cause - 1]], axis=1)
        right = np.clip(np.searchsorted(grid, wanted, "left"), 1, len(grid) - 1)
        share = np.clip((wanted - grid[right - 1]) / (grid[right] - grid[right - 1]), 0.0, 1.0)
        found: Floats = curves[:, right - 1] * (1 - share) + curves[:, right] * share
        return found

    def time_lost(self, cause: int) -> Floats:
        """(N,) the time said to be lost to a cause before the last horizon, ``∫ F_k(t) dt``: a risk that uses the
        whole curve. Of proportional hazards it has the order of the linear predictor.

        Source: Andersen, Statistics in Medicine 2013;32:5278.
        """
        last = self.horizons.max()
        times = np.concatenate([[0.0], self.grid[self.grid < last], [last]])
        return np.asarray(np.trapezoid(self.said(cause, times), times, axis=1))

    def take(self, index: ArrayLike) -> SurvivalOutcome:
        """The people at `index` (integers or a boolean mask), in that order."""
        rows = np.arange(len(self))[np.asarray(index, dtype=None if np.size(index) else np.int64)]
        return replace(
            self,
            ids=self.ids[rows],
            subjects=self.subjects[rows],
            time=self.time[rows],
            event=self.event[rows],
            incidence=self.incidence[rows],
            metadata=self.metadata.iloc[rows].reset_index(drop=True) if len(self.metadata) else self.metadata,
        )

    def at(self, horizon: float) -> SurvivalOutcome:
        """The same answers, asked about one horizon."""
        return replace(self, horizons=np.array([horizon]))
