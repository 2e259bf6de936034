"""Where a training is written down as it runs: console, ``log.jsonl``, TensorBoard, Weights & Biases."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from suwen.core.errors import ExtraMissing
from suwen.core.files import write_text
from suwen.learn.progress import Progress


class Log(Protocol):
    """Told what happens."""

    def begin(self, progress: Progress, epochs: int, batches: int) -> None:
        """Training starts, or goes on after a kill: rows after `progress` never happened."""
        ...

    def step(self, progress: Progress) -> None:
        """One optimizer step is done."""
        ...

    def row(self, row: dict[str, Any]) -> None:
        """One epoch is done."""
        ...

    def end(self, progress: Progress) -> None:
        """Training is over."""
        ...


class ConsoleLog:
    """A table that grows by a line an epoch above a bar for the whole training."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = Bars(
            TextColumn("[bold]training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps  loss {task.fields[loss]:.4f}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.task = TaskID(0)
        self._columns: list[str] = []

    def begin(self, progress: Progress, epochs: int, batches: int) -> None:
        """Show the bar."""
        if progress.step:
            self.console.print(
                f"going on from epoch {progress.epoch + 1}, batch {progress.batch + 1} of the checkpoint"
            )
        self.task = self.bars.add_task("training", total=epochs * batches, completed=progress.step, loss=0.0)
        self.bars.start()

    def step(self, progress: Progress) -> None:
        """Move the bar."""
        self.bars.update(self.task, advance=1, loss=progress.loss)

    def row(self, row: dict[str, Any]) -> None:
        """Add a line."""
        if set(row) - set(self._columns):  # some are measured only every few epochs
            self._columns = list(row)
            heads = [_short(name) for name in row]
            self.console.print("[bold]" + " ".join(map(_fit, heads, heads)))
        cells = [_number(row[name]) if name in row else "" for name in self._columns]
        self.console.print(" ".join(map(_fit, cells, map(_short, self._columns))), highlight=False)

    def end(self, progress: Progress) -> None:
        """Take the bar away."""
        self.bars.stop()


class JsonLog:
    """``log.jsonl``: one JSON object an epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, progress: Progress, epochs: int, batches: int) -> None:
        """Keep the rows up to the checkpoint."""
        write_text(self.path, "".join(map(_line, progress.history)))

    def step(self, progress: Progress) -> None:
        """Nothing: rows are epochs."""

    def row(self, row: dict[str, Any]) -> None:
        """Add a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(row))

    def end(self, progress: Progress) -> None:
        """Nothing is open."""


class TensorBoardLog:
    """``events.*`` for TensorBoard."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def begin(self, progress: Progress, epochs: int, batches: int) -> None:
        """Nothing to prepare."""

    def step(self, progress: Progress) -> None:
        """Nothing: rows are epochs."""

    def row(self, row: dict[str, Any]) -> None:
        """One scalar a figure."""
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, row["epoch"])

    def end(self, progress: Progress) -> None:
        """Close the file."""
        self.writer.close()


class WandbLog:
    """Weights & Biases; only when asked for (``--log wandb``), since it speaks to the network."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        try:
            import wandb
        except ImportError:
            raise ExtraMissing("--log wandb", "wandb") from None
        self.run = wandb.init(project="suwen", name=name, config=settings)

    def begin(self, progress: Progress, epochs: int, batches: int) -> None:
        """Nothing to prepare."""

    def step(self, progress: Progress) -> None:
        """Nothing: rows are epochs."""

    def row(self, row: dict[str, Any]) -> None:
        """One point a figure."""
        self.run.log(row)

    def end(self, progress: Progress) -> None:
        """Close the run."""
        self.run.finish()


def _line(row: dict[str, Any]) -> str:
    """JSON knows no NaN: a figure that is not defined is null."""
    defined = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }
    return json.dumps(defined) + "\n"


_SHORT = {"val_loss": "val_loss", "learning_rate": "rate", "val_effective_rank": "rank"}
"""What stands above a column in place of its name; else the name without ``val_``."""


def _short(name: str) -> str:
    return _SHORT.get(name, name.removeprefix("val_balanced_").removeprefix("val_"))


def _fit(text: str, head: str) -> str:
    """Right-aligned in the column of this head; ``1.234e-05`` takes nine places, and the eight columns of a pretraining
    79."""
    return text.rjust(max(len(head), 5 if head == "epoch" else 9))


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
