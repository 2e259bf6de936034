from __future__ import annotations

from typing import Any

import pytest
import torch

from suwen.learn import device
from suwen.learn.device import choose_precision, make_fabric


@pytest.mark.parametrize("fast", [True, False])
def test_auto_takes_bfloat16_only_where_it_is_fast(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    monkeypatch.setattr(device, "has_fast_bfloat16", lambda: fast)
    assert choose_precision("auto") == ("bf16" if fast else "fp32")


@pytest.mark.parametrize("asked", ["fp32", "bf16", "fp16"])
def test_what_was_asked_for_is_taken(asked: Any) -> None:
    assert choose_precision(asked) == asked


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_fabric_computes_in_the_precision_named(precision: str, dtype: torch.dtype) -> None:
    fabric = make_fabric(precision)
    weight = torch.ones(2, 2, device=fabric.device)
    with fabric.autocast():
        assert (weight @ weight).dtype == dtype
