"""The ideal observer: its formula against integrals and theory, its posterior against the frequencies."""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from suwen.core.errors import DataError
from suwen.simulation.films import CLASSES, TRUTH, Film
from suwen.simulation.observer import best_possible, log_ratio, matches, posterior


@given(st.floats(-40.0, 40.0), st.floats(0.1, 60.0), st.floats(0.0, 0.9), st.floats(0.01, 0.1))
@settings(max_examples=60, deadline=None)
def test_log_ratio_is_the_integral_over_the_contrast(t: float, q: float, low: float, width: float) -> None:
    pieces = ((0.7, low, low + width), (0.3, 0.0, 0.008))
    numeric = sum(
        share * quad(lambda a: math.exp(a * t - a * a * q / 2), start, stop)[0] / (stop - start)
        for share, start, stop in pieces
    )
    assert log_ratio(t, q, pieces) == pytest.approx(math.log(numeric), abs=1e-7)


@given(st.floats(-300.0, 300.0), st.floats(0.5, 350.0))
@settings(max_examples=60, deadline=None)
def test_log_ratio_of_a_known_contrast_and_of_strong_signals(noise: float, d_prime: float) -> None:
    q = d_prime**2
    t = 0.5 * q + noise  # what a lesion of contrast 0.5 gives
    known = ((1.0, 0.5 - 1e-6, 0.5 + 1e-6),)
    assert log_ratio(t, q, known) == pytest.approx(0.5 * t - 0.125 * q, abs=1e-3 + 1e-6 * q)
    assert np.isfinite(log_ratio(t, q))


def test_known_signal_in_white_noise_reaches_the_auroc_of_theory() -> None:
    """AUROC = Φ(d'/√2) for a signal known exactly in white Gaussian noise (Barrett & Myers 2004, ch. 13)."""
    rng = np.random.default_rng(0)
    signal, deviation = np.zeros((8, 8), np.float32), np.full((8, 8), 0.5, np.float32)
    signal[3:5, 3:5] = 0.4
    d_prime = float(np.linalg.norm(signal) / 0.5)
    known, count = ((1.0, 1.0 - 1e-4, 1.0 + 1e-4),), 3000
    present = np.arange(count) % 2 == 1
    scores = []
    for shown in present:
        film = deviation * rng.standard_normal((8, 8), dtype=np.float32) + shown * signal
        t, q = matches(film, deviation, signal)
        assert q == pytest.approx(d_prime**2)
        scores.append(log_ratio(t, q, known))
    assert roc_auc_score(present, scores) == pytest.approx(norm.cdf(d_prime / math.sqrt(2)), abs=0.025)


def test_posterior_is_bayes_rule() -> None:
    priors = {"normal": 0.5, "nodule": 0.2, "opacity": 0.3}
    belief = posterior(priors, {"nodule": math.log(3.0), "opacity": math.log(0.5)})
    total = 0.5 + 0.2 * 3.0 + 0.3 * 0.5
    assert belief == pytest.approx({"normal": 0.5 / total, "nodule": 0.6 / total, "opacity": 0.15 / total})
    assert posterior(priors, {"nodule": 1e5, "opacity": -1e5})["nodule"] == 1.0


def test_the_observers_probabilities_are_frequencies(films: list[Film]) -> None:
    """A true posterior is calibrated: its mean is the frequency of the class, also among the uncertain films."""
    belief = np.array([[float(film.truth[f"observer_{name}"]) for name in CLASSES] for film in films])
    shown = np.array([[film.label == name for name in CLASSES] for film in films], dtype=float)
    np.testing.assert_allclose(belief.sum(axis=1), 1.0, atol=1e-6)
    for chosen in (belief.max(axis=1) < 0.97, belief[:, 0] > 0.5):
        spread = np.sqrt((belief * (1 - belief))[chosen].sum(axis=0)) * 1.5  # films of a subject go together
        assert chosen.sum() > 20
        assert (np.abs((belief - shown)[chosen].sum(axis=0)) < 3 * spread + 1e-9).all()


def test_d_prime_grows_with_contrast_and_occult_lesions_are_invisible(films: list[Film]) -> None:
    lesions = [film.truth for film in films if film.label != "normal"]
    d_primes = np.array([float(row["d_prime"]) for row in lesions])
    assert 0.04 < (d_primes < 5.0).mean() < 0.15
    for finding in ("nodule", "opacity"):
        rows = [film.truth for film in films if film.label == finding]
        contrast, d_prime = (np.array([float(row[column]) for row in rows]) for column in ("contrast", "d_prime"))
        assert np.corrcoef(np.log(contrast), np.log(d_prime))[0, 1] > 0.8


def test_the_best_possible_figure_lies_between_a_good_model_and_certainty(films: list[Film], tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    rows = [{"path": film.name, "label": film.label} | film.truth for film in films]
    with (tmp_path / "truth" / "films.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, TRUTH)
        table.writeheader()
        table.writerows(rows)
    best = best_possible(tmp_path)
    assert 0.97 < best["auroc"] < 1.0
    assert 0.93 < best["accuracy"] < 1.0


def test_the_observer_beats_the_risks_alone(films: list[Film]) -> None:
    ill = [film.label != "normal" for film in films]
    aurocs = {
        kind: roc_auc_score(ill, [1.0 - float(film.truth[f"{kind}_normal"]) for film in films])
        for kind in ("prior", "observer")
    }
    assert 0.55 < aurocs["prior"] < 0.8 < 0.96 < aurocs["observer"] < 1.0


def test_best_possible_on_chosen_films_is_that_of_scikit_learn(hospital: Path) -> None:
    with (hospital / "truth" / "films.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[10:]
    belief = np.array([[float(row[f"observer_{name}"]) for name in sorted(CLASSES)] for row in rows])
    labels = [row["label"] for row in rows]
    best = best_possible(hospital, [row["path"] for row in rows])
    belief /= belief.sum(axis=1, keepdims=True)
    assert best["auroc"] == pytest.approx(roc_auc_score(labels, belief, multi_class="ovr"))
    assert best["accuracy"] == np.mean(np.array(sorted(CLASSES))[belief.argmax(axis=1)] == labels)


def test_refusals_say_what_to_type(hospital: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"suwen simulate --out"):
        best_possible(tmp_path)
    with pytest.raises(DataError, match=r"elsewhere\.png is not in"):
        best_possible(hospital, ["elsewhere.png"])
    with (hospital / "truth" / "films.csv").open(encoding="utf-8", newline="") as file:
        normal = [row["path"] for row in csv.DictReader(file) if row["label"] == "normal"]
    with pytest.raises(DataError, match="of class normal"):
        best_possible(hospital, normal)
    with pytest.raises(DataError, match="at least two classes"):
        best_possible(hospital, [])
    shutil.copytree(hospital / "truth", tmp_path / "truth")
    assert best_possible(tmp_path) == best_possible(hospital)
