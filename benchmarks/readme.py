"""``python -m benchmarks table``: the table of README.md, from the results on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.machine import machine_in_words
from benchmarks.results import RESULTS, Result, met_in_words, read_result
from suwen.core.errors import DataError
from suwen.core.files import write_text

README = Path(__file__).resolve().parent / "README.md"

BEGIN, END = "<!-- table: python -m benchmarks table -->", "<!-- end of table -->"
"""What stands between these lines is written by the command, never by hand."""

ORDER = (
    "quality",
    "keras",
    "speed",
    "pretraining",
    "start",
    "memory",
    "few-labels",
    "active",
    "forgetting",
    "lora",
    "explanation",
    "inference",
    "distillation",
    "drive",
    "membranes",
    "volumes",
    "mask-speed",
    "volume-memory",
    "record-import",
    "record-features",
    "cohorts",
    "record-model",
    "tables",
    "survival",
    "physionet2012",
    "yaib",
)


def table(
    results: Annotated[Path, typer.Option(help="Folder of the NAME.json files.")] = RESULTS,
    readme: Annotated[Path, typer.Option(help="File whose table is written.")] = README,
) -> None:
    """Write the table between its markers."""
    write_text(readme, with_table(readme.read_text(encoding="utf-8"), read_results(results)))
    typer.echo(f"written to {readme}")


def read_results(folder: Path) -> list[Result]:
    """The results that are there, in the order of the README."""
    return [read_result(folder / f"{name}.json") for name in ORDER if (folder / f"{name}.json").is_file()]


def with_table(text: str, results: Sequence[Result]) -> str:
    """The text with the table of these results between its markers.

    Raises:
        DataError: a marker is missing.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise DataError(
            "README.md lacks the markers of its table", why="there is no place for it", fix=f"{BEGIN} … {END}"
        )
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{render(results)}\n{END}{rest.partition(END)[2]}"


def render(results: Sequence[Result]) -> str:
    """Markdown: all verdicts in one table, then each benchmark's own."""
    if not results:
        return "Nothing measured yet.\n"
    verdicts = [
        [row.what, row.value, row.reach, met_in_words(row.met), row.beside, f"`python -m benchmarks {result.name}`"]
        for result in results
        for row in result.verdicts
    ]
    summary = _markdown(["what", "measured", "reach", "reached", "beside, in the same run", "command"], verdicts)
    return "\n".join([summary, *(_details(result) for result in results)])


def _details(result: Result) -> str:
    notes = "".join(f"- {note}\n" for note in result.notes)
    where = f"{result.date}, {result.seconds / 60:.1f} min. {machine_in_words(result.machine)}."
    return f"### {result.name}\n\n{where}\n\n{_markdown(result.columns, result.rows)}" + (f"\n{notes}" if notes else "")


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '∣') for cell in line)} |\n" for line in lines)
