"""Quantiles of what is spread over subjects or events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles that are given."""

NAMES = tuple(f"p{round(100 * share)}" for share in SHARES)


def named(row: Sequence[float] | np.ndarray) -> dict[str, float] | None:
    """``{"p5": …, "p95": …}``; None where they are not defined."""
    return None if np.isnan(row[0]) else dict(zip(NAMES, map(float, row), strict=True))


def quantiles_of(values: np.ndarray, smallest: int) -> dict[str, float] | None:
    """The quantiles of what is not NaN; None of fewer than `smallest`, or of nothing."""
    known = values[~np.isnan(values)]
    return named(np.quantile(known, SHARES)) if len(known) >= max(1, smallest) else None
