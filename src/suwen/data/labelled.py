"""What masks say: which value is which label, and what else there is to know of them."""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from suwen.data.codebook import Codebook, checked_overlaps
from suwen.data.mask_files import checked_classes


class Labelled(BaseModel):
    """The settings of masks, whatever they are masks of.

    Args:
        classes: label → its value in mask files, in the order of their codes, the background first.
        overlaps: sets of labels that pixels have together, where each label has a mask of its own.
        instances: each value of a mask but 0 is an object of its own, all of one label.
    """

    classes: dict[str, int] = Field()
    overlaps: tuple[tuple[str, ...], ...] = ()
    instances: bool = False

    @field_validator("classes")
    @classmethod
    def _codes(cls, classes: dict[str, int]) -> dict[str, int]:
        return checked_classes(classes)

    @field_validator("overlaps")
    @classmethod
    def _sets(cls, overlaps: tuple[tuple[str, ...], ...], info: ValidationInfo) -> tuple[tuple[str, ...], ...]:
        return checked_overlaps(overlaps, list(info.data.get("classes", {})))

    @field_validator("instances")
    @classmethod
    def _one_kind(cls, instances: bool, info: ValidationInfo) -> bool:
        if instances and len(info.data.get("classes", {})) != 2:
            raise ValueError("where each value is an object of its own, there is one label besides the background")
        return instances

    @property
    def codebook(self) -> Codebook:
        """What the codes of masks mean."""
        return Codebook(tuple(self.classes), self.overlaps, self.instances)
