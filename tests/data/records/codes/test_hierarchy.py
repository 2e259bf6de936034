from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suwen.core.errors import DataError, NameUnknown, RecipeError
from suwen.data.records.codes.hierarchy import Hierarchy

DIAMOND = Hierarchy(
    parents={
        "nephropathy": ("kidney", "diabetes"),
        "diabetes": ("metabolism",),
        "kidney": ("urinary",),
        "urinary": ("disease",),
        "metabolism": ("disease",),
        "disease": (),
    },
    descriptions={"disease": "a disease"},
)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Codes whose parents have smaller numbers: no cycle."""
    count = draw(st.integers(1, 12))
    return {
        str(number): tuple(map(str, draw(st.lists(st.integers(0, number - 1), max_size=3)) if number else ()))
        for number in draw(st.permutations(range(count)))
    }


def steps_up(parents: dict[str, tuple[str, ...]], code: str) -> dict[str, int]:
    """Everything at and above a code, and how many steps it is away: plain breadth first."""
    found, waiting = {code: 0}, deque([code])
    while waiting:
        each = waiting.popleft()
        for above in parents[each]:
            if above not in found:
                found[above] = found[each] + 1
                waiting.append(above)
    return found


@given(graphs())
def test_ancestors_descendants_and_depth_are_those_of_a_plain_search(parents: dict[str, tuple[str, ...]]) -> None:
    hierarchy = Hierarchy(parents=parents)
    up = {code: steps_up(parents, code) for code in parents}
    for code in parents:
        above = hierarchy.ancestors(code)
        assert set(above) == set(up[code]) - {code} and len(above) == len(set(above))
        assert [up[code][each] for each in above] == sorted(up[code][each] for each in above)  # the nearest first
        assert set(hierarchy.descendants(code)) == {each for each in parents if code in up[each]} - {code}
        assert hierarchy.depth(code) == min(steps for each, steps in up[code].items() if not parents[each])
    assert set(hierarchy.roots) == {code for code in parents if not parents[code]}
    assert set(hierarchy.lowest) == set(parents) - {each for above in parents.values() for each in above}


@given(graphs(), st.data())
def test_rollup_takes_the_nearest_and_then_the_first_of_those_asked_for(
    parents: dict[str, tuple[str, ...]], data: st.DataObject
) -> None:
    asked = data.draw(st.lists(st.sampled_from(sorted(parents)), unique=True))
    found = Hierarchy(parents=parents).rollup([*parents, "elsewhere"], asked)
    for code in parents:
        near = {each: steps for each, steps in steps_up(parents, code).items() if each in asked}
        assert found.get(code) == min(near, key=lambda each: (near[each], asked.index(each)), default=None)
    assert "elsewhere" not in found


@given(graphs(), st.integers(0, 4))
def test_rollup_to_a_depth_gives_codes_of_that_depth_and_leaves_those_above(
    parents: dict[str, tuple[str, ...]], depth: int
) -> None:
    hierarchy = Hierarchy(parents=parents)
    found = hierarchy.rollup(list(parents), depth)
    for code in parents:
        assert found[code] in steps_up(parents, code)
        assert hierarchy.depth(found[code]) == min(depth, hierarchy.depth(code))


def test_of_two_equally_near_the_order_of_the_question_decides() -> None:
    assert DIAMOND.rollup(["nephropathy"], ["diabetes", "kidney"]) == {"nephropathy": "diabetes"}
    assert DIAMOND.rollup(["nephropathy"], ["kidney", "diabetes"]) == {"nephropathy": "kidney"}


def test_the_end_of_something_is_no_further_occurrence_of_it() -> None:
    hierarchy = Hierarchy(parents={"a//START": ("a",), "a//END": ("a",)})
    assert hierarchy.rollup(["a//START", "a//END", "a", "b"], ["a"]) == {"a//START": "a", "a": "a"}
    assert hierarchy.rollup(["a//END", "b"], ["a"], keep=True) == {"a//END": "a//END", "b": "b"}


def test_codes_above_that_have_no_row_are_codes_too_and_one_above_itself_is_not() -> None:
    hierarchy = Hierarchy(parents={"a": ("b", "a", "b")})
    assert hierarchy.parents == {"a": ("b",), "b": ()} and len(hierarchy) == 2 and "b" in hierarchy


def test_a_cycle_is_named() -> None:
    with pytest.raises(DataError, match=r"a → b → c → a|b → c → a → b|c → a → b → c"):
        Hierarchy(parents={"a": ("b",), "b": ("c", "d"), "c": ("a",), "x": ("a",)})


def test_what_is_not_there_is_said_with_what_is() -> None:
    with pytest.raises(NameUnknown, match="kidney"):
        DIAMOND.ancestors("kidny")
    with pytest.raises(NameUnknown, match="metabolism"):
        DIAMOND.rollup(["diabetes"], ["metabolsm"])
    with pytest.raises(RecipeError, match="-1"):
        DIAMOND.rollup(["diabetes"], -1)
