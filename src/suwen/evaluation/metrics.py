"""The metrics, one row each: what they compute, which way is better, and who defined them.

Every metric is prepared once for an outcome and then evaluated for any weights of its samples. The figure itself
is all weights 1; a bootstrap resample is integer weights; a subgroup is weights 0 and 1.

Macro averages run over the labels that are defined (present and not universal). A figure that is not defined, for
want of a class, is NaN: never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suwen.core.errors import NameUnknown
from suwen.evaluation.calibration import calibration_error_statistic
from suwen.evaluation.mask_metrics import MASK_METRICS
from suwen.evaluation.metric import Metric as Metric
from suwen.evaluation.metric import Preparation
from suwen.evaluation.number_outcome import NUMBER_METRICS, NumberOutcome
from suwen.evaluation.outcome import Bools, Floats, Judged, Outcome, Threshold, decisions
from suwen.evaluation.ranking import Statistic, auroc_statistic, average_precision_statistic, ratio
from suwen.evaluation.survival_metrics import SURVIVAL_METRICS
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.threshold import choose_threshold as choose_threshold  # the threshold the metrics below look at


def _undefined(weights: Floats) -> Floats:
    return np.full(len(weights), np.nan)


def _mean_of(statistics: Sequence[Statistic]) -> Statistic:
    """The mean of several statistics; not defined if there are none, or where one of them is not."""
    if not statistics:
        return _undefined
    return lambda weights: np.asarray(np.mean([statistic(weights) for statistic in statistics], axis=0))


def _sample_mean(values: NDArray[Any]) -> Statistic:
    """The mean of one value a sample."""
    as_floats = values.astype(np.float64)
    return lambda weights: np.asarray(weights @ as_floats / weights.sum(axis=1))


def _macro_ratio(outcome: Outcome, part: NDArray[Any], whole: NDArray[Any], columns: Sequence[int]) -> Statistic:
    """Mean over the columns of sum(part) / sum(whole), over the columns where the whole is not empty."""
    if len(columns) > 1 and not outcome.multi_label and outcome.truth.any(axis=0).sum() < 2:
        return _undefined
    kept = [column for column in columns if whole[:, column].any()]
    if not kept:
        return _undefined
    parts, wholes = part[:, kept].astype(np.float64), whole[:, kept].astype(np.float64)
    return lambda weights: np.asarray(ratio(weights @ parts, weights @ wholes).mean(axis=1))


def _accuracy(outcome: Outcome, threshold: Threshold) -> Statistic:
    agree = decisions(outcome, threshold) == outcome.truth
    return _sample_mean(agree.mean(axis=1) if outcome.multi_label else agree.all(axis=1))


def _sensitivity(outcome: Outcome, threshold: Threshold) -> Statistic:
    truth, said = outcome.truth, decisions(outcome, threshold)
    return _macro_ratio(outcome, truth & said, truth, outcome.scored)


def _specificity(outcome: Outcome, threshold: Threshold) -> Statistic:
    truth, said = outcome.truth, decisions(outcome, threshold)
    return _macro_ratio(outcome, ~truth & ~said, ~truth, outcome.scored)


def _balanced_accuracy(outcome: Outcome, threshold: Threshold) -> Statistic:
    truth, said = outcome.truth, decisions(outcome, threshold)
    if not outcome.multi_label:
        return _macro_ratio(outcome, truth & said, truth, range(len(outcome.labels)))
    both = [column for column in outcome.scored if 0 < truth[:, column].sum() < len(outcome)]
    recalls = [
        _macro_ratio(outcome, side & (said == truth), side, [column]) for column in both for side in (truth, ~truth)
    ]
    return _mean_of(recalls)


def _f1_macro(outcome: Outcome, threshold: Threshold) -> Statistic:
    truth, said = outcome.truth, decisions(outcome, threshold)
    either = truth.astype(np.float64) + said
    return _macro_ratio(outcome, 2.0 * (truth & said), either, range(len(outcome.labels)))


def _ranked(of_scores: Callable[[Floats, Bools], Statistic]) -> Preparation:
    """A rank metric of one score column, as the mean over the columns that have positives and negatives."""

    def prepare(outcome: Outcome, _: Threshold) -> Statistic:
        truth = outcome.truth
        defined = [column for column in outcome.scored if 0 < truth[:, column].sum() < len(outcome)]
        return _mean_of([of_scores(outcome.probabilities[:, column], truth[:, column]) for column in defined])

    return prepare


def _brier(outcome: Outcome, _: Threshold) -> Statistic:
    squares = (outcome.probabilities - outcome.truth) ** 2
    if outcome.multi_label:
        return _sample_mean(squares.mean(axis=1))
    return _sample_mean(squares[:, outcome.positive] if outcome.binary else squares.sum(axis=1))


def _calibration_error(outcome: Outcome, _: Threshold) -> Statistic:
    return calibration_error_statistic(outcome)


def _at_half(prepare: Preparation) -> Preparation:
    return lambda outcome, _: prepare(outcome, 0.5)


def _at_chosen(prepare: Preparation) -> Preparation:
    return lambda outcome, threshold: _undefined if threshold is None else prepare(outcome, threshold)


_DECISION_ROWS: tuple[tuple[str, Preparation, str, str], ...] = (
    ("accuracy", _accuracy, "share of right answers (mean over labels if multi-label)", ""),
    ("balanced_accuracy", _balanced_accuracy, "mean over classes of the share found", "Brodersen et al., ICPR 2010"),
    (
        "sensitivity",
        _sensitivity,
        "share of the positives found (mean over classes)",
        "Altman & Bland, BMJ 1994;308:1552",
    ),
    (
        "specificity",
        _specificity,
        "share of the negatives cleared (mean over classes)",
        "Altman & Bland, BMJ 1994;308:1552",
    ),
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "auroc",
            _ranked(auroc_statistic),
            True,
            "how often a positive scores above a negative (mean of one-vs-rest over classes)",
            "Hanley & McNeil, Radiology 1982;143:29",
        ),
        Metric(
            "auprc",
            _ranked(average_precision_statistic),
            True,
            "average precision over recall (mean over classes); chance is the prevalence",
            "Davis & Goadrich, ICML 2006",
        ),
        *(Metric(name, _at_half(prepare), True, text, source) for name, prepare, text, source in _DECISION_ROWS),
        Metric(
            "f1_macro",
            _at_half(_f1_macro),
            True,
            "harmonic mean of precision and sensitivity, mean over classes",
            "van Rijsbergen, Information Retrieval, 1979",
        ),
        Metric(
            "brier",
            _brier,
            False,
            "mean squared error of the probabilities (summed over classes if more than two)",
            "Brier, Monthly Weather Review 1950;78:1",
        ),
        Metric(
            "ece",
            _calibration_error,
            False,
            "mean gap between said and observed, 15 bins; positive class if binary, top class if multi-class",
            "Naeini et al., AAAI 2015; Guo et al., ICML 2017",
        ),
        *(
            Metric(
                f"{name}_at_threshold",
                _at_chosen(prepare),
                True,
                f"{text}, at the threshold chosen on validation",
                source,
                True,
            )
            for name, prepare, text, source in _DECISION_ROWS
        ),
    )
}


EVERY_METRIC = METRICS | MASK_METRICS | NUMBER_METRICS | SURVIVAL_METRICS
"""Of labels, of masks, of numbers, and of times."""


def metric_of(name: str) -> Metric:
    """The row of this name, of labels or of masks. Raises `NameUnknown` with the nearest ones."""
    if name not in EVERY_METRIC:
        raise NameUnknown("metric", name, EVERY_METRIC, fix=f"one of {', '.join(EVERY_METRIC)}")
    return EVERY_METRIC[name]


def names_for(outcome: Judged) -> tuple[str, ...]:
    """The metrics that make sense here: all of its kind, less those at a threshold if multi-class, which has none."""
    if not isinstance(outcome, Outcome):
        kinds = ((NumberOutcome, NUMBER_METRICS), (SurvivalOutcome, SURVIVAL_METRICS))
        return tuple(next((rows for kind, rows in kinds if isinstance(outcome, kind)), MASK_METRICS))
    multi_class = not (outcome.binary or outcome.multi_label)
    return tuple(name for name, metric in METRICS.items() if not (metric.at_threshold and multi_class))


def measure(outcome: Outcome, names: Iterable[str], thresholds: Threshold = None) -> dict[str, float]:
    """The figures without intervals; NaN where not defined."""
    return {name: metric_of(name).function(outcome, thresholds) for name in names}
