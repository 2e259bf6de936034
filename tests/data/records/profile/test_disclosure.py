from __future__ import annotations

from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from suwen.data.records.profile.disclosure import HIDDEN, cell, part, partition, pooled, share, years

COUNTS = st.lists(st.one_of(st.integers(0, 12), st.integers(0, 200)), min_size=1, max_size=6)


def test_ten_are_few_and_nobody_is_nobody() -> None:
    assert [cell(count) for count in (0, 1, 10, 11)] == [0, "<11", "<11", 11]
    assert [cell(count, 1) for count in (0, 1, 10)] == [0, 1, 10]


def test_all_but_a_few_say_no_more_than_a_few() -> None:
    assert [part(count, 100) for count in (0, 10, 11, 89, 90, 99, 100)] == [0, "<11", 11, 89, ">89", ">89", 100]
    assert part(13, 15) == ">4"


@given(COUNTS)
def test_no_small_count_can_be_worked_out_from_the_sum(counts: list[int]) -> None:
    assume(sum(counts) >= 11)
    told = partition(counts)
    assert all(count == shown for count, shown in zip(counts, told, strict=True) if isinstance(shown, int))
    unseen = [place for place, shown in enumerate(told) if isinstance(shown, str)]
    left = sum(counts[place] for place in unseen)
    ranges = {place: (1, 10) if told[place] == "<11" else (11, left) for place in unseen}
    if HIDDEN in told and "<11" not in told:  # nothing is said of any of them
        ranges = dict.fromkeys(unseen, (0, left))
    for place in unseen:
        others = [ranges[other] for other in unseen if other != place]
        low = max(ranges[place][0], left - sum(high for _, high in others))
        high = min(ranges[place][1], left - sum(low for low, _ in others))
        assert low < high or counts[place] >= 11 or len(counts) == 1


@given(COUNTS, st.integers(1, 30))
def test_what_is_shown_of_a_partition_hides_no_more_than_it_must(counts: list[int], smallest: int) -> None:
    if all(count == 0 or count >= smallest for count in counts):
        assert partition(counts, smallest) == counts


@given(COUNTS)
def test_pooled_cells_follow_each_other_hold_enough_and_lose_nobody(counts: list[int]) -> None:
    found = pooled(counts)
    assert sum(count for *_, count in found) == sum(counts)
    assert all(count == sum(counts[first : last + 1]) for first, last, count in found)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(found))
    assert all(count >= 11 for *_, count in found) or len(found) == 1


def test_ages_end_at_ninety_and_shares_need_both_counts() -> None:
    assert [years(age) for age in (None, 89.5, 90.1, 104.0)] == [None, 89.5, 90.0, 90.0]
    assert [share(11, 44), share("<11", 44), share(3, "<11"), share(0, 0)] == [0.25, None, None, None]
