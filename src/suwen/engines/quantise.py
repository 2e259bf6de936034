"""8-bit graphs from float ones, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from suwen.engines.extras import need

BATCH = 32
"""Images a step of calibration."""


def static(source: Path, target: Path, images: np.ndarray) -> None:
    """Weights and activations in 8 bits; the range of each activation is the one seen on `images`.

    Per-channel weights, activations by unsigned bytes (Jacob et al. 2018; Krishnamoorthi 2018, section 3).

    Args:
        source: a float graph.
        target: to write.
        images: as the Model's preprocessing gives them, uint8 ``(N, C, H, W)``.
    """
    quantization = need("8-bit export", "onnx", "onnxruntime.quantization")
    with _prepared(source) as prepared:
        quantization.quantize_static(
            str(prepared),
            str(target),
            _reader(quantization, images),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def dynamic(source: Path, target: Path, images: np.ndarray) -> None:
    """Weights in 8 bits; activations are scaled as they come, so `images` are not looked at. Made for transformers.

    Only matrix products: convolutions with ranges found on the way are slower than in float.
    """
    quantization = need("8-bit export", "onnx", "onnxruntime.quantization")
    with _prepared(source) as prepared:
        quantization.quantize_dynamic(
            str(prepared),
            str(target),
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=quantization.QuantType.QInt8,
        )


WAYS: dict[str, Callable[[Path, Path, np.ndarray], None]] = {"static": static, "dynamic": dynamic}
"""``--int8 WAY``."""


@contextmanager
def _prepared(source: Path) -> Iterator[Path]:
    """The graph with every shape worked out and constants folded, as quantisation wants it."""
    preparing = need("8-bit export", "onnx", "onnxruntime.quantization.shape_inference")
    file = source.with_name(f"prepared-{source.name}")
    try:
        preparing.quant_pre_process(str(source), str(file))
        yield file
    finally:
        file.unlink(missing_ok=True)


def _reader(quantization: Any, images: np.ndarray) -> Any:
    class Images(quantization.CalibrationDataReader):  # type: ignore[name-defined,misc]
        """Batches of the images, once."""

        def __init__(self) -> None:
            self.batches = iter([images[start : start + BATCH] for start in range(0, len(images), BATCH)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"inputs": batch}

    return Images()
