"""``suwen demo``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def demo(
    name: Annotated[
        str,
        typer.Argument(
            help="chain: films with labels, from data to report. "
            "foundation: pretrain without labels, adapt with 50, explain, export. "
            "segment: organs and nodules on chest CT, from DICOM to masks. "
            "records: health records from FHIR to predictions, beside the best possible."
        ),
    ] = "chain",
    out: Annotated[str | None, typer.Option(help="Folder for the hospital and the Runs.")] = None,
    patients: Annotated[int | None, typer.Option(min=50, help="How many patients to simulate.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """See it run on the virtual hospital: no download, a few minutes on two cores, a report to open.

    [bold]suwen demo[/]              the whole chain
    [bold]suwen demo foundation[/]   what pretraining is good for when labels are few

    [bold]suwen demo segment[/]      organs and nodules drawn on CT volumes

    [bold]suwen demo records[/]      health records in any format, and what can be predicted from them
    """
    VERBS["demo"](name, out=out, patients=patients, seed=seed, quiet=quiet)
