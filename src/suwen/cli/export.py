"""``suwen export``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def export(
    run: Annotated[str, typer.Argument(help="Folder of a Run.")],
    to: Annotated[str, typer.Option(help="onnx or openvino.")] = "onnx",
    int8: Annotated[
        str | None, typer.Option(help="static or dynamic: ONNX with 8-bit layers, if they pay and cost nearly nothing.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="For --int8: labelled data to calibrate and judge on. Default: the Run's own.")
    ] = None,
    opset: Annotated[int | None, typer.Option(help="Version of ONNX's operators.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was recorded.")] = False,
) -> None:
    """Write a Run as a file for a faster engine; it is kept only if its answers are torch's.

    An 8-bit one (--int8) is kept if it is faster than float32 and within 0.5 points of it on validation images.

    Examples:  suwen export runs/chest --to onnx   |   suwen export runs/chest --int8 static
    """
    found = VERBS["export"](run, to=to, int8=int8, data=data, opset=opset, quiet=quiet or json)
    if json:
        from json import dumps

        typer.echo(dumps(found.record | {"path": str(found.file), "seconds": found.seconds}, ensure_ascii=False))
