"""``export``: a Run as a file for a faster engine, kept only if it answers as well."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from suwen.core.errors import NameUnknown, NotKept, RecipeError
from suwen.core.model import Model
from suwen.core.run import Run
from suwen.engines.choose import sound_exports, timing_of
from suwen.engines.eager import plain
from suwen.engines.exports import Exports
from suwen.engines.int8 import mode_of, write_int8
from suwen.engines.known import best_threads
from suwen.engines.network import Network, probes
from suwen.engines.onnx import OPSET, write_onnx
from suwen.engines.openvino import write_openvino
from suwen.engines.parity import BATCHES, TOLERANCE, differences
from suwen.engines.table import ENGINES, check_installed
from suwen.engines.timing import cores, machine
from suwen.verbs.int8 import Trial, in_words
from suwen.verbs.work import versions

FORMATS = ("onnx", "openvino")


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
    data: str | Path | None = None,
    opset: int | None = None,
    quiet: bool = False,
) -> Exported:
    """Write a Run as one graph, from raw inputs to logits and pooled features, into its own folder.

    The new file replaces an earlier one only after its answers have been compared with torch's: in float32 they are
    the same within 1e-4; an 8-bit graph must be faster than the float32 one of the same runtime, and within half a
    percentage point of its accuracy and headline metric on validation images. Adapters are merged first. Then every
    engine is timed here, and ``predict`` uses the fastest from now on.

    Args:
        run: folder of a Run.
        to: ``"onnx"`` or ``"openvino"``.
        int8: ``"static"`` or ``"dynamic"``, rows of `suwen.engines.int8.MODES`: ONNX with 8-bit layers.
        data: where int8 finds training images to calibrate on and validation images to be judged on; the Run's own
            data unless given. Test images are never looked at.
        opset: version of ONNX's operators.
        quiet: print nothing.

    Raises:
        NotKept: the answers differ too much, or int8 is not faster. What was there before is untouched.
        ExtraMissing: the packages of this format are not installed.
        RecipeError: an opset that this machine lacks, or int8 for another format than ONNX.
        DataError: int8, and there are no training or validation images.
        NameUnknown: an unknown format, or an unknown int8 mode.
    """
    name = _engine_named(to, int8, data)
    check_installed(name)
    folder, console = Run(run), Console(quiet=quiet, highlight=False)
    model, exports = folder.load().merged(), Exports(folder)
    trial = None if int8 is None else Trial.of(folder, model, data)
    facts = _facts(model, folder, name, opset or OPSET)
    with exports.staging() as staging:
        graph = staging / "float32.onnx"
        metadata = {f"suwen.{key}": json.dumps(value) for key, value in facts.items()}
        write_onnx(Network(model), probes(model, 3), graph, opset=opset or OPSET, metadata=metadata)
        made = graph
        if to == "openvino":
            made = staging / "model.xml"
            write_openvino(graph, made)
        if trial is not None and int8 is not None:
            made = staging / "model.onnx"
            write_int8(graph, made, int8, trial.images(), metadata=facts)
            facts["int8"] = {"mode": int8, **trial.judge(graph, made)}
        else:
            facts["parity"] = _same(model, made, to)
        record = exports.commit(name, made, facts)
    seconds = _time(model, folder)
    found = Exported(name=name, file=exports.folder / record["file"], record=record, seconds=seconds)
    _say(console, found, folder)
    return found


def _engine_named(to: str, int8: str | None, data: str | Path | None) -> str:
    """The engine that these options make the file of."""
    if to not in FORMATS:
        raise NameUnknown("format", to, FORMATS, fix="--to onnx")
    if int8 is None:
        if data is not None:
            raise RecipeError("--data without --int8", why="only int8 looks at images", fix="--int8 static")
        return to
    mode_of(int8)
    if to != "onnx":
        raise RecipeError(f"--int8 with --to {to}", why="8-bit layers are for ONNX Runtime", fix="drop --to")
    return "onnx-int8"


def _facts(model: Model, run: Run, name: str, opset: int) -> dict[str, Any]:
    """What a reader of the file alone must know."""
    return {
        "model": model.name,
        "task": model.task.name,
        "source": run.source_digest(),
        "engine": name,
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


def _time(model: Model, run: Run) -> dict[str, float]:
    """Median seconds of one input with each engine here; written beside the exports, where ``predict`` looks."""
    timing = timing_of(model, run, sound_exports(run))
    names = dict.fromkeys(engine for engine, _ in timing[1])
    return {engine: best_threads(timing, engine, 1)[1].median for engine in names}


def _say(console: Console, found: Exported, run: Run) -> None:
    if parity := found.record.get("parity"):
        console.print(
            f"same answers as torch: largest difference of logits {parity['logits']:.1e}, of features "
            f"{parity['pooled']:.1e}, on {parity['inputs']} inputs"
        )
    if int8 := found.record.get("int8"):
        console.print(f"kept, as {int8['mode']} int8 on {int8['data']}: {in_words(int8)}")
    said = ", ".join(
        f"{name} {1000 * value:.1f} ms" for name, value in sorted(found.seconds.items(), key=lambda x: x[1])
    )
    console.print(f"one input: {said}\n[bold]{found.file}[/]")
    console.print(f"type    suwen predict {run.path} FILE")
