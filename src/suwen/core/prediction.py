"""`Prediction`: the answer, how sure, whether the model abstains, and which model said so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, kw_only=True)
class Prediction:
    """One answer.

    Attributes:
        answer: a label, several labels, a number, a sentence, a mask …; None only when `abstain`.
        probabilities: label → calibrated probability.
        set: the labels that cannot be ruled out at the model's coverage (conformal), None where not calibrated.
        interval: of a number, at the model's coverage (conformal); None where not calibrated.
        abstain: the model gives no single answer. `reason` says why.
        input, task, model, seconds: which input, which question, which model (name@fingerprint), how long.
        files: what was written of it.
        engine: what ran the model; in the line where it is not torch itself.
    """

    answer: Any
    probabilities: dict[str, float]
    set: list[str] | None = None
    interval: tuple[float, float] | None = None
    abstain: bool = False
    reason: str = ""
    input: str = ""
    task: str = ""
    model: str = ""
    seconds: float = 0.0
    engine: str = "torch"
    files: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The line that ``suwen predict --json`` prints."""
        line: dict[str, Any] = {
            "input": self.input,
            "task": self.task,
            "answer": self.answer,
            "probabilities": {name: round(p, 6) for name, p in self.probabilities.items()},
            "set": self.set,
            "abstain": self.abstain,
            "model": self.model,
            "seconds": round(self.seconds, 4),
        }
        if self.engine != "torch":
            line["engine"] = self.engine
        if self.interval is not None:
            line["interval"] = [round(end, 6) for end in self.interval]
        if self.files:
            line["files"] = list(self.files)
        return line | {"reason": self.reason} if self.reason else line
