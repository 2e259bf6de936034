from __future__ import annotations

from typing import Any

import pytest

from suwen.core.errors import RecipeError
from suwen.data.records.cohorts.entry import Entry
from suwen.data.records.cohorts.windows import Endpoint, Has, Window, in_order, read_window
from suwen.data.records.tables.mapping_text import read_text

HOUR = 3_600_000_000
INCLUSIVE = "start_inclusive: True, end_inclusive: False"


def read(written: str, name: str = "w") -> Window:
    return read_window(Entry.whole(read_text(f"windows: {{{name}: {{{written}}}}}", "t")).get("windows").get(name))


def ends(start: str, end: str) -> tuple[Endpoint, Endpoint]:
    window = read(f"start: {start}, end: {end}, {INCLUSIVE}")
    return window.start, window.end


@pytest.mark.parametrize("nothing", ["null", "NULL", "None", "~", ""])
def test_where_nothing_stands_the_record_begins_or_ends(nothing: str) -> None:
    start, end = ends(nothing, "trigger")
    assert start == Endpoint(of="w.end", towards="last", predicate="_RECORD_START", strict=False)
    assert end == Endpoint(of="trigger")
    start, end = ends("gap.end", nothing)
    assert start == Endpoint(of="gap.end")
    assert end == Endpoint(of="w.start", towards="next", predicate="_RECORD_END", strict=True)


def test_ends_hang_on_each_other_by_time_or_by_what_happens() -> None:
    assert ends("trigger", "start + 24h")[1] == Endpoint(of="w.start", offset=24 * HOUR, strict=True)
    assert ends("end - 30 days", "trigger + 1d 2h") == (
        Endpoint(of="w.end", offset=-720 * HOUR, strict=False),
        Endpoint(of="trigger", offset=26 * HOUR),
    )
    assert ends("trigger", "start -> death")[1] == Endpoint(
        of="w.start", towards="next", predicate="death", strict=True
    )
    assert ends("end <- admission", "x.start -> y") == (
        Endpoint(of="w.end", towards="last", predicate="admission", strict=False),
        Endpoint(of="x.start", towards="next", predicate="y"),
    )


def test_an_end_that_is_within_may_lie_where_the_other_one_does() -> None:
    """And one that is not may not; neither may one that hangs on something outside."""
    for inclusive in (True, False):
        written = f"start: trigger, end: start -> death, start_inclusive: True, end_inclusive: {inclusive}"
        assert read(written).end.strict is not inclusive
    assert read("start: trigger -> death, end: start + 1h, start_inclusive: True, end_inclusive: True").start.strict


def test_what_must_be_within_is_read_from_its_limits() -> None:
    window = read(
        f'start: trigger, end: start + 1h, {INCLUSIVE}, has: {{a: "(1, None)", b: "( , 3)", c: [0, 2], d: "2, 2"}}'
    )
    assert window.has == (Has(predicate="a", least=1, most=None), Has(predicate="b", least=None, most=3),
                          Has(predicate="c", least=0, most=2), Has(predicate="d", least=2, most=2))  # fmt: skip
    assert window.loose == "end" and (window.start_inclusive, window.end_inclusive) == (True, False)
    assert set(window.predicates()) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("start: trigger, end: start + 1h, start_inclusive: True", "end_inclusive is None"),
        (f"start: trigger, end: start + 1h, {INCLUSIVE}, excludes: x", "'excludes' is not supported of a window"),
        (f"start: null, end: null, {INCLUSIVE}", "one hangs on the other"),
        (f"start: trigger, end: trigger + 1h, {INCLUSIVE}", "one hangs on the other"),
        (f"start: end - 1h, end: start + 1h, {INCLUSIVE}", "one hangs on the other"),
        (f"start: trigger, end: start - 1h, {INCLUSIVE}", "before the start"),
        (f"start: trigger, end: start <- a, {INCLUSIVE}", "before the start"),
        (f"start: end + 1h, end: trigger, {INCLUSIVE}", "after the end"),
        (f"start: end -> a, end: trigger, {INCLUSIVE}", "after the end"),
        (f"start: trigger, end: start + 1y, {INCLUSIVE}", "no duration; supported: a number and w, d, h"),
        (f"start: trigger, end: start + 1 month, {INCLUSIVE}", "no duration"),
        (f"start: trigger, end: start -> a -> b, {INCLUSIVE}", "another endpoint"),
        (f"start: trigger, end: start * 2, {INCLUSIVE}", "another endpoint"),
        (f"start: a.b.end, end: start + 1h, {INCLUSIVE}", "another endpoint"),
        (f"start: a.middle, end: start + 1h, {INCLUSIVE}", "another endpoint"),
        (f"start: trigger, end: start -> _RECORD_START, {INCLUSIVE}", "turn the arrow"),
        (f'start: trigger, end: start + 1h, {INCLUSIVE}, has: {{a: "(None, None)"}}', "not both"),
        (f'start: trigger, end: start + 1h, {INCLUSIVE}, has: {{a: "(3, 2)"}}', "least, most"),
        (f'start: trigger, end: start + 1h, {INCLUSIVE}, has: {{a: "(1)"}}', "least, most"),
        (f'start: trigger, end: start + 1h, {INCLUSIVE}, has: {{a: "(x, 2)"}}', "least, most"),
        (f"start: trigger, end: start + 1h, {INCLUSIVE}, index_timestamp: middle", "start or end"),
        (f"start: trigger, end: start + 1h, {INCLUSIVE}, censoring: drop", "about the label"),
        (f"start: trigger, end: start + 1h, {INCLUSIVE}, label: a, censoring: perhaps", "keep or drop"),
        (f"start: trigger, end: start, {INCLUSIVE}, label: a", "has no length"),
        (f'start: trigger, end: start + 0h, {INCLUSIVE}, has: {{a: "(1, None)"}}', "has no length"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(written: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        read(written)


@pytest.mark.parametrize("name", ["trigger", "my window", "a-b"])
def test_windows_have_names_of_one_word(name: str) -> None:
    with pytest.raises(RecipeError, match="a window named"):
        read(f"start: trigger, end: start + 1h, {INCLUSIVE}", name)


def test_ends_come_after_what_they_hang_on() -> None:
    """Whatever the order of the windows."""
    late = read(f"start: end - 1d, end: b.start, {INCLUSIVE}", "a")
    early = read(f"start: end <- x, end: trigger, {INCLUSIVE}", "b")
    assert [name for name, _ in in_order((late, early))] == ["b.end", "b.start", "a.end", "a.start"]


def test_windows_that_hang_on_nothing_or_on_each_other_are_refused() -> None:
    lost = read(f"start: c.end, end: start + 1h, {INCLUSIVE}", "a")
    with pytest.raises(RecipeError, match=r"a.start hangs on c.end, which is not there(.|\n)*known: trigger, a.start"):
        in_order((lost,))
    one = read(f"start: b.end, end: start + 1h, {INCLUSIVE}", "a")
    other = read(f"start: a.end, end: start + 1h, {INCLUSIVE}", "b")
    with pytest.raises(RecipeError, match="hang on each other"):
        in_order((one, other))


def test_an_end_is_told_as_it_could_be_written() -> None:
    told = [end.told() for end in (*ends("end - 30 days", "trigger"), ends("trigger", "start -> death")[1])]
    assert told == ["w.end - 30d", "trigger", "w.start -> death"]


def test_has_of_anything_but_keys_is_refused() -> None:
    wrong: Any = f"start: trigger, end: start + 1h, {INCLUSIVE}, has: [a]"
    with pytest.raises(RecipeError, match="here stand keys"):
        read(wrong)
