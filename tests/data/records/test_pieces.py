from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from suwen.data.records.pieces import CUTS, GROUP, groups_of, name_of_group

MIB = 2**20


@given(st.lists(st.integers(0, 2 * GROUP), max_size=30))
def test_groups_are_all_files_in_their_order_and_no_larger_than_they_may(sizes: list[int]) -> None:
    files = {Path(f"{number:03d}.hl7"): size for number, size in enumerate(sizes)}
    groups = list(groups_of(files.items()))
    assert [file for group in groups for file in group] == list(files)
    assert all(len(group) == 1 or sum(map(files.__getitem__, group)) <= GROUP for group in groups)


def test_a_file_that_comes_between_changes_only_the_groups_near_it() -> None:
    names = [f"{number:06d}.hl7" for number in range(10 * CUTS)]
    before = [tuple(group) for group in groups_of((Path(name), 100) for name in names)]
    after = [tuple(group) for group in groups_of((Path(name), 100) for name in sorted([*names, "000000a.hl7"]))]
    assert 3 < len(before) < 30 and len(set(before) - set(after)) == 1


def test_a_group_is_named_by_its_first_and_last() -> None:
    files = [Path("/s/a/1.hl7"), Path("/s/b/2.hl7"), Path("/s/c.hl7")]
    assert name_of_group(files, Path("/s")) == "a/1.hl7 to c.hl7"
    assert name_of_group(files[:1], Path("/s")) == "a/1.hl7"
