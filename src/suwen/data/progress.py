"""A progress bar for what takes longer than two seconds, and nothing for what does not."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

PATIENCE, REFRESH = 2.0, 0.1
"""Seconds before a bar appears, and between its steps."""


def track(items: Iterable[Item], description: str, total: int, *, enabled: bool = True) -> Iterator[Item]:
    """Yield `items`, with a bar on standard error once they have taken over two seconds."""
    if not enabled:
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    job = bar.add_task(description, total=total)
    due = time.monotonic() + PATIENCE
    try:
        for done, item in enumerate(items, start=1):
            yield item
            if time.monotonic() >= due:
                bar.start()
                bar.update(job, completed=done)
                due = time.monotonic() + REFRESH
    finally:
        if bar.live.is_started:
            bar.stop()
