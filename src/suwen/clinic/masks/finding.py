"""A `Finding`: a drawn mask with all that a file about it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from suwen.core.prediction import Prediction
from suwen.core.sample import Sample
from suwen.data.case import Opened
from suwen.data.codebook import Codebook
from suwen.heads.draw import Drawn


@dataclass(frozen=True)
class Finding:
    """One input, its mask, and which model drew it.

    Attributes:
        sample: the input.
        opened: the same, read.
        drawn: codes as the file has its pixels.
        answer: what is said of it.
        classes: label → value in mask files, the background first.
        codebook: what codes mean.
    """

    sample: Sample
    opened: Opened
    drawn: Drawn
    answer: Prediction
    classes: dict[str, int]
    codebook: Codebook

    @property
    def labels(self) -> tuple[str, ...]:
        """All of them, the background first."""
        return self.codebook.labels

    def mask(self, label: str) -> np.ndarray:
        """bool: where a label was drawn."""
        return self.codebook.mask(self.drawn.codes, self.labels.index(label))

    @property
    def values(self) -> np.ndarray:
        """The mask with the values that the files had which the model learned from; labels must not overlap."""
        table = np.array(list(self.classes.values()))
        kind = np.uint8 if table.max() < 256 else np.uint16
        values: np.ndarray = table.astype(kind)[self.codebook.members.argmax(axis=1)][self.drawn.codes]
        return values

    @property
    def headers(self) -> list[Any]:
        """The DICOM headers of its slices in the order of the last axis; empty for other files."""
        header = getattr(self.opened.content, "header", None)
        return list(header) if isinstance(header, list) else []
