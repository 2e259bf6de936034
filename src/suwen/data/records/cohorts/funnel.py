"""Where everybody was lost on the way from subjects to labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Step:
    """One reason for which some are lost: what it is, how many, and how many are left."""

    what: str
    lost: int
    left: int


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """From subjects to labels.

    Attributes:
        subjects: in the store.
        eligible: of them, with the demographics that are asked for, and an event that has a time.
        triggers: moments at which the trigger holds.
        steps: why triggers gave no label, in the order in which it is looked at; each is lost once, at the first.
        labels: what is left.
    """

    subjects: int
    eligible: int
    triggers: int
    steps: tuple[Step, ...]
    labels: int

    @staticmethod
    def of(subjects: int, eligible: int, triggers: int, losses: Sequence[tuple[str, int]]) -> Funnel:
        """With what is left after each loss."""
        steps, left = [], triggers
        for what, lost in losses:
            left -= lost
            steps.append(Step(what=what, lost=lost, left=left))
        return Funnel(subjects=subjects, eligible=eligible, triggers=triggers, steps=tuple(steps), labels=left)

    def lines(self, trigger: str) -> list[str]:
        """For people: a line a step at which anybody was lost."""
        return [
            f"{self.subjects:,} subjects",
            *(
                [f"{self.eligible:,} with the demographics, and an event in time"]
                if self.eligible < self.subjects
                else []
            ),
            f"{self.triggers:,} triggers: {trigger}",
            *(f"  -{step.lost:,} → {step.left:,}   {step.what}" for step in self.steps if step.lost),
            f"{self.labels:,} labels",
        ]

    def told(self) -> dict[str, Any]:
        """For JSON."""
        steps = [vars(step) for step in self.steps]
        return {**{name: vars(self)[name] for name in ("subjects", "eligible", "triggers", "labels")}, "steps": steps}
