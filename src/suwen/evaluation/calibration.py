"""Calibration: whether "80 %" comes true in 80 of 100. Temperature scaling, reliability bins, and their error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from suwen.core.errors import DataError
from suwen.evaluation.outcome import Floats, Integers, Outcome
from suwen.evaluation.ranking import Statistic, ratio

_Z = 1.959964  # 97.5th percentile of the normal distribution
BINS = 15  # Guo et al. 2017, table 1
TEMPERATURES = (0.1, 10.0)  # without a floor, separable validation data would sharpen every answer to certainty


def fit_temperature(logits: Floats, target: NDArray[Any]) -> float:
    """The temperature T that makes softmax(logits / T), or sigmoid(logits / T), most likely on validation data.

    Minimises the mean negative log-likelihood (binary cross-entropy if multi-label) over log T within
    `TEMPERATURES`. One number for all classes: no answer changes, only its confidence.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.

    Args:
        logits: (N, K), before softmax or sigmoid.
        target: (N,) class index, or (N, K) multi-hot.

    Raises:
        DataError: logits that are not finite, or shapes that do not agree.
    """
    logits, target = np.asarray(logits, dtype=np.float64), np.asarray(target)
    expected = logits.shape if target.ndim == 2 else logits.shape[:1]
    if logits.ndim != 2 or not len(logits) or target.shape != expected or not np.isfinite(logits).all():
        raise DataError(
            f"logits of shape {logits.shape} with {int((~np.isfinite(logits)).sum())} values not finite, "
            f"target of shape {target.shape}",
            why="temperature scaling needs finite logits (N, K) and a target (N,) or (N, K)",
            fix="pass the validation split's logits and targets, in the same order",
        )
    loss = _binary_cross_entropy if target.ndim == 2 else _negative_log_likelihood
    bounds = (float(np.log(TEMPERATURES[0])), float(np.log(TEMPERATURES[1])))
    best = minimize_scalar(lambda log_t: loss(logits / np.exp(log_t), target), bounds=bounds, method="bounded")
    return float(np.exp(best.x))


def _negative_log_likelihood(logits: Floats, target: NDArray[Any]) -> float:
    chosen = logits[np.arange(len(logits)), target]
    return float(np.mean(logsumexp(logits, axis=1) - chosen))


def _binary_cross_entropy(logits: Floats, target: NDArray[Any]) -> float:
    return float(np.mean(np.logaddexp(0, logits) - logits * target))


@dataclass(frozen=True, eq=False)
class Reliability:
    """What was said and what came true, bin by bin (B bins of equal width; empty bins are NaN).

    Attributes:
        of: what the confidence is about, as shown under the figure.
        said: (B,) mean probability given.
        came_true: (B,) share that was so.
        count: (B,) samples in the bin.
        subjects: (B,) different subjects in the bin.
    """

    of: str
    said: Floats
    came_true: Floats
    count: Integers
    subjects: Integers

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap |came_true - said|, weighted by the bins' counts."""
        gaps = np.nan_to_num(np.abs(self.came_true - self.said))
        return float((gaps * self.count).sum() / self.count.sum())

    def interval(self) -> tuple[Floats, Floats]:
        """(B,) low and high of a 95 % interval of `came_true`, with as many trials as there are subjects.

        Source: Wilson, JASA 1927;22:209. Counting subjects rather than samples is on the safe side.
        """
        trials = np.maximum(self.subjects, 1)
        centre = (self.came_true + _Z**2 / (2 * trials)) / (1 + _Z**2 / trials)
        spread = self.came_true * (1 - self.came_true) / trials + _Z**2 / (4 * trials**2)
        half = _Z * np.sqrt(spread) / (1 + _Z**2 / trials)
        return centre - half, centre + half


def confidences(outcome: Outcome) -> list[tuple[str, Floats, Floats]]:
    """(what it is about, confidence (N,), whether it came true (N,)), for each thing that calibration is asked of.

    Binary: the positive class's probability. Multi-class: the top class's ("top-label", Guo et al. 2017).
    Multi-label: each label's own.
    """
    truth, scores = outcome.truth.astype(np.float64), outcome.probabilities
    if outcome.binary or outcome.multi_label:
        return [(outcome.labels[column], scores[:, column], truth[:, column]) for column in outcome.scored]
    top = scores.argmax(axis=1)
    rows = np.arange(len(outcome))
    return [("the class given", scores[rows, top], truth[rows, top])]


def bin_of(confidence: Floats, bins: int) -> Integers:
    """Index of each confidence's bin ((m-1)/bins, m/bins]; 0 falls into the first."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(outcome: Outcome, bins: int = BINS) -> list[Reliability]:
    """Reliability bins for each thing that calibration is asked of (see `confidences`)."""
    found = []
    for of, confidence, hit in confidences(outcome):
        index = bin_of(confidence, bins)
        count = np.bincount(index, minlength=bins)
        said = ratio(np.bincount(index, weights=confidence, minlength=bins), count)
        came_true = ratio(np.bincount(index, weights=hit, minlength=bins), count)
        subjects = np.array([len(np.unique(outcome.subjects[index == number])) for number in range(bins)])
        found.append(Reliability(of, said, came_true, count, subjects))
    return found


def calibration_error_statistic(outcome: Outcome, bins: int = BINS) -> Statistic:
    """Expected calibration error over equal-width bins; the mean over labels if multi-label.

    Source: Naeini et al., AAAI 2015; 15 bins and the top label for multi-class as in Guo et al. 2017.
    """
    signed = []
    for _, confidence, hit in confidences(outcome):
        gaps = np.zeros((len(outcome), bins))
        gaps[np.arange(len(outcome)), bin_of(confidence, bins)] = hit - confidence
        signed.append(gaps)
    stacked = np.concatenate(signed, axis=1)

    def statistic(weights: Floats) -> Floats:
        return np.asarray(np.abs(weights @ stacked).sum(axis=1) / (weights.sum(axis=1) * len(signed)))

    return statistic
