from __future__ import annotations

import pytest

from suwen.data.records.cohorts.durations import microseconds_of, told

S = 1_000_000
H, D = 3600 * S, 86_400 * S


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("24h", 24 * H),
        ("24 hours", 24 * H),
        ("-24h", -24 * H),
        ("- 24 h", -24 * H),
        ("+30 days", 30 * D),
        ("1d 2h", D + 2 * H),
        ("1d2h", D + 2 * H),
        ("1 day, 14:20:16", D + 14 * H + 20 * 60 * S + 16 * S),
        ("14:20:16", 14 * H + 20 * 60 * S + 16 * S),
        ("2 weeks", 14 * D),
        ("1w 1d 1h 1m 1s", 8 * D + H + 61 * S),
        ("18m", 18 * 60 * S),
        ("30 minutes", 30 * 60 * S),
        ("1.5 days", 36 * H),
        ("1.3333 hours", 4799 * S),
        ("0.5s", S // 2),
        ("1 HOUR", H),
    ],
)
def test_durations_are_what_pytimeparse_reads(text: str, length: int) -> None:
    """The lengths are those of pytimeparse 1.1.10, which ACES 0.7.3 uses; 18m are minutes there too."""
    assert microseconds_of(text) == length


@pytest.mark.parametrize("text", ["", "h", "24", "1y", "1 year", "3 months", "2h 1d", "1:24", "x", "1d 2", "9999999w"])
def test_what_has_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no duration|longer"):
        microseconds_of(text)


def test_a_duration_is_told_in_its_largest_unit() -> None:
    assert [told(length) for length in (2 * D, 36 * H, 90 * 60 * S, S // 2)] == ["2d", "36h", "90m", "0.5s"]
    assert microseconds_of(told(36 * H)) == 36 * H
