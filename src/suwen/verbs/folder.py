"""The folder of a Run while it is being made: whose it is, and what is left from before."""

from __future__ import annotations

from pathlib import Path

from suwen.core.errors import RunError
from suwen.core.recipe import Recipe
from suwen.core.run import Run


def refuse_finished(run: Run, overwrite: bool) -> None:
    """Before anything is read: is the folder free?

    Raises:
        RunError: it holds a finished Run, or other files.
    """
    if run.config.is_file() and not overwrite:
        raise RunError(
            f"{run.path} holds a finished Run",
            why="a second training would replace its weights",
            fix="another --out, or --overwrite",
        )
    if run.path.is_dir() and not run.recipe.is_file() and any(run.path.iterdir()):
        raise RunError(f"{run.path} holds other files", why="a Run needs a folder of its own", fix="another --out")


def claim(run: Run, recipe: Recipe, overwrite: bool, *, verb: str = "finetune") -> None:
    """Make the Run folder ours: new, or an unfinished one of the same settings.

    Raises:
        RunError: it holds an unfinished Run of other settings.
    """
    same = run.recipe.is_file() and run.recipe.read_text(encoding="utf-8") == recipe.to_yaml()
    if run.recipe.is_file() and not same and not overwrite:
        raise RunError(
            f"{run.path} holds an unfinished Run with other settings or data",
            why="its checkpoint does not fit these",
            fix=f"suwen {verb} --recipe {run.recipe} --out {run.path}   goes on; else --overwrite, or another --out",
        )
    if not same or run.config.is_file():
        for stale in (run.config, run.weights, run.metrics, run.report, run.log, run.seen, run.fisher):
            stale.unlink(missing_ok=True)
        for events in run.path.glob("events.*"):
            events.unlink()
        clear(run.checkpoints)
    recipe.save(run.recipe)


def clear(folder: Path) -> None:
    """Take away a folder of files."""
    for file in folder.glob("*"):
        file.unlink()
    if folder.is_dir():
        folder.rmdir()
