"""``suwen export``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def export(
    run: Annotated[str, typer.Argument(help="Folder of a Run.")],
    to: Annotated[str, typer.Option(help="onnx or openvino.")] = "onnx",
    opset: Annotated[int | None, typer.Option(help="Version of ONNX's operators.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was recorded.")] = False,
) -> None:
    """Write a Run as a file for a faster engine; it is kept only if its answers are torch's.

    Examples:  suwen export runs/chest --to onnx   |   suwen export runs/chest --to openvino
    """
    found = VERBS["export"](run, to=to, opset=opset, quiet=quiet or json)
    if json:
        from json import dumps

        typer.echo(dumps(found.record | {"path": str(found.file), "seconds": found.seconds}, ensure_ascii=False))
