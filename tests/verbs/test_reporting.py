"""The report shows what calibration changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from suwen.evaluation.outcome import Outcome
from suwen.verbs.reporting import unscaled


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_probabilities_before_scaling_are_those_of_the_logits_themselves(multi_label: bool, temperature: float) -> None:
    logits = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4
    squash = torch.sigmoid if multi_label else lambda values: torch.softmax(values, dim=1)
    names = np.arange(50).astype(str)
    target = np.zeros((50, 3), np.uint8) if multi_label else np.zeros(50, np.int64)
    scaled = Outcome(
        ids=names,
        subjects=names,
        target=target,
        probabilities=squash(logits / temperature).numpy(),
        labels=("a", "b", "c"),
    )
    found = unscaled(scaled, temperature)
    np.testing.assert_allclose(found.probabilities, squash(logits).numpy(), rtol=1e-6, atol=1e-9)
    assert np.array_equal(found.target, scaled.target)
