"""OpenVINO: the file, and its runtime as an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from suwen.core.errors import RecipeError
from suwen.engines.extras import need


class OpenVinoEngine:
    """OpenVINO on the processor, in float32.

    Args:
        file: the ``.xml`` of a graph with the input ``inputs`` and the outputs ``logits`` and ``pooled``.
        threads: how many cores it may use.

    Raises:
        ExtraMissing: openvino is not installed.
        RecipeError: this openvino cannot run the file.
    """

    name = "openvino"

    def __init__(self, file: Path, threads: int) -> None:
        openvino = need("the engine openvino", "openvino", "openvino")
        self.threads = threads
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # without this, processors that have bfloat16 would answer in it
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            compiled = openvino.Core().compile_model(str(file), "CPU", settings)
        except RuntimeError as error:
            raise RecipeError(
                f"openvino {openvino.__version__} cannot run {file.name}",
                why=" ".join(str(error).split())[:300],
                fix="pip install --upgrade openvino, or suwen export RUN --to openvino again",
            ) from error
        self.request: Any = compiled.create_infer_request()

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """See `suwen.core.engine.Engine`."""
        self.request.infer({"inputs": inputs.numpy()})
        logits, pooled = (self.request.get_tensor(name).data for name in ("logits", "pooled"))
        # the request writes the next answer over these
        return torch.from_numpy(logits.copy()), torch.from_numpy(pooled.copy())


def write_openvino(onnx: Path, file: Path) -> None:
    """Write an ONNX graph as OpenVINO's ``file`` (.xml) and its weights beside it (.bin), in float32.

    Raises:
        ExtraMissing: openvino is not installed.
    """
    openvino = need("export to OpenVINO", "openvino", "openvino")
    openvino.save_model(openvino.Core().read_model(str(onnx)), str(file), compress_to_fp16=False)
