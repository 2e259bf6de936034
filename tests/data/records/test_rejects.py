from __future__ import annotations

import json

from suwen.data.records.rejects import KEPT, LONGEST, Rejects


def test_all_are_counted_and_the_first_of_each_reason_kept() -> None:
    rejects = Rejects()
    for number in range(KEPT + 5):
        rejects.add("no time", f"row {number}", {"n": number})
    rejects.add("no code", "row 1", "x")
    assert rejects.counts == {"no time": KEPT + 5, "no code": 1}
    assert [each["where"] for each in rejects.kept] == [*(f"row {number}" for number in range(KEPT)), "row 1"]
    assert [json.loads(line) for line in rejects.lines().splitlines()] == rejects.kept


def test_a_record_that_is_cut_says_so() -> None:
    rejects = Rejects()
    rejects.add("long", "a", "x" * (LONGEST + 1))
    rejects.add("long", "b", "x" * LONGEST)
    assert [len(each["record"]) for each in rejects.kept] == [LONGEST, LONGEST]
    assert [each.get("cut") for each in rejects.kept] == [True, None]
