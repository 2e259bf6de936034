"""``explanations``: the ways to see what an answer rests on."""

from __future__ import annotations

from suwen.core.explanation import Method
from suwen.core.registry import EXPLANATIONS
from suwen.explanation.methods import method_of


def explanations() -> list[Method]:
    """All registered methods, by name. Imports no torch."""
    return [method_of(name) for name in EXPLANATIONS.names()]
