"""int8: an ONNX graph whose layers compute with 8-bit integers, ``x ≈ s (q - z)``.

Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
CVPR 2018 (equation 1); one scale an output channel: Krishnamoorthi, arXiv:1806.08342 (2018), section 3.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.errors import NameUnknown, RecipeError
from suwen.engines.extras import need
from suwen.engines.onnx import OPSET, quiet

LEAST_OPSET = 13
"""QuantizeLinear has one scale a channel from this operator set on."""

Images = Iterable[np.ndarray]
"""Batches ``(B, C, H, W)`` as the Model's preprocessing gives them."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way to find the scales of activations.

    Attributes:
        summary: one line.
        write: (float graph, file to write, images).
        calibrated: whether it looks at images.
    """

    summary: str
    write: Callable[[Path, Path, Images], None]
    calibrated: bool


def _static(graph: Path, file: Path, images: Images) -> None:
    """Ranges of all activations are measured once. What is pooled and what is answered stays in float32.

    Weights use 7 bits: without VNNI instructions, sums of products of 8 bits overflow their 16 (ONNX Runtime,
    "Quantize ONNX models", When and why do I need to try U8U8?).
    """
    library = _library()
    library.quantize_static(
        graph,
        file,
        _reader(library, iter(images)),
        op_types_to_quantize=["Conv", "Gemm", "MatMul", "Add", "MaxPool"],
        per_channel=True,
        reduce_range=True,
        activation_type=library.QuantType.QUInt8,
        weight_type=library.QuantType.QInt8,
    )


def _dynamic(graph: Path, file: Path, images: Images) -> None:
    """Ranges of activations are measured anew in every answer, which pays in matrix products, not in convolutions."""
    library = _library()
    library.quantize_dynamic(graph, file, op_types_to_quantize=["Gemm", "MatMul"], weight_type=library.QuantType.QUInt8)


MODES: dict[str, Mode] = {
    "static": Mode(summary="ranges of activations from training images", write=_static, calibrated=True),
    "dynamic": Mode(
        summary="ranges of activations in each answer, for transformers; convolutions stay as they are",
        write=_dynamic,
        calibrated=False,
    ),
}


def mode_of(name: str) -> Mode:
    """The row of this name.

    Raises:
        NameUnknown: there is none.
    """
    if name not in MODES:
        raise NameUnknown("int8 mode", name, MODES, fix="--int8 static, or --int8 dynamic for a transformer")
    return MODES[name]


def write_int8(graph: Path, file: Path, mode: str, images: Images, *, metadata: Mapping[str, Any]) -> None:
    """Write the float32 `graph` with 8-bit weights and activations.

    Args:
        graph: as `suwen.engines.onnx.write_onnx` made it.
        file: to write.
        mode: a row of `MODES`.
        images: to calibrate on, where the mode does.
        metadata: written into the file as JSON, in place of that of `graph`.

    Raises:
        ExtraMissing: onnx or onnxruntime is not installed.
        RecipeError: the graph's operator set is too old.
    """
    onnx = need("int8", "onnx", "onnx")
    opset = next(each.version for each in onnx.load(graph, load_external_data=False).opset_import if not each.domain)
    if opset < LEAST_OPSET:
        raise RecipeError(
            f"--int8 {mode} with --opset {opset}",
            why=f"8-bit layers need operator set {LEAST_OPSET} or later",
            fix=f"--opset {OPSET}",
        )
    with quiet():
        mode_of(mode).write(graph, file, images)
    made = onnx.load(file)
    onnx.helper.set_model_props(made, {f"suwen.{key}": json.dumps(value) for key, value in metadata.items()})
    onnx.save(made, file)


def _library() -> Any:
    for module in ("onnx", "onnxruntime"):
        need("int8", "onnx", module)
    return import_module("onnxruntime.quantization")


def _reader(library: Any, images: Iterator[np.ndarray]) -> Any:
    """Batches in the form that ONNX Runtime asks for."""

    class Reader(library.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(images, None)
            return None if batch is None else {"inputs": batch}

    return Reader()
