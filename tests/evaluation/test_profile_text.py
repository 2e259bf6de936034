from __future__ import annotations

import math

import pytest

from suwen.evaluation.profile_text import aged, counted, lasted, more_than, percent, quantity


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, ""), (0, "0"), (12345, "12,345"), ("<11", "<11"), ("hidden", "–"), (3.14159, "3.14"), (999.97, "1,000")],
)
def test_counts_are_short_and_never_in_powers(count: object, text: str) -> None:
    assert counted(count) == text


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (None, ""),
        (0.0001, "under a minute"),
        (1 / 96, "15 min"),
        (0.125, "3 h"),
        (1.5, "36 h"),
        (6.63, "6.63 d"),
        (730.5, "2 y"),
    ],
)
def test_lengths_are_in_a_unit_that_fits(days: float | None, text: str) -> None:
    assert lasted(days) == text


def test_ages_are_full_years_up_to_ninety() -> None:
    assert [aged(age) for age in (None, 0.9, 89.99, 90.0)] == ["", "0", "89", "90+"]


def test_only_all_are_a_hundred_percent_and_only_none_is_nought() -> None:
    assert [percent(share) for share in (None, 0.0, 0.001, 0.5, 0.999, 1.0)] == ["", "0%", "<1%", "50%", ">99%", "100%"]
    assert more_than(0.9999) == ">99%"


def test_what_is_not_shown_is_no_number() -> None:
    assert quantity(5) == 5.0 and math.isnan(quantity("<11"))
