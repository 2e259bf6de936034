"""The metrics of survival, one row each. With competing causes, each is the mean over those that occur."""

from __future__ import annotations

from suwen.evaluation.metric import Metric
from suwen.evaluation.survival_ranking import antolini, dynamic_auroc, harrell, mean_over_causes, uno
from suwen.evaluation.survival_scores import (
    brier_statistic,
    calibration_error,
    integrated_brier,
    integrated_calibration,
)

SURVIVAL_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "c_index",
            mean_over_causes(harrell),
            True,
            "how often, of two people, the one whose event came first was said to be at higher risk (Harrell's C)",
            "Harrell et al., JAMA 1982;247:2543",
        ),
        Metric(
            "c_uno",
            mean_over_causes(uno),
            True,
            "the same up to the last horizon, weighed so that it does not depend on who was censored (Uno's C)",
            "Uno et al., Statistics in Medicine 2011;30:1105",
        ),
        Metric(
            "c_td",
            mean_over_causes(antolini),
            True,
            "the same with the risks said for the very time of the event (Antolini's C)",
            "Antolini et al., Statistics in Medicine 2005;24:3927",
        ),
        Metric(
            "auroc_horizon",
            mean_over_causes(dynamic_auroc),
            True,
            "how often one whose event came by a horizon was said to be at higher risk than one without",
            "Uno et al., JASA 2007;102:527; Blanche et al., Statistics in Medicine 2013;32:5381",
        ),
        Metric(
            "brier_horizon",
            mean_over_causes(brier_statistic),
            False,
            "mean squared error of the risk said for a horizon, the censored weighed out; mean over horizons",
            "Graf et al., Statistics in Medicine 1999;18:2529",
        ),
        Metric(
            "ibs",
            mean_over_causes(integrated_brier),
            False,
            "the same, averaged from 0 to the last horizon (integrated Brier score)",
            "Graf et al., Statistics in Medicine 1999;18:2529",
        ),
        Metric(
            "ece_horizon",
            mean_over_causes(calibration_error),
            False,
            "mean gap, over tenths of risk, between the risk said for a horizon and what came true; mean over horizons",
            "Naeini et al., AAAI 2015; D'Agostino & Nam, Handbook of Statistics 2003;23:1",
        ),
        Metric(
            "ici_horizon",
            mean_over_causes(integrated_calibration),
            False,
            "mean gap between the risk said for a horizon and a smooth curve of what came true; mean over horizons",
            "Austin et al., Statistics in Medicine 2020;39:2714",
        ),
    )
}
"""Name → metric."""
