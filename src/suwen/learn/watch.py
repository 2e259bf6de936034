"""`Watch`: what goes on around the loop: evaluation, the best weights, logs, checkpoints, stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.errors import RunError, TrainingError
from suwen.core.recipe import TrainingSettings
from suwen.learn.average import Average, learned
from suwen.learn.checkpoint import load_checkpoint, save_checkpoint
from suwen.learn.log import Log
from suwen.learn.optimizer import restore_optimizer
from suwen.learn.processes import by_first, told
from suwen.learn.progress import Progress
from suwen.learn.sharded import gathered, in_one_piece, like, put_together, take

Evaluate = Callable[[nn.Module], dict[str, float]]
"""The module in evaluation mode → figures; ``"score"`` is raised, ties are broken by a lower ``"loss"``, if given."""


class Stateful(Protocol):
    """What can be put into a checkpoint and taken out again."""

    def state_dict(self) -> dict[str, Any]:
        """Nested numbers and tensors."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Become what `state_dict` gave."""
        ...


class Watch:
    """Observes one training of `module`: ``with watch as progress``. However that ends, the logs are closed.

    Args:
        module, optimizer: what learns, and what a checkpoint holds.
        precision: Fabric's, whose state (the loss scale of fp16) a checkpoint holds too.
        settings: of the recipe.
        folder: for checkpoints; None keeps none.
        evaluate: figures on validation; None where there is none, then the last weights are kept.
        average: moving average of the weights, evaluated and kept instead of the weights themselves.
        logs: told each row and step.
        name_rows: row numbers → sample ids, for the message about a NaN loss.
        rate: learning rate at a step, for the log.
        batches: of an epoch, for the log.
        whole: where `module` is sharded over several processes, what it stands for: judged, and given the kept weights.
        data: fingerprint of what is trained on; a checkpoint of other data is not gone on from.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: TrainingSettings,
        *,
        precision: Stateful | None = None,
        folder: Path | None = None,
        evaluate: Evaluate | None = None,
        average: Average | None = None,
        logs: Sequence[Log] = (),
        name_rows: Callable[[Any], Sequence[str]] = lambda rows: list(map(str, rows)),
        rate: Callable[[int], float] = lambda step: math.nan,
        batches: int = 0,
        whole: nn.Module | None = None,
        data: str = "",
    ) -> None:
        self.module, self.optimizer, self.settings, self.precision = module, optimizer, settings, precision
        self.whole = module if whole is None else whole
        self.file = folder / "last.safetensors" if folder else None
        self.evaluate, self.average, self.logs = evaluate, average, logs
        self.name_rows, self.rate, self.batches, self.data = name_rows, rate, batches, data
        self.best_weights: dict[str, Tensor] | None = None
        self._began = self._saved = time.monotonic()
        self._pending: list[tuple[Tensor, int, Any]] = []

    def __enter__(self) -> Progress:
        self.progress = self.begin()
        return self.progress

    def __exit__(self, *_: object) -> None:
        for log in self.logs:
            log.end(self.progress)

    def begin(self) -> Progress:
        """Where to start: at a checkpoint if there is one."""
        progress = Progress()
        state = told(load_checkpoint(self.file) if self.file is not None and self.file.is_file() else None)
        if state is not None:
            progress = self._restore(state)
        for log in self.logs:
            log.begin(progress, self.settings.epochs, self.batches)
        self._began = self._saved = time.monotonic()
        return progress

    def done(self, progress: Progress) -> bool:
        """All epochs done, or no better one for too long."""
        patience = self.settings.patience
        return progress.epoch >= self.settings.epochs or (patience is not None and progress.since_best >= patience)

    def saw(self, progress: Progress, loss: Tensor, batch: Batch) -> None:
        """Note a loss. On a GPU it is read only now and then, so that the device need not wait."""
        rows = batch["part"].whole if "part" in batch else batch["index"]
        self._pending.append((loss.detach(), len(rows), rows))
        if loss.device.type == "cpu" or len(self._pending) >= 20:
            self._read(progress)

    def stepped(self, progress: Progress, number: int) -> None:
        """After an optimizer step."""
        progress.step += 1
        progress.batch = number + 1
        if self.average is not None:
            self.average.update()
        for log in self.logs:
            log.step(progress)
        if self._is_due():
            self.save(progress)

    def epoch_ended(self, progress: Progress) -> None:
        """Evaluate, keep the best, log, go to the next epoch."""
        self._read(progress)
        row: dict[str, Any] = {
            "epoch": progress.epoch + 1,
            "train_loss": progress.loss,
            "learning_rate": self.rate(max(0, progress.step - 1)),
            **getattr(self.module, "figures", dict)(),
        }
        last = progress.epoch + 1 == self.settings.epochs
        if self.evaluate is not None and ((progress.epoch + 1) % self.settings.evaluate_every == 0 or last):
            row |= self._evaluate(progress)
        progress.epoch, progress.batch = progress.epoch + 1, 0
        progress.samples += progress.seen
        progress.losses, progress.seen = 0.0, 0
        row["seconds"] = round(self._seconds(progress), 3)
        progress.history.append(row)
        for log in self.logs:
            log.row(row)

    def finish(self, progress: Progress) -> Progress:
        """Put the kept weights into the module."""
        progress.seconds = self._seconds(progress)
        if self.settings.keep == "best" and self.best_weights is not None:
            self.module.load_state_dict(self.best_weights, strict=False)
        elif self.average is not None:
            self.module.load_state_dict(self.average.weights, strict=False)
        put_together(self.module, self.whole)
        return progress

    def save(self, progress: Progress) -> None:
        """Write a checkpoint."""
        self._read(progress)
        progress.seconds = self._seconds(progress)
        self._began = self._saved = time.monotonic()
        state = {
            "data": self.data,
            "progress": progress.to_state(),
            "module": learned(self.module),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else {"steps": self.average.steps, "weights": self.average.weights},
            "best": self.best_weights,
            "precision": None if self.precision is None else self.precision.state_dict(),
        }
        state = gathered(state)
        if self.file is not None:
            save_checkpoint(self.file, state)

    def _is_due(self) -> bool:
        """Whether a checkpoint is. Of a sharded module all processes have a part of it, and go by the first's clock."""
        due = self.file is not None and time.monotonic() - self._saved >= self.settings.checkpoint_seconds
        return due if self.whole is self.module else told(due)

    def _restore(self, state: dict[str, Any]) -> Progress:
        if state.get("data", self.data) != self.data:  # checkpoints of before have none
            raise RunError(
                f"{self.file} is a checkpoint of other data, which have changed since",
                why="rows have moved, so that what was trained on would be trained on again, or left out",
                fix=f"put the data back as they were; or, to train from the start, rm {self.file}",
            )
        take(self.module, state["module"])
        restore_optimizer(self.optimizer, state["optimizer"])
        if self.average is not None:
            self.average.steps = state["average"]["steps"]
            for key, value in state["average"]["weights"].items():
                self.average.weights[key].copy_(like(value, self.average.weights[key]))
        own = self.module.state_dict()
        best = state["best"]
        self.best_weights = best and {key: like(value, own[key]) for key, value in best.items()}
        if self.precision is not None and state.get("precision"):  # checkpoints of before have none
            self.precision.load_state_dict(state["precision"])
        return Progress(**state["progress"])

    def _read(self, progress: Progress) -> None:
        for loss, count, rows in self._pending:
            value = float(loss)
            if not math.isfinite(value):
                names = list(self.name_rows(rows))
                raise TrainingError(
                    f"the loss became {value} in epoch {progress.epoch + 1}, step {progress.step + 1}; "
                    f"samples of that batch: {', '.join(names[:64])}",
                    why="weights trained on from here would be worthless, so nothing was saved from this step on",
                    fix="a smaller --learning-rate, --precision fp32, or look at these samples",
                )
            progress.losses += value * count
            progress.seen += count
        self._pending.clear()

    def _evaluate(self, progress: Progress) -> dict[str, float]:
        assert self.evaluate is not None
        own = None
        if self.average is not None:
            own = {key: value.clone() for key, value in learned(self.module).items()}
            self.module.load_state_dict(self.average.weights, strict=False)
        with in_one_piece(self.module, self.whole) as judged:
            figures = dict(by_first(partial(self.evaluate, judged)))
        score = [figures.pop("score"), -figures.get("loss", 0.0)]
        if progress.best is None or score > progress.best or any(math.isnan(value) for value in progress.best):
            progress.best, progress.best_epoch, progress.since_best = score, progress.epoch + 1, 0
            self.best_weights = {key: value.detach().clone() for key, value in learned(self.module).items()}
        else:
            progress.since_best += 1
        if own is not None:
            self.module.load_state_dict(own, strict=False)
        return {f"val_{name}": value for name, value in figures.items()}

    def _seconds(self, progress: Progress) -> float:
        return progress.seconds + time.monotonic() - self._began
