"""The best figure any model can reach on the films: that of an observer who knows more than any model can.

The Bayes-optimal reading of a film averages over every chest there could be, which cannot be computed. This observer
need not: it knows the film's anatomy to the pixel, and of a nodule, and of an opacity, the shadow that it would cast
on this very film (its place, shape, size and blur), all but its contrast; and it knows the subject's true risks.
Before it lies the film as it left the detector, with white Gaussian noise of known deviation. This is the ideal
observer for a background known exactly and a signal known but for its amplitude (Barrett & Myers, Foundations of
Image Science, 2004, ch. 13). With the full-contrast shadow s, anatomy b, noise deviation σ and film x, all by pixel,

    L(a) = exp(a t - a² q / 2)        t = Σ s (x - b) / σ²        q = Σ s² / σ² = d'²

is the likelihood ratio of "a lesion of conspicuity a" against "normal"; its mean over the conspicuities that lesions
have (`CONSPICUITY`, uniform pieces, so that the mean is a difference of normal integrals) is the likelihood ratio L of
the finding, and the posterior is proportional to prior · L, with L = 1 for normal.

Why it is an upper bound: every film has a candidate of each finding, shown or not, whose place, shape and size do not
depend on the class, so the posterior is the true one given all that the observer knows. A model sees the stored grey
levels, a function of x and of settings that do not depend on the class, and knows neither b, nor s, nor the risks.
Ranking by the true posterior gives the highest ROC curve, and deciding by it the highest accuracy, among all rules
that use the observer's knowledge (Neyman-Pearson), hence among those that use less. It bounds expectations: on a small
test set a model can pass it by luck. It bounds readings of one film at a time. How far below it the best model stays,
which must search and has not seen the anatomy without the lesion, is not known.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.special import log_ndtr

from suwen.core.errors import DataError
from suwen.simulation.anatomy import Pixels
from suwen.simulation.lesions import CONSPICUITY


def matches(film: Pixels, deviation: Pixels, shadow: Pixels) -> tuple[float, float]:
    """t and q of the module's formula.

    Args:
        film: `(size, size)` what the film holds beyond its anatomy: noise, and a lesion's shadow if there is one.
        deviation: `(size, size)` standard deviation of the noise.
        shadow: `(size, size)` what the lesion in question adds at full contrast.
    """
    whitened = shadow / deviation
    return _sum(whitened * (film / deviation)), _sum(whitened * whitened)


def log_ratio(t: float, q: float, conspicuity: Sequence[tuple[float, float, float]] = CONSPICUITY) -> float:
    """Logarithm of the mean of exp(a t - a² q / 2) over a drawn from uniform pieces (share, from, to)."""
    pieces = [np.log(share) + _log_mean(t, q, low, high) for share, low, high in conspicuity]
    return float(np.logaddexp.reduce(pieces))


def _log_mean(t: float, q: float, low: float, high: float) -> float:
    """The same over one piece: completing the square leaves the normal integral from `low` to `high`."""
    root = np.sqrt(q)
    ends = np.array([low * root - t / root, high * root - t / root])
    a, b = (
        ends if ends[0] < 0 else -ends[::-1]
    )  # in the upper tail, by symmetry, the lower one: exact where 1 - Φ is not
    mass = log_ndtr(b) + np.log1p(-np.exp(log_ndtr(a) - log_ndtr(b)))
    return float(0.5 * t * t / q + 0.5 * np.log(2.0 * np.pi / q) + mass - np.log(high - low))


def posterior(priors: Mapping[str, float], ratios: Mapping[str, float]) -> dict[str, float]:
    """Probability of each class from its prior and its log-likelihood ratio; a class without one (normal) has 0."""
    log_odds = np.array([np.log(prior) + ratios.get(name, 0.0) for name, prior in priors.items()])
    weights = np.exp(log_odds - log_odds.max())
    return dict(zip(priors, (float(weight) for weight in weights / weights.sum()), strict=True))


def best_possible(hospital: Path | str, paths: Collection[str] | None = None) -> dict[str, float]:
    """The observer's AUROC (macro one-vs-rest) and accuracy on the films of a simulated hospital.

    Args:
        hospital: the folder that `simulate` wrote.
        paths: the films to read, as `films/manifest.csv` names them (say, of the test split); None reads all.

    Raises:
        DataError: there is no truth in the folder, a path is not in it, or the films are not of at least two classes.
    """
    from sklearn.metrics import roc_auc_score  # slow to import, and no film needs it

    rows = _truth(Path(hospital), paths)
    classes = sorted({row["label"] for row in rows})
    if len(classes) < 2:
        raise DataError(
            f"all {len(rows)} films are {'of class ' + classes[0] if classes else 'missing'}",
            why="an AUROC compares at least two classes",
            fix="read more films, or all of them: best_possible(hospital)",
        )
    labels = np.array([row["label"] for row in rows])
    belief = {name: np.array([float(row[f"observer_{name}"]) for row in rows]) for name in classes}
    areas = [float(roc_auc_score(labels == name, score)) for name, score in belief.items()]
    answers = np.array(classes)[np.argmax(list(belief.values()), axis=0)]
    return {"auroc": float(np.mean(areas)), "accuracy": float(np.mean(answers == labels))}


def _truth(hospital: Path, paths: Collection[str] | None) -> list[dict[str, str]]:
    table = hospital / "truth" / "films.csv"
    if not table.is_file():
        raise DataError(
            f"there is no {table}",
            why="the best possible figure is known for simulated films only",
            fix=f"suwen simulate --out {hospital}",
        )
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    unknown = sorted(set(paths or ()) - rows.keys())
    if unknown:
        raise DataError(
            f"{unknown[0]} is not in {table} ({len(unknown)} paths are not)",
            why="films are found by the path that films/manifest.csv gives them",
            fix=f"pass paths like {next(iter(rows))}",
        )
    return [rows[path] for path in (rows if paths is None else paths)]


def _sum(values: Pixels) -> float:
    """Pairwise in float64: the same whatever the number of threads, unlike a dot product."""
    return float(values.sum(dtype=np.float64))
