from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from suwen.core.encoder import build_encoder
from suwen.core.errors import RecipeError
from suwen.data.preprocess import ImagePreprocess
from suwen.data.records.tokens import EventTokens
from suwen.encoders.events import PRESETS, EventEncoder
from suwen.encoders.own import EVENTS

TOKENS = EventTokens(
    codes=("<unknown>", "E11", "E11.9", "LAB"),
    subjects=(0, 2, 1, 2),
    above=((), (), (1,), ()),
    edges=((), (), (), tuple(map(float, range(9)))),
    mean=(0.0,) * 4,
    deviation=(0.0, 0.0, 0.0, 1.0),
)


def inputs_of(lengths: list[int], seed: int = 0) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    count = sum(lengths)
    return {
        "codes": torch.from_numpy(rng.integers(0, 4, count)),
        "buckets": torch.from_numpy(rng.integers(0, 11, count)),
        "values": torch.from_numpy(rng.normal(size=count).astype(np.float32)),
        "ages": torch.from_numpy(np.sort(rng.uniform(20_000, 22_000, count)).astype(np.float32)),
        "intervals": torch.from_numpy(rng.integers(0, 24, count)),
        "offsets": torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32),
        "born": torch.ones(len(lengths)),
    }


def alone(inputs: dict[str, Tensor], row: int) -> dict[str, Tensor]:
    first, last = inputs["offsets"][row : row + 2].tolist()
    found = {name: inputs[name][first:last] for name in ("codes", "buckets", "values", "ages", "intervals")}
    return found | {
        "offsets": torch.tensor([0, last - first], dtype=torch.int32),
        "born": inputs["born"][row : row + 1],
    }


@pytest.fixture
def encoder() -> EventEncoder:
    torch.manual_seed(0)
    return EventEncoder("events-1x64", TOKENS).eval()


def test_presets_are_listed_where_they_are_built() -> None:
    assert tuple(PRESETS) == EVENTS


@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_a_patient_gets_the_same_answer_in_any_company(pooling: str) -> None:
    torch.manual_seed(0)
    encoder = EventEncoder("events-1x64", TOKENS, pooling=pooling).eval()
    inputs = inputs_of([5, 1, 9, 7])
    together = encoder(inputs)
    for row in range(4):
        torch.testing.assert_close(encoder(alone(inputs, row)).pooled[0], together.pooled[row], atol=1e-5, rtol=0)
    assert together.tokens is not None and together.tokens.shape == (22, 64)
    assert together.offsets is not None and together.offsets.tolist() == [0, 5, 6, 15, 22]


def test_pooled_is_the_state_of_the_last_token_and_later_events_change_no_earlier_state(encoder: EventEncoder) -> None:
    inputs = inputs_of([6, 4])
    whole = encoder(inputs)
    assert torch.equal(whole.pooled, whole.tokens[[5, 9]])
    inputs["codes"][5] = (inputs["codes"][5] + 1) % 4
    assert torch.equal(encoder(inputs).tokens[:5], whole.tokens[:5])


def test_code_decile_value_age_and_interval_are_all_seen(encoder: EventEncoder) -> None:
    torch.nn.init.normal_(encoder.slopes.weight, std=0.02)
    plain = encoder(inputs_of([4])).pooled
    for name in ("codes", "buckets", "intervals"):
        inputs = inputs_of([4])
        inputs[name][2] = (inputs[name][2] + 1) % 4
        assert not torch.allclose(encoder(inputs).pooled, plain), name
    for name in ("values", "ages"):
        inputs = inputs_of([4])
        inputs[name][1] += 1.0
        assert not torch.allclose(encoder(inputs).pooled, plain), name


def test_a_code_shares_what_is_learned_of_the_codes_above_it(encoder: EventEncoder) -> None:
    table = encoder.table()
    torch.testing.assert_close(table[2], encoder.codes.weight[2] + encoder.codes.weight[1])
    assert torch.equal(table[3], encoder.codes.weight[3])


def test_the_same_config_builds_the_same_architecture(encoder: EventEncoder) -> None:
    again = build_encoder(**encoder.config, preprocess=TOKENS)  # type: ignore[arg-type]
    again.load_state_dict(encoder.state_dict())  # type: ignore[attr-defined]
    again.eval()  # type: ignore[attr-defined]
    assert torch.equal(again(inputs_of([3])).pooled, encoder(inputs_of([3])).pooled)  # type: ignore[arg-type]


def test_every_parameter_has_a_depth_and_learns(encoder: EventEncoder) -> None:
    encoder(inputs_of([9, 8])).pooled.square().sum().backward()
    depths = encoder.depths()
    assert depths.keys() == dict(encoder.named_parameters()).keys()
    assert depths["codes.weight"] == 0 and depths["layers.0.out.weight"] == 1 and depths["norm.weight"] == 2
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_pictures_foreign_weights_and_unknown_poolings_are_refused() -> None:
    with pytest.raises(RecipeError, match="not pictures"):
        build_encoder("suwen:events-2x128", ImagePreprocess(size=28, channels=1))
    with pytest.raises(RecipeError, match="run:PRETRAINED"):
        build_encoder("suwen:events-2x128", TOKENS, weights="weights.safetensors")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="known: last, attention"):
        EventEncoder("events-1x64", TOKENS, pooling="first")
