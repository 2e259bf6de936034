"""``suwen encoders``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def encoders(
    pattern: Annotated[str | None, typer.Argument(help="Part of a name: resnet, dino, chest …")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List encoder families, and known medical checkpoints with their licences.

    Examples:  suwen encoders   |   suwen encoders resnet
    """
    from dataclasses import asdict

    from suwen.cli.show import show_rows

    found = VERBS["encoders"](pattern)
    rows = [asdict(row) for row in found.checkpoints]
    if not json:
        # at 80 columns there is room for four; the rest is in --json
        rows = [{name: row[name] for name in ("name", "images", "encoder", "licence")} for row in rows]
    show_rows(rows, json=json, title="medical checkpoints (read the licence)")
    show_rows([{"encoder": name} for name in found.matches], json=json) if found.matches else None
    if pattern is None and not json:
        typer.echo(f"families: {', '.join(found.families)}")
        typer.echo("timm models by name: suwen encoders PATTERN")
        typer.echo("hub names, forms and architectures of the checkpoints: suwen encoders --json")
