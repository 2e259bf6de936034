"""The command ``suwen``."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from suwen.core.errors import SuwenError

app = typer.Typer(
    name="suwen",
    help="Foundation models in healthcare: pretrain, fine-tune, evaluate, explain, govern, serve.",
    epilog="First time here?  suwen demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

COMMANDS = (
    "demo",
    "tasks",
    "encoders",
    "pretrain",
    "finetune",
    "distill",
    "evaluate",
    "predict",
    "explain",
    "query",
    "explanations",
    "export",
    "variants",
    "simulate",
    "doctor",
)
for _name in COMMANDS:
    app.command(_name)(getattr(import_module(f"suwen.cli.{_name}"), _name))

GROUPS = ("records",)
for _name in GROUPS:
    app.add_typer(getattr(import_module(f"suwen.cli.{_name}"), _name), name=_name)


@app.callback()
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and leave.", is_eager=True),
) -> None:
    if version:
        from suwen import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command; a refusal is printed as it teaches, without a traceback, and exits with 2."""
    try:
        app()
    except SuwenError as error:
        typer.secho(f"suwen: {error}", err=True, fg="red")
        sys.exit(2)
