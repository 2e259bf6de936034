"""How much memory a Run needs to answer with one engine, measured in a process of its own.

python -m suwen.engines.footprint RUN ENGINE THREADS BATCH
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from suwen.core.errors import SuwenError
from suwen.core.model import evaluating
from suwen.core.run import Run
from suwen.engines.choose import make_engine
from suwen.engines.network import probes

STATUS = Path("/proc/self/status")


def footprint(run: Run, engine: str, threads: int, *, batch: int) -> int | None:
    """Peak resident memory, in bytes, of a new process that loads the Run and answers one batch; libraries included.

    None where the system has no ``/proc``.

    Raises:
        SuwenError: the process failed; the message ends with what it said last.
    """
    if not STATUS.is_file():
        return None
    command = [sys.executable, "-m", __name__, str(run.path), engine, str(threads), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SuwenError(
            f"the memory of {run.path} with the engine {engine} could not be measured: {done.stderr[-1000:]}",
            why=f"its process ended with exit code {done.returncode}",
            fix=f"suwen predict {run.path} FILE --engine {engine}   shows what is wrong",
        )
    return int(done.stdout.split()[-1])


def peak_memory() -> int:
    """Most memory that this process has had, in bytes: ``VmHWM`` of proc_pid_status(5).

    Not ``ru_maxrss`` of getrusage(2), which is kept over an exec: a child of a large process would start at its height.

    Raises:
        SuwenError: the system has no ``/proc``.
    """
    if not STATUS.is_file():
        raise SuwenError("no /proc", why="peak memory is read from Linux", fix="run it on Linux")
    lines = (line.split() for line in STATUS.read_text(encoding="utf-8").splitlines())
    return next(1024 * int(words[1]) for words in lines if words[0] == "VmHWM:")


def _answer_once(path: str, engine: str, threads: str, batch: str) -> None:
    run = Run(path)
    model = run.load()
    inputs = probes(model, int(batch))
    made = make_engine(model, run, engine, int(threads))
    with evaluating(model.parts().values()), torch.inference_mode():
        made(inputs)
    sys.stdout.write(f"{peak_memory()}\n")


if __name__ == "__main__":
    _answer_once(*sys.argv[1:])
