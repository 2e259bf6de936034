"""What happened, whatever was said: Kaplan-Meier, Aalen-Johansen and the log-rank test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from suwen.core.errors import DataError
from suwen.evaluation.outcome import Floats, Integers

_Z = 1.959964  # 97.5th percentile of the normal distribution


@dataclass(frozen=True, eq=False)
class Curve:
    """A step function of time with a 95 % interval.

    Attributes:
        times: (T,) the distinct times seen, rising.
        value, low, high: (T,) from each time on.
        at_risk: (T,) people still followed just before.
        start: the value before the first time.
    """

    times: Floats
    value: Floats
    low: Floats
    high: Floats
    at_risk: Integers
    start: float

    def at(self, times: ArrayLike) -> Floats:
        """The value at some times."""
        return self._step(self.value, times, self.start)

    def interval(self, times: ArrayLike) -> tuple[Floats, Floats]:
        """Low and high at some times."""
        return self._step(self.low, times, self.start), self._step(self.high, times, self.start)

    def _step(self, values: Floats, times: ArrayLike, start: float) -> Floats:
        place = np.searchsorted(self.times, np.asarray(times, np.float64), "right")
        found: Floats = np.concatenate([[start], values])[place]
        return found


@dataclass(frozen=True, eq=False)
class _Counts:
    times: Floats
    at_risk: Integers
    deaths: Integers  # (K, T), by cause

    @property
    def all_deaths(self) -> Integers:
        return np.asarray(self.deaths.sum(axis=0))


def _count(time: Floats, event: Integers, causes: int) -> _Counts:
    if not len(time) or len(time) != len(event):
        raise DataError(
            f"{len(time)} times and {len(event)} events", why="each person has one of each", fix="check the data"
        )
    times, place = np.unique(time, return_inverse=True)
    left = np.bincount(place, minlength=len(times))
    deaths = [np.bincount(place[event == code], minlength=len(times)) for code in range(1, causes + 1)]
    return _Counts(times, len(time) - np.cumsum(left) + left, np.array(deaths))


def _divide(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Floats:
    """part / whole, 0 where nothing is divided by nothing."""
    found: Floats = np.divide(part, whole, out=np.zeros(len(part)), where=whole != 0)
    return found


def kaplan_meier(time: Floats, event: NDArray[np.generic]) -> Curve:
    """Survival, ``S(t) = Π (1 - d/n)`` over the times of events up to t, people censored at a time being at risk there.

    The interval is that of ``log(-log S)`` with Greenwood's variance ``Σ d / (n (n - d))``, not defined before the
    first event and after S reaches 0.

    Source: Kaplan & Meier, JASA 1958;53:457; Kalbfleisch & Prentice, The Statistical Analysis of Failure Time Data
    (2002), section 1.4.

    Args:
        time: (N,).
        event: (N,) whether, or of which cause, the event came; 0 is censored.
    """
    found = _count(np.asarray(time, np.float64), (np.asarray(event) != 0).astype(np.int64), 1)
    deaths, risk = found.all_deaths, found.at_risk
    value = np.asarray(np.cumprod(1 - deaths / risk), np.float64)
    variance = np.cumsum(_divide(deaths, risk * (risk - deaths)))
    low, high = _log_log(value, np.sqrt(variance), value)
    return Curve(found.times, value, low, high, risk, 1.0)


def aalen_johansen(time: Floats, event: Integers, cause: int) -> Curve:
    """Cumulative incidence of one cause among others, ``F(t) = Σ S(u-) d_k/n`` over times u up to t.

    The interval is that of ``log(-log F)`` with the Greenwood-type variance
    ``Σ (F(t) - F(u))² d/(n (n - d)) + Σ S(u-)² d_k (n - d_k)/n³ - 2 Σ (F(t) - F(u)) S(u-) d_k/n²``.

    Source: Aalen & Johansen, Scandinavian Journal of Statistics 1978;5:141; Collett, Modelling Survival Data in Medical
    Research (2015), page 411.

    Args:
        time: (N,).
        event: (N,) 0 censored, else the code of the cause.
        cause: the code asked about.
    """
    event = np.asarray(event, np.int64)
    found = _count(np.asarray(time, np.float64), event, max(cause, int(event.max())))
    deaths, mine, risk = found.all_deaths, found.deaths[cause - 1], found.at_risk
    before = np.concatenate([[1.0], np.cumprod(1 - deaths / risk)[:-1]])
    value: Floats = np.cumsum(before * mine / risk)
    each = _divide(deaths, risk * (risk - deaths))
    cross = before * mine / risk**2
    variance = value**2 * np.cumsum(each) - 2 * value * np.cumsum(each * value) + np.cumsum(each * value**2)
    variance += np.cumsum(before**2 * mine * (risk - mine) / risk.astype(np.float64) ** 3)
    variance -= 2 * (value * np.cumsum(cross) - np.cumsum(cross * value))
    spread = _divide(np.sqrt(np.maximum(variance, 0)), value)
    low, high = _log_log(value, spread, value)
    return Curve(found.times, value, low, high, risk, 0.0)


def _log_log(value: Floats, spread: Floats, inside: Floats) -> tuple[Floats, Floats]:
    """The ends ``value ** exp(± z · spread / |log value|)``; the value itself where it is 0 or 1."""
    defined = (inside > 0) & (inside < 1)
    logs = np.log(np.where(defined, value, 0.5))
    half = _Z * spread / np.abs(logs)
    low, high = np.exp(logs * np.exp(half)), np.exp(logs * np.exp(-half))
    return np.where(defined, low, value), np.where(defined, high, value)


@dataclass(frozen=True)
class LogRank:
    """The test's χ², its degrees of freedom, and the probability of as much by chance."""

    statistic: float
    freedom: int
    p: float


