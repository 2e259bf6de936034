"""Several devices: one process a device. The first reads, writes, judges and speaks; the others only train with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
import torch.distributed as dist

from suwen.core.errors import TrainingError
from suwen.core.recipe import Recipe
from suwen.learn.device import creates_processes, free_port, several

READY = "SUWEN_WORKER_READY"
"""Variable of a process that suwen started: the file with which it says that its data are read."""


@contextmanager
def workers(recipe: Recipe, verb: str) -> Iterator[None]:
    """While it lasts, `train` has the processes that the recipe asks for; they run ``suwen VERB`` with the same recipe.

    Processes that something else has started (``torchrun``, SLURM, or this) are taken as they are.

    Raises:
        TrainingError: one of them ended early; what it said stands above.
    """
    if not several(recipe.training):
        yield
        return
    if READY in os.environ:
        _end_with_the_first()
        Path(os.environ[READY]).touch()
    with ExitStack() as stack:
        started: list[subprocess.Popen[bytes]] = []
        stack.enter_context(_restored())
        stack.callback(_leave)
        if not creates_processes():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="suwen-")))
            recipe.save(folder / "recipe.yaml")
            os.environ |= {"LOCAL_RANK": "0", "MASTER_ADDR": os.environ.get("MASTER_ADDR", "127.0.0.1")}
            os.environ.setdefault("MASTER_PORT", str(free_port()))
            stack.callback(_kill, started)
            started += [_start(number, folder, verb) for number in range(1, recipe.training.devices)]
            _wait_until_ready(started, folder)
        try:
            yield
        except RuntimeError as error:  # what a broken connection raises
            _refuse_early_end(started, error)
            raise


def _start(number: int, folder: Path, verb: str) -> subprocess.Popen[bytes]:
    """One process: its own session, so that Ctrl-C reaches the first alone, which then ends it."""
    words = [sys.executable, "-m", "suwen", verb, "--recipe", str(folder / "recipe.yaml"), "--quiet"]
    own = {"LOCAL_RANK": str(number), READY: str(folder / f"ready-{number}")}
    return subprocess.Popen(
        words, env=os.environ | own, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )


def _wait_until_ready(started: list[subprocess.Popen[bytes]], folder: Path) -> None:
    while len(list(folder.glob("ready-*"))) < len(started):
        _refuse_early_end(started)
        time.sleep(0.05)


def _refuse_early_end(started: list[subprocess.Popen[bytes]], cause: Exception | None = None) -> None:
    for number, process in enumerate(started, 1):
        if process.poll():
            raise TrainingError(
                f"process {number} of {len(started)} further ones ended with exit code {process.returncode}",
                why="what it said stands above; without it there is nobody to train its part of each batch",
                fix="the same command goes on from the last checkpoint; --devices 1 does without it",
            ) from cause


def _end_with_the_first() -> None:
    """End as soon as the process at the other end of stdin has ended, however that was."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _kill(started: list[subprocess.Popen[bytes]]) -> None:
    for process in started:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def _leave() -> None:
    """What follows the training is done alone."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _restored() -> Iterator[None]:
    """Fabric sets variables and the number of threads."""
    before, threads = dict(os.environ), torch.get_num_threads()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        torch.set_num_threads(threads)
