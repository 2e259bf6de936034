"""The engines there are, as rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suwen.core.engine import Engine
from suwen.core.errors import NameUnknown
from suwen.core.model import Model
from suwen.core.task import load_object
from suwen.engines.extras import need


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One row.

    Attributes:
        summary: one line.
        make: Model, threads → Engine, for those that need no file; else None.
        open: file, threads → Engine, for those that do.
        needs: the extra and its module that run it, None for torch's own.
        option: of ``suwen export``, which makes its file.
        automatic: ``--engine auto`` may choose it. Not those that take long to start.
    """

    summary: str
    make: Callable[[Model, int], Engine] | None = None
    open: Callable[[Path, int], Engine] | None = None
    needs: tuple[str, str] | None = None
    option: str = ""
    automatic: bool = True


def _later(module: str, thing: str, **settings: Any) -> Callable[..., Any]:
    """A function that is imported when it is called."""
    return lambda *arguments: load_object(f"suwen.engines.{module}:{thing}")(*arguments, **settings)


ONNX = ("onnx", "onnxruntime")

ENGINES: dict[str, Kind] = {
    "torch": Kind(summary="the Model as it is", make=_later("eager", "plain")),
    "frozen": Kind(summary="batch norms folded into convolutions, channels-last", make=_later("eager", "frozen")),
    "compiled": Kind(summary="frozen, then torch.compile", make=_later("eager", "compiled"), automatic=False),
    "onnx": Kind(summary="ONNX Runtime", open=_later("onnx", "OnnxEngine"), needs=ONNX, option="--to onnx"),
    "onnx-int8": Kind(
        summary="ONNX Runtime on 8-bit weights and activations",
        open=_later("onnx", "OnnxEngine", name="onnx-int8"),
        needs=ONNX,
        option="--int8 static",
    ),
    "openvino": Kind(
        summary="OpenVINO",
        open=_later("openvino", "OpenVinoEngine"),
        needs=("openvino", "openvino"),
        option="--to openvino",
    ),
}


def kind_of(name: str) -> Kind:
    """The row of this name.

    Raises:
        NameUnknown: there is none; the nearest are offered.
    """
    if name not in ENGINES:
        raise NameUnknown("engine", name, ["auto", *ENGINES], fix="--engine auto")
    return ENGINES[name]


def check_installed(name: str) -> None:
    """Whether an engine's packages are here.

    Raises:
        ExtraMissing: one is not.
    """
    if (needs := kind_of(name).needs) is not None:
        need(f"the engine {name}", *needs)
