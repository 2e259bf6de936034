from __future__ import annotations

import torch

from suwen.core.calibration import Calibration
from suwen.core.features import Features
from suwen.heads.embed import Embed


def test_the_answer_is_the_features_themselves() -> None:
    head = Embed(3, ())
    pooled = torch.rand(2, 3)
    assert torch.equal(head(Features(pooled=pooled)), pooled) and not list(head.parameters())
    answers = head.decode(pooled, Calibration())
    assert answers[1].answer == pooled[1].tolist() and answers[1].probabilities == {}
