"""``encoders``: the foundation models there are."""

from __future__ import annotations

from dataclasses import dataclass

from suwen.core.registry import ENCODERS
from suwen.encoders.catalogue import CHECKPOINTS, Checkpoint


@dataclass(frozen=True)
class Listing:
    """What ``suwen encoders`` shows.

    Attributes:
        families: registered families, ``timm``, ``run`` …
        checkpoints: known medical checkpoints with their licences.
        matches: names of timm models that contain the pattern; empty without one.
    """

    families: tuple[str, ...]
    checkpoints: tuple[Checkpoint, ...]
    matches: tuple[str, ...] = ()


def encoders(pattern: str | None = None) -> Listing:
    """Families and known checkpoints; with a pattern, the checkpoints and timm models whose names contain it.

    Imports no torch unless a pattern is given.
    """
    if pattern is None:
        return Listing(tuple(ENCODERS.names()), CHECKPOINTS)
    import timm

    folded = pattern.lower()
    known = tuple(row for row in CHECKPOINTS if folded in f"{row.name} {row.hub} {row.images}".lower())
    matches = tuple(f"timm:{name}" for name in timm.list_models(f"*{folded}*"))
    return Listing(tuple(ENCODERS.names()), known, matches)
