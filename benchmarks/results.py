"""What a benchmark found: printed as plain text, kept as one JSON file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from benchmarks.machine import describe_machine, machine_in_words
from suwen.core.errors import DataError
from suwen.core.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One figure against what it must reach.

    Attributes:
        what: the figure, in words.
        value: as measured.
        reach: as asked.
        met: None where it cannot be judged here.
        beside: the rivals' figures from the same run, or published ones.
    """

    what: str
    value: str
    reach: str
    met: bool | None
    beside: str = ""


@dataclass(kw_only=True)
class Result:
    """One run of one benchmark.

    Attributes:
        name: of the benchmark.
        settings: the options it ran with.
        columns, rows: its table, as text.
        verdicts: its figures against what they must reach.
        figures: every number behind the table.
        notes: what a reader must know.
        quick: a trial that shows only that it works; its figures mean nothing.
    """

    name: str
    settings: dict[str, Any]
    columns: list[str]
    rows: list[list[str]]
    verdicts: list[Verdict]
    figures: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    quick: bool = False
    machine: dict[str, Any] = field(default_factory=dict)
    date: str = ""
    seconds: float = 0.0

    def show(self) -> None:
        """Print the table, the verdicts and the notes."""
        typer.echo(f"\n{self.name}   {self.date}   {self.seconds:.0f} s\n{machine_in_words(self.machine)}\n")
        typer.echo(columns_of_text(self.columns, self.rows) + "\n")
        found = [[row.what, row.value, row.reach, met_in_words(row.met), row.beside] for row in self.verdicts]
        typer.echo(columns_of_text(["what", "measured", "reach", "reached", "beside"], found))
        for note in self.notes:
            typer.echo(f"- {note}")


class Stopwatch:
    """Notes the machine, the date and the time when a benchmark starts, and finishes its Result."""

    def __init__(self) -> None:
        self.machine, self.date = describe_machine(), datetime.now(UTC).date().isoformat()
        self.began = time.monotonic()

    def finish(self, result: Result, folder: Path) -> Result:
        """Complete the result, print it, and write ``NAME.json``; that of a quick run goes to a folder of its own."""
        result.machine, result.date = self.machine, self.date
        result.seconds = round(time.monotonic() - self.began, 1)
        result.show()
        file = (folder / "quick" if result.quick else folder) / f"{result.name}.json"
        write_json(file, asdict(result))
        typer.echo(f"\nwritten to {file}" + ("   (a quick run: not for the table)" if result.quick else ""))
        return result


def read_result(file: Path) -> Result:
    """A Result as `Stopwatch.finish` wrote it.

    Raises:
        DataError: the file is not such a JSON file.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        verdicts = [Verdict(**row) for row in content.pop("verdicts")]
        return Result(**content, verdicts=verdicts)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file} is not a result: {error}",
            why="it is damaged, or of another version",
            fix=f"python -m benchmarks {file.stem}   writes it again",
        ) from error


def columns_of_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart, whatever the width of the terminal."""
    lines = [columns, *rows] if columns else list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def met_in_words(met: bool | None) -> str:
    """``yes``, ``no``, or ``not judged``."""
    return "not judged" if met is None else "yes" if met else "no"
