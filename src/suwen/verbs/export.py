"""``export``: a Run as a file for a faster engine, kept only if it gives the same answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from suwen.core.errors import NameUnknown, SuwenError
from suwen.core.model import Model
from suwen.core.run import Run
from suwen.engines.choose import best_threads, timing_of
from suwen.engines.eager import plain
from suwen.engines.exports import Exports
from suwen.engines.network import Network, probes
from suwen.engines.onnx import OPSET, write_onnx
from suwen.engines.openvino import write_openvino
from suwen.engines.parity import BATCHES, TOLERANCE, differences
from suwen.engines.table import ENGINES, check_installed
from suwen.engines.timing import cores, machine
from suwen.verbs.work import versions

FORMATS = ("onnx", "openvino")


class NotKept(SuwenError):
    """An export that was made and does not answer as torch does. The one before it stays."""


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
    opset: int | None = None,
    quiet: bool = False,
) -> Exported:
    """Write a Run as one graph, from raw inputs to logits and pooled features, into its own folder.

    The new file replaces an earlier one only after its answers have been compared with torch's. Adapters are merged
    first. Then every engine is timed here, and ``predict`` uses the fastest from now on.

    Args:
        run: folder of a Run.
        to: ``"onnx"`` or ``"openvino"``.
        opset: version of ONNX's operators.
        quiet: print nothing.

    Raises:
        NotKept: the answers differ by more than 1e-4. What was there before is untouched.
        ExtraMissing: the packages of this format are not installed.
        RecipeError: an opset that this machine lacks.
        NameUnknown: an unknown format.
    """
    if to not in FORMATS:
        raise NameUnknown("format", to, FORMATS, fix="--to onnx")
    check_installed(to)
    folder, console = Run(run), Console(quiet=quiet, highlight=False)
    model, exports = folder.load().merged(), Exports(folder)
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
        facts["parity"] = _same(model, made, to)
        record = exports.commit(to, made, facts)
    seconds = _time(model, folder, exports)
    found = Exported(name=to, file=exports.folder / record["file"], record=record, seconds=seconds)
    _say(console, found, folder)
    return found


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


def _same(model: Model, file: Path, to: str) -> dict[str, Any]:
    """The largest differences from torch, on batches of several sizes.

    Raises:
        NotKept: they are above the tolerance.
    """
    kind = ENGINES[to]
    assert kind.open is not None
    batches = [probes(model, size, seed=size) for size in BATCHES]
    found = differences(kind.open(file, 1), plain(model, cores()), batches)
    if max(found.values()) > TOLERANCE:
        raise NotKept(
            f"the answers of {to} differ from torch's: logits by {found['logits']:.2e}, features by "
            f"{found['pooled']:.2e}",
            why=f"more than {TOLERANCE:.0e} is more than rounding; nothing was kept, and what was there stays",
            fix="another --opset, or --to with another format",
        )
    return {**found, "tolerance": TOLERANCE, "inputs": sum(len(batch) for batch in batches)}


def _time(model: Model, run: Run, exports: Exports) -> dict[str, float]:
    """Median seconds of one input with each engine here; written beside the exports, where ``predict`` looks."""
    usable = [each for each in exports.names() if each in ENGINES and ENGINES[each].automatic and _whole(exports, each)]
    timing = timing_of(model, run, usable)
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
    console.print(f"type    suwen predict {run.path} FILE")
