from __future__ import annotations

import pytest
import torch

from suwen.core.errors import DataError
from suwen.explanation.table_parts import TableParts


def test_a_cell_that_is_taken_away_is_blank() -> None:
    row = torch.tensor([1.0, 2.0, torch.nan])
    blank = TableParts.baseline(row, "blur")
    mixed = TableParts.mix(row, blank, torch.tensor([[True, False, True], [False, True, False]]))
    assert mixed[0, 0] == 1 and mixed[0, 1:].isnan().all() and mixed[1, 1] == 2


def test_each_column_is_a_segment_and_a_window_of_its_own() -> None:
    row = torch.zeros(4)
    assert TableParts.segments(row, "slic", 64).tolist() == [0, 1, 2, 3]
    assert TableParts.windows(row, 2, 1).sum(0).tolist() == [1, 1, 1, 1]


def test_infinity_is_refused_and_missing_values_are_not() -> None:
    assert TableParts.read(torch.tensor([[torch.nan, 1]])).isnan().any()
    with pytest.raises(DataError, match="infinite"):
        TableParts.read(torch.tensor([[torch.inf, 1]]))
