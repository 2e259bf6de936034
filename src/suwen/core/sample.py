"""A `Sample`: one input with its target, its subject and its metadata. What every reader yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One input as a reader found it, not yet decoded.

    Attributes:
        id: the name that errors, tables and predictions show (a path relative to the data root, ``train[17]``, …).
        source: a file to decode, the pixels themselves (as in ``.npz`` sets), or the cells of a row by their columns
            (readers of tables alone; typed as what all others meet).
        target: what to learn, in the words of the source: label names for classification (one or several),
            None where unlabelled. Readers for other questions put theirs here (a mask path, boxes, a sentence,
            a time with an event flag); the head knows how to read it.
        subject: the person it comes from. Splits, bootstraps and leak checks go by subject.
        split: where the source itself puts it, or None to be split by suwen.
        metadata: further columns (age, sex, site …), as given.
    """

    id: str
    source: Path | np.ndarray
    target: Any
    subject: str
    split: Split | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
