"""The one loop. It knows batches and ``{"loss", "output"}``, nothing of images or records."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import nn

from suwen.core.recipe import TrainingSettings
from suwen.learn import processes
from suwen.learn.batches import Batches
from suwen.learn.convolution import fast_on_small_maps
from suwen.learn.norm import over_whole_batches
from suwen.learn.optimizer import Rate, set_rate
from suwen.learn.progress import Progress
from suwen.learn.randomness import derive
from suwen.learn.watch import Watch

_STEP = 2  # stream of randomness: dropout and whatever else a module draws


def fit(
    module: nn.Module,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    rate: Rate,
    settings: TrainingSettings,
    *,
    fabric: Fabric,
    watch: Watch,
    seed: int = 0,
) -> Progress:
    """Train `module` (a TaskModule) in place and say how it went.

    Everything random is drawn from ``(seed, epoch, batch)``, so a training that was killed and goes on from a
    checkpoint ends with the same weights, bit for bit.

    Args:
        module: ``module(batch) -> {"loss", "output"}``.
        batches: of the training rows.
        optimizer: over the module's parameters; a private one clips and adds noise in its own ``step``.
        rate: learning rate at each optimizer step.
        settings: epochs, accumulation, clipping.
        fabric: precision, device, several processes.
        watch: evaluates, keeps the best weights, logs, checkpoints, and says when to stop.
        seed: of the run.

    Raises:
        TrainingError: the loss is not a number; the samples of that batch are named.
    """
    where = fabric.device
    task, stepper = fabric.setup(module, optimizer)
    with watch as progress:
        while not watch.done(progress):
            task.train()
            for number, batch in batches.epoch(progress.epoch, start=progress.batch):
                torch.manual_seed(derive(seed, _STEP, progress.epoch, number, *_other()))
                place, together = _place(number, len(batches), settings.accumulate)
                steps = place + 1 == together
                with fabric.no_backward_sync(task, enabled=not steps), over_whole_batches(), fast_on_small_maps(where):
                    loss = task(batch)["loss"]
                    fabric.backward(loss * processes.weight(batch) / together)
                watch.saw(progress, processes.mean(loss, batch), batch)
                if not steps:
                    continue
                if settings.clip:
                    fabric.clip_gradients(task, stepper, max_norm=settings.clip, error_if_nonfinite=False)
                set_rate(optimizer, rate(progress.step))
                stepper.step()
                stepper.zero_grad()
                module.after_step()  # type: ignore[operator]
                watch.stepped(progress, number)
            watch.epoch_ended(progress)
        return watch.finish(progress)


def _other() -> tuple[int, ...]:
    """What tells the dropout of further processes from that of the first, which is that of one alone."""
    return (processes.rank(),) if processes.rank() else ()


def _place(number: int, count: int, accumulate: int) -> tuple[int, int]:
    """Which one a batch is of those that share its optimizer step, and how many these are: fewer at an epoch's end."""
    place = number % accumulate
    return place, min(accumulate, count - (number - place))
