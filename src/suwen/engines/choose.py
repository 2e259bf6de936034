"""Which engine answers: the one that was named, or the fastest that was measured here."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from suwen.core.engine import Engine
from suwen.core.errors import RecipeError, SuwenError
from suwen.core.model import Model
from suwen.core.run import Run
from suwen.engines.exports import Exports
from suwen.engines.known import Known, Pair, Timing, best_threads, nearest, read_known, write_known
from suwen.engines.table import ENGINES, check_installed, kind_of
from suwen.engines.timing import cores, machine, measure_batches, thread_counts

SECONDS = 2.0
"""About how long the engines are timed at each batch size."""


def choose_engine(model: Model, run: Run | None, wanted: str = "auto", *, batch: int = 1) -> Engine | None:
    """The engine to answer with; None stands for torch as it is.

    Args:
        model: loaded from `run`.
        run: where exports are; None for a Model that is only in memory.
        wanted: a row of `suwen.engines.table.ENGINES`, or ``"auto"``: the fastest of those that were kept in the Run,
            as timed on this machine. Without any export that is torch as it is. An export that is stale, damaged or
            cannot run here is passed over with a warning.
        batch: about how many inputs will be asked at once.

    Raises:
        NameUnknown: no such engine.
        ExtraMissing: the engine named is not installed.
        RunError: the export of the engine named is missing, damaged or stale.
        RecipeError: an engine other than torch's own, on another device than the processor; or this machine's runtime
            cannot run the file of the engine named.
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
        return make_engine(model, run, wanted, _best_known_threads(run, wanted, batch))
    if run is None or not run.engines.is_dir() or not (records := sound_exports(run)):
        return None
    row = nearest(timing_of(model, run, records), batch)
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


def sound_exports(run: Run) -> dict[str, dict[str, Any]]:
    """Engine → record of each export that is whole, of this Run's weights, and has its packages here.

    Of the others it is said why they are passed over.
    """
    exports, found = Exports(run), {}
    for name in exports.names():
        try:
            check_installed(name)
            found[name] = exports.record(name)
        except SuwenError as error:
            _pass_over(name, error)
    return {name: record for name, record in found.items() if ENGINES[name].automatic}


def timing_of(model: Model, run: Run, records: Mapping[str, Mapping[str, Any]]) -> Timing:
    """How fast torch's engines and these exports are here: as written beside them, measured anew where it is not so.

    Args:
        model, run: as for `choose_engine`.
        records: of `sound_exports`. Those that this machine cannot run are passed over.
    """
    known, stamp = read_known(run), _stamp(run, records)
    if known.stamp == stamp:
        for name, said in known.refused.items():
            _pass_over(name, said)
        return known.timing
    engines, refused = open_engines(model, run, [*in_memory(), *records])
    timing = measure_batches(engines, model, seconds=SECONDS)
    write_known(run, Known(stamp, timing, refused))
    return timing


def open_engines(model: Model, run: Run, names: Iterable[str]) -> tuple[dict[Pair, Engine], dict[str, str]]:
    """Each engine with one thread and with all cores; and of those that cannot run here, why not, which is said."""
    engines: dict[Pair, Engine] = {}
    refused = {}
    for name in names:
        try:
            engines |= {(name, threads): make_engine(model, run, name, threads) for threads in thread_counts()}
        except SuwenError as error:
            refused[name] = str(error)
            _pass_over(name, error)
    return engines, refused


def _pass_over(name: str, why: SuwenError | str) -> None:
    warnings.warn(f"the engine {name} is passed over: {why}", stacklevel=5)


def _best_known_threads(run: Run | None, name: str, batch: int) -> int:
    """As measured on this machine before; all cores where nothing was."""
    kind_of(name)
    known = Known() if run is None else read_known(run)
    here = known.stamp.get("machine") == machine() and any(engine == name for engine, _ in nearest(known.timing, batch))
    return best_threads(known.timing, name, batch)[0] if here else cores()


def in_memory() -> list[str]:
    """Engines that need no file and start at once."""
    return [name for name, kind in ENGINES.items() if kind.make is not None and kind.automatic]


def _stamp(run: Run, records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    files = {name: record["file"] for name, record in records.items()}
    return {"machine": machine(), "source": run.source_digest(), "files": files}
