from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suwen.core.errors import DataError
from suwen.data.table.cells import level_of, number_of, read_cells, text_of


def written(folder: Path, text: str, name: str = "a.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_cells_are_stripped_and_spellings_of_missing_become_blank(tmp_path: Path) -> None:
    cells = read_cells(written(tmp_path, "age, sex,note\n 61.5 , F ,NA\n?,M,None\n"))
    assert cells.table.to_dict("list") == {"age": ["61.5", ""], "sex": ["F", "M"], "note": ["", "None"]}
    assert cells.rows.tolist() == [2, 3] and cells.header


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    text = "\n".join(separator.join(row) for row in [("a", "b", "c"), ("1", "2,5" if separator == ";" else "2", "x")])
    assert read_cells(written(tmp_path, text)).columns == ["a", "b", "c"]


def test_a_file_of_numbers_throughout_has_no_header_and_every_line_is_a_row(tmp_path: Path) -> None:
    cells = read_cells(written(tmp_path, "6,148,72,1\n1,85,66,0\n"))
    assert cells.columns == ["column 1", "column 2", "column 3", "column 4"] and not cells.header
    assert len(cells.table) == 2 and cells.rows.tolist() == [1, 2]


def test_names_given_for_a_file_without_header_are_used(tmp_path: Path) -> None:
    file = written(tmp_path, "6,148\n1,85\n")
    assert read_cells(file, names=("births", "glucose")).columns == ["births", "glucose"]
    with pytest.raises(DataError, match="3 names for the 2 columns"):
        read_cells(file, names=("a", "b", "c"))
    named = written(tmp_path, "births,glucose\n6,148\n", "named.csv")
    assert len(read_cells(named, names=("births", "glucose")).table) == 1


def test_blank_lines_are_no_rows_and_numbers_stay_those_of_the_file(tmp_path: Path) -> None:
    cells = read_cells(written(tmp_path, "a,b\n1,2\n,\n\n3,4\n,\n"))
    assert cells.table["a"].tolist() == ["1", "3"] and cells.rows.tolist() == [2, 5]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert read_cells(written(tmp_path, "\ufeffa,b\n1,x\n")).columns == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,a\n1,2\n", "two columns called 'a'"),
        (b"a,b\n", "has no rows"),
        (b"", "is empty"),
        (b"a,b\n1,\xff\n", "UTF-8"),
        (b"a,b\n1,2,3\n", "different numbers of cells"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_cells(file)


def test_parquet_and_csv_of_the_same_table_are_the_same_cells(tmp_path: Path) -> None:
    table = pa.table({"age": [61.5, None], "n": [3, 4], "sex": ["F", None]})
    pq.write_table(table, tmp_path / "a.parquet")
    cells = read_cells(tmp_path / "a.parquet")
    assert cells.table.to_dict("list") == {"age": ["61.5", ""], "n": ["3", "4"], "sex": ["F", ""]}


def test_one_row_is_found_by_its_number(tmp_path: Path) -> None:
    cells = read_cells(written(tmp_path, "a,b\n1,x\n3,y\n"))
    assert cells.only(3).table["a"].tolist() == ["3"]
    with pytest.raises(DataError, match="no row 9"):
        cells.only(9)


@given(st.integers(-(10**9), 10**9))
def test_a_level_is_the_same_however_its_number_is_written(value: int) -> None:
    assert level_of(str(value)) == level_of(f"{value}.0") == level_of(f"{value}.00") == str(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_written_as_a_cell_is_read_back(value: float) -> None:
    assert number_of(text_of(value)) == value


def test_infinity_and_words_are_no_numbers() -> None:
    assert number_of("inf") is None and number_of("1_000") is None and number_of("high") is None
    assert text_of(float("nan")) == "" and text_of(None) == ""
