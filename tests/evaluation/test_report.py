from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from suwen.evaluation.report import Example, write_report

VOID = {"meta", "img", "br", "link", "input"}


class Checker(HTMLParser):
    """Keeps the open tags, the ids, the addresses and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.unlabelled = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.open += [] if tag in VOID else [tag]
        self.ids += [values["id"] or ""] if "id" in values else []
        self.addresses += [values[name] or "" for name in ("src", "href", "data", "action") if name in values]
        self.unlabelled += (tag == "img" and not values.get("alt")) or (tag == "svg" and not values.get("aria-label"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open = self.open if tag in VOID else self.open[:-1]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), 128).save(buffer, "PNG")
    return buffer.getvalue()


def _written(path: Path, content: Any) -> tuple[str, Checker]:
    write_report(path, content)
    html = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return html, checker


def _example(**changes: Any) -> Example:
    given = {"id": "a.png", "truth": "ill", "answer": "healthy", "probability": 0.7, "correct": False}
    return Example(**{**given, "image_png": _png(), "overlay_png": _png(), **changes})


EVIL = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, make_content: Any) -> dict[str, tuple[str, Checker]]:
    """A report of every kind of question: one undefined, one leaking and with names meant to break it."""
    folder = tmp_path_factory.mktemp("reports")
    undefined = make_content("classes")
    undefined.metrics["splits"]["test"]["metrics"]["auprc"] = {"value": None, "low": None, "high": None}
    table = {"title": EVIL, "columns": [EVIL], "rows": [[EVIL]]}
    evil = make_content(
        "labels",
        title=EVIL,
        notes=[EVIL],
        recipe_yaml=EVIL,
        data_check={"tables": [table], "warnings": [EVIL], "leaks": [EVIL]},
        examples=[_example(id=EVIL, truth=EVIL)],
    )
    plain = make_content("binary", simulated=True)
    return {
        name: _written(folder / f"{name}.html", content)
        for name, content in (("plain", plain), ("undefined", undefined), ("evil", evil), ("again", plain))
    }


@pytest.mark.parametrize("name", ["plain", "undefined", "evil"])
def test_the_page_asks_nothing_of_the_network_and_is_well_formed(written: Any, name: str) -> None:
    html, page = written[name]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    assert "<script" not in html and "@import" not in html and not re.search(r"url\((?!#)", html)
    anchors = {address[1:] for address in page.addresses if address.startswith("#")}
    assert anchors <= set(page.ids) and page.unlabelled == 0
    assert html.startswith("<!DOCTYPE html>") and '<html lang="en">' in html
    assert "Not a medical device." in page.text and ("Simulated data." in page.text) == (name == "plain")


def test_a_leak_is_the_first_thing_one_reads(written: Any) -> None:
    html, page = written["evil"]
    body = html[html.index("<body>") :]
    assert body.index("alert(&#34;x") < body.index("<h1>") and 'role="alert"' in body
    assert "contaminated" in page.text and "contaminated" not in written["plain"][1].text


def test_what_users_name_cannot_break_the_page(written: Any) -> None:
    html, page = written["evil"]
    assert "<script" not in html and page.text.count(EVIL) >= 8


def test_the_same_content_gives_the_same_bytes(written: Any) -> None:
    assert written["plain"][0] == written["again"][0]


def test_figures_that_are_not_defined_say_so(written: Any) -> None:
    page = written["undefined"][1]
    assert "not defined" in page.text and "nan" not in page.text.lower().split()


def test_a_report_without_pictures_is_small(written: Any) -> None:
    assert len(written["plain"][0]) < 250_000


def test_an_older_report_stays_whole_when_the_new_one_fails(tmp_path: Path, make_content: Any) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(AttributeError):
        write_report(path, make_content(outcomes={}, baselines={}, history=["not a row"]))
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]
