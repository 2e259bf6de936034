"""Mask files: which values stand for which label, and files → codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.codebook import IGNORED
from suwen.data.decode import read_indices
from suwen.data.grid import Grid
from suwen.data.samples import Samples
from suwen.data.volume_masks import values_on

MOST_LABELS = 200
MOST_VALUES = 32
"""A mask that nobody described and that holds more values than this is a picture, or was saved as JPEG."""

BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """Where the mask of one image lies.

    Attributes:
        whole: one file with a value for each label.
        each: label → a file that is not 0 where the label is; such masks may overlap.
        region: a file that is not 0 where the image was labelled (a field of view); None where it was throughout.
    """

    whole: Path | np.ndarray | None = None
    each: Mapping[str, Path] = field(default_factory=dict)
    region: Path | np.ndarray | None = None

    @property
    def files(self) -> list[Path]:
        """All of them that are files."""
        return [file for file in (self.whole, *self.each.values(), self.region) if isinstance(file, Path)]


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskSamples(Samples):
    """Samples whose targets are `MaskFiles`.

    Attributes:
        classes: label → value in the masks, as a file beside them says; None where there is none.
    """

    classes: dict[str, int] | None = None


def checked_classes(classes: dict[str, int]) -> dict[str, int]:
    """Labels as settings give them.

    Raises:
        ValueError: none, too many, or two with one value.
    """
    if not 1 <= len(classes) <= MOST_LABELS or len(set(classes.values())) < len(classes):
        raise ValueError(f"1 to {MOST_LABELS} labels with different values")
    return classes


def mask_values(source: Path | np.ndarray, grid: Grid | None = None) -> np.ndarray:
    """The integer value of each pixel of a mask.

    Args:
        source: an image file, a NIfTI file, a DICOM segmentation, or an array.
        grid: of the input that it belongs to.

    Raises:
        FileUnreadable: it cannot be decoded, or is in colour, or has fractions.
        DataError: it lies elsewhere than its volume.
    """
    if isinstance(source, Path) and grid is not None and grid.affine is not None:
        values = values_on(source, grid)
    else:
        values = read_indices(source) if isinstance(source, Path) else np.asarray(source)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if values.ndim == 3 and values.shape[-1] in (3, 4) and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]
    if values.dtype.kind == "f" and (values == np.rint(values)).all():
        values = values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise FileUnreadable(
            f"{named(source)} holds values of type {values.dtype} that are not whole numbers",
            why="a mask holds one whole number a pixel",
            fix="save it as PNG or NIfTI with integer values, without interpolation",
        )
    return values


def named(source: Path | np.ndarray) -> str:
    """What an error calls a mask."""
    return str(source) if isinstance(source, Path) else "the mask"


def codes_of(values: np.ndarray, classes: Mapping[str, int], name: str) -> np.ndarray:
    """uint8 codes of the values in a mask: the position of each one's label in `classes`.

    Raises:
        DataError: a value that stands for no label; the file is named.
    """
    table = np.full(max(int(values.max(initial=0)), *classes.values()) + 1, IGNORED, np.uint8)
    if int(values.min(initial=0)) < 0:
        raise _unknown([int(values.min())], classes, name)
    for code, value in enumerate(classes.values()):
        table[value] = code
    codes: np.ndarray = table[values]
    strange = codes == IGNORED
    if strange.any():
        raise _unknown(np.unique(values[strange])[:5].tolist(), classes, name)
    return codes


def _unknown(values: Sequence[int], classes: Mapping[str, int], name: str) -> DataError:
    known = ", ".join(f"{label} = {value}" for label, value in classes.items())
    return DataError(
        f"{name} holds the value {', '.join(map(str, values))}",
        why=f"no label has it; known: {known}",
        fix='correct the mask, or name the label in labels.json beside the masks: {"LABEL": VALUE}',
    )


def classes_from(values: Sequence[int], name: str) -> dict[str, int]:
    """Labels of the values that were found in masks which nobody described: 0 is the background.

    Raises:
        DataError: one value only, or so many that they are no labels.
    """
    found = sorted({int(value) for value in values})
    if len(found) > MOST_VALUES:
        raise DataError(
            f"the masks hold {len(found)} different values, in {name} alone for example",
            why="a mask has one value for each label; so many come from JPEG, from interpolation or from an image",
            fix="--set inputs.instances=true where each value is an object of its own, as a cell; else save masks as "
            "PNG without interpolation, or say which values mean what in labels.json",
        )
    others = [value for value in found if value != 0]
    if not others:
        raise DataError(
            "all masks are empty: every pixel of every mask is 0",
            why="there is nothing to find in them",
            fix="check that the masks are masks, and that their folder is the right one",
        )
    names = ["foreground"] if len(others) == 1 else [f"label_{value}" for value in others]
    return {BACKGROUND: 0} | dict(zip(names, others, strict=True))
