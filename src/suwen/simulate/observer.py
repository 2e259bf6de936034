"""The best figure any model can reach on the films: that of an observer who knows more than any model can.

The Bayes-optimal reading of a film averages over every chest there could be, which cannot be computed. This observer
need not: it knows the film's anatomy to the pixel, the exact shadow that a nodule, and that an opacity, would cast on
this very film (signal and background known exactly; Barrett & Myers, Foundations of Image Science, 2004, ch. 13), and
the subject's true risks. Before it lies the film as it left the detector, with white Gaussian noise of known
deviation. For shadows s_k, anatomy b, noise deviation σ and film x, all by pixel, the log-likelihood ratio of finding
k against normal, and its detectability, are

    λ_k = Σ s_k (x - b) / σ²  - d'_k² / 2          d'_k = ||s_k / σ||

and the posterior is softmax(log prior_k + λ_k) with λ_normal = 0. Drawn shadows do not depend on the class (each film
has a candidate of each finding, shown or not), so this posterior is the true one given all that the observer knows.

Why it is an upper bound: a model sees the stored grey levels, a function of x alone, without b, s_k and the risks.
Ranking by the true posterior gives the highest ROC curve, and deciding by it the highest accuracy, among all rules
that use the observer's knowledge (Neyman-Pearson), hence among those that use less. It bounds expectations: on a small
test set a model can pass it by luck. It bounds readings of one film at a time.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from suwen.core.errors import DataError
from suwen.simulate.chest import Pixels


def log_ratios(noise: Pixels, deviation: Pixels, shadows: Mapping[str, Pixels], shown: str | None) -> dict[str, float]:
    """λ of each finding against normal, on the film that shows `shown` (None: a normal film).

    Args:
        noise: `(size, size)` standard normal draws; the film is anatomy + shadow of `shown` + noise · deviation.
        deviation: `(size, size)` standard deviation of the noise.
        shadows: by finding, the `(size, size)` shadow it casts, or would cast, on the film.
        shown: the finding on the film, a key of `shadows`, or None.
    """
    whitened = {name: shadow / deviation for name, shadow in shadows.items()}
    seen = noise if shown is None else noise + whitened[shown]
    return {name: _sum(signal * seen) - 0.5 * _sum(signal * signal) for name, signal in whitened.items()}


def detectability(shadow: Pixels, deviation: Pixels) -> float:
    """d', the distance between the film with and without the shadow, in deviations of the best linear score."""
    return float(np.sqrt(_sum((shadow / deviation) ** 2)))


def posterior(priors: Mapping[str, float], ratios: Mapping[str, float]) -> dict[str, float]:
    """Probability of each class from its prior and its log-likelihood ratio; a class without one (normal) has λ = 0."""
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


def _sum(values: NDArray[np.float32]) -> float:
    """Pairwise in float64: the same whatever the number of threads, unlike a dot product."""
    return float(values.sum(dtype=np.float64))
