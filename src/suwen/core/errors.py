"""The error tree: every refusal says what was seen, why it is refused, and what to type instead.

raise DataError("chest/a.png is 0 bytes", why="an empty file holds no image", fix="delete it, or pass --skip-bad")
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SuwenError(Exception):
    """Base of all suwen errors.

    Args:
        seen: what was found, naming the file, column or value.
        why: why it is refused.
        fix: what the user can type or do instead.
    """

    def __init__(self, seen: str, *, why: str = "", fix: str = "") -> None:
        self.seen, self.why, self.fix = seen, why, fix
        lines = [seen, f"  why: {why}" if why else "", f"  try: {fix}" if fix else ""]
        super().__init__("\n".join(line for line in lines if line))


class DataError(SuwenError):
    """Something is wrong with the data handed over."""


class FileUnreadable(DataError):
    """One file cannot be decoded. Readers skip and count these only when the user asked for it (``--skip-bad``)."""


class LeakError(DataError):
    """Something of the test split is also in another split (an image or a subject)."""


class RecipeError(SuwenError):
    """A setting is unknown or impossible."""


class NameUnknown(RecipeError):
    """A name is not in its registry; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, fix: str = "") -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
        offer = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names[:20])}"
        super().__init__(f"unknown {kind} {name!r}", why=f"no {kind} is registered under this name; {offer}", fix=fix)


class ExtraMissing(SuwenError):
    """An optional dependency is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the extra {extra!r}, which is not installed",
            why="heavy or special parts are optional",
            fix=f'pip install "suwen[{extra}]"',
        )


class WeightsMissing(SuwenError):
    """Pretrained weights were asked for and are not on this machine."""


class RunError(SuwenError):
    """A Run folder is missing a file, damaged, or from a newer suwen."""


class TrainingError(SuwenError):
    """Training cannot go on (NaN loss, collapse, …)."""


class NotKept(SuwenError):
    """An export was made and is not good enough to be used. The one before it stays."""
