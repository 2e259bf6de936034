"""Uncertainty: where one answer, or several answers to the same input, do not decide.

With two labels entropy and margin rank alike. Where several labels may hold, each label is a distribution over yes
and no: entropies and disagreements are summed over labels, and the margin is that of the least certain label.
"""

from __future__ import annotations

import numpy as np

from suwen.learn.query.strategy import Choice, Facts, Places, Pool, Strategy, likely, ranked


def entropy_of(probabilities: np.ndarray, multi_label: bool = False) -> np.ndarray:
    """``H = -Σ p ln p`` in nats: ``(…, K)`` → ``(…,)``."""
    p = distributions(probabilities, multi_label)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    total: np.ndarray = -(p * logs).sum((-2, -1))
    return total


def margin_of(probabilities: np.ndarray, multi_label: bool = False) -> np.ndarray:
    """``p₁ - p₂``, the two largest probabilities: ``(…, K)`` → ``(…,)`` in [0, 1]."""
    p = np.sort(distributions(probabilities, multi_label), -1)
    if p.shape[-1] < 2:
        return np.ones(p.shape[:-2])
    smallest: np.ndarray = (p[..., -1] - p[..., -2]).min(-1)
    return smallest


def distributions(probabilities: np.ndarray, multi_label: bool) -> np.ndarray:
    """``(…, K)`` as questions with their answers: ``(…, 1, K)``, or ``(…, K, 2)`` where several labels may hold."""
    p = np.asarray(probabilities, np.float64)
    return np.stack([p, 1 - p], -1) if multi_label else p[..., None, :]


def _by_entropy(pool: Pool, budget: int, places: Places, generator: np.random.Generator) -> Choice:
    return ranked(entropy_of(pool.probabilities, pool.multi_label), budget, places)


def _by_margin(pool: Pool, budget: int, places: Places, generator: np.random.Generator) -> Choice:
    return ranked(1 - margin_of(pool.probabilities, pool.multi_label), budget, places)


def _by_disagreement(pool: Pool, budget: int, places: Places, generator: np.random.Generator) -> Choice:
    """Entropy of the mean answer less the mean entropy of the answers: the mutual information of label and weights."""
    assert pool.posterior is not None
    total = entropy_of(pool.posterior.mean, pool.multi_label)
    return ranked(np.maximum(total - pool.posterior.entropy, 0.0), budget, places)


def _why_entropy(facts: Facts) -> str:
    questions = len(facts.answers) if facts.multi_label else 1
    most = questions * np.log(2 if facts.multi_label else max(len(facts.answers), 2))
    return f"entropy {facts.score:.3f} of at most {most:.3f}: {likely(facts)}"


def _why_margin(facts: Facts) -> str:
    return f"{likely(facts)}: the two likeliest answers lie {1 - facts.score:.3f} apart"


def _why_disagreement(facts: Facts) -> str:
    return f"{facts.posterior} disagree by {facts.score:.3f} nats ({likely(facts)})"


ENTROPY = Strategy(
    name="entropy",
    summary="the answer is spread over labels",
    formula="-Σ p ln p",
    source="Shannon 1948; Settles, Active Learning Literature Survey, 2009, section 3.1",
    choose=_by_entropy,
    because=_why_entropy,
)
MARGIN = Strategy(
    name="margin",
    summary="the two likeliest labels are close",
    formula="1 - (p₁ - p₂)",
    source="Scheffer, Decomain & Wrobel, Active Hidden Markov Models for Information Extraction, IDA 2001",
    choose=_by_margin,
    because=_why_margin,
)
BALD = Strategy(
    name="bald",
    summary="samples of the network disagree, each sure of itself",
    formula="H[mean p] - mean H[p]",
    source="Houlsby et al., Bayesian Active Learning for Classification and Preference Learning, 2011; samples by "
    "dropout: Gal, Islam & Ghahramani, Deep Bayesian Active Learning with Image Data, ICML 2017",
    choose=_by_disagreement,
    because=_why_disagreement,
    posterior=True,
)
