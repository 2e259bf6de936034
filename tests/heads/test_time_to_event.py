from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from suwen.core.calibration import Calibration
from suwen.core.errors import DataError, NameUnknown, RecipeError
from suwen.core.features import Features
from suwen.data.arrays import ArrayDataset
from suwen.heads.breslow import breslow
from suwen.heads.hazard_scaling import curves_of, fit_scaling
from suwen.heads.time_to_event import KINDS, TimeToEvent

PLAIN = Calibration()


def people(count: int = 1500, causes: int = 1, *, seed: int = 0, noise: float = 0.0) -> ArrayDataset:
    """Exponential times whose rates depend on the first inputs, one a cause, censored at up to 12."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 3))
    rate = 0.08 * np.exp(inputs[:, :causes])
    times = rng.exponential(1 / rate)
    censored = rng.uniform(3, 12, count)
    time, came = np.minimum(times.min(1), censored), times.min(1) <= censored
    targets = np.stack([time, np.where(came, times.argmin(1) + 1, 0)], 1)
    splits = np.where(np.arange(count) % 3 == 0, "val", "train")
    return ArrayDataset(
        inputs=inputs,
        targets=targets,
        splits=splits,
        labels=tuple(f"cause {number + 1}" for number in range(causes)),
    )


def trained(data: ArrayDataset, steps: int = 150, **options: Any) -> TimeToEvent:
    """A head on the inputs themselves, by L-BFGS over all training rows."""
    torch.manual_seed(0)
    train = data.where("train")
    head = TimeToEvent(3, data.labels, **TimeToEvent.options_for(data, train, options))
    inputs, targets = torch.from_numpy(data.take(train)), torch.from_numpy(data.targets[train])
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = head.loss(head(Features(inputs)), targets)
        value.backward()
        return value

    optimizer.step(loss)
    head.fit_baseline(logits_of(head, data, train), data.targets[train])
    return head


def logits_of(head: TimeToEvent, data: ArrayDataset, rows: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = head(Features(torch.from_numpy(data.take(rows)))).numpy()
    return found


def true_incidence(data: ArrayDataset, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    rate = 0.08 * np.exp(data.inputs[rows, : len(data.labels)])[:, :, None]
    total = rate.sum(1, keepdims=True)
    found: np.ndarray = rate / total * -np.expm1(-total * times)
    return found


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("causes", [1, 2])
def test_true_incidences_are_recovered(kind: str, causes: int) -> None:
    data = people(3000, causes)
    head = trained(data, kind=kind, bins=40 if kind == "cox" else 8, time_varying=False)
    rows, times = data.where("val"), np.array([2.0, 5.0, 8.0])
    found = curves_of(head, logits_of(head, data, rows), PLAIN, times)
    assert np.abs(found - true_incidence(data, rows, times)).mean() < 0.025
    assert np.abs(head.linear.weight.detach().numpy() - np.eye(causes, 3)).max() < 0.2


def test_effects_that_change_with_time_are_seen_where_they_may() -> None:
    """The risk of the first half is turned round in the second."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4000, 3))
    early = rng.exponential(1 / (0.1 * np.exp(inputs[:, 0])))
    late = 4 + rng.exponential(1 / (0.1 * np.exp(-inputs[:, 0])))
    time = np.where(early < 4, early, late)
    targets = np.stack([np.minimum(time, 10), (time <= 10).astype(float)], 1)
    data = ArrayDataset(inputs=inputs, targets=targets, splits=np.full(4000, "train"), labels=("event",))
    losses = {}
    for varying in (True, False):
        head = trained(data, kind="piecewise", bins=8, time_varying=varying)
        logits = torch.from_numpy(logits_of(head, data, np.arange(4000)))
        losses[varying] = head.loss(logits, torch.from_numpy(targets)).item()
        if head.varying is not None:
            effects = (head.linear.weight[:, :1] + head.varying.weight[:, :1]).detach().numpy()[:, 0]
            assert effects[0] > 0.5 and effects[-1] < -0.5
    assert losses[True] < losses[False] - 0.05


def test_before_it_has_learnt_it_says_what_came_true_of_all() -> None:
    data = people(2000)
    head = TimeToEvent(3, data.labels, **TimeToEvent.options_for(data, np.arange(2000), {"bins": 10}))
    with torch.no_grad():
        head.linear.weight.zero_()
    said = curves_of(head, logits_of(head, data, np.arange(1)), PLAIN, np.array([3.0]))[0, 0, 0]
    assert said == pytest.approx(true_incidence(data, np.arange(2000), np.array([3.0])).mean(), abs=0.03)


