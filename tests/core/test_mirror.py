from __future__ import annotations

import pytest
import torch

from suwen.core.errors import NameUnknown
from suwen.core.mirror import MIRRORS, mirrored


@pytest.mark.parametrize("names", [(), ("flip",), ("turn",), ("flip", "turn")])
@pytest.mark.parametrize("dims", [2, 3])
def test_every_view_is_undone_exactly_and_is_there_once(names: tuple[str, ...], dims: int) -> None:
    inputs = torch.rand(2, 3, *[6] * dims)
    seen = [view.change(inputs) for view in mirrored(names, dims)]
    assert torch.equal(seen[0], inputs)
    for view, each in zip(mirrored(names, dims), seen, strict=True):
        assert torch.equal(view.undo(each), inputs)
    if dims == 2:
        assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[i + 1 :])


def test_how_many_views_there_are() -> None:
    assert [len(mirrored((name,), 2)) for name in MIRRORS] == [4, 8]
    assert len(mirrored(("flip",), 3)) == 8


def test_a_view_that_cannot_be_undone_is_refused() -> None:
    with pytest.raises(NameUnknown, match="unknown view 'shift'"):
        mirrored(("shift",), 2)
