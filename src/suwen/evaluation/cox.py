"""Cox regression by Newton's method: what a model of times must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suwen.core.errors import DataError
from suwen.evaluation.outcome import Bools, Floats
from suwen.heads.breslow import breslow

_STEPS, _ENOUGH = 50, 1e-9
_HALVINGS = 20
_LARGEST = 100.0  # of a coefficient a standard deviation: hazards e^100 apart are no estimate


@dataclass(frozen=True, eq=False)
class Cox:
    """Proportional hazards, ``h(t | x) = h₀(t) exp(β·(x - m))``.

    Attributes:
        coefficients: β (D,), per unit of the inputs.
        mean: m (D,).
        moments: (T,) times of events, rising.
        gained: (T,) baseline cumulative hazard gained at each (Breslow).
    """

    coefficients: Floats
    mean: Floats
    moments: Floats
    gained: Floats

    def risk(self, inputs: Floats) -> Floats:
        """(N,) log relative hazards of inputs (N, D)."""
        return np.asarray((inputs - self.mean) @ self.coefficients)

    def log_likelihood(self, inputs: Floats, time: Floats, event: Bools) -> float:
        """The log partial likelihood of other people, tied times by Efron."""
        return _Partial(inputs - self.mean, time, event).value(self.coefficients)


def fit_cox(inputs: Floats, time: Floats, event: Bools, *, penalty: float = 0.0) -> Cox:
    """β that maximises the log partial likelihood, tied times by Efron, less ``penalty/2 · Σ (s β)²`` with s the
    inputs' standard deviations; columns that do not vary get 0.

    Newton's steps are halved until the likelihood rises; it is concave, so that it converges from 0.

    Source: Cox, J R Stat Soc B 1972;34:187; Efron, JASA 1977;72:557; ridge: Verweij & van Houwelingen, Statistics in
    Medicine 1994;13:2427.

    Args:
        inputs: (N, D) finite numbers.
        time: (N,).
        event: (N,) whether it came.
        penalty: 0 or more.

    Raises:
        DataError: no events, numbers that are not finite, or a likelihood without a maximum.
    """
    inputs, event = np.asarray(inputs, np.float64), np.asarray(event, np.bool_)
    if not event.any() or not np.isfinite(inputs).all():
        raise DataError(
            f"{int(event.sum())} events and {int((~np.isfinite(inputs)).sum())} numbers that are not finite",
            why="Cox regression compares those whose event came with those at risk, by finite numbers",
            fix="fill in what is missing, and check the event column",
        )
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    kept = spread > 1e-12 * np.maximum(np.abs(mean), 1)
    partial = _Partial((inputs[:, kept] - mean[kept]) / spread[kept], time, event)
    coefficients = np.zeros(len(mean))
    coefficients[kept] = _maximise(partial, penalty) / spread[kept]
    moments, gained = breslow((inputs - mean) @ coefficients, time, event)
    return Cox(coefficients, mean, moments, gained)


def _maximise(partial: _Partial, penalty: float) -> Floats:
    beta = np.zeros(partial.inputs.shape[1])
    value = partial.value(beta)
    for _ in range(_STEPS):
        gradient, information = partial.slope(beta)
        if not np.isfinite(information).all() or np.abs(beta).max(initial=0) > _LARGEST:
            break
        gradient -= penalty * beta
        step = np.linalg.lstsq(information + penalty * np.eye(len(beta)), gradient, rcond=None)[0]
        promised = float(gradient @ step)
        if promised < _ENOUGH * (1 + abs(value)):
            return np.asarray(beta + step)
        for halving in range(_HALVINGS):
            tried = beta + step / 2**halving
            reached = partial.value(tried) - penalty / 2 * float(tried @ tried)
            if reached >= value:
                break
        beta, value = tried, reached
    raise DataError(
        "Cox regression does not converge",
        why="a column, or several together, tell exactly who had events: the likelihood has no maximum",
        fix="a penalty above 0",
    )


class _Partial:
    """The log partial likelihood of people sorted by falling time, and its slope.

    Each event is one step; the l-th of d tied ones takes the risk set less l/d of the tied (l from 0).
    """

    def __init__(self, inputs: Floats, time: Floats, event: Bools) -> None:
        order = np.argsort(-np.asarray(time), kind="stable")
        self.inputs, self.event = inputs[order], np.asarray(event)[order]
        _, block = np.unique(-np.asarray(time)[order], return_inverse=True)
        self.block, self.steps = block, np.flatnonzero(self.event)
        self.of_step = block[self.steps]  # block of each step
        count = np.bincount(self.of_step, minlength=block[-1] + 1)
        first = np.cumsum(count) - count
        self.share = (np.arange(len(self.steps)) - first[self.of_step]) / count[self.of_step]
        self.last = np.cumsum(np.bincount(block)) - 1  # of each block

    def value(self, beta: Floats) -> float:
        """Log partial likelihood."""
        risk = self.inputs @ beta
        top = float(risk.max())
        denominator = self._denominator(np.exp(risk - top))
        return float((risk[self.steps] - top - np.log(denominator)).sum())

    def slope(self, beta: Floats) -> tuple[Floats, Floats]:
        """Gradient (D,) and information (D, D)."""
        risk = self.inputs @ beta
        weight = np.exp(risk - risk.max())
        denominator = self._denominator(weight)
        whole, tied = self._summed(weight[:, None] * self.inputs)
        mean = (whole - self.share[:, None] * tied) / denominator[:, None]
        gradient = (self.inputs[self.steps] - mean).sum(axis=0)
        blocks = len(self.last)
        each = np.bincount(self.of_step, weights=1 / denominator, minlength=blocks)
        less = np.bincount(self.of_step, weights=self.share / denominator, minlength=blocks)
        since = np.cumsum(each[::-1])[::-1]  # steps at this time or earlier, at which these people were at risk
        factor = weight * (since[self.block] - np.where(self.event, less[self.block], 0.0))
        return gradient, (self.inputs * factor[:, None]).T @ self.inputs - mean.T @ mean

    def _denominator(self, weight: Floats) -> Floats:
        whole, tied = self._summed(weight[:, None])
        return np.asarray(whole[:, 0] - self.share * tied[:, 0])

    def _summed(self, values: Floats) -> tuple[Floats, Floats]:
        """For each step, the sum over those at risk and over those tied with it."""
        whole = np.cumsum(values, axis=0)[self.last][self.of_step]
        tied = np.zeros((len(self.last), values.shape[1]))
        np.add.at(tied, self.of_step, values[self.steps])
        return whole, tied[self.of_step]
