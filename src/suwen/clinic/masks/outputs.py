"""Files that can be written of a drawn mask, one row each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from suwen.clinic.masks.finding import Finding
from suwen.clinic.masks.observation import observations
from suwen.clinic.masks.outlines import outlines
from suwen.clinic.masks.segmentation_object import write_segmentation
from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.files import atomic_path, write_json
from suwen.data.nifti import write_mask

NIFTI = (".nii.gz", ".nii")
UNSAFE = r"[^\w-]+"
"""What the name of a label may hold and that of a file had better not."""


@dataclass(frozen=True)
class Output:
    """One kind of file.

    Attributes:
        ending: of its name, by the number of dimensions of the mask.
        write: ``(path, finding)`` → the files written.
        summary: for ``--help``.
    """

    ending: dict[int, str]
    write: Callable[[Path, Finding], list[Path]]
    summary: str


def _write_mask(path: Path, finding: Finding) -> list[Path]:
    """One file with a value for each label; where labels overlap, one file each, 1 where the label is."""
    if not finding.codebook.overlaps:
        return [_write_values(path, finding.values, finding)]
    name, ending = _parted(path)
    return [
        _write_values(path.with_name(f"{name}.{re.sub(UNSAFE, '_', label)}{ending}"), finding.mask(label), finding)
        for label in finding.labels[1:]
    ]


def _write_uncertainty(path: Path, finding: Finding) -> list[Path]:
    doubt = finding.drawn.uncertainty
    assert doubt is not None
    return [_write_values(path, doubt, finding)]


def _write_objects(path: Path, finding: Finding) -> list[Path]:
    """One file a label; of one label under the plain name.

    Raises:
        RecipeError: the model does not tell objects apart.
    """
    drawn = finding.drawn.objects
    if not drawn:
        raise RecipeError(
            f"{finding.answer.model} does not tell objects apart",
            why="it learned which pixels have a label, not where one object ends and the next begins",
            fix="train with --set inputs.instances=true, or with --set 'head.options.instances=[LABEL]'",
        )
    name, ending = _parted(path, ".objects")
    names = ["" if len(drawn) == 1 else f".{re.sub(UNSAFE, '_', label)}" for label in drawn]
    return [
        _write_values(
            path.with_name(f"{name}{label}{ending}"),
            objects.astype(np.min_scalar_type(max(256, objects.max(initial=0)))),
            finding,
        )
        for label, objects in zip(names, drawn.values(), strict=True)
    ]


def _write_values(path: Path, values: np.ndarray, finding: Finding) -> Path:
    values = values.astype(np.uint8) if values.dtype == bool else values
    if values.ndim == 3:
        write_mask(path, values, finding.opened.content)
        return path
    with atomic_path(path) as temporary:
        Image.fromarray(values).save(temporary, "PNG")
    return path


def _parted(path: Path, before: str = "") -> tuple[str, str]:
    """Name and ending, of which ``.nii.gz`` is one, with what stands before it."""
    ending = before + next((end for end in NIFTI if path.name.endswith(end)), path.suffix)
    return path.name[: -len(ending)], ending


def _as_json(say: Callable[[Finding], dict[str, Any]]) -> Callable[[Path, Finding], list[Path]]:
    def write(path: Path, finding: Finding) -> list[Path]:
        write_json(path, say(finding))
        return [path]

    return write


def _write_dicom(path: Path, finding: Finding) -> list[Path]:
    write_segmentation(path, finding)
    return [path]


OUTPUTS: dict[str, Output] = {
    "mask": Output(
        {2: ".png", 3: ".nii.gz"},
        _write_mask,
        "values of the labels, at the input's size and place: PNG or NIfTI; a file each where labels overlap",
    ),
    "uncertainty": Output(
        {2: ".uncertainty.png", 3: ".uncertainty.nii.gz"},
        _write_uncertainty,
        "how unsure the model is of each pixel, 0 to 255: PNG or NIfTI",
    ),
    "objects": Output(
        {2: ".objects.png", 3: ".objects.nii.gz"},
        _write_objects,
        "a number for each object, where the model tells them apart: PNG or NIfTI, a file a label",
    ),
    "contours": Output(
        {2: ".contours.json", 3: ".contours.json"},
        _as_json(outlines),
        "outlines as polygons, in pixels or in mm of the patient",
    ),
    "dicom-seg": Output({3: ".seg.dcm"}, _write_dicom, "a DICOM segmentation of the series"),
    "fhir": Output(
        {2: ".fhir.json", 3: ".fhir.json"},
        _as_json(observations),
        "sizes as FHIR R4 Observations",
    ),
}
"""Name → file."""


class Writer:
    """Writes what was asked for, each file named after its input.

    Args:
        folder: where to.
        names: rows of `OUTPUTS`.

    Attributes:
        uncertainty: whether findings must have it.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder, self.names = folder, names
        self.uncertainty = "uncertainty" in names
        self._taken: set[str] = set()

    def __call__(self, finding: Finding) -> list[Path]:
        """The files of one finding.

        Raises:
            NameUnknown: there is no such file for this kind of input.
        """
        dims, stem = finding.drawn.codes.ndim, self._stem(finding.sample.id)
        written: list[Path] = []
        for name in self.names:
            ending = OUTPUTS[name].ending.get(dims) if name in OUTPUTS else None
            if ending is None:
                known = [each for each, row in OUTPUTS.items() if dims in row.ending]
                raise NameUnknown("output", name, known, fix=f"--write {known[0]}")
            written += OUTPUTS[name].write(self.folder / f"{stem}{ending}", finding)
        return written

    def _stem(self, id: str) -> str:
        """The name of an input without suffixes; with the folders it lies in where another input has that name too."""
        path = Path(id)
        name = next((path.name[: -len(end)] for end in NIFTI if path.name.lower().endswith(end)), path.stem)
        parts = [*(part for part in path.parts[:-1] if part not in ("/", "..", ".")), name.replace("#", "_") or "mask"]
        tried = ["_".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        numbered = (f"{tried[-1]}_{number}" for number in itertools.count(2))
        stem = next(each for each in itertools.chain(tried, numbered) if each not in self._taken)
        self._taken.add(stem)
        return stem
