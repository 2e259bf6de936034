from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import suwen
from suwen.cli.main import app
from suwen.core.errors import DataError, NameUnknown


def run(*words: object) -> str:
    found = CliRunner().invoke(app, ["records", "describe", *map(str, words)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def write_meds(path: Path, subjects: int, columns: tuple[str, ...] = ()) -> Path:
    """A folder of MEDS with the three columns that it asks for, and perhaps more."""
    table = {
        "subject_id": [880_000_000 + n for n in range(subjects) for _ in range(2)],
        "time": [datetime(2020, 1, day) for _ in range(subjects) for day in (1, 2)],
        "code": ["A//1", "GENDER//F"] * subjects,
        "numeric_value": [1.5, None] * subjects,
    }
    kept = {name: table[name] for name in ("subject_id", "time", "code", *columns)}
    schema = pa.schema(
        {"subject_id": pa.int64(), "time": pa.timestamp("us"), "code": pa.string(), "numeric_value": pa.float32()}
    )
    (path / "data" / "train").mkdir(parents=True)
    file = path / "data" / "train" / "0.parquet"
    pq.write_table(pa.table(kept, schema=pa.schema([schema.field(name) for name in kept])), file)
    return path


@pytest.mark.parametrize(
    ("subjects", "columns", "shown"),
    [(12, ("numeric_value",), "12"), (12, (), "12"), (1, (), "&lt;11"), (0, (), "0")],
)
def test_any_meds_folder_is_described(tmp_path: Path, subjects: int, columns: tuple[str, ...], shown: str) -> None:
    page = suwen.records.describe(write_meds(tmp_path / "store", subjects, columns), quiet=True)
    assert page == tmp_path / "store" / "describe.html"
    text = page.read_text(encoding="utf-8")
    assert f"<span>{shown}</span>" in text and "not written by suwen" in text and "88000000" not in text


def test_json_is_the_numbers_of_the_page_and_writes_none(tmp_path: Path) -> None:
    store = write_meds(tmp_path / "store", 12, ("numeric_value",))
    told = json.loads(run(store, "--json", "--by", "sex"))
    assert told == suwen.records.numbers(store, by="sex") and told["subjects"] == 12
    assert not (store / "describe.html").exists()
    assert json.loads(run(store, "--json", "--out", tmp_path / "page.html"))["events"] == 24
    assert "24" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_small_counts_are_shown_where_that_is_asked_for(tmp_path: Path) -> None:
    store = write_meds(tmp_path / "store", 3)
    assert suwen.records.numbers(store)["people"]["sex"]["female"] == "<11"
    assert suwen.records.numbers(store, show_all=True)["people"]["sex"]["female"] == 3
    assert "3 subjects with 6 events" in " ".join(run(store, "--show-all").split())


def test_a_page_of_real_bundles_names_no_one(tmp_path: Path, shared_data: Path) -> None:
    suwen.records.import_(shared_data / "synthea_fhir", "fhir", out=tmp_path / "synthea", quiet=True)
    text = suwen.records.describe(tmp_path / "synthea", quiet=True).read_text(encoding="utf-8")
    table = pq.read_table(tmp_path / "synthea" / "data")
    assert not [id_ for id_ in set(table["subject_id"].to_pylist()) if str(id_) in text]
    written = {words for words in table["text_value"].drop_null().to_pylist() if len(words) > 12}
    assert written and not [words for words in written if words in text]
    assert "These patients do not exist" in text and "Claim" in text


def test_no_store_and_no_such_group_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no record store"):
        suwen.records.describe(tmp_path, quiet=True)
    with pytest.raises(NameUnknown, match="unknown group 'sec'"):
        suwen.records.describe(write_meds(tmp_path / "store", 12), by="sec", quiet=True)
