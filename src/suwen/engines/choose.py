"""Which engine answers: the one that was named, or the fastest that was measured here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from suwen.core.engine import Engine
from suwen.core.errors import RecipeError, SuwenError
from suwen.core.files import write_json
from suwen.core.model import Model
from suwen.core.run import Run
from suwen.engines.exports import Exports, read_json
from suwen.engines.network import probes
from suwen.engines.table import ENGINES, check_installed, kind_of
from suwen.engines.timing import BATCHES, Latency, cores, machine, measure

SECONDS = 2.0
"""About how long the engines are timed at each batch size."""

Timing = dict[int, dict[tuple[str, int], Latency]]
"""Batch size → (engine, threads) → latency."""


def choose_engine(model: Model, run: Run | None, wanted: str = "auto", *, batch: int = 1) -> Engine | None:
    """The engine to answer with; None stands for torch as it is.

    Args:
        model: loaded from `run`.
        run: where exports are; None for a Model that is only in memory.
        wanted: a row of `suwen.engines.table.ENGINES`, or ``"auto"``: the fastest of those whose answers are torch's,
            as timed on this machine. Without any export that is torch as it is.
        batch: about how many inputs will be asked at once.

    Raises:
        NameUnknown: no such engine.
        ExtraMissing: the engine named is not installed.
        RunError: its export is missing, damaged or stale. ``"auto"`` warns and passes it over.
        RecipeError: an engine other than torch's own, on another device than the processor.
    """
    if wanted == "torch":
        return None
    if model.device.type != "cpu":
        if wanted != "auto":
            raise RecipeError(
                f"--engine {wanted} on {model.device}", why="engines run on the processor", fix="--device cpu"
            )
        return None
    if wanted != "auto":
        return _named(model, run, wanted, batch)
    if run is None or not run.engines.is_dir() or not (names := _sound(Exports(run))):
        return None
    row = _row(timing_of(model, run, names), batch)
    name, threads = min(row, key=lambda each: row[each].median)
    return None if name == "torch" else make_engine(model, run, name, threads)


def make_engine(model: Model, run: Run | None, name: str, threads: int) -> Engine:
    """One engine with so many threads.

    Raises:
        RecipeError: it needs an exported file, and the Model came without its folder.
    """
    kind = kind_of(name)
    if kind.make is not None:
        return kind.make(model, threads)
    if run is None:
        raise RecipeError(
            f"--engine {name} for a Model in memory",
            why="its exported file is in the folder of a Run",
            fix=f'suwen.predict("runs/…", …, engine="{name}")',
        )
    assert kind.open is not None
    return kind.open(Exports(run).file(name), threads)


def timing_of(model: Model, run: Run, names: list[str]) -> Timing:
    """How fast torch's engines and these exports are here: as written beside them, measured anew where it is not so."""
    path, stamp = run.engines / "timing.json", _stamp(run, names)
    known = read_json(path)
    if known.get("stamp") == stamp:
        return {
            int(size): {_pair(key): Latency(**found) for key, found in row.items()}
            for size, row in known["seconds"].items()
        }
    timing = time_engines(model, run, [*_in_memory(), *names])
    seconds = {str(size): {f"{n} {t}": f.to_json() for (n, t), f in row.items()} for size, row in timing.items()}
    try:
        write_json(path, {"stamp": stamp, "seconds": seconds})
    except OSError as error:
        warnings.warn(f"{path} cannot be written ({error}): the engines are timed again at each start", stacklevel=2)
    return timing


def time_engines(model: Model, run: Run | None, names: list[str], *, seconds: float = SECONDS) -> Timing:
    """Latencies of engines by name, each with one thread and with all cores."""
    pairs = [(name, threads) for name in names for threads in sorted({1, cores()})]
    engines = {f"{name} {threads}": make_engine(model, run, name, threads) for name, threads in pairs}
    found = {size: measure(engines, probes(model, size), seconds=seconds) for size in BATCHES}
    return {size: {_pair(key): latency for key, latency in row.items()} for size, row in found.items()}


def best_threads(timing: Timing, name: str, batch: int) -> tuple[int, Latency]:
    """With how many threads an engine was fastest, and how fast."""
    row = {threads: latency for (engine, threads), latency in _row(timing, batch).items() if engine == name}
    threads = min(row, key=lambda each: row[each].median)
    return threads, row[threads]


def _named(model: Model, run: Run | None, name: str, batch: int) -> Engine:
    kind_of(name)
    threads = cores()
    if (
        run is not None
        and (known := read_json(run.engines / "timing.json")).get("stamp", {}).get("machine") == machine()
    ):
        size = min(BATCHES, key=lambda each: abs(each - batch))
        row = {_pair(key): found["median"] for key, found in known["seconds"][str(size)].items()}
        timed = {each: seconds for (engine, each), seconds in row.items() if engine == name}
        threads = min(timed, key=timed.__getitem__) if timed else threads
    return make_engine(model, run, name, threads)


def _sound(exports: Exports) -> list[str]:
    """Exports that can be used as they are; of the others it is said why not."""
    found = []
    for name in exports.names():
        if name not in ENGINES or not ENGINES[name].automatic:
            continue
        try:
            exports.record(name)
            check_installed(name)
        except SuwenError as error:
            warnings.warn(f"the engine {name} is passed over: {error}", stacklevel=4)
        else:
            found.append(name)
    return found


def _in_memory() -> list[str]:
    return [name for name, kind in ENGINES.items() if kind.make is not None and kind.automatic]


def _row(timing: Mapping[int, Any], batch: int) -> Any:
    return timing[min(timing, key=lambda size: abs(size - batch))]


def _pair(key: str) -> tuple[str, int]:
    name, threads = key.rsplit(" ", 1)
    return name, int(threads)


def _stamp(run: Run, names: list[str]) -> dict[str, Any]:
    files = {name: read_json(run.engines / f"{name}.json")["file"] for name in names}
    return {"machine": machine(), "source": run.source_digest(), "files": files}
