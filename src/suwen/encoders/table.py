"""``suwen:table``: the values of a row as the numbers of a linear model, and as they are. It has no weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.core.preprocess import Preprocess
from suwen.data.table.design import HINGE, LEVEL, MISSING, Design, design_of


class TableEncoder(nn.Module):
    """`Features.pooled` ``(B, D)`` are the numbers of a `Design`, what is missing filled in; `Features.tokens`
    ``(B, C, 1)`` are the values themselves, NaN where missing, for heads that know what to do with that (trees).

    Means, deviations, knots and levels are those of the training rows, and come with the preprocessing.

    Args:
        preprocess: a fitted `suwen.data.table.preprocess.TablePreprocess`.
        weights: must be None; there are none.
        needs: not looked at; both kinds of features cost nothing.
        splines: let the lines of numbers bend at their quantiles.

    Raises:
        RecipeError: weights are asked for, or the preprocessing is not one of tables.
    """

    licence: str | None = None
    pretrained = True
    map_widths: tuple[int, ...] = ()

    def __init__(
        self,
        preprocess: Preprocess,
        *,
        weights: str | None = None,
        needs: frozenset[str] = frozenset(),
        splines: bool = True,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"name": "suwen:table", "splines": splines}
        self.columns = columns_of(preprocess, weights)
        self.design: Design = design_of(self.columns, splines=splines)
        self.width = len(self.design.source)
        for name in ("source", "kind", "shift", "scale", "typical", "gaps"):
            self.register_buffer(name, torch.from_numpy(getattr(self.design, name)), persistent=False)

    def forward(self, inputs: Tensor) -> Features:
        """``(B, C)`` values → `Features`; see `Design`."""
        source, kind, shift = self._buffer("source"), self._buffer("kind"), self._buffer("shift")
        absent = inputs.isnan()
        filled = torch.where(absent, self._buffer("typical"), inputs)
        moved = (filled[:, source] - shift) / self._buffer("scale")
        found = torch.where(kind == HINGE, moved.clamp(min=0), moved)
        lacking = absent[:, source]
        found = torch.where(kind == MISSING, lacking.to(found.dtype), found)
        found = torch.where(kind == LEVEL, ((filled[:, source] == shift) & ~lacking).to(found.dtype), found)
        # trees that never saw this column without a value would take NaN for 0
        raw = torch.where(absent & ~self._buffer("gaps"), self._buffer("typical"), inputs)
        return Features(found, tokens=raw[:, :, None])

    def _buffer(self, name: str) -> Tensor:
        found: Tensor = getattr(self, name)
        return found

    def depths(self) -> dict[str, int]:
        """There are no parameters."""
        return {}

    def cam_layer(self) -> nn.Module:
        """There is none.

        Raises:
            RecipeError: always.
        """
        raise RecipeError("grad-cam of a table", why="it has no maps", fix="--method tree-shap")


def columns_of(preprocess: Preprocess, weights: str | None) -> tuple[Any, ...]:
    """The columns of a fitted preprocessing of tables.

    Raises:
        RecipeError: it is another, or weights are asked for.
    """
    columns: tuple[Any, ...] = getattr(preprocess, "columns", ())
    if not columns:
        raise RecipeError(
            "this encoder reads tables",
            why=f"{type(preprocess).__name__} has no columns",
            fix="suwen finetune table-risk FILE.csv; suwen encoders lists those of images",
        )
    if weights is not None:
        raise RecipeError(f"weights {weights!r}", why="columns differ from table to table", fix="leave --weights out")
    return columns
