from __future__ import annotations

import numpy as np
import pytest
import torch

from suwen.heads.hazard_losses import discrete_loss, partial_loss, piecewise_loss, split_target

EDGES = torch.tensor([0.0, 1.0, 2.5, 6.0], dtype=torch.float64)


def people(count: int = 40, causes: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    times = np.ceil(rng.uniform(0, 6, count) * 4) / 4
    codes = rng.integers(0, causes + 1, count)
    logits = torch.from_numpy(rng.normal(-1, 1, (count, causes, 3)))
    return logits, torch.from_numpy(times), torch.from_numpy(codes)


def test_piecewise_person_by_person() -> None:
    """Minus log of hazard times survival, less the logarithms of the intervals' lengths."""
    logits, times, codes = people()
    edges, total = EDGES.numpy(), 0.0
    for row, time, code in zip(logits.exp().numpy(), times.tolist(), codes.tolist(), strict=True):
        for m in range(3):
            length = edges[m + 1] - edges[m]
            total += row[:, m].sum() * min(max(time - edges[m], 0), length) / length
            if code and edges[m] < time <= edges[m + 1]:
                total -= np.log(row[code - 1, m])
    assert piecewise_loss(logits, times, codes, EDGES).item() == pytest.approx(total / 40, abs=1e-12)


def test_discrete_person_by_person() -> None:
    logits, times, codes = people()
    edges, total = EDGES.numpy(), 0.0
    for row, time, code in zip(logits.exp().numpy(), times.tolist(), codes.tolist(), strict=True):
        hazard = row / (1 + row.sum(0))
        for m in range(3):
            if code and edges[m] < time <= edges[m + 1]:
                total -= np.log(hazard[code - 1, m])
            elif time > edges[m + 1] or (not code and time >= (edges[m] + edges[m + 1]) / 2):
                total -= np.log(1 - hazard[:, m].sum())
    assert discrete_loss(logits, times, codes, EDGES).item() == pytest.approx(total / 40, abs=1e-12)


@pytest.mark.parametrize("causes", [1, 2])
def test_partial_likelihood_person_by_person(causes: int) -> None:
    logits, times, codes = people(60, causes)
    risks, total, events = logits[:, :, 0], 0.0, 0
    for cause in range(1, causes + 1):
        hazard = risks[:, cause - 1].exp().numpy()
        for now in np.unique(times[codes == cause]):
            tied = np.flatnonzero((times.numpy() == now) & (codes.numpy() == cause))
            at_risk = hazard[times.numpy() >= now].sum()
            for number, person in enumerate(tied):
                total -= np.log(hazard[person] / (at_risk - number / len(tied) * hazard[tied].sum()))
            events += len(tied)
    assert partial_loss(risks, times, codes).item() == pytest.approx(total / events, abs=1e-10)


def test_partial_likelihood_is_that_of_lifelines() -> None:
    lifelines = pytest.importorskip("lifelines")
    import pandas as pd

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 2))
    times = np.ceil(rng.exponential(np.exp(-inputs[:, 0])) * 8)
    codes = (rng.random(200) < 0.7).astype(int)
    table = pd.DataFrame(inputs, columns=["a", "b"]).assign(time=times, event=codes)
    fitted = lifelines.CoxPHFitter().fit(table, "time", "event")
    risks = torch.from_numpy(inputs @ fitted.params_.to_numpy())[:, None]
    found = partial_loss(risks, torch.from_numpy(times), torch.from_numpy(codes))
    assert found.item() == pytest.approx(-fitted.log_likelihood_ / codes.sum(), abs=1e-9)


@pytest.mark.parametrize("loss", [piecewise_loss, discrete_loss])
def test_gradients(loss: object) -> None:
    logits, times, codes = people(12)
    assert torch.autograd.gradcheck(lambda values: loss(values, times, codes, EDGES), (logits.requires_grad_(),))  # type: ignore[operator]


def test_gradients_of_the_partial_likelihood() -> None:
    logits, times, codes = people(25)
    risks = logits[:, :, 0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: partial_loss(values, times, codes), (risks,))


@pytest.mark.parametrize("level", [-80.0, 0.0, 80.0])
def test_losses_and_gradients_are_finite_in_float32(level: float) -> None:
    logits, times, codes = people()
    for loss in (piecewise_loss, discrete_loss):
        values = (logits.float() + level).requires_grad_()
        made = loss(values, times.float(), codes, EDGES.float())
        made.backward()
        assert torch.isfinite(made) and values.grad is not None and torch.isfinite(values.grad).all()
    risks = (logits[:, :, 0].float() * 30 + level).requires_grad_()
    made = partial_loss(risks, times.float(), codes)
    made.backward()
    assert torch.isfinite(made) and risks.grad is not None and torch.isfinite(risks.grad).all()


def test_a_batch_without_events_teaches_nothing_of_cox_and_does_not_fail() -> None:
    risks = torch.randn(5, 1, requires_grad=True)
    made = partial_loss(risks, torch.arange(5.0), torch.zeros(5, dtype=torch.long))
    made.backward()
    assert made.item() == 0 and risks.grad is not None and (risks.grad == 0).all()


def test_beyond_the_last_edge_one_is_censored_there() -> None:
    times, codes = split_target(torch.tensor([[5.0, 1.0], [7.0, 1.0]], dtype=torch.float64), EDGES)
    assert times.tolist() == [5.0, 6.0] and codes.tolist() == [1, 0]
