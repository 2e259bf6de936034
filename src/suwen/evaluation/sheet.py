"""The contact sheet of a query: which images to label next and why, as one self-contained HTML file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from suwen.core.files import write_text
from suwen.evaluation.words import ENGLISH, Words


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image to label.

    Attributes:
        id: its name.
        subject: whom it shows.
        png: the image as the model sees it.
        reason: why it was chosen.
        said: "normal 0.52, pneumonia 0.48".
    """

    id: str
    subject: str
    png: bytes
    reason: str
    said: str

    @property
    def image(self) -> str:
        """As a data URI."""
        return f"data:image/png;base64,{b64encode(self.png).decode('ascii')}"


@dataclass(frozen=True, kw_only=True)
class SheetContent:
    """All that a contact sheet shows.

    Attributes:
        model: name and fingerprint.
        strategy, summary, formula, source: how the images were chosen.
        counts: what became of the pool, in words → how many.
        tiles: the images, the most wanted first.
        foreign: names of images that are unlike the training data and were set apart.
        notes: what a reader must know.
        labels: what may be filled in.
        simulated: whether the patients are made up.
    """

    model: str
    strategy: str
    summary: str
    formula: str
    source: str
    counts: Mapping[str, int]
    tiles: Sequence[Tile]
    labels: Sequence[str]
    foreign: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    simulated: bool = False


def write_sheet(path: Path, content: SheetContent, words: Words = ENGLISH) -> None:
    """Write it whole or not at all; it asks nothing of the network, and whatever the user named is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(path, environment.get_template("sheet.html.j2").render(sheet=content, words=words))
