"""The report: one self-contained HTML file that a clinician and a statistician can both read."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from suwen.core.files import write_text
from suwen.evaluation.content import Example, ReportContent
from suwen.evaluation.page import page_of
from suwen.evaluation.section import Page
from suwen.evaluation.words import ENGLISH, Words

__all__ = ["Example", "ReportContent", "write_page", "write_report"]


def write_report(path: Path, content: ReportContent, words: Words = ENGLISH) -> None:
    """Write the report of a Run or an evaluation."""
    write_page(path, page_of(content, words), words)


def write_page(path: Path, page: Page, words: Words = ENGLISH) -> None:
    """Write a page as one HTML file that asks nothing of the network.

    The file is replaced whole or not at all. Everything the user named (ids, labels, notes) is escaped.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    write_text(path, template.render(page=page, words=words))
