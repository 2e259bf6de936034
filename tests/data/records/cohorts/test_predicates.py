from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from suwen.core.errors import RecipeError
from suwen.data.records.cohorts.config import read_cohort
from suwen.data.records.cohorts.predicates import Derived, Plain, Predicate, flattened


def read(predicates: dict[str, Any], trigger: str) -> dict[str, Predicate]:
    window = {"start": None, "end": "trigger", "start_inclusive": True, "end_inclusive": True, "index_timestamp": "end"}
    return dict(read_cohort({"predicates": predicates, "trigger": trigger, "windows": {"input": window}}).predicates)


NUMBERS = {"LAB//1": 0, "LAB//2": 1, "XLAB//1": 2}


@pytest.mark.parametrize(
    ("code", "among"),
    [
        ("LAB//1", [0]),
        ("LAB", []),
        ({"regex": "LAB//1"}, [0, 2]),
        ({"regex": "^LAB"}, [0, 1]),
        ({"any": ["XLAB//1", "LAB//2", "ABSENT"]}, [2, 1]),
    ],
)
def test_codes_are_whole_or_a_list_or_found_by_an_expression(code: Any, among: list[int]) -> None:
    plain = read({"lab": {"code": code}}, "lab")["lab"]
    assert isinstance(plain, Plain) and plain.among(NUMBERS).tolist() == among


@pytest.mark.parametrize("value", [17.2, 0.1, 1.3, 90.0, -2.0])
@pytest.mark.parametrize("inclusive", [True, False])
def test_limits_are_compared_as_float32(value: float, inclusive: bool) -> None:
    """A value that is written as the limit is the limit, as in ACES (polars compares float32 with float32)."""
    stored = np.float32(value)
    above, below = np.nextafter(stored, np.float32(np.inf)), np.nextafter(stored, np.float32(-np.inf))
    low, high = Plain(low=value, low_inclusive=inclusive).interval()
    assert [low <= each <= high for each in (below, stored, above)] == [False, inclusive, True]
    low, high = Plain(high=value, high_inclusive=inclusive).interval()
    assert [low <= each <= high for each in (below, stored, above)] == [True, inclusive, False]


def test_infinite_limits_hold_what_they_say() -> None:
    low, high = Plain(low=np.inf).interval()
    assert not low <= np.float32(np.inf) <= high
    low, high = Plain(high=np.inf).interval()
    assert low <= np.float32(1e38) <= high and not low <= np.float32(np.inf) <= high


def test_limits_are_exclusive_unless_said() -> None:
    plain = read({"lab": {"code": "L", "value_min": "1e1", "value_max": 20, "value_max_inclusive": True}}, "lab")["lab"]
    assert plain == Plain(codes=("L",), low=10.0, high=20.0, high_inclusive=True)


def test_only_what_is_used_is_read() -> None:
    """A file of predicates serves many tasks, and not all of it is for this one."""
    found = read({"a": {"code": "A"}, "b": "???", "c": {"expr": "or(a, b)"}}, "a")
    assert list(found) == ["a"]


def test_derived_ones_come_after_what_they_are_made_of() -> None:
    written = {"x": {"expr": "or(y, a)"}, "y": {"expr": "and(a, b)"}, "a": {"code": "A"}, "b": {"code": "B"}}
    found = read(written, "x")
    assert list(found) == ["a", "b", "y", "x"]
    assert found["y"] == Derived(every=True, of=("a", "b")) and found["x"] == Derived(every=False, of=("y", "a"))


def test_an_or_of_plain_ones_is_flat() -> None:
    a, b, c = (Plain(codes=(code,)) for code in "ABC")
    among: dict[str, Predicate] = {"a": a, "b": b, "c": c, "ab": Derived(every=False, of=("a", "b"))}
    assert flattened(Derived(every=False, of=("ab", "c")), among) == [a, b, c]
    assert flattened(Derived(every=True, of=("a", "b")), among) is None
    assert flattened(Derived(every=False, of=("a", "_RECORD_END")), among) is None


@pytest.mark.parametrize(
    ("predicate", "said"),
    [
        ("???", "depends on the data"),
        ("CODE", "here stand keys"),
        ({"code": "???"}, "there is no code"),
        ({"code": None}, "there is no code"),
        ({"code": "A", "text_value": "x"}, "'text_value' is not supported of a predicate"),
        ({"code": "A", "other_cols": {"unit": "mg"}}, "'other_cols' is not supported"),
        ({"code": {"regex": "A", "any": ["B"]}}, "regex and any"),
        ({"code": {"like": "A"}}, "'like' is not supported of a code"),
        ({"code": {"regex": "("}}, "no regular expression"),
        ({"code": {"regex": ""}}, "regex is ''"),
        ({"code": {"any": []}}, "any is"),
        ({"code": {"any": "A"}}, "any is"),
        ({"code": "A", "value_min": "high"}, "value_min is 'high'"),
        ({"code": "A", "value_min_inclusive": "perhaps"}, "true or false"),
        ({"expr": "a"}, r"and\(\) or or\(\)"),
        ({"expr": "or(a)"}, r"and\(\) or or\(\)"),
        ({"expr": "not(a, b)"}, r"and\(\) or or\(\)"),
        ({"expr": "or(a, and(a, b))"}, "not nested"),
        ({"expr": "or(a, missing)"}, "missing is not defined, of which p is made"),
        ({"expr": "or(a, p)"}, "made of itself: p → p"),
        ({"expr": "or(a, a)", "static": True}, "'static' is not supported beside expr"),
    ],
)
def test_what_is_not_supported_is_refused(predicate: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        read({"p": predicate, "a": {"code": "A"}}, "p")
