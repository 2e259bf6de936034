from __future__ import annotations

import numpy as np
import pytest

from suwen.data.table.column import Column
from suwen.data.table.design import design_of

NUMBER = Column(name="age", kind="number", mean=50, sd=10, median=49, low=20, high=80, knots=(30, 40, 60), blanks=2)
LEVEL = Column(name="sex", kind="level", levels=("F", "M"), usual=1)


def test_each_number_is_what_its_name_says() -> None:
    design = design_of([NUMBER, LEVEL])
    values = np.array([[65, 1], [np.nan, 0], [20, 2], [50, np.nan]], np.float32)
    found = dict(zip(design.names([NUMBER, LEVEL]), design(values).T.tolist(), strict=True))
    assert found["age"] == pytest.approx([1.5, -0.1, -3, 0])
    assert found["age above 30"] == pytest.approx([3.5, 1.9, 0, 2])
    assert found["age above 60"] == pytest.approx([0.5, 0, 0, 0])
    assert found["age is missing"] == [0, 1, 0, 0]
    assert found["sex = F"] == [0, 1, 0, 0] and found["sex = M"] == [1, 0, 0, 0]


def test_without_bends_a_number_is_one_number() -> None:
    assert design_of([NUMBER, LEVEL], splines=False).names([NUMBER, LEVEL]) == [
        "age",
        "age is missing",
        "sex = F",
        "sex = M",
    ]
