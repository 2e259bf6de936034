"""The README of a hospital says what it is, what it is not, and every source that the code cites."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from suwen.simulation.readme import readme

CITING = ("patients", "anatomy", "lesions", "observer", "records.processes", "records.measures", "records.treatments")


def test_it_is_never_evidence_and_names_its_settings() -> None:
    text = readme({"patients": 40, "seed": 3})
    assert "never evidence about medicine" in text and "Made with: patients 40, seed 3." in text


def test_sources_in_the_code_are_in_the_readme() -> None:
    text = " ".join(readme({}).split())
    for name in CITING:
        code = Path(str(import_module(f"suwen.simulation.{name}").__file__)).read_text(encoding="utf-8")
        source = " ".join(code.replace("#", " ").split())
        sources = set(re.findall(r"([A-ZÀ-Ž]\w+) (?:et al\.|& \w+),", source))
        assert sources, name
        assert all(author in text for author in sources), (name, sources)
