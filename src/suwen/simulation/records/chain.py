"""The exact probability that something befalls somebody: a Markov chain in continuous time, without any sampling.

What somebody has is one of 512 states; between two edges of his rates they are constant, so that with generator Q the
distribution over states after a time t is p exp(tQ). By uniformization (Jensen, Skand Aktuarietidskr 1953;36:87), with
L the fastest rate of leaving any state,

    p exp(tQ) = Σₙ e^(-Lt) (Lt)ⁿ / n! · p (I + Q / L)ⁿ

a sum of positive terms, broken off when all but 1e-12 of the Poisson distribution is in it. What is asked for and death
are states that are never left. What recurs changes no state, so it can be asked for but need not be followed.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from suwen.data.records.kernels import compiled
from suwen.simulation.records.person import YEAR, Rates
from suwen.simulation.records.processes import (
    AFTER_DISCHARGE,
    DEATH,
    MOST,
    MULTIPLIERS,
    NUMBER,
    SETS,
    WINDOW_DAYS,
)

REST = 1e-12


def risk(
    rates: Rates, since: float, until: float, state: int, asked: Iterable[str], *, discharged: float | None = None
) -> float:
    """Probability that one of the processes `asked` for happens in (since, until] to somebody alive and in `state`.

    Args:
        rates: of the person, as treated.
        since, until: days since 1970, within the edges of the rates.
        state: bits of `STATES`.
        asked: names of `PROCESSES`; death among them or not: who dies first, to him nothing happens.
        discharged: when he last left the hospital, not before `since`: `after_discharge` run from then on.
    """
    window = since if discharged is None else discharged + WINDOW_DAYS
    inner = rates.edges[(rates.edges > since) & (rates.edges < until)]
    cuts = np.unique(np.concatenate([[since, until], inner, [window] if since < window < until else []]))
    base = rates.base[np.searchsorted(rates.edges, cuts[:-1], "right") - 1]
    base = np.where(AFTER_DISCHARGE & (cuts[:-1] >= window)[:, None], 0.0, base)
    wanted = np.zeros(len(SETS), bool)
    wanted[[NUMBER[name] for name in asked]] = True
    return float(_happens(base, np.diff(cuts) / YEAR, state, MULTIPLIERS, SETS, wanted, DEATH, MOST, REST))


@compiled
def _happens(
    base: np.ndarray,
    years: np.ndarray,
    state: int,
    multipliers: np.ndarray,
    sets: np.ndarray,
    wanted: np.ndarray,
    death: int,
    most: float,
    rest: float,
) -> float:
    """Mass of the state "it happened", after all segments of lengths `years`."""
    processes, states = multipliers.shape
    active = [k for k in range(processes) if wanted[k] or k == death or sets[k] > 0]
    p, happened = np.zeros(states), 0.0
    p[state] = 1.0
    rates = np.zeros((processes, states))
    for segment in range(len(years)):
        fastest = 0.0
        for s in range(states):
            leaving = 0.0
            if s & state == state:  # others cannot be reached
                for k in active:
                    rates[k, s] = min(base[segment, k] * multipliers[k, s], most)
                    leaving += rates[k, s]
            fastest = max(fastest, leaving)
        if fastest == 0.0:
            continue
        mean = fastest * years[segment]
        weight = np.exp(-mean)
        told, n = weight, 0
        total, hit = p * weight, happened * weight
        while 1.0 - told > rest and n < 10_000:
            nxt, gone = np.zeros(states), 0.0
            for s in range(state, states):
                if p[s] == 0.0:
                    continue
                leaving = 0.0
                for k in active:
                    flow = p[s] * rates[k, s] / fastest
                    leaving += flow
                    if wanted[k]:
                        gone += flow
                    elif sets[k] > 0:
                        nxt[s | sets[k]] += flow
                nxt[s] += p[s] - leaving
            p, happened = nxt, happened + gone
            n += 1
            weight *= mean / n
            told += weight
            total += p * weight
            hit += happened * weight
        p, happened = total, hit
    return happened
