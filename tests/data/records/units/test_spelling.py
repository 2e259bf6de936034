from __future__ import annotations

import pytest

from suwen.data.records.units.spelling import alike


@pytest.mark.parametrize(
    "spellings",
    [
        ["mg/dL", "mg/dl", "MG/DL", " mg / dL ", "mg/dL.", "mg/dL{glucose}", "ｍｇ／ｄＬ"],
        ["umol/L", "µmol/L", "μmol/l", "UMOL/L"],
        [
            "10*3/uL",
            "10^3/uL",
            "x10^3/µL",
            "X10E3/uL",
            "10E3/UL",
            "10³/μL",
            "×10³/uL",
            "10**3/uL",
            "10(3)/uL",
            "10 3/uL",
        ],
        ["10*12/L", "10^12/L", "10E+12/L", "x10¹²/l"],
        ["°C", "℃", "° c"],
        ["kg/m2", "kg/m²", "kg/m^2", "KG/M**2"],
        ["/min", "{beats}/min", "{Breaths}/min"],
        ["mL/min/{1.73_m2}", "ml/min/{1.73m2}"],
        ["min-1", "min⁻¹"],
    ],
)
def test_what_differs_in_writing_only_is_alike(spellings: list[str]) -> None:
    assert len({alike(each) for each in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mg/dL", "mg/L"),
        ("10*3/uL", "10*6/uL"),
        ("mmol/L", "mol/L"),
        ("mL/min/{1.73_m2}", "mL/min"),
        ("%", ""),
        ("K/uL", "/uL"),
    ],
)
def test_what_differs_is_not(one: str, other: str) -> None:
    assert alike(one) != alike(other)
