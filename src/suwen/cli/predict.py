"""``suwen predict``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from suwen.core.registry import VERBS


def predict(
    run: Annotated[str, typer.Argument(help="Folder of a Run.")],
    inputs: Annotated[list[str], typer.Argument(help="Files, folders or globs.")],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Answer unreadable files with an abstention.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda …")] = "cpu",
    engine: Annotated[
        str,
        typer.Option(
            help="auto: the fastest that suwen export left; torch, frozen, compiled, onnx, onnx-int8, openvino."
        ),
    ] = "auto",
    out: Annotated[str | None, typer.Option(help="Folder for masks, each named after its input.")] = None,
    write: Annotated[
        list[str] | None,
        typer.Option(help="Into --out: mask, uncertainty, contours, dicom-seg, fhir; repeatable. Default: mask."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    csv: Annotated[str | None, typer.Option(help="Write a CSV file.")] = None,
) -> None:
    """Answer for files, folders and globs. Exits with 1 if an input could not be read.

    Examples:

      suwen predict runs/chest scan.dcm --json

      suwen predict runs/chest 'new/*.png' --csv answers.csv

      suwen predict runs/organs ct/ --out masks/ --write mask --write dicom-seg
    """
    from suwen.cli.answers import show, write_csv

    answers = VERBS["predict"](
        run, *inputs, skip_bad=skip_bad, device=device, engine=engine, out=out, write=write or ()
    )
    if csv is not None:
        write_csv(answers, csv)
    show(answers, json=json)
    typer.echo(f"engine: {answers[0].engine}", err=True)
    if any(answer.reason.startswith("unreadable") for answer in answers):
        sys.exit(1)
