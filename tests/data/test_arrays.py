from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from suwen.core.errors import DataError
from suwen.data.arrays import ArrayDataset


def rows(count: int = 6) -> ArrayDataset:
    inputs = np.arange(2.0 * count).reshape(count, 2)
    return ArrayDataset(
        inputs=inputs, targets=np.arange(count), splits=np.array(["train", "val", ""] * (count // 3)), labels=("a",)
    )


def test_rows_come_back_as_they_were() -> None:
    data = rows()
    assert len(data) == 6 and data.where("val").tolist() == [1, 4] and data.where("test").tolist() == []
    taken = data.take(np.array([4, 0]))
    assert taken.dtype == np.float32 and taken.tolist() == [[8.0, 9.0], [0.0, 1.0]]
    taken[:] = -1
    assert data.take(np.array([0])).tolist() == [[0.0, 1.0]]
    assert data.subjects.tolist() == data.ids.tolist() == list("012345") and len(data.metadata) == 6


def test_whatever_a_training_depends_on_changes_the_fingerprint() -> None:
    data = rows()
    changed = [
        replace(data, inputs=data.inputs + 1),
        replace(data, targets=data.targets + 1),
        replace(data, labels=("b",)),
        replace(data, splits=np.array(["test"] * 6)),
        replace(data, subjects=np.array(list("001122"))),
    ]
    assert len({each.fingerprint for each in [data, *changed]}) == 6 and rows().fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("name", "value"), [("targets", np.arange(5)), ("splits", np.array(["valid"] * 6)), ("columns", ("only",))]
)
def test_what_does_not_agree_is_refused(name: str, value: object) -> None:
    with pytest.raises(DataError, match="one target, one split and one name"):
        replace(rows(), **{name: value})
