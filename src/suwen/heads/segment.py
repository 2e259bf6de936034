"""``segment``: the labels of every pixel, one or, where they overlap, several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.features import Features
from suwen.core.prediction import Prediction
from suwen.data.codebook import IGNORED, Codebook
from suwen.data.grid import Grid
from suwen.encoders.pyramid import CONVOLUTIONS
from suwen.heads.finish import finish
from suwen.heads.instances import distance_loss
from suwen.heads.mask_losses import LOSSES
from suwen.heads.unet import DECODERS, enlarged


class Segment(nn.Module):
    """A decoder over the encoder's maps and ``WᵀZ + b`` at every pixel: ``Ŷ = σ(WᵀZ + b) / Z₀``.

    Args:
        width: not used; the maps are what it reads.
        labels: K names, the background first.
        overlaps: sets of labels that pixels have together; each is an answer of its own, see `Codebook`.
        map_widths: channels of the maps, fine → coarse.
        dims: 2 for images, 3 for volumes.
        decoder: ``"unet"`` or ``"fcn"``, rows of `suwen.heads.unet.DECODERS`.
        channels: least channels of the decoder.
        loss: a row of `suwen.heads.mask_losses.LOSSES`.
        deep: how many of the decoder's coarser maps are judged too, each with half the weight of the finer one (deep
            supervision: Lee et al., AISTATS 2015; weights as in nnU-Net).
        dropout: on whole channels of what the last layer reads; with it, uncertainty can be drawn.
        instances: labels whose objects are told apart where they touch, by a drawn map of distances, see
            `suwen.heads.instances`; their maps are further channels, after those of the codes.
        touching: codes mark where objects touch (`Codebook`).
        largest, fill, least: what a drawn mask goes through, see `suwen.heads.finish.finish`.

    Raises:
        RecipeError: the encoder has no maps.
        NameUnknown: no such decoder or loss.
    """

    members: Tensor | None
    needs: ClassVar[frozenset[str]] = frozenset({"maps"})
    metrics = (
        "dice",
        "dice_pooled",
        "iou",
        "hd95",
        "surface_dice",
        "volume_error",
        "pixel_sensitivity",
        "pixel_precision",
        "lesion_sensitivity",
        "false_lesions",
        "panoptic_quality",
    )

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...],
        *,
        map_widths: tuple[int, ...] = (),
        dims: int = 2,
        decoder: str = "unet",
        channels: int = 16,
        overlaps: Sequence[Sequence[str]] = (),
        instances: Sequence[str] = (),
        touching: bool = False,
        loss: str = "dice-ce",
        deep: int = 0,
        dropout: float = 0.0,
        largest: Sequence[str] = (),
        fill: Sequence[str] = (),
        least: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        _refuse_unknown(map_widths, decoder, loss)
        self.labels = labels
        self.codebook = Codebook(labels, tuple(tuple(together) for together in overlaps), touching)
        self.instances = tuple(instances)
        members = torch.from_numpy(self.codebook.members) if overlaps or touching else None
        self.register_buffer("members", members, persistent=False)
        self.config: dict[str, Any] = {
            "name": "segment",
            "dims": dims,
            "decoder": decoder,
            "channels": channels,
            "overlaps": [list(together) for together in overlaps],
            "instances": list(instances),
            "touching": touching,
            "loss": loss,
            "deep": deep,
            "dropout": dropout,
            "largest": list(largest),
            "fill": list(fill),
            "least": dict(least or {}),
        }
        for label in (*instances, *largest, *fill, *(least or {})):
            if label not in labels[1:]:
                raise NameUnknown("label", label, labels[1:])
        self._finish = {"largest": largest, "fill": fill, "least": least}
        self.terms, self.deep = LOSSES[loss], deep
        made: Any = DECODERS[decoder](map_widths, channels, dims)
        self.decoder = made
        self.dropout = (nn.Dropout2d if dims == 2 else nn.Dropout3d)(dropout)
        widths: list[int] = made.widths[::-1][: 1 + deep]
        self.linear = nn.ModuleList(
            CONVOLUTIONS[dims](given, len(self.codebook) + len(instances), 1) for given in widths
        )

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """As they are, with what the masks say of overlaps and objects; ``positive`` is no option of masks."""
        codebook: Codebook = dataset.codebook  # type: ignore[attr-defined]
        found = {name: value for name, value in options.items() if name != "positive"}
        if codebook.touching:
            found = {"instances": [codebook.labels[1]]} | found
        overlaps = [list(together) for together in codebook.overlaps]
        return found | {"overlaps": overlaps, "touching": codebook.touching}

    def forward(self, features: Features) -> Tensor:
        """Maps → logits ``(B, codes (+ instances), *S)`` at the size of the inputs; while training with `deep`,
        ``(B, D, codes, *S)``."""
        assert features.maps is not None and features.size is not None
        decoded: list[Tensor] = self.decoder(features.maps)[::-1]
        heads = self.linear if self.training else self.linear[:1]
        logits = [
            enlarged(linear(self.dropout(map)), features.size) for linear, map in zip(heads, decoded, strict=False)
        ]
        return torch.stack(logits, 1) if self.training and self.deep else logits[0]

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The terms of the loss, added.

        Args:
            logits: ``(B, codes, *S)``, or ``(B, D, codes, *S)``.
            target: codes ``(B, *S)``; `IGNORED` does not count.
        """
        inside = self._inside(target)
        known = (target != IGNORED)[:, None]
        codes = torch.where(known[:, 0], target, torch.zeros_like(target)).long()
        # laid out alike, so that what follows goes through memory in order
        levels = [each.contiguous() for each in (logits.unbind(1) if logits.ndim == target.ndim + 2 else (logits,))]
        shares = torch.zeros_like(levels[0][:, : len(self.codebook)]).scatter_(1, codes[:, None], 1)
        known = known.to(logits.dtype)
        weights = [0.5**depth for depth in range(len(levels))]
        losses = [
            weight * part * term(level[:, : len(self.codebook)], shares, known, self.members)
            for weight, level in zip(weights, levels, strict=True)
            for part, term in self.terms
        ]
        if inside is not None:
            losses.append(sum(weights) * distance_loss(levels[0][:, len(self.codebook) :], inside, known))
        return torch.stack(losses).sum() / sum(weights)

    def _inside(self, target: Tensor) -> Tensor | None:
        """bool ``(B, D, *S)``: within objects of the labels that are told apart, and not where they touch."""
        if not self.instances:
            return None
        members = torch.from_numpy(self.codebook.members).to(target.device)
        if self.codebook.touching:
            members[-1] = False
        known = torch.where(target == IGNORED, torch.zeros_like(target), target).long()
        places = [self.labels.index(label) for label in self.instances]
        return members[:, places][known].movedim(-1, 1)

    def probabilities(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """``(B, codes, *S)`` calibrated probabilities."""
        return (logits[:, : len(self.codebook)] / calibration.temperature).softmax(1)

    def decode(self, logits: Tensor, calibration: Calibration) -> list[Prediction]:
        """One Prediction an input: how many pixels have each label."""
        codes = self.codes(self.probabilities(logits, calibration), calibration)
        return [self.said(row.cpu().numpy(), Grid(tuple(row.shape)), calibration) for row in codes]

    def codes(self, probabilities: Tensor, calibration: Calibration) -> Tensor:
        """uint8 ``(B, *S)``: the most probable one; of two, the second where it reaches the threshold."""
        if probabilities.shape[1] == 2 and calibration.threshold is not None:
            return (probabilities[:, 1] >= calibration.threshold).to(torch.uint8)
        return probabilities.argmax(1).to(torch.uint8)

    def finished(self, codes: np.ndarray) -> np.ndarray:
        """A drawn mask ``(*S)`` after what the recipe asks for."""
        return finish(codes, self.codebook, **self._finish)  # type: ignore[arg-type]

    def said(self, codes: np.ndarray, grid: Grid, calibration: Calibration) -> Prediction:
        """What a mask says in numbers: label → ``{"size", "unit", "low", "high"}``, the background left out.

        The interval is None where validation was too small for one, or nothing was drawn.
        """
        counts = self.codebook.counts(occurrences(codes, len(self.codebook)))
        found = {}
        for label, count in zip(self.labels[1:], counts[1:].tolist(), strict=True):
            size, factor = count * grid.voxel, (calibration.sizes or {}).get(label)
            known = factor is not None and count > 0
            found[label] = {
                "size": round(size, 3),
                "unit": grid.unit,
                "low": round(size / factor, 3) if known and factor else None,
                "high": round(size * factor, 3) if known and factor else None,
            }
        return Prediction(answer=found, probabilities={})


def occurrences(codes: np.ndarray, count: int) -> np.ndarray:
    """int64 ``(count,)``: how often each code occurs. Layer by layer: counting makes 8 bytes of each pixel."""
    found = np.zeros(count, np.int64)
    for layer in codes:
        found += np.bincount(layer.reshape(-1), minlength=count)
    return found


def _refuse_unknown(map_widths: tuple[int, ...], decoder: str, loss: str) -> None:
    """Refuse an encoder without maps, and names that are no rows."""
    if not map_widths:
        raise RecipeError(
            "an encoder without maps",
            why="masks are drawn from grids of features, which it does not give",
            fix="--encoder timm:resnet18, or another one with maps",
        )
    for kind, name, known in (("decoder", decoder, DECODERS), ("loss", loss, LOSSES)):
        if name not in known:
            raise NameUnknown(kind, name, known, fix=f"--set head.options.{kind}={next(iter(known))}")
