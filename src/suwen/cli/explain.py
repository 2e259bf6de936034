"""``suwen explain``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def explain(
    run: Annotated[str, typer.Argument(help="Folder of a Run.")],
    source: Annotated[str, typer.Argument(help="One file.")],
    method: Annotated[str | None, typer.Option(help="grad-cam. Default: the task's own.")] = None,
    label: Annotated[str | None, typer.Option(help="The label to explain. Default: the answer.")] = None,
    out: Annotated[str | None, typer.Option(help="PNG to write. Default: FILE.why.png in this folder.")] = None,
) -> None:
    """Show what an answer rests on.

    Example:  suwen explain runs/chest scan.dcm --out why.png
    """
    from pathlib import Path

    path = Path(out) if out is not None else Path(f"{Path(source).stem}.why.png")
    found = VERBS["explain"](run, source, method=method, label=label, out=path)
    p = found.prediction.probabilities[found.label]
    typer.echo(f"{found.method} for {found.label} (p = {p:.3f})   → {path}")
