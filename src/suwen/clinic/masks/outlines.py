"""Outlines of a mask as JSON: closed polygons at the borders of its pixels' centres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from contourpy import LineType, contour_generator
from scipy import ndimage

from suwen.clinic.masks.finding import Finding
from suwen.data.grid import Grid
from suwen.data.series import LPS_TO_RAS


def outlines(finding: Finding) -> dict[str, Any]:
    """``{"input", "model", "unit", "labels": {LABEL: [{"slice", "points": [[x, y(, z)], …](, "object")}, …]}}``.

    Points of an image are columns and rows, in pixels, the centre of the first pixel at (0, 0). Those of a volume are
    millimetres towards left, back and head, as DICOM counts (PS3.3 C.7.6.2.1.1), one slice of the file's last axis
    after the other. Holes are polygons of their own.
    """
    codes, grid = finding.drawn.codes, finding.drawn.grid
    return {
        "input": finding.answer.input,
        "model": finding.answer.model,
        "unit": "px" if codes.ndim == 2 else "mm, LPS",
        "labels": {label: list(_of_label(finding, label, grid)) for label in finding.labels[1:]},
    }


def _of_label(finding: Finding, label: str, grid: Grid) -> Iterator[dict[str, Any]]:
    """Of the whole mask; where objects are told apart, of each, with its number."""
    objects = finding.drawn.objects.get(label)
    if objects is None:
        mask = finding.mask(label)
        yield from _lines(mask, grid, (0,) * mask.ndim)
        return
    for number, window in enumerate(ndimage.find_objects(objects), start=1):
        if window is not None:
            for line in _lines(objects[window] == number, grid, tuple(side.start for side in window)):
                yield {"object": number} | line


def _lines(mask: np.ndarray, grid: Grid, corner: tuple[int, ...]) -> list[dict[str, Any]]:
    return _of_image(mask, corner) if mask.ndim == 2 else _of_volume(mask, grid, corner)


def polygons(mask: np.ndarray) -> list[np.ndarray]:
    """``(n, 2)`` rows and columns of each border in a mask ``(H, W)``, halfway between inside and outside."""
    if not mask.any():
        return []
    framed = np.pad(mask.astype(np.float32), 1)
    lines: Any = contour_generator(z=framed, line_type=LineType.Separate).lines(0.5)
    return [np.asarray(line)[:, ::-1] - 1 for line in lines]


def _of_image(mask: np.ndarray, corner: tuple[int, ...]) -> list[dict[str, Any]]:
    return [{"slice": 0, "points": (line + corner)[:, ::-1].round(2).tolist()} for line in polygons(mask)]


def _of_volume(mask: np.ndarray, grid: Grid, corner: tuple[int, ...]) -> list[dict[str, Any]]:
    assert grid.affine is not None
    to_lps = LPS_TO_RAS @ grid.affine
    found = []
    for number in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
        for line in polygons(mask[:, :, number]):
            layer = number + corner[2]
            places = np.column_stack([line + corner[:2], np.full(len(line), layer), np.ones(len(line))])
            found.append({"slice": layer, "points": (places @ to_lps.T)[:, :3].round(3).tolist()})
    return found
