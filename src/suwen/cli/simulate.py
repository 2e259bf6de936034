"""``suwen simulate``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def simulate(
    patients: Annotated[int, typer.Option(min=1, help="How many patients.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same bytes.")] = 7,
    size: Annotated[int, typer.Option(min=32, help="Side of the films in pixels.")] = 128,
    out: Annotated[str, typer.Option(help="Folder to write.")] = "hospital",
) -> None:
    """Write the virtual hospital: patients who do not exist, in formats that do.

    Example:  suwen simulate --patients 500 --seed 1 --out hospital/
    """
    path = VERBS["simulate"](patients=patients, seed=seed, size=size, out=out)
    typer.echo(f"{path}: a test bed, never evidence about medicine   (see {path / 'README.md'})")
