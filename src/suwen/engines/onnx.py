"""ONNX: the file, and ONNX Runtime as an engine."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from suwen.core.errors import RecipeError, SuwenError
from suwen.engines.extras import need

OPSET = 18
"""The operator set that torch's exporter speaks natively; others are made from it by conversion."""

REFUSALS = ("Fail", "NotImplemented", "InvalidGraph", "InvalidArgument", "InvalidProtobuf", "RuntimeException")
"""What onnxruntime raises for a file that it cannot run."""


class OnnxEngine:
    """ONNX Runtime on the processor.

    Args:
        file: a graph with the input ``inputs`` and the outputs ``logits`` and ``pooled``.
        threads: that one operator may use.
        name: of the engine.

    Raises:
        ExtraMissing: onnxruntime is not installed.
        RecipeError: this onnxruntime cannot run the file, such as one of a newer opset.
    """

    def __init__(self, file: Path, threads: int, name: str = "onnx") -> None:
        runtime = need(f"the engine {name}", "onnx", "onnxruntime")
        self.name, self.threads = name, threads
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        refusals = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
        try:
            self.session: Any = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except tuple(getattr(refusals, kind) for kind in REFUSALS) as error:
            raise RecipeError(
                f"onnxruntime {runtime.__version__} cannot run {file.name}",
                why=" ".join(str(error).split())[-300:],  # it begins with places in its source
                fix=f"suwen export RUN --opset {OPSET}, or pip install --upgrade onnxruntime",
            ) from error

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """See `suwen.core.engine.Engine`."""
        logits, pooled = self.session.run(["logits", "pooled"], {"inputs": inputs.numpy()})
        return torch.from_numpy(logits), torch.from_numpy(pooled)


def write_onnx(network: nn.Module, inputs: Tensor, file: Path, *, opset: int, metadata: Mapping[str, str]) -> None:
    """Write the graph of `network`, with weights and any number of inputs a batch.

    Args:
        network: inputs → logits, pooled.
        inputs: two or more, to trace it with.
        file: to write.
        opset: version of ONNX's operators.
        metadata: written into the file, for who finds it alone.

    Raises:
        ExtraMissing: onnx or onnxscript is not installed.
        RecipeError: this opset does not exist here, or cannot express the network.
    """
    for module in ("onnx", "onnxscript"):
        need("export to ONNX", "onnx", module)
    _check_opset(opset)
    with torch.no_grad(), quiet() as said:
        try:
            program: Any = torch.onnx.export(
                network,
                (inputs,),
                dynamo=True,
                opset_version=opset,
                input_names=["inputs"],
                output_names=["logits", "pooled"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                external_data=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise SuwenError(
                "this network cannot be written as ONNX",
                why=" ".join(str(error).split())[:300],
                fix="suwen predict RUN FILE --engine frozen   needs no export",
            ) from error
    got = program.model.opset_imports.get("", 0)
    if got != opset:
        raise RecipeError(
            f"--opset {opset}: the exporter wrote opset {got} instead",
            why=" ".join(said.getvalue().split())[-300:] or "it could not convert the graph",
            fix=f"--opset {OPSET}",
        )
    program.model.metadata_props.update(metadata)
    program.save(str(file), external_data=False)


def _check_opset(opset: int) -> None:
    known = need("export to ONNX", "onnx", "onnx").defs.onnx_opset_version()
    if not 1 <= opset <= known:
        raise RecipeError(
            f"--opset {opset}", why=f"the installed onnx knows operator sets up to {known}", fix=f"--opset {OPSET}"
        )


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Exporter and quantiser speak of their own affairs; what they say is kept for the message if they fail."""
    said = io.StringIO()
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            warnings.simplefilter("ignore")
            yield said
    finally:
        logging.disable(level)
