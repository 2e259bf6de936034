"""``suwen demo``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def demo(
    out: Annotated[str, typer.Option(help="Folder for the hospital and the Run.")] = "demo",
    patients: Annotated[int, typer.Option(min=50, help="How many patients to simulate.")] = 1000,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Run the whole chain on the virtual hospital: no download, under five minutes on two cores, a report to open."""
    VERBS["demo"](out=out, patients=patients, seed=seed, quiet=quiet)
