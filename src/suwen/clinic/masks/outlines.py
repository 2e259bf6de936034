"""Outlines of a mask as JSON: closed polygons at the borders of its pixels' centres."""

from __future__ import annotations

from typing import Any

import numpy as np
from contourpy import LineType, contour_generator

from suwen.clinic.masks.finding import Finding
from suwen.data.grid import Grid
from suwen.data.series import LPS_TO_RAS


def outlines(finding: Finding) -> dict[str, Any]:
    """``{"input", "model", "unit", "labels": {LABEL: [{"slice", "points": [[x, y(, z)], …]}, …]}}``.

    Points of an image are columns and rows, in pixels, the centre of the first pixel at (0, 0). Those of a volume are
    millimetres towards left, back and head, as DICOM counts (PS3.3 C.7.6.2.1.1), one slice of the file's last axis
    after the other. Holes are polygons of their own.
    """
    codes, grid = finding.drawn.codes, finding.drawn.grid
    found: dict[str, list[dict[str, Any]]] = {}
    for label in finding.labels[1:]:
        mask = finding.mask(label)
        found[label] = _of_image(mask) if codes.ndim == 2 else _of_volume(mask, grid)
    return {
        "input": finding.answer.input,
        "model": finding.answer.model,
        "unit": "px" if codes.ndim == 2 else "mm, LPS",
        "labels": found,
    }


def polygons(mask: np.ndarray) -> list[np.ndarray]:
    """``(n, 2)`` rows and columns of each border in a mask ``(H, W)``, halfway between inside and outside."""
    if not mask.any():
        return []
    framed = np.pad(mask.astype(np.float32), 1)
    lines: Any = contour_generator(z=framed, line_type=LineType.Separate).lines(0.5)
    return [np.asarray(line)[:, ::-1] - 1 for line in lines]


def _of_image(mask: np.ndarray) -> list[dict[str, Any]]:
    return [{"slice": 0, "points": line[:, ::-1].round(2).tolist()} for line in polygons(mask)]


def _of_volume(mask: np.ndarray, grid: Grid) -> list[dict[str, Any]]:
    assert grid.affine is not None
    to_lps = LPS_TO_RAS @ grid.affine
    found = []
    for number in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
        for line in polygons(mask[:, :, number]):
            places = np.column_stack([line, np.full(len(line), number), np.ones(len(line))])
            found.append({"slice": number, "points": (places @ to_lps.T)[:, :3].round(3).tolist()})
    return found
