"""What is measured shows what is true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.simulation.records.measures import creatinine_of, egfr


@pytest.mark.parametrize(
    ("creatinine", "age", "female", "published"),
    # computed by hand from the equation of Inker et al. 2021
    [
        (1.0, 50.0, False, 142 * (1.0 / 0.9) ** -1.2 * 0.9938**50),
        (0.6, 30.0, True, 142 * (0.6 / 0.7) ** -0.241 * 0.9938**30 * 1.012),
        (2.5, 75.0, True, 142 * (2.5 / 0.7) ** -1.2 * 0.9938**75 * 1.012),
    ],
)
def test_gfr_is_that_of_ckd_epi_2021(creatinine: float, age: float, female: bool, published: float) -> None:
    found = egfr(np.array([creatinine]), np.array([age]), female=female)
    assert found[0] == pytest.approx(published)


@given(gfr=st.floats(8, 150), age=st.floats(18, 100), female=st.booleans())
@settings(max_examples=50, deadline=None)
def test_creatinine_is_the_inverse_of_gfr(gfr: float, age: float, female: bool) -> None:
    creatinine = creatinine_of(np.array([gfr]), np.array([age]), female=female)
    assert egfr(creatinine, np.array([age]), female=female)[0] == pytest.approx(gfr)
