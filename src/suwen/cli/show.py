"""Rows as a table, or as JSON lines."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from typing import Any

import typer


def show_rows(rows: Sequence[Mapping[str, Any]], *, json: bool = False, title: str | None = None) -> None:
    """Print rows of the same keys. The first, which is what one types, is never broken."""
    if json:
        for row in rows:
            typer.echo(json_module.dumps(row, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for position, name in enumerate(rows[0] if rows else ()):
        table.add_column(name, overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)
