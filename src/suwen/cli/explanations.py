"""``suwen explanations``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def explanations(json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """List the ways to see what an answer rests on."""
    from suwen.cli.show import show_rows

    rows = [
        {
            "method": m.name,
            "how": m.summary,
            "values": "signed" if m.signed else "≥ 0",
            "meaning": m.meaning,
            "passes": m.passes,
            "needs": "--examples" if m.needs_examples else None,
        }
        for m in VERBS["explanations"]()
    ]
    show_rows(rows, json=json)