def log_rank(time: Floats, event: NDArray[np.generic], group: Integers) -> LogRank:
    """Whether the groups' survival differs, each event time's deaths compared with those expected if it did not.

    χ² = (O - E)ᵀ V⁻ (O - E) with the hypergeometric variance. Source: Mantel, Cancer Chemotherapy Reports 1966;50:163;
    Kalbfleisch & Prentice (2002), section 1.5.

    Args:
        time: (N,).
        event: (N,) whether the event came.
        group: (N,) numbers of the groups.
    """
    names, member = np.unique(group, return_inverse=True)
    parts = [_count_on(time, np.asarray(event) != 0, member == number) for number in range(len(names))]
    risk = np.array([risk for risk, _ in parts], np.float64)
    deaths = np.array([deaths for _, deaths in parts], np.float64)
    n, d = risk.sum(axis=0), deaths.sum(axis=0)
    kept = (d > 0) & (n > 0)
    risk, deaths, n, d = risk[:, kept], deaths[:, kept], n[kept], d[kept]
    excess = (deaths - risk * d / n).sum(axis=1)
    factor = np.divide(d * (n - d), n - 1, out=np.zeros_like(n), where=n > 1)
    share = risk / n
    variance = np.diag((share * factor).sum(axis=1)) - (share * factor) @ share.T
    statistic = float(excess @ np.linalg.pinv(variance) @ excess) if len(names) > 1 else 0.0
    freedom = max(len(names) - 1, 1)
    return LogRank(statistic, freedom, float(chi2.sf(statistic, freedom)))


def _count_on(time: Floats, event: NDArray[np.bool_], some: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """At risk and deaths of some people, at each distinct time of an event of anyone."""
    times = np.unique(time[event])
    risk = int(some.sum()) - np.searchsorted(np.sort(time[some]), times, "left")
    place = np.searchsorted(times, time[some & event])
    return np.asarray(risk), np.bincount(place, minlength=len(times))
