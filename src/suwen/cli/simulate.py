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
    films_per_patient: Annotated[tuple[int, int], typer.Option(help="Fewest and most films of one patient.")] = (1, 3),
    scans: Annotated[int, typer.Option(min=0, help="How many patients have a CT scan at most.")] = 20,
    wards: Annotated[list[str] | None, typer.Option(help="A ward to write; repeatable. Default: all.")] = None,
    record_formats: Annotated[
        list[str] | None, typer.Option(help="fhir, omop or hl7v2, beside MEDS; repeatable. Default: all.")
    ] = None,
) -> None:
    """Write the virtual hospital: patients who do not exist, in formats that do.

    Example:  suwen simulate --patients 500 --seed 1 --out hospital/
    """
    path = VERBS["simulate"](
        patients=patients,
        seed=seed,
        size=size,
        out=out,
        films_per_patient=films_per_patient,
        scans=scans,
        wards=wards,
        record_formats=record_formats,
    )
    typer.echo(f"{path}: a test bed, never evidence about medicine   (see {path / 'README.md'})")
