"""Where time is cut, and the hazard of the training rows in each interval: what a head of times starts from."""

from __future__ import annotations

import numpy as np

from suwen.core.errors import DataError

HORIZONS = (0.25, 0.5, 0.75)
"""Quantiles of the training events' times that figures speak of where the recipe names no horizons."""


def check_times(targets: np.ndarray, causes: int) -> None:
    """Refuse what is no survival target.

    Raises:
        DataError: not ``(N, 2)``, times below 0 or not finite, unknown codes, or no event at all.
    """
    shaped = targets.ndim == 2 and targets.shape[1] == 2
    if not shaped or not len(targets) or not np.isfinite(targets).all() or (targets[:, 0] < 0).any():
        raise DataError(
            f"targets of shape {targets.shape}, with times that are missing or below 0" if shaped else
            f"targets of shape {targets.shape}",
            why="each row needs a time of 0 or more and the code of what ended it",
            fix="give a time column and an event column",
        )  # fmt: skip
    if not np.isin(targets[:, 1], np.arange(causes + 1)).all() or not (targets[:, 1] > 0).any():
        raise DataError(
            f"event codes {np.unique(targets[:, 1])[:6].tolist()} in the training rows",
            why=f"0 is censored and 1 … {causes} are causes, of which some must have come",
            fix="check the event column; with no event there is nothing to learn",
        )


def quantile_edges(targets: np.ndarray, bins: int) -> list[float]:
    """Edges from 0 to the last time seen, so that about as many events fall into each interval (fewer where times
    coincide). Source: Kvamme & Borgan, Lifetime Data Analysis 2021;27:710, section 3.3."""
    events = targets[targets[:, 1] > 0, 0]
    inner = np.quantile(events, np.arange(1, bins) / bins)
    last = float(targets[:, 0].max())
    edges = np.unique(np.concatenate([[0.0], inner[(inner > 0) & (inner < last)], [last or 1.0]]))
    return [float(edge) for edge in edges]


def default_horizons(targets: np.ndarray) -> list[float]:
    """`HORIZONS` of the events' times, to three digits."""
    events = targets[targets[:, 1] > 0, 0]
    found = [float(f"{value:.3g}") for value in np.quantile(events, HORIZONS)]
    return sorted({value for value in found if 0 < value <= targets[:, 0].max()} or {float(targets[:, 0].max())})


def crude_hazards(targets: np.ndarray, edges: np.ndarray, causes: int) -> np.ndarray:
    """float64 ``(K, M)``: events over persons' share of each interval, a half event added: the cumulative hazard that
    the training rows gained in it, whoever they are."""
    times, codes = targets[:, 0], targets[:, 1]
    lengths = np.diff(edges)
    exposed = np.array(
        [
            np.clip((times - low) / length, 0, 1).sum()
            for low, length in zip(edges[:-1], lengths, strict=True)
        ]
    )  # fmt: skip
    place = np.clip(np.searchsorted(edges, times, "left") - 1, 0, len(lengths) - 1)
    counts = [np.bincount(place[codes == cause], minlength=len(lengths)) for cause in range(1, causes + 1)]
    return (np.array(counts) + 0.5) / (exposed + 1.0)
