from __future__ import annotations

import numpy as np
import torch

from suwen.core.inputs import on_device


def test_arrays_become_tensors_in_whatever_dicts_hold_them() -> None:
    packed = {"codes": np.array([3, 1]), "more": {"values": np.array([0.5], np.float32)}}
    found = on_device(packed, "cpu")
    assert found["codes"].tolist() == [3, 1] and found["codes"].dtype == torch.int64
    assert found["more"]["values"].dtype == torch.float32
    assert torch.equal(on_device(np.ones((2, 3), np.uint8), "cpu"), torch.ones(2, 3, dtype=torch.uint8))


def test_what_is_a_tensor_already_is_not_copied() -> None:
    values = torch.ones(3)
    assert on_device(values, "cpu") is values
