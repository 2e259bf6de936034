from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suwen.data.table.column import MOST_LEVELS, fit_column


def test_numbers_are_told_by_their_training_values_alone() -> None:
    column, _ = fit_column("bp", ["120", "", "130", "0", "140"], codes=["0"])
    assert column is not None and column.kind == "number"
    assert (column.mean, column.median, column.low, column.high, column.blanks) == (130, 130, 120, 140, 2)
    assert column.sd == pytest.approx(np.std([120, 130, 140]))
    assert math.isnan(column.value("0.0")) and column.value("95") == 95


def test_levels_unseen_in_training_are_unknown_and_blanks_are_missing() -> None:
    column, _ = fit_column("sex", ["M", "F", "M", ""])
    assert column is not None and column.levels == ("F", "M") and column.usual == 1 and column.blanks == 1
    values = column.values(["F", "M", "X", ""])
    assert values[:3].tolist() == [0, 1, 2] and np.isnan(values[3]) and column.unknown == 2
    assert [column.cell(value) for value in values.tolist()] == ["F", "M", "unknown", "missing"]


def test_numbers_that_stand_for_words_are_levels_however_written() -> None:
    column, _ = fit_column("race", ["1", "2.0", "1.0"], level=True)
    assert column is not None and column.levels == ("1", "2") and column.value("2") == 1


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["", "", ""], "missing"),
        (["3", "3", "3.0"], "are 3"),
        (["a", "a"], "are 'a'"),
        ([f"name {n}" for n in range(MOST_LEVELS + 1)], "name rows"),
    ],
)
def test_columns_that_say_nothing_are_left_out_with_the_reason(texts: list[str], said: str) -> None:
    column, why = fit_column("x", texts)
    assert column is None and said in why


def test_a_constant_column_with_gaps_still_tells_who_has_a_value() -> None:
    assert fit_column("x", ["3", "", "3"])[0] is not None


def test_a_few_words_among_numbers_are_missing_values() -> None:
    texts = [str(n) for n in range(99)] + ["haemolysed"]
    column, _ = fit_column("k", texts)
    assert column is not None and column.kind == "number" and column.blanks == 1
    assert math.isnan(column.value("haemolysed"))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_a_column_read_back_from_json_gives_the_same_numbers(values: list[float]) -> None:
    texts = [repr(value) for value in values]
    column, _ = fit_column("x", texts)
    if column is not None:
        again = type(column).model_validate_json(column.model_dump_json())
        assert again == column and np.array_equal(again.values(texts), column.values(texts))
