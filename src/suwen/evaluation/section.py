"""What a page is made of: sections with sentences, tables, drawings and pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from suwen.evaluation.content import ReportContent
from suwen.evaluation.tables import Cell, Table


@dataclass(frozen=True)
class Drawing:
    """An inline SVG and what stands below it."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Picture:
    """An example's images as data URIs, and what stands below them."""

    id: str
    image: str
    overlay: str | None
    caption: str


@dataclass(frozen=True)
class Section:
    """One section: an anchor, sentences, tables and drawings, in this order.

    Pictures stand under a heading that says whether the answers were right or wrong, or, those `shown`, under none.
    """

    anchor: str
    title: str
    sentences: Sequence[str] = ()
    findings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()
    right: Sequence[Picture] = ()
    wrong: Sequence[Picture] = ()
    shown: Sequence[Picture] = ()
    wide: bool = False
    """Whether the pictures shown are large, so that thin lines can be seen."""
    code: str = ""
    code_title: str = ""
    folded: bool = False
    """Whether the tables and the code are folded away until asked for."""


@dataclass(frozen=True)
class Page:
    """All that the template prints."""

    title: str
    subtitle: str
    leaks: Sequence[str]
    notes: Sequence[str]
    simulated: bool
    verdict: str
    standing: str
    tiles: Sequence[tuple[str, Cell]]
    sections: Sequence[Section]


def headline_outcomes(content: ReportContent) -> tuple[Any, dict[str, Any]]:
    """The model's outcome of the main split, and each baseline's."""
    split = content.split
    return content.outcomes[split], {name: found[split] for name, found in content.baselines.items() if split in found}


def data_uri(png: bytes) -> str:
    """A PNG as an address that holds it, so that a page needs no other file."""
    return f"data:image/png;base64,{b64encode(png).decode('ascii')}"


def drawn(*pairs: tuple[str | None, str]) -> list[Drawing]:
    """Those that could be drawn, each with its caption."""
    return [Drawing(Markup(svg), caption) for svg, caption in pairs if svg is not None]
