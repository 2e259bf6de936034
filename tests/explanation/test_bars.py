from __future__ import annotations

from suwen.core.explanation import Share
from suwen.explanation.bars import MOST, shown


def test_the_smallest_shares_are_one_bar_and_nothing_is_lost() -> None:
    ranked = [Share(column=f"c{n}", value="1", amount=1 / (n + 1)) for n in range(30)]
    bars = shown(ranked)
    assert len(bars) == MOST and bars[0] is ranked[0] and bars[-1].column == "17 other columns"
    assert abs(sum(bar.amount for bar in bars) - sum(share.amount for share in ranked)) < 1e-12
    assert shown(ranked[:MOST]) == ranked[:MOST]
