from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

import suwen.evaluation
from suwen.evaluation.profile_page import profile_page, write_profile
from suwen.evaluation.profile_text import SAY

ROOM = Path(suwen.evaluation.__file__).parent
BUILT = ("quantiles_", "reading_", "sex_")
"""Keys put together at run time begin like this."""

VOID = {"meta", "br", "img", "link", "hr"}


class Nested(HTMLParser):
    """Every element closed in its turn; addresses are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def numbers(**changed: Any) -> dict[str, Any]:
    """A cohort of which little is known."""
    spread = {"p5": 1.0, "p25": 2.0, "p50": 3.0, "p75": 4.0, "p95": 1234.5}
    row = {"code": "LOINC//1", "description": "Haemo<b>globin</b>", "kind": "LOINC"}
    sexes = dict.fromkeys(("female", "male", "other", "unknown", "contradictory", "not said"), 0)
    ages = [
        {"age": age, "female": count, "male": "<11", "all others": 0}
        for age, count in (("0–9", 0), ("10–19", 30), ("90+", "hidden"), ("not known", 0))
    ]
    told: dict[str, Any] = {
        "name": "cohort & <co>",
        "fingerprint": "0123456789abcdef",
        "simulated": False,
        "smallest": 11,
        "subjects": 100,
        "events": 5000,
        "codes": 3,
        "people": {
            "sex": {**sexes, "female": 60, "male": 40},
            "births": 100,
            "deaths": "<11",
            "age": {**spread, "p95": 90.0},
            "ages": ages,
            "events": spread,
            "histogram": [{"from": 1, "to": 9, "subjects": 40}, {"from": 10, "to": 1999, "subjects": 60}],
            "followed": spread,
            "person_years": 321.5,
        },
        "calendar": {
            "first_year": 2010,
            "last_year": 2012,
            "width": 1,
            "spans": [
                {"from": 2010, "to": 2010, "events": 4000, "subjects": 90},
                {"from": 2011, "to": 2011, "events": "<11 subjects", "subjects": "<11"},
                {"from": 2012, "to": 2012, "events": 900, "subjects": ">89"},
            ],
            "density": {"from": 2010, "width": 1, "kinds": {"LOINC": [4000, "<11 subjects", 0]}},
            "timeless": 100,
            "outside": 0,
        },
        "kinds": [{"kind": "LOINC", "name": "Tests", "events": 4900, "codes": 1, "subjects": 100, "values": 4900}],
        "commonest": [{**row, "subjects": ">89", "share": None, "events": 4900}] * 10,
        "measured": [
            {**row, "values": 4900, "subjects": 100, "unit": "g/dL", "other_units": 20, "no_unit": 0}
            | {"spread": spread, "far": "<11"}
        ],
        "units": {
            "codes_with_values": 1,
            "codes_without_unit": 0,
            "codes_with_more": 1,
            "odd": [{**row, "unit": "g/L", "events": 20, "usual": "g/dL", "usual_events": 4880}],
        },
        "stays": [
            {"stay": "VISIT//IMP", "description": None, "begun": 50, "subjects": 40, "days": spread}
            | {"never_ended": 0, "never_begun": "<11"}
        ],
        "delays": {
            "told": True,
            "later": 4900,
            "days": {**spread, "p50": 0.125},
            "kinds": [{"kind": "LOINC", "name": "Tests", "events": 4900, "later": 4900, "days": spread}],
        },
        "texts": 0,
        "described": 2,
        "odd": {"events in the future": "<11"},
        "origin": {
            "by_suwen": True,
            "imports": [{"from": "fhir", "parts": 2, "events": 5010}],
            "repeated": "<11",
            "rejected": {"no time": 12},
        },
        "groups": {
            "by": "SITE",
            "rows": [
                {"group": "A", "subjects": "hidden", "female": None, "deaths": None, "events": None, "age": None}
                | {"followed": None},
            ],
        },
    }
    return told | changed


NOTHING: dict[str, Any] = {
    "subjects": 0,
    "events": 0,
    "codes": 0,
    "described": 0,
    "people": {
        "sex": dict.fromkeys(("female", "male", "other", "unknown", "contradictory", "not said"), 0),
        "births": 0,
        "deaths": 0,
        "age": None,
        "ages": [{"age": "0–9", "female": 0, "male": 0, "all others": 0}],
        "events": None,
        "histogram": [],
        "followed": None,
        "person_years": None,
    },
    "calendar": {
        "first_year": None,
        "last_year": None,
        "width": 1,
        "spans": [],
        "density": {"from": 1900, "width": 1, "kinds": {}},
        "timeless": 0,
        "outside": 0,
    },
    "kinds": [],
    "commonest": [],
    "measured": [],
    "units": {"codes_with_values": 0, "codes_without_unit": 0, "codes_with_more": 0, "odd": []},
    "stays": [],
    "delays": {"told": False, "later": 0, "days": None, "kinds": []},
    "texts": None,
    "odd": {},
    "origin": {"by_suwen": False, "imports": [], "repeated": None, "rejected": {}},
    "groups": None,
}
"""A store without an event, of which nothing else is said."""


def written(path: Path, told: dict[str, Any]) -> str:
    write_profile(path / "page.html", told)
    return (path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("changed", [{}, NOTHING], ids=["full", "empty"])
def test_the_page_is_one_well_formed_file_that_asks_nothing_of_the_network(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    page = written(tmp_path, numbers(**changed))
    nested = Nested()
    nested.feed(page)
    assert not nested.open and "<script" not in page and "url(http" not in page and "@import" not in page
    assert all(address.startswith(("#", "data:")) for address in nested.addresses)


def test_the_page_says_what_it_withholds_and_escapes_what_others_named(tmp_path: Path) -> None:
    page = written(tmp_path, numbers())
    assert "cohort &amp; &lt;co&gt;" in page and "Haemo<b>" not in page
    assert "&lt;11" in page and "&gt;89" in page and "90+" in page and "Counts from 1 to 10" in page
    assert "All counts are shown" in written(tmp_path, numbers(smallest=1))
    assert page == written(tmp_path, numbers())


def test_made_up_patients_are_said_to_be_made_up(tmp_path: Path) -> None:
    assert "These patients do not exist" in written(tmp_path, numbers(simulated=True))
    assert "These patients do not exist" not in written(tmp_path, numbers())


def test_what_is_missing_is_said() -> None:
    page = profile_page(numbers(**NOTHING))
    (know,) = (section for section in page.sections if section.anchor == "know")
    said = " ".join(know.findings)
    for name in ("births", "sex", "deaths", "times", "available", "stays", "values", "origin"):
        assert SAY[f"missing_{name}"] in said
    assert SAY["unknown_texts"] in said and SAY["note_foreign"] in page.notes
    assert {section.anchor for section in page.sections} == {"know", "people", "origin", "reading"}


def test_a_good_store_is_said_to_have_nothing_odd() -> None:
    told = numbers(odd={}, described=3, texts=5)
    told["people"]["deaths"] = 20
    told["calendar"]["timeless"] = 0
    told["units"] = {**told["units"], "codes_with_more": 0}
    (know,) = (section for section in profile_page(told).sections if section.anchor == "know")
    assert not know.tables and know.findings == [SAY["texts"].format(count="5")]


def test_every_word_asked_for_is_there_and_none_is_left_over() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in ROOM.glob("profile_*.py"))
    assert set(re.findall(r"say\[[\"'](\w+)[\"']\]", code)) <= set(SAY)
    mentioned = set(re.findall(r"[\"'](\w+)[\"']", code))
    mentioned |= {name.replace(" ", "_") for name in ("female", "male", "other", "unknown", "contradictory")}
    mentioned |= {"not_said", "all_others"}
    assert not {key for key in SAY if key not in mentioned and not key.startswith(BUILT)}
    for key, text in SAY.items():
        assert isinstance(text, str) and text.strip() == text, key
        assert all(name is None or name.isidentifier() for _, name, _, _ in Formatter().parse(text)), key
