from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from suwen.core.errors import RecipeError
from suwen.data.records.cohorts.config import read_cohort
from suwen.data.records.cohorts.program import ANY, CONDITION, Program, program_of

INCLUSIVE = {"start_inclusive": False, "end_inclusive": True}
INPUT = {"start": None, "end": "trigger", **INCLUSIVE, "index_timestamp": "end"}


def program(predicates: dict[str, Any], trigger: str, **has: Any) -> Program:
    windows = {"input": INPUT | {"has": has}}
    numbers = {code: number for number, code in enumerate(["A", "B", "C", "MALE", "MEDS_DEATH"])}
    return program_of(read_cohort({"predicates": predicates, "trigger": trigger, "windows": windows}), numbers)


def test_an_or_of_a_hundred_codes_is_one_bit() -> None:
    """As in tasks of MEDS-DEV, which list each way of admission as a predicate."""
    many: dict[str, Any] = {f"p{number}": {"code": f"CODE//{number}"} for number in range(99)} | {"p99": {"code": "B"}}
    found = program(many | {"admission": {"expr": f"or({','.join(many)})"}}, "admission")
    assert found.matching.always.tolist() == [0, found.aim.trigger, 0, 0, found.matching.death]
    assert not found.matching.formulas.size and len(found.unmatched) == 99


def test_more_predicates_than_bits_are_refused() -> None:
    many: dict[str, Any] = {f"p{number}": {"code": f"CODE//{number}"} for number in range(60)}
    with pytest.raises(RecipeError, match="more than 59 predicates"):
        program(many | {"all": {"expr": f"and({','.join(many)})"}}, "all")


def test_values_are_looked_at_only_where_a_limit_is_given() -> None:
    found = program({"a": {"code": "A", "value_min": 1}, "b": {"code": {"any": ["A", "B"]}}}, "a", b=(1, None))
    always = found.matching.always
    assert always[0] & CONDITION and not always[1] & CONDITION and always[0] & ~CONDITION == always[1]
    assert np.diff(found.matching.starts).tolist() == [1, 0, 0, 0, 0]
    assert found.matching.conditions["bit"].tolist() == [found.aim.trigger]


def test_all_moments_are_kept_only_where_any_event_is_asked_for() -> None:
    plain = {"a": {"code": "A"}}
    assert not program(plain, "a", a=(1, None)).matching.every
    assert program(plain, "a", _ANY_EVENT=(1, None)).matching.every
    assert program(plain, "_ANY_EVENT").matching.every
    assert not program(plain, "_RECORD_START").matching.every


def test_what_is_static_holds_at_any_moment_of_those_who_have_it() -> None:
    predicates = {"a": {"code": "A"}, "male": {"code": "MALE", "static": True}, "male_a": {"expr": "and(male, a)"}}
    found = program(predicates | {"either": {"expr": "or(male, a)"}}, "male_a", either=(1, None))
    assert found.matching.statics.size == 1 and not found.matching.statics[0] & found.matching.relevant
    assert found.matching.counted["bit"].tolist() == [ANY]


def test_plain_predicates_count_events_and_derived_ones_moments() -> None:
    predicates = {"a": {"code": "A"}, "b": {"code": "B"}, "ab": {"expr": "or(a, b)"}}
    found = program(predicates, "a", a=(1, None), ab=(1, None), _ANY_EVENT=(1, None))
    assert found.matching.counted["eventwise"].tolist() == [1, 0, 0]
