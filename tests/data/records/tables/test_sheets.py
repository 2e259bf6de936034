from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.data.records.tables.sheets import batches, pieces

CELLS = st.text(st.characters(exclude_characters='",\r\n\0', exclude_categories=["Cs"]), min_size=1, max_size=9)
"""None is empty: a line of nothing is no row."""


def read(file: Path, piece: tuple[int, int] | None = None) -> list[dict[str, bytes | None]]:
    bad: list[str] = []
    rows = [row for batch in batches(file, ["b", "c", "a"], bad.append, piece=piece) for row in batch.to_pylist()]
    assert not bad
    return rows


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=40), size=st.integers(1, 60), ended=st.booleans())
def test_the_pieces_of_a_table_have_its_rows_each_once(
    rows: list[tuple[str, str]], size: int, ended: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("table") / "t.csv"
    text = "\n".join(["A,B", *(",".join(row) for row in rows)]) + "\n" * ended
    file.write_bytes(text.encode())
    found = pieces(file, size)
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
    assert found[-1][1] == file.stat().st_size
    whole = read(file)
    assert [row for piece in found for row in read(file, piece)] == whole and len(whole) == len(rows)


def test_a_table_with_quotation_marks_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n1,"two\nlines"\n' * 50)
    assert pieces(tmp_path / "t.csv", 20) == [(0, (tmp_path / "t.csv").stat().st_size)]
