from __future__ import annotations

from suwen.data.records.cohorts.funnel import Funnel, Step


def test_what_is_left_is_what_was_not_lost_before() -> None:
    funnel = Funnel.of(5, 4, 10, [("too few", 3), ("none", 0), ("too many", 2)])
    assert funnel.steps == (
        Step(what="too few", lost=3, left=7),
        Step(what="none", lost=0, left=7),
        Step(what="too many", lost=2, left=5),
    )
    assert funnel.labels == 5
    assert funnel.lines("admission") == [
        "5 subjects",
        "4 with the demographics, and an event in time",
        "10 triggers: admission",
        "  -3 → 7   too few",
        "  -2 → 5   too many",
        "5 labels",
    ]
    assert funnel.told()["steps"][0] == {"what": "too few", "lost": 3, "left": 7}
