"""What a query found, and the files it leaves: ``query.csv`` to fill in, ``query.json``, and the contact sheet."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from suwen.core.dataset import Dataset
from suwen.core.errors import DataError
from suwen.core.files import atomic_path, write_json, write_text
from suwen.core.model import Model
from suwen.evaluation.sheet import SheetContent, Tile, write_sheet
from suwen.explanation.overlay import picture, png
from suwen.learn.query.strategy import Strategy
from suwen.verbs.reporting import hospital_of

COLUMNS = ("path", "subject", "label", "score", "reason")
"""Of ``query.csv``; with its labels filled in it is a manifest."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One input to label.

    Attributes:
        id, subject: as the reader named them.
        score: of the strategy.
        reason: in a sentence.
        probabilities: label → calibrated probability.
        neighbour: the nearest labelled or chosen input, where the strategy looked at one.
    """

    id: str
    subject: str
    score: float
    reason: str
    probabilities: dict[str, float]
    neighbour: str | None = None


@dataclass(kw_only=True)
class Query:
    """What `query` found.

    Attributes:
        model: name and fingerprint.
        strategy: the row used.
        seed: of its draws.
        counts: what became of the pool, in words; the first is all of it, the last what was chosen.
        samples: what to label, the most wanted first.
        foreign: what is unlike the training data and was set apart: a person should look why.
        notes: what a reader must know.
    """

    model: str
    strategy: Strategy
    seed: int
    counts: dict[str, int]
    samples: list[Wanted] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As ``suwen query --json`` prints it."""
        return {
            "model": self.model,
            "strategy": self.strategy.name,
            "formula": self.strategy.formula,
            "source": self.strategy.source,
            "seed": self.seed,
            "counts": self.counts,
            "notes": self.notes,
            "samples": [
                {
                    "input": each.id,
                    "subject": each.subject,
                    "score": round(each.score, 6),
                    "probabilities": {name: round(p, 6) for name, p in each.probabilities.items()},
                    "neighbour": each.neighbour,
                    "reason": each.reason,
                }
                for each in self.samples
            ],
            "foreign": self.foreign,
        }


def keep_labels(file: Path) -> None:
    """Refuse to write over labels that somebody filled in."""
    if not file.is_file():
        return
    with file.open(encoding="utf-8-sig", newline="") as lines:
        filled = sum(bool((row.get("label") or "").strip()) for row in csv.DictReader(lines))
    if filled:
        raise DataError(f"{file} holds {filled} labels", why="a new query would write over them", fix="another --out")


def write_query(
    folder: Path,
    found: Query,
    model: Model,
    dataset: Dataset,
    rows: np.ndarray,
    sources: dict[str, Any],
    pool: str | Path,
) -> None:
    """Write the three files, each whole or not at all.

    Args:
        folder: for them; paths in ``query.csv`` are relative to it.
        found: the query.
        model: whose labels may be filled in.
        dataset, rows: the pool as decoded, and the rows that were chosen, in order.
        sources: id → file or pixels.
        pool: as the user named it.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in found.samples:
        path = _path(folder, each.id, sources[each.id])
        subject = "" if each.subject == each.id else each.subject
        writer.writerow([path, subject, "", f"{each.score:.6g}", each.reason])
    write_text(folder / "query.csv", buffer.getvalue())
    write_json(folder / "query.json", found.to_json())
    images = dataset.take(rows)
    content = SheetContent(
        model=found.model,
        strategy=found.strategy.name,
        summary=found.strategy.summary,
        formula=found.strategy.formula,
        source=found.strategy.source,
        counts=found.counts,
        tiles=[
            Tile(
                id=each.id,
                subject=each.subject,
                png=png(picture(image)),
                reason=each.reason,
                said=", ".join(f"{label} {p:.2f}" for label, p in each.probabilities.items()),
            )
            for each, image in zip(found.samples, images, strict=True)
        ],
        labels=model.head.labels,
        foreign=found.foreign,
        notes=found.notes,
        simulated=hospital_of(pool) is not None,
    )
    write_sheet(folder / "query.html", content)


def _path(folder: Path, id: str, source: Any) -> str:
    """Where the image is, from the folder of ``query.csv``. Pixels that lie in no file of their own are written there.

    Raises:
        DataError: the pixels are not whole numbers of 8 or 16 bits, which a PNG would not hold as they are.
    """
    if isinstance(source, Path):
        return Path(os.path.relpath(source, folder)).as_posix()
    pixels = np.asarray(source)
    if pixels.dtype not in (np.uint8, np.uint16) or (pixels.dtype == np.uint16 and pixels.squeeze().ndim > 2):
        raise DataError(
            f"{id} is an array of {pixels.dtype}", why="a PNG cannot hold it unchanged", fix="give the pool as files"
        )
    file = folder / "images" / f"{re.sub(r'[^0-9A-Za-z_-]+', '-', id).strip('-')}.png"
    with atomic_path(file) as temporary:
        Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels).save(temporary, "PNG")
    return file.relative_to(folder).as_posix()
