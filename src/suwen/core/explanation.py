"""`Explanation`: what an answer rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from suwen.core.prediction import Prediction


@dataclass(slots=True, kw_only=True)
class Explanation:
    """An attribution of one answer to the parts of one input.

    Attributes:
        method: ``"grad-cam"`` …
        label: the label that is explained.
        attribution: same leading shape as the input, ``(H, W)`` for images; larger means the answer rests more on it.
        inputs: what the model saw, ``(C, H, W)`` uint8 for images.
        faithfulness: measures of whether the model really uses what is shown, empty where not measured.
    """

    method: str
    label: str
    attribution: np.ndarray
    inputs: np.ndarray
    prediction: Prediction
    faithfulness: dict[str, float] = field(default_factory=dict)
