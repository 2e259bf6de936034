from __future__ import annotations

import numpy as np
import pytest

from suwen.data.records.derived.concepts import CONCEPTS
from suwen.data.records.derived.formulas import FORMULAS, Formula

BY_NAME = {formula.name: formula for formula in FORMULAS}

EXAMPLES: tuple[tuple[str, tuple[float, ...], float, float], ...] = (
    ("mean pressure from cuff", (120, 80), 93.33, 0.01),
    ("pulse pressure", (120, 80), 40, 0),
    ("shock index", (100, 80), 1.25, 0),
    ("modified shock index", (90, 60), 1.5, 0),
    ("age shock index", (100, 100, 70), 70, 0),
    ("P/F ratio", (80, 40), 200, 1e-9),  # the edge of moderate ARDS
    ("S/F ratio", (94, 40), 235, 1e-9),  # Rice et al.: S/F 235 goes with P/F 200
    ("ROX index", (92, 60, 30), 5.11, 0.01),
    ("alveolar-arterial gradient", (95, 40, 21), 4.73, 0.01),  # healthy, room air, sea level
    ("base excess", (7.4, 40), 0.09, 0.05),  # normal blood
    ("base excess", (7.2, 40), -11.4, 0.6),  # the Siggaard-Andersen chart
    ("anion gap", (140, 104, 24), 12, 0),
    ("calculated osmolality", (140, 90, 14), 290, 0),
    ("corrected calcium", (8.0, 2.0), 9.6, 1e-9),
    ("urea nitrogen to creatinine", (30, 1.5), 20, 0),
    ("urine by weight", (35, 70), 0.5, 0),
    ("lactate to albumin", (4, 2), 2, 0),
    ("De Ritis ratio", (80, 40), 2, 0),
    ("FIB-4", (100, 64, 200, 60), 3.75, 1e-9),
    ("neutrophils to lymphocytes", (80, 10), 8, 0),
    ("coma scale from parts", (4, 5, 6), 15, 0),
    ("body mass index", (80, 200), 20, 1e-9),
)
"""Formula, inputs, what comes out, within; worked by hand or read off the publication."""


@pytest.mark.parametrize(("name", "inputs", "wanted", "within"), EXAMPLES)
def test_examples_come_out(name: str, inputs: tuple[float, ...], wanted: float, within: float) -> None:
    found = BY_NAME[name].compute(*(np.array([float(each)]) for each in inputs))
    assert found[0] == pytest.approx(wanted, abs=within)


def test_egfr_is_that_of_the_eight_equations_of_table_s9() -> None:
    """Inker et al. 2021 also write it out by sex and side of κ; here by `if` for each person."""

    def written_out(creatinine: float, age: float, female: float) -> float:
        if female:
            power = -0.241 if creatinine <= 0.7 else -1.2
            return 143.704 * (creatinine / 0.7) ** power * 0.9938**age
        power = -0.302 if creatinine <= 0.9 else -1.2
        return 142 * (creatinine / 0.9) ** power * 0.9938**age

    rng = np.random.default_rng(0)
    creatinine, age, female = rng.uniform(0.3, 9, 500), rng.uniform(18, 95, 500), rng.integers(0, 2, 500).astype(float)
    found = BY_NAME["eGFR"].compute(creatinine, age, female)
    wanted = [written_out(*row) for row in zip(creatinine, age, female, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert np.isnan(BY_NAME["eGFR"].compute(np.array([0.5]), np.array([12.0]), np.array([1.0]))[0])  # adults only


def test_every_formula_has_an_example_a_source_and_known_inputs() -> None:
    assert {name for name, *_ in EXAMPLES} | {"eGFR"} == set(BY_NAME)
    assert len(BY_NAME) == len(FORMULAS)
    for formula in FORMULAS:
        assert all(each.concept in CONCEPTS for each in formula.inputs), formula.name
        assert any(each.drives for each in formula.inputs) and any(char.isdigit() for char in formula.source)


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.name)
def test_nothing_is_made_of_zeros(formula: Formula) -> None:
    """A divisor of 0 gives no number; what is a sum or a product may."""
    with np.errstate(all="ignore"):
        found = formula.compute(*(np.zeros(1) for _ in formula.inputs))
    assert not np.isinf(found).any() or formula.name == "eGFR"
