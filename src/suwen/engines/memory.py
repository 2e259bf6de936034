"""How much memory a process needs that answers with one engine: ``python -m suwen.engines.memory RUN ENGINE THREADS``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from suwen.core.errors import SuwenError


def peak_memory(run: Path, engine: str, threads: int, batch: int) -> int | None:
    """Bytes, at most, of a fresh process that loads a Run and answers one batch; None where the system does not say."""
    words = [sys.executable, "-m", "suwen.engines.memory", str(run), engine, str(threads), str(batch)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SuwenError(f"the engine {engine} failed in a process of its own", why=done.stderr.strip()[-300:])
    said = done.stdout.strip().splitlines()[-1]
    return None if said == "unknown" else int(said)


def main(run: str, engine: str, threads: str, batch: str) -> None:
    """Answer one batch, then print the peak of this process in bytes."""
    from suwen.core.run import Run
    from suwen.engines.choose import make_engine
    from suwen.engines.network import probes

    folder = Run(run)
    model = folder.load()
    make_engine(model, folder, engine, int(threads))(probes(model, int(batch)))
    # of this process only: ru_maxrss would also hold what its parent had before it
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    peak = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
    print("unknown" if peak is None else peak)


if __name__ == "__main__":
    main(*sys.argv[1:])
