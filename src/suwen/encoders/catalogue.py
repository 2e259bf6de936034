"""Known medical checkpoints and their licences. A table, without torch, so that listing is instant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A published checkpoint.

    Attributes:
        name: as the field calls it.
        hub: its name on the Hugging Face hub.
        encoder: the encoder string to load it with, None where a coming family is needed.
        images: what it was trained on.
        licence: of the weights, as stated by their owner.
        commercial: whether that licence allows commercial use.
    """

    name: str
    hub: str
    encoder: str | None
    images: str
    licence: str
    commercial: bool


CHECKPOINTS: tuple[Checkpoint, ...] = (
    Checkpoint("RAD-DINO", "microsoft/rad-dino", "timm:vit_base_patch14_dinov2", "chest X-ray", "MIT", True),
    Checkpoint(
        "BiomedCLIP",
        "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        "timm:vit_base_patch16_224",
        "figures of 15 M papers",
        "MIT",
        True,
    ),
    Checkpoint(
        "UNI", "MahmoodLab/UNI", "timm:vit_large_patch16_224", "histology", "CC BY-NC-ND 4.0, academic only", False
    ),
    Checkpoint(
        "UNI2-h",
        "MahmoodLab/UNI2-h",
        "timm:vit_giant_patch14_224",
        "histology",
        "CC BY-NC-ND 4.0, academic only",
        False,
    ),
    Checkpoint(
        "RETFound",
        "YukunZhou/RETFound_mae_natureCFP",
        "timm:vit_large_patch16_224",
        "retina",
        "CC BY-NC 4.0, gated",
        False,
    ),
    Checkpoint("CheXagent-2", "StanfordAIMI/CheXagent-2-3b", None, "chest X-ray", "CC BY-NC 4.0", False),
    Checkpoint(
        "MedImageInsight",
        "lion-ai/MedImageInsights",
        None,
        "14 kinds of image",
        "MIT (mirror); not for clinical use",
        True,
    ),
)
"""Read at each model's page, November 2026; read the page again before you rely on a licence."""


def licence_of(place: str) -> str | None:
    """The licence of weights by the hub name or path they come from, None where unknown."""
    known = find(place)
    return known.licence if known else None


def find(place: str) -> Checkpoint | None:
    """The checkpoint whose hub name stands in `place`."""
    folded = place.lower().replace("--", "/")
    return next((row for row in CHECKPOINTS if row.hub.lower() in folded), None)


def warn_of(licence: str | None) -> str | None:
    """A sentence about a licence that forbids commercial use, None for others."""
    if licence is None or not any(
        mark in licence.lower() for mark in ("-nc", "noncommercial", "non-commercial", "academic")
    ):
        return None
    return f"the pretrained weights are licensed {licence}: not for commercial use, and neither is what is trained from them"
