"""Questions about when."""

from __future__ import annotations

from suwen.core.task import Task

SURVIVAL = Task(
    name="survival",
    summary="when an event comes, of people some of whom were not followed to it; causes may compete",
    reader="table-times",
    encoder="suwen:table",
    head="time-to-event",
    metric="c_index",
    judge="suwen.verbs.survival_judge:SurvivalJudge",
    baselines=("kaplan-meier", "cox", "boosted-cox"),
    recipe={
        "training": {"steps": 1500, "batch_size": 256, "average": 0.99, "precision": "fp32"},
        "explanation": {"examples": 0},
    },
)
"""Precision: in 16 bits many people would have equal risks, and order is what is asked for."""
