from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from suwen.core.errors import DataError, FileUnreadable, NameUnknown
from suwen.data.records.columns import Columns
from suwen.data.records.derived.concepts import CONCEPTS
from suwen.data.records.derived.meanings import FOLDER, meanings_of, read_meanings
from suwen.data.records.events import Events


@pytest.fixture
def columns(build: Callable[[Events], Columns]) -> Columns:
    events = Events()
    for number, code in enumerate(("LOINC//2160-0", "HR", "OTHER", "MEDS_BIRTH")):
        events.add(1, number, code, 1.0)
    return build(events)


def test_loinc_means_by_itself_and_a_table_says_the_rest(columns: Columns) -> None:
    alone = meanings_of(columns)
    assert {code: meaning.concept for code, meaning in alone.items()} == {
        "LOINC//2160-0": "creatinine", "MEDS_BIRTH": "age",
    }  # fmt: skip
    named = meanings_of(columns, {"OTHER": "lactate"})
    assert named["OTHER"].concept == "lactate"
    assert meanings_of(columns, "physionet2012")["HR"].concept == "heart rate"
    assert "OTHER" not in meanings_of(replace(columns, vocabulary=("a",)), {"OTHER": "lactate"})


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_tables_speak_of_concepts_and_name_their_source(file: Path) -> None:
    table = read_meanings(file)
    assert table.source.startswith("https://")
    assert all(row.concept in CONCEPTS for row in table.codes)


def test_what_is_not_in_order_is_refused(columns: Columns, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("source: here\ncodes:\n  - {code: HR, is: heart rate}\n  - {code: HR, is: lactate}\n")
    with pytest.raises(DataError, match="HR is there twice"):
        meanings_of(columns, file)
    file.write_text("source: here\ncodes:\n  - {code: HR, means: heart rate}\n")
    with pytest.raises(DataError, match="line 3"):
        meanings_of(columns, file)
    with pytest.raises(NameUnknown, match="heart rate"):
        meanings_of(columns, {"HR": "hart rate"})
    with pytest.raises(NameUnknown, match="physionet2012"):
        meanings_of(columns, "physionet2021")
    with pytest.raises(FileUnreadable):
        meanings_of(columns, tmp_path / "none.yaml")
