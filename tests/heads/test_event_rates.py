from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from suwen.core.calibration import Calibration
from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.features import Features
from suwen.heads.event_rates import EventRates, informative, piecewise_loss, time_in_pieces

EDGES = (0.0, 30.0, 365.0)
CODES = ["<unknown>", "I10", "E11", "MEDS_DEATH"]


def head(**options: Any) -> EventRates:
    torch.manual_seed(0)
    made = {"codes": CODES, "told": [1, 2, 3], "base": [1e-3, 2e-3, 1e-4], "edges": list(EDGES)} | options
    return EventRates(8, **made).eval()


def rate(logits: np.ndarray, day: float) -> float:
    piece = int(np.searchsorted(EDGES, day, side="right")) - 1
    return float(2.0 ** logits[piece])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-12, -2), min_size=3, max_size=3),
    st.floats(1, 800),
    st.booleans(),
)
def test_the_loss_is_the_likelihood_of_a_censored_time(logits: list[float], days: float, happens: bool) -> None:
    """-log of hazard · survival, the hazard integrated numerically."""
    values = np.array(logits)
    total, _ = quad(lambda day: rate(values, day), 0, days, points=[30, 365], limit=200)
    expected = total - (math.log(rate(values, np.nextafter(days, 0))) if happens else 0.0)
    found = piecewise_loss(
        torch.tensor(logits).view(1, 3, 1),
        torch.tensor([[days if happens else math.inf]]),
        torch.tensor([days]),
        torch.tensor(EDGES),
    )
    assert float(found) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_the_best_constant_rate_is_events_over_time_at_risk() -> None:
    first = torch.tensor([[10.0], [math.inf], [25.0], [math.inf]])
    follow = torch.tensor([20.0, 29.0, 28.0, 5.0])
    logit = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([logit], max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = piecewise_loss(logit.expand(4, 1, 1), first, follow, torch.tensor([0.0]))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert 2 ** float(logit) == pytest.approx(2 / (10 + 29 + 25 + 5), rel=1e-3)


def test_time_is_dealt_over_the_pieces() -> None:
    found = time_in_pieces(torch.tensor([[10.0, 400.0]]), torch.tensor(EDGES))
    assert found[0].T.tolist() == [[10, 0, 0], [30, 335, 35]]


def test_risk_grows_with_the_horizon_and_starts_from_the_base_rate() -> None:
    made = head()
    torch.nn.init.zeros_(made.tasks.weight)
    logits = made(Features(torch.randn(2, 8)))
    assert logits.shape == (2, 3, 3)
    assert made.risk(logits, 100.0)[0].tolist() == pytest.approx([1 - math.exp(-100 * r) for r in (1e-3, 2e-3, 1e-4)])
    assert (made.risk(logits, 10.0) < made.risk(logits, 11.0)).all()
    assert made.risk_of(logits, "E11", 100.0).tolist() == pytest.approx([1 - math.exp(-0.2)] * 2)


def test_answers_name_codes_and_always_death() -> None:
    made = head()
    found = made.decode(made(Features(torch.randn(1, 8))), Calibration())[0]
    assert "MEDS_DEATH" in found.probabilities and found.answer in CODES
    assert all(0 <= value <= 1 for value in found.probabilities.values())


def test_an_unknown_code_and_impossible_edges_are_refused() -> None:
    made = head()
    with pytest.raises(NameUnknown, match="E11"):
        made.risk_of(made(Features(torch.randn(1, 8))), "E12", 10.0)
    with pytest.raises(RecipeError, match="ascend"):
        head(edges=[0.0, 30.0, 30.0])


def test_base_rates_are_counted_on_the_training_histories() -> None:
    class Targets:
        def __getitem__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
            first = np.full((len(rows), 4), np.inf, np.float32)
            first[:, 1] = 50.0
            return {"first": first, "follow": np.full(len(rows), 100.0, np.float32)}

    tokens = SimpleNamespace(codes=tuple(CODES), subjects=(0, 5, 3, 1))
    found = EventRates.options_for(SimpleNamespace(preprocess=tokens, targets=Targets()), np.arange(100), {})
    assert found["told"] == [1, 2, 3]
    assert found["base"] == pytest.approx([100.5 / 5001, 0.5 / 10001, 0.5 / 10001])


def test_codes_that_half_of_the_subjects_have_tell_most_and_death_is_always_told() -> None:
    codes = ("<unknown>", "all", "half", "few", "MEDS_DEATH")
    assert informative(codes, (0, 100, 50, 10, 1), 2) == [2, 4]
