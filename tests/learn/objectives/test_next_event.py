from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.core.recipe import make_recipe
from suwen.heads.event_rates import EventRates, piecewise_loss
from suwen.heads.next_event import NextEvent
from suwen.learn.objectives.next_event import TellNext, followed
from suwen.learn.objectives.time_to_event import TellWhen

CODES = ["<unknown>", "A", "B"]
INPUTS = {
    "codes": torch.tensor([1, 2, 1, 0, 2, 1]),
    "buckets": torch.tensor([0, 3, 0, 0, 10, 1]),
    "intervals": torch.tensor([0, 1, 5, 1, 9, 0]),
    "offsets": torch.tensor([0, 3, 5, 6], dtype=torch.int32),
}
"""Three sequences: a static token and two events; two events; one static token."""


class States(nn.Module):
    """An encoder whose states are its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.states = nn.Parameter(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)))

    def forward(self, inputs: Any) -> Features:
        return Features(self.states[[2, 4, 5]], tokens=self.states)


def recipe(task: str, **objective: Any) -> Any:
    return make_recipe({"task": task, "data": {"source": "x"}, "objective": objective})


def test_events_are_told_from_the_token_before_in_their_own_sequence() -> None:
    assert followed(INPUTS).tolist() == [0, 1, 3]


def test_the_loss_is_the_cross_entropy_of_code_interval_and_decile() -> None:
    torch.manual_seed(0)
    encoder, head = States(), NextEvent(8, codes=CODES)
    module = TellNext(encoder, head, recipe("next-event", interval=0.3, bucket=0.2))
    loss = module({"inputs": INPUTS})["loss"]
    expected = {"interval": 0.0, "code": 0.0, "bucket": 0.0}
    for before, (interval, code, bucket) in {0: (1, 2, 3), 1: (5, 1, 0), 3: (9, 2, 10)}.items():
        state, when, what = encoder.states[before], torch.tensor(interval), torch.tensor(code)
        expected["interval"] += float(-head.interval(state).log_softmax(-1)[interval]) / 3
        expected["code"] += float(-head.code(state + head.after(when)).log_softmax(-1)[code]) / 3
        given = state + head.after(when) + head.coded(what)
        expected["bucket"] += float(F.cross_entropy(head.bucket(given)[None], torch.tensor([bucket]))) / 3
    assert float(loss) == pytest.approx(
        expected["code"] + 0.3 * expected["interval"] + 0.2 * expected["bucket"], rel=1e-4
    )
    assert module.figures() == pytest.approx({f"{name}_loss": value for name, value in expected.items()}, rel=1e-4)
    assert module.figures() == {}


def test_it_learns_what_always_comes_next() -> None:
    torch.manual_seed(0)
    encoder, head = States(), NextEvent(8, codes=CODES)
    module = TellNext(encoder, head, recipe("next-event"))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        module({"inputs": INPUTS})["loss"].backward()
        optimizer.step()
    logits = head.codes_after(encoder.states[[0, 1, 3]], INPUTS["intervals"][[1, 2, 4]])
    assert logits.argmax(-1).tolist() == [2, 1, 2]


def test_time_to_event_adds_both_losses() -> None:
    torch.manual_seed(0)
    encoder, head = States(), EventRates(8, codes=CODES, told=[1, 2], base=[1e-3, 1e-3])
    target = {
        "tokens": torch.tensor([2, 4]),
        "first": torch.tensor([[9.0, 5.0, torch.inf], [torch.inf, 40.0, torch.inf]]),
        "follow": torch.tensor([100.0, 50.0]),
    }
    alone = TellWhen(encoder, head, recipe("time-to-event", next=0.0))({"inputs": INPUTS, "target": target})
    times = piecewise_loss(
        head.rates_after(encoder.states[[2, 4]]), target["first"][:, 1:], target["follow"], head.edges
    )
    assert float(alone["loss"]) == pytest.approx(float(times), rel=1e-5)
    both = TellWhen(encoder, head, recipe("time-to-event", next=0.5))({"inputs": INPUTS, "target": target})
    told = TellNext(encoder, head.next, recipe("next-event"))({"inputs": INPUTS})["loss"]
    assert float(both["loss"]) == pytest.approx(float(times + 0.5 * told), rel=1e-5)


def test_unknown_settings_offer_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean bucket"):
        TellNext(States(), NextEvent(8, codes=CODES), recipe("next-event", buckets=1.0))
