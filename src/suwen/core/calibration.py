"""`Calibration`: what was learned on the validation split after training, and travels with the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Calibration:
    """How to turn logits into honest probabilities, decisions and sets.

    Attributes:
        temperature: logits are divided by it (Guo et al., *On Calibration of Modern Neural Networks*, 2017).
        threshold: probability from which the positive class is called, chosen on validation (binary), or None for 0.5.
        coverage: the share of cases whose true label is in the prediction set, 1 - alpha.
        sizes: label → f of a drawn mask: its true size is between size / f and size · f in `coverage` of cases; None
            where validation had too few to say.
        depths: label → how deep the valley between two of its objects must be, in pixels
            (`suwen.heads.instances`); None where objects are not told apart.
        quantile: split-conformal quantile of ``1 - p(true label)`` on validation (Sadinle, Lei & Wasserman 2019, LAC);
            None where no set is given. Of numbers the quantile of |said - true|: half the width of an interval. Of
            times the said probability of an event by which `coverage` of people are still without one.
        shifts: of times, added to the log hazard of each cause; None where not calibrated.
    """

    temperature: float = 1.0
    threshold: float | None = None
    coverage: float = 0.9
    quantile: float | None = None
    sizes: dict[str, float | None] | None = None
    depths: dict[str, float] | None = None
    shifts: list[float] | None = None

    def to_json(self) -> dict[str, Any]:
        """All fields, JSON-able."""
        return asdict(self)
