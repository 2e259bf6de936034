"""``suwen variants``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def variants(
    run: Annotated[str, typer.Argument(help="Folder of a Run.")],
    data: Annotated[str, typer.Argument(help="Labelled data: class folders, manifest CSV, or .npz.")],
    beside: Annotated[
        list[str] | None, typer.Option(help="A further Run, such as a distilled student; repeatable.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, val or test. Default: test if there is one, else all.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable files.")] = False,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Go on although some images were trained on.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Compare what can answer in place of a Run: torch, its exports, smaller Runs; figures, size, speed, memory.

    Example:  suwen variants runs/chest chest/ --beside runs/student
    """
    from suwen.cli.show import show_rows

    found = VERBS["variants"](run, data, beside=beside or (), split=split, skip_bad=skip_bad, allow_leak=allow_leak)
    rows = [each.to_json() for each in found]
    if not json:
        rows = [_shown(row) for row in rows]
    show_rows(rows, json=json, title=None if json else f"{found[0].n} samples of {data}")
    if not json:
        typer.echo("ms: a call with 1 input and with 64; memory: of a whole process, libraries included")


def _shown(row: dict[str, object]) -> dict[str, str]:
    """The columns of the table: names short, numbers rounded."""
    hidden = ("n", "parameters", "threads_1", "threads_64")
    titles = {"latency_1_ms": "1 (ms)", "latency_64_ms": "64 (ms)", "size_mb": "size (MB)", "memory_mb": "memory (MB)"}
    titles |= {"throughput": "a second"}
    return {titles.get(name, name): _text(value) for name, value in row.items() if name not in hidden}


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
