"""Known medical checkpoints and their licences. A table, without torch, so that listing is instant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A published checkpoint.

    Attributes:
        name: as the field calls it.
        hub: its name on the Hugging Face hub.
        images: what it was trained on.
        architecture: of its image encoder.
        encoder: the encoder string its weights fit, None where no family here can hold them.
        form: what its file is, and so what to do before ``--weights`` takes it.
        licence: of the weights, as stated by their owner.
        commercial: whether that licence clearly allows commercial use.
    """

    name: str
    hub: str
    images: str
    architecture: str
    encoder: str | None
    form: str
    licence: str
    commercial: bool


CHECKPOINTS: tuple[Checkpoint, ...] = (
    Checkpoint(
        name="RAD-DINO",
        hub="microsoft/rad-dino",
        images="chest X-ray",
        architecture="ViT-B/14, DINOv2",
        encoder="timm:vit_base_patch14_dinov2",
        form="safetensors: backbone_compatible.safetensors; the other file is for transformers",
        licence="MIT",
        commercial=True,
    ),
    Checkpoint(
        name="BiomedCLIP",
        hub="microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        images="15 M figures of PubMed Central",
        architecture="ViT-B/16, CLIP",
        encoder="timm:vit_base_patch16_224",
        form="pickle: convert first",
        licence="MIT",
        commercial=True,
    ),
    Checkpoint(
        name="UNI",
        hub="MahmoodLab/UNI",
        images="histology",
        architecture="ViT-L/16, DINOv2",
        encoder="timm:vit_large_patch16_224",
        form="pickle, gated: convert first; takes init_values=1e-5",
        licence="CC BY-NC-ND 4.0, academic only",
        commercial=False,
    ),
    Checkpoint(
        name="UNI2-h",
        hub="MahmoodLab/UNI2-h",
        images="histology",
        architecture="ViT-H/14, 8 registers",
        encoder=None,
        form="pickle, gated",
        licence="CC BY-NC-ND 4.0, academic only",
        commercial=False,
    ),
    Checkpoint(
        name="RETFound",
        hub="YukunZhou/RETFound_mae_natureCFP",
        images="retina",
        architecture="ViT-L/16, MAE",
        encoder="timm:vit_large_patch16_224",
        form="pickle, gated: convert its 'model' first",
        licence="CC BY-NC 4.0",
        commercial=False,
    ),
    Checkpoint(
        name="CheXagent-2",
        hub="StanfordAIMI/CheXagent-2-3b",
        images="chest X-ray",
        architecture="vision-language model, 3 B",
        encoder=None,
        form="transformers, with code of its own",
        licence="CC BY-NC 4.0",
        commercial=False,
    ),
    Checkpoint(
        name="MedImageInsight",
        hub="lion-ai/MedImageInsights",
        images="14 kinds of image",
        architecture="DaViT",
        encoder=None,
        form="code of its own",
        licence="MIT on this mirror; research only",
        commercial=False,
    ),
)
"""As stated in the card or repository of each; read it again before you rely on a licence."""


def licence_of(place: str) -> str | None:
    """The licence of weights by the hub name or path they come from, None where unknown."""
    known = find(place)
    return known.licence if known else None


def find(place: str) -> Checkpoint | None:
    """The checkpoint whose hub name stands in `place`: a hub name, or a path that the hub's cache or a user made."""
    folded = f"/{place.lower().partition('@')[0].replace('--', '/')}/"
    return next((row for row in CHECKPOINTS if f"/{row.hub.lower()}/" in folded), None)


_FORBIDDING = ("-nc", "noncommercial", "non-commercial", "academic", "research only")


def warn_of(licence: str | None) -> str | None:
    """A sentence about a licence that forbids commercial use, None for others."""
    if licence is None or not any(mark in licence.lower() for mark in _FORBIDDING):
        return None
    return f"the pretrained weights are licensed {licence}: no commercial use of them, nor of what is trained from them"
