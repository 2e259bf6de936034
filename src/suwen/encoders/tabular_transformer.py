"""``suwen:tabular-transformer``: each column of a row is a token (FT-Transformer)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.core.preprocess import Preprocess
from suwen.encoders.table import columns_of

WIDTH, LAYERS, HEADS = 64, 3, 8
"""Smaller than the default of Gorishniy et al. (192, 3, 8): for tables of a few thousand rows and two cores."""

DROPOUT = 0.1


class TabularTransformer(nn.Module):
    """FT-Transformer (Gorishniy et al., Revisiting deep learning models for tabular data, NeurIPS 2021, section 3.3).

    A number x of column j becomes the token ``b_j + x · w_j``, a level the token ``b_j + e_level``, and a missing value
    the token ``b_j + m_j``, which is learnt. `Features.pooled` is the [CLS] token after the last layer, `tokens` are
    those of the columns. Layers normalise first; their feed-forward blocks have twice the width and GELU, in place of
    ReGLU.

    Args:
        preprocess: a fitted `suwen.data.table.preprocess.TablePreprocess`.
        weights: must be None.
        needs: not looked at.
        width: of a token, a multiple of `heads`.
        layers, heads, dropout: of the transformer.

    Raises:
        RecipeError: weights are asked for, the preprocessing is not one of tables, or the width does not fit.
    """

    licence: str | None = None
    pretrained = False
    map_widths: tuple[int, ...] = ()

    def __init__(
        self,
        preprocess: Preprocess,
        *,
        weights: str | None = None,
        needs: frozenset[str] = frozenset(),
        width: int = WIDTH,
        layers: int = LAYERS,
        heads: int = HEADS,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        if width % heads or width < heads or layers < 1:
            raise RecipeError(
                f"width = {width}, heads = {heads}, layers = {layers}",
                why="each head takes an equal part of the width, and there is at least one layer",
                fix=f"--set encoder.options.width={heads * max(1, width // heads)}",
            )
        self.config: dict[str, Any] = {
            "name": "suwen:tabular-transformer",
            "width": width,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
        }
        columns = columns_of(preprocess, weights)
        self.width = width
        self.tokens = ColumnTokens(columns, width)
        self.first = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 2 * width, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: Tensor) -> Features:
        """``(B, C)`` values, NaN where missing → `Features`."""
        tokens = self.tokens(inputs)
        seen = torch.cat([self.first.expand(len(inputs), 1, -1), tokens], dim=1)
        for layer in self.layers:
            seen = layer(seen)
        seen = self.norm(seen)
        return Features(seen[:, 0], tokens=seen[:, 1:])

    def depths(self) -> dict[str, int]:
        """Tokens first, then layer by layer."""
        deepest = len(self.layers) + 1
        return {
            name: int(name.split(".")[1]) + 1 if name.startswith("layers.") else deepest if name[:4] == "norm" else 0
            for name, _ in self.named_parameters()
        }

    def cam_layer(self) -> nn.Module:
        """There is none.

        Raises:
            RecipeError: always.
        """
        raise RecipeError("grad-cam of a table", why="it has no maps", fix="--method kernel-shap")


class ColumnTokens(nn.Module):
    """``(B, C)`` values → ``(B, C, width)`` tokens.

    Args:
        columns: `suwen.data.table.column.Column` of each.
        width: of a token.
    """

    level: Tensor
    mean: Tensor
    sd: Tensor
    starts: Tensor
    lasts: Tensor

    def __init__(self, columns: tuple[Any, ...], width: int) -> None:
        super().__init__()
        sizes = [len(column.levels) + 1 if column.kind == "level" else 0 for column in columns]
        scale = width**-0.5
        self.bias = nn.Parameter(torch.empty(len(columns), width).uniform_(-scale, scale))
        self.slope = nn.Parameter(torch.empty(len(columns), width).uniform_(-scale, scale))
        self.missing = nn.Parameter(torch.empty(len(columns), width).uniform_(-scale, scale))
        self.levels = nn.Parameter(torch.empty(max(1, sum(sizes)), width).uniform_(-scale, scale))
        starts = torch.tensor([sum(sizes[:place]) for place in range(len(sizes))])
        known = {
            "level": torch.tensor([column.kind == "level" for column in columns]),
            "mean": torch.tensor([column.mean for column in columns], dtype=torch.float32),
            "sd": torch.tensor([column.sd for column in columns], dtype=torch.float32),
            "starts": starts,
            "lasts": torch.tensor([max(0, size - 1) for size in sizes]),
        }
        for name, values in known.items():
            self.register_buffer(name, values, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """See the class."""
        absent = inputs.isnan()
        values = torch.where(absent, self.mean, inputs)
        standard = torch.where(self.level, 0.0, (values - self.mean) / self.sd)
        codes = torch.where(self.level & ~absent, values, 0.0).long()
        codes = torch.minimum(codes, self.lasts) + self.starts
        spoken = torch.where(self.level[:, None], self.levels[codes.clamp(max=len(self.levels) - 1)], 0.0)
        told = standard[:, :, None] * self.slope + spoken
        return self.bias + torch.where(absent[:, :, None], self.missing, told)
