"""`Preprocess`: the way from a file to an encoder's input. It travels with the weights."""

from __future__ import annotations

from typing import Any, Protocol


class Preprocess(Protocol):
    """Turns one input (a path or raw values) into one row of numbers, always the same way.

    The same object fills the training cache and serves ``predict``. It is written to ``model.json`` by
    `model_dump` and read back by the reader of the Task.
    """

    def __call__(self, source: Any) -> Any:
        """One input, decoded, as a compact integer array."""
        ...

    def model_dump(self) -> dict[str, Any]:
        """All settings, JSON-able."""
        ...


def settings_of(preprocess: Preprocess) -> dict[str, Any]:
    """What of it stands in a recipe: its ``settings()`` where it has more than was chosen (a vocabulary that the
    training subjects give again), else all of it.
    """
    chosen = getattr(preprocess, "settings", preprocess.model_dump)
    found: dict[str, Any] = chosen()
    return found
