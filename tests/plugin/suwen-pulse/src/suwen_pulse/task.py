"""The question, as a row. Imports no torch, so that ``suwen tasks`` stays instant."""

from __future__ import annotations

from suwen.core.task import Task

PULSE_RATE = Task(
    name="pulse-rate",
    summary="beats a minute in a pulse wave",
    reader="pulse",
    encoder="pulse:small",
    head="pulse-rate",
    metric="rmse",
)
