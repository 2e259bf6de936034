"""Settings of an objective: known names, defaults, bounds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from suwen.core.errors import RecipeError
from suwen.core.recipe import Recipe

Bounds = tuple[float, float, float]
"""Default, least, most."""


def objective_settings(recipe: Recipe, known: Mapping[str, Bounds]) -> dict[str, float]:
    """The recipe's ``objective`` over the defaults of `known`.

    Raises:
        RecipeError: an unknown name, or a number out of bounds.
    """
    found = {name: default for name, (default, _, _) in known.items()}
    for name, value in recipe.objective.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            raise RecipeError(
                f"unknown setting objective.{name} of {recipe.task}",
                why=f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known) or 'none'}",
                fix="rename or drop it",
            )
        default, least, most = known[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise RecipeError(
                f"objective.{name} = {value!r}",
                why=f"it is a number from {least:g} to {most:g}",
                fix=f"--set objective.{name}={default:g}",
            )
        found[name] = value
    return found
