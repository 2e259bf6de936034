"""``suwen doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import VERBS


def doctor(json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """Say what this machine can do, what is missing, and what to type. Exits with 1 if something is broken."""
    from dataclasses import asdict

    from suwen.cli.show import show_rows

    findings = VERBS["doctor"]()
    show_rows([asdict(finding) for finding in findings], json=json)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
