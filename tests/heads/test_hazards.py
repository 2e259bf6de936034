from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from suwen.heads.hazards import BEND, grow, incidence, log_grow, survival, time_of

EDGES = torch.tensor([0.0, 1.0, 2.5, 6.0], dtype=torch.float64)


def hazards(seed: int, causes: int = 2) -> torch.Tensor:
    return torch.rand(4, causes, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_incidence_is_the_integral_of_survival_times_hazard() -> None:
    gained, times = hazards(0), torch.tensor([0.3, 1.0, 2.0, 5.5], dtype=torch.float64)
    found = incidence(gained, EDGES, times)
    rates = (gained[0] / (EDGES[1:] - EDGES[:-1])).numpy()
    edges = EDGES.numpy()

    def density(u: float, cause: int) -> float:
        lived = np.clip((u - edges[:-1]) / np.diff(edges), 0, 1)
        place = min(np.searchsorted(edges, u, "right") - 1, 2)
        return float(np.exp(-(gained[0].sum(0).numpy() * lived).sum()) * rates[cause, place])

    for cause in range(2):
        for number, time in enumerate(times.tolist()):
            expected, _ = quad(density, 0, time, args=(cause,), points=edges[1:3], epsabs=1e-12)
            assert found[0, cause, number].item() == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(-30, 8))
@settings(max_examples=40, deadline=None)
def test_survival_and_incidences_are_one_and_rise(seed: int, causes: int, level: float) -> None:
    gained = (hazards(seed, causes) * np.exp(level)).float()
    times = torch.linspace(0, 9, 50)
    said = incidence(gained, EDGES.float(), times)
    assert torch.allclose(said.sum(1) + survival(gained, EDGES.float(), times), torch.ones(()), atol=2e-6)
    assert (said.diff(dim=2) >= -1e-6).all() and torch.isfinite(said).all()


def test_gradients_of_incidence() -> None:
    gained = hazards(1).requires_grad_()
    times = torch.tensor([0.4, 2.0, 8.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda values: incidence(values, EDGES, times), (gained,))
    nothing = torch.zeros(1, 2, 3, dtype=torch.float64, requires_grad=True)
    incidence(nothing, EDGES, times).sum().backward()
    assert nothing.grad is not None and torch.isfinite(nothing.grad).all()


def test_growth_is_exponential_then_straight_and_never_overflows() -> None:
    values = torch.tensor([-50.0, -1.0, 0.0, BEND, BEND + 1, 1e6], requires_grad=True)
    grown = grow(values)
    assert torch.allclose(grown[:4], values[:4].exp()) and torch.isfinite(grown).all()
    assert torch.allclose(log_grow(values).exp()[1:5], grown[1:5])
    (slopes,) = torch.autograd.grad(log_grow(values).sum(), values)
    assert (slopes > 0).all()


def test_the_time_by_which_a_share_has_the_event() -> None:
    gained = hazards(2)
    for share in (0.05, 0.4):
        found = time_of(gained, EDGES, share)
        back = torch.stack([survival(gained[row : row + 1], EDGES, found[row : row + 1])[0, 0] for row in range(4)])
        assert torch.allclose(back, torch.full_like(back, 1 - share))
    assert torch.isinf(time_of(gained * 0.01, EDGES, 0.5)).all()
