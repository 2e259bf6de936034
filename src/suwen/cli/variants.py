"""``suwen variants``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from suwen.core.registry import VERBS


def variants(
    run: Annotated[str, typer.Argument(help="Folder of a Run.")],
    data: Annotated[str | None, typer.Argument(help="Labelled data to measure accuracy and AUROC on.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="A row to show; repeatable. Default: all there are.")] = None,
    memory: Annotated[bool, typer.Option(help="Measure peak memory, each in a process of its own.")] = True,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show a Run's engines side by side: accuracy, size, latency, memory.

    Example:  suwen variants runs/chest chest/
    """
    from suwen.cli.show import show_rows

    rows = VERBS["variants"](run, data, engine=engine or (), memory=memory)
    show_rows(rows if json else [_in_words(row) for row in rows], json=json, title=run)


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    def milliseconds(found: dict[str, float]) -> str:
        return f"{1000 * found['median']:.1f} ({1000 * found['p95']:.1f})"

    return {
        "engine": row["engine"],
        "accuracy": row["accuracy"],
        "AUROC": row["auroc"],
        "from torch": f"{row['difference']:.0e}",
        "MB": row["megabytes"],
        "batch 1, ms (p95)": milliseconds(row["batch_1"]),
        "batch 64, ms (p95)": milliseconds(row["batch_64"]),
        "threads": f"{row['threads']['1']}, {row['threads']['64']}",
        "peak MB": row["peak_memory"],
    }
