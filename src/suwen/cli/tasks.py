"""``suwen tasks``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def tasks(json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """List the questions that can be asked."""
    from suwen.cli.show import show_rows

    rows = [
        {
            "task": t.name,
            "question": t.summary,
            "encoder": t.encoder,
            "head": t.head,
            "metric": t.metric,
            "explanation": t.explanation,
        }
        for t in VERBS["tasks"]()
    ]
    # at 80 columns there is room for three; the rest is in --json
    shown = ("task", "question", "metric")
    show_rows(rows if json else [{name: row[name] for name in shown} for row in rows], json=json)
