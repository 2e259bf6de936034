"""Random choice: what every other strategy has to beat, and often does not."""

from __future__ import annotations

import numpy as np

from suwen.learn.query.strategy import Choice, Facts, Places, Pool, Strategy, likely, ranked


def _by_chance(pool: Pool, budget: int, places: Places, generator: np.random.Generator) -> Choice:
    return ranked(generator.random(len(pool)), budget, places)


def _why(facts: Facts) -> str:
    return f"drawn at random ({likely(facts)})"


RANDOM = Strategy(
    name="random",
    summary="any, with equal chances",
    formula="a uniform draw",
    source="simple random sampling",
    choose=_by_chance,
    because=_why,
)
