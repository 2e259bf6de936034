"""``tasks``: the questions that can be asked."""

from __future__ import annotations

from suwen.core.registry import TASKS
from suwen.core.task import Task


def tasks() -> list[Task]:
    """All registered Tasks, by name. Imports no torch."""
    return [TASKS[name] for name in TASKS.names()]
