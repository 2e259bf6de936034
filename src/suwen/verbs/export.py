"""``export``: a Run as a file for a faster engine, kept only if it gives the same answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor

from suwen.core.errors import NameUnknown, RecipeError, SuwenError
from suwen.core.model import Model
from suwen.core.run import Run
from suwen.engines.choose import best_threads, time_engines, timing_of
from suwen.engines.eager import plain
from suwen.engines.exports import Exports
from suwen.engines.network import Network, probes
from suwen.engines.onnx import OPSET, OnnxEngine, int8_engine, write_onnx
from suwen.engines.openvino import write_openvino
from suwen.engines.parity import BATCHES, TOLERANCE, differences
from suwen.engines.quantise import WAYS
from suwen.engines.table import ENGINES, check_installed
from suwen.engines.timing import Latency, cores, machine, measure
from suwen.verbs.finetune import versions
from suwen.verbs.variants import Judged, judged_on, labelled

FORMATS = ("onnx", "openvino")

POINTS = 0.005
"""How much accuracy or AUROC an 8-bit export may lose: half a point."""

CALIBRATION_ROWS = 512
"""Most images that show the ranges of activations."""


class NotKept(SuwenError):
    """An export that was made and measured, and is not worth keeping or not the same. The one before it stays."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What ``export`` wrote.

    Attributes:
        name: of the engine that runs it.
        file: the graph.
        record: all that is written beside it: where it comes from, preprocessing, labels, parity, figures.
        seconds: engine → median seconds of one input on this machine, each with its best number of threads.
    """

    name: str
    file: Path
    record: dict[str, Any]
    seconds: dict[str, float]


def export(
    run: str | Path,
    *,
    to: str = "onnx",
    int8: str | None = None,
    calibrate: str | Path | None = None,
    opset: int | None = None,
    quiet: bool = False,
) -> Exported:
    """Write a Run as one graph, from raw inputs to logits and pooled features, into its own folder.

    The new file replaces an earlier one only after its answers have been compared with torch's, on made-up inputs and,
    where given, on real ones. Then every engine is timed here, and ``predict`` uses the fastest from now on.

    Args:
        run: folder of a Run.
        to: ``"onnx"`` or ``"openvino"``.
        int8: ``"static"`` (ranges from `calibrate`) or ``"dynamic"``: 8-bit weights, for ``onnx``. Used by ``predict``
            only when named (``engine="onnx-int8"``), since its answers are not torch's to the last digits.
        calibrate: labelled data as for ``evaluate``; an 8-bit export needs them, another one is compared on them.
        opset: version of ONNX's operators.
        quiet: print nothing.

    Raises:
        NotKept: the answers differ by more than 1e-4; or the 8-bit one is not faster, or loses more than half a point
            of accuracy or AUROC. What was there before is untouched.
        ExtraMissing: the packages of this format are not installed.
        RecipeError: an unknown format, an opset that this machine lacks, or 8 bits without data to judge them by.
    """
    _check(to, int8, calibrate)
    folder, console = Run(run), Console(quiet=quiet, highlight=False)
    model, exports = folder.load(), Exports(folder)
    data = labelled(model, calibrate) if calibrate is not None else None
    name = to if int8 is None else f"{to}-int8"
    facts = _facts(model, folder, to, opset or OPSET)
    with exports.staging() as staging:
        graph = staging / "model.onnx"
        metadata = {f"suwen.{key}": json.dumps(value) for key, value in facts.items()}
        write_onnx(Network(model), probes(model, 3), graph, opset=opset or OPSET, metadata=metadata)
        made = graph
        if to == "openvino":
            made = staging / "openvino" / "model.xml"
            made.parent.mkdir()
            write_openvino(graph, made)
        if int8 is None:
            facts["parity"] = _same(model, made, to, None if data is None else data.inputs(256))
        else:
            made = staging / "int8" / "model.onnx"
            made.parent.mkdir()
            assert data is not None
            WAYS[int8](graph, made, data.inputs(CALIBRATION_ROWS, calibration=True))
            facts |= {"int8": int8, "figures": _worth_it(model, graph, made, data, console)}
        record = exports.commit(name, made, facts)
    seconds = _time(model, folder, exports, name)
    found = Exported(name=name, file=exports.folder / record["file"], record=record, seconds=seconds)
    _say(console, found, folder)
    return found


def _check(to: str, int8: str | None, calibrate: str | Path | None) -> None:
    if to not in FORMATS:
        raise NameUnknown("format", to, FORMATS, fix="--to onnx")
    check_installed(to)
    if int8 is None:
        return
    if int8 not in WAYS:
        raise NameUnknown("8-bit export", int8, WAYS, fix="--int8 static")
    if to != "onnx":
        raise RecipeError(f"--to {to} --int8 {int8}", why="8-bit graphs are made for ONNX Runtime", fix="--to onnx")
    if calibrate is None:
        raise RecipeError(
            f"--int8 {int8} without data",
            why="8 bits change answers; whether they are still good must be measured",
            fix="--calibrate DATA   with labels, such as the data of the Run",
        )


def _facts(model: Model, run: Run, to: str, opset: int) -> dict[str, Any]:
    """What a reader of the file alone must know."""
    return {
        "model": model.name,
        "task": model.task.name,
        "source": run.source_digest(),
        "format": to,
        "opset": opset,
        "preprocess": model.preprocess.model_dump(),
        "labels": list(model.head.labels),
        "calibration": model.calibration.to_json(),
        "views": list(model.views),
        "versions": versions() | {key: value for key, value in machine().items() if key in ("onnxruntime", "openvino")},
    }


def _same(model: Model, file: Path, to: str, real: Tensor | None) -> dict[str, Any]:
    """The largest differences from torch, on batches of several sizes.

    Raises:
        NotKept: they are above the tolerance.
    """
    kind = ENGINES[to]
    assert kind.open is not None
    batches = [probes(model, size, seed=size) for size in BATCHES] + ([] if real is None else list(real.split(64)))
    found = differences(kind.open(file, 1), plain(model, cores()), batches)
    if max(found.values()) > TOLERANCE:
        raise NotKept(
            f"the answers of {to} differ from torch's: logits by {found['logits']:.2e}, features by "
            f"{found['pooled']:.2e}",
            why=f"more than {TOLERANCE:.0e} is more than rounding; nothing was kept, and what was there stays",
            fix="another --opset, or --to with another format",
        )
    return {**found, "tolerance": TOLERANCE, "inputs": sum(len(batch) for batch in batches)}


def _worth_it(model: Model, graph: Path, made: Path, data: Judged, console: Console) -> dict[str, Any]:
    """Figures and latencies of the 8-bit graph beside the float one.

    Raises:
        NotKept: it is not faster at each batch size, or loses too much.
    """
    engines = {"onnx": OnnxEngine(graph, cores()), "onnx-int8": int8_engine(made, cores())}
    figures = {name: judged_on(replace(model, engine=engine), data) for name, engine in engines.items()}
    seconds: dict[int, dict[str, Latency]] = {
        size: measure(engines, probes(model, size), seconds=2.0) for size in (1, 64)
    }
    gains = {size: row["onnx"].median / row["onnx-int8"].median for size, row in seconds.items()}
    lost = {name: value - figures["onnx-int8"][name] for name, value in figures["onnx"].items()}
    said = ", ".join(
        [
            *(f"{gain:.2f}× as fast at batch {size}" for size, gain in gains.items()),
            *(
                f"{name} {figures['onnx-int8'][name]:.4f} against {value:.4f}"
                for name, value in figures["onnx"].items()
            ),
        ]
    )
    console.print(f"8 bits: {said}   (on {len(data.rows)} images, {data.split})")
    reasons = [
        *(f"it is not faster at batch {size}" for size, gain in gains.items() if gain <= 1),
        *(f"it loses {100 * value:.2f} points of {name}" for name, value in lost.items() if not value <= POINTS),
    ]
    if reasons:
        raise NotKept(
            f"8 bits are not worth it here: {said}",
            why=f"{', '.join(reasons)}; nothing was kept, and what was there stays",
            fix=f"suwen export RUN --to onnx   in 32 bits; or the other of --int8 {' and '.join(WAYS)}",
        )
    return {"onnx": figures["onnx"], "onnx-int8": figures["onnx-int8"], "faster": {str(k): v for k, v in gains.items()}}


def _time(model: Model, run: Run, exports: Exports, name: str) -> dict[str, float]:
    """Median seconds of one input with each engine here; written beside the exports, where ``predict`` looks."""
    usable = [each for each in exports.names() if ENGINES[each].automatic and _whole(exports, each)]
    timing = timing_of(model, run, usable)
    if name not in usable:
        timing = {size: timing[size] | row for size, row in time_engines(model, run, [name]).items()}
    names = dict.fromkeys(engine for engine, _ in timing[1])
    return {engine: best_threads(timing, engine, 1)[1].median for engine in names}


def _whole(exports: Exports, name: str) -> bool:
    try:
        exports.record(name)
        check_installed(name)
    except SuwenError:
        return False
    return True


def _say(console: Console, found: Exported, run: Run) -> None:
    if parity := found.record.get("parity"):
        console.print(
            f"same answers as torch: largest difference of logits {parity['logits']:.1e}, of features "
            f"{parity['pooled']:.1e}, on {parity['inputs']} inputs"
        )
    said = ", ".join(
        f"{name} {1000 * value:.1f} ms" for name, value in sorted(found.seconds.items(), key=lambda x: x[1])
    )
    console.print(f"one input: {said}\n[bold]{found.file}[/]")
    named = f" --engine {found.name}" if not ENGINES[found.name].automatic else ""
    console.print(f"type    suwen predict {run.path} FILE{named}")