def test_breslow_is_counted_and_is_that_of_lifelines() -> None:
    lifelines = pytest.importorskip("lifelines")
    data = people(400)
    targets = np.stack([np.ceil(data.targets[:, 0] * 2), data.targets[:, 1]], 1)
    import pandas as pd

    table = pd.DataFrame(data.inputs, columns=list("abc")).assign(time=targets[:, 0], event=targets[:, 1])
    fitted = lifelines.CoxPHFitter().fit(table, "time", "event")
    risk = (data.inputs - data.inputs.mean(0)) @ fitted.params_.to_numpy()
    moments, gained = breslow(risk, targets[:, 0], targets[:, 1] > 0)
    expected = fitted.baseline_cumulative_hazard_.iloc[:, 0].loc[moments]
    assert np.allclose(np.cumsum(gained), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", list(KINDS))
def test_scaling_takes_back_what_was_done_to_hazards(kind: str) -> None:
    data = people(6000)
    head = trained(data, kind=kind, bins=40 if kind == "cox" else 8, time_varying=False)
    rows = data.where("val")
    logits = logits_of(head, data, rows)
    base = (head.centre[:, None] if kind == "cox" else head.base).detach().numpy()
    spoiled = base + 2.0 * (logits - base) + 0.7
    temperature, shifts = fit_scaling(head, spoiled, data.targets[rows])
    assert temperature == pytest.approx(2.0, rel=0.1) and shifts[0] == pytest.approx(-0.35, abs=0.15)
    times = np.array([2.0, 5.0])
    calibration = Calibration(temperature=temperature, shifts=shifts)
    found = curves_of(head, spoiled, calibration, times)
    assert np.abs(found - true_incidence(data, rows, times)).mean() < 0.03
    before = head.likelihood(torch.from_numpy(spoiled), torch.from_numpy(data.targets[rows])).item()
    scaled = head.scaled(torch.from_numpy(spoiled), calibration)
    assert head.likelihood(scaled, torch.from_numpy(data.targets[rows])).item() < before


def test_an_answer_speaks_of_horizons_causes_and_the_time_that_most_outlive() -> None:
    data = people(1000, 2)
    head = trained(data, 20, kind="piecewise", horizons=[2.0, 6.0])
    logits = torch.from_numpy(logits_of(head, data, np.arange(3)))
    answers = head.decode(logits, Calibration(quantile=0.1))
    for row, answer in enumerate(answers):
        assert set(answer.probabilities) == {f"cause {k} by {h}" for k in (1, 2) for h in (2, 6)}
        alive = 1 - sum(answer.probabilities[f"cause {k} by 6"] for k in (1, 2))
        assert answer.answer["6"] == pytest.approx(alive) and answer.interval is not None
        low, high = answer.interval
        gone = curves_of(head, logits[row : row + 1].numpy(), PLAIN, np.array([low])).sum()
        assert gone == pytest.approx(0.1, abs=1e-4) and high == head.config["edges"][-1]
    assert head.decode(logits, PLAIN)[0].interval is None and head.probabilities(logits, PLAIN).shape == (3, 2, 2)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_same_head_comes_back_from_its_config_and_weights(kind: str) -> None:
    data = people(300)
    head = trained(data, 10, kind=kind)
    options = {name: value for name, value in head.config.items() if name != "name"}
    again = TimeToEvent(3, data.labels, **options)
    again.load_state_dict(head.state_dict())
    times = np.array([1.0, 4.0])
    logits = logits_of(head, data, np.arange(20))
    assert np.array_equal(logits, logits_of(again, data, np.arange(20)))
    assert np.array_equal(curves_of(head, logits, PLAIN, times), curves_of(again, logits, PLAIN, times))


def test_intervals_hold_about_as_many_events_and_reach_the_last_time() -> None:
    data = people(2000)
    options = TimeToEvent.options_for(data, np.arange(2000), {"bins": 10, "positive": None})
    events = data.targets[data.targets[:, 1] > 0, 0]
    counts, _ = np.histogram(events, options["edges"])
    assert "positive" not in options and options["edges"][-1] == data.targets[:, 0].max() and len(counts) == 10
    assert np.ptp(counts) <= 2 + 0.02 * len(events) and len(options["horizons"]) == 3


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"kind": "weibull"}, NameUnknown, "weibull"),
        ({"horizons": [500.0]}, RecipeError, "nobody in training was followed beyond"),
        ({"edges": [1.0, 2.0]}, RecipeError, "rise from 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        TimeToEvent.options_for(people(60), np.arange(60), options)


@pytest.mark.parametrize(
    ("targets", "match"),
    [
        (np.zeros((5, 2)), "some must have come"),
        (np.array([[-1.0, 1.0]] * 5), "below 0"),
        (np.array([[1.0, 2.0]] * 5), "event codes"),
        (np.zeros(5), "shape"),
    ],
)
def test_targets_that_are_no_times_are_refused(targets: np.ndarray, match: str) -> None:
    data = ArrayDataset(inputs=np.zeros((5, 1)), targets=targets, splits=np.full(5, "train"), labels=("death",))
    with pytest.raises(DataError, match=match):
        TimeToEvent.options_for(data, np.arange(5), {})
