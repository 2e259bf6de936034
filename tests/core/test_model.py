from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from suwen.core.domain import Domain
from suwen.core.model import Model, evaluating


class Pixels:
    """The one thing `Model.infer` asks of a Dataset."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def take(self, index: np.ndarray) -> np.ndarray:
        return self.pixels[index]


@pytest.fixture
def dataset() -> Pixels:
    return Pixels(np.random.default_rng(0).integers(0, 256, (9, 1, 32, 32), np.uint8))


def test_views_are_averaged_in_logit_space(make_model: Callable[..., Model], dataset: Pixels) -> None:
    model = make_model(views=("flip",))
    images = torch.from_numpy(dataset.pixels)
    with torch.inference_mode():
        expected = (model.logits(images) + model.logits(images.flip(-1))) / 2
    found, _ = model.infer(dataset, np.arange(9))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    plain, pooled = model.infer(dataset, np.arange(9), views=())  # type: ignore[arg-type]
    assert not np.allclose(plain, found)
    np.testing.assert_array_equal(pooled, model.infer(dataset, np.arange(9))[1])  # type: ignore[arg-type]


def test_batches_do_not_change_the_answer_nor_its_order(make_model: Callable[..., Model], dataset: Pixels) -> None:
    model, rows = make_model(), np.array([7, 0, 3, 3, 8])
    whole, _ = model.infer(dataset, rows)  # type: ignore[arg-type]
    parts, _ = model.infer(dataset, rows, batch_size=2)  # type: ignore[arg-type]
    assert whole.shape == (5, 3) and whole.dtype == np.float32
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    np.testing.assert_allclose(whole[2], whole[3], atol=1e-5)
    assert not np.allclose(whole[0], whole[1], atol=1e-3)


def test_no_rows_give_no_answers(make_model: Callable[..., Model], dataset: Pixels) -> None:
    logits, pooled = make_model().infer(dataset, np.zeros(0, np.int64))  # type: ignore[arg-type]
    assert logits.shape == (0, 3) and len(pooled) == 0


def test_asking_a_model_in_training_leaves_it_in_training_and_unchanged(
    make_model: Callable[..., Model], dataset: Pixels
) -> None:
    model = make_model()
    model.parts()["encoder"].train()
    before = {key: value.clone() for key, value in model.parts()["encoder"].state_dict().items()}
    model.infer(dataset, np.arange(9))  # type: ignore[arg-type]
    assert model.parts()["encoder"].training and not model.parts()["head"].training
    assert all(torch.equal(before[key], value) for key, value in model.parts()["encoder"].state_dict().items())


def test_modes_come_back_after_a_failure_too() -> None:
    first, second = nn.Linear(1, 1).train(), nn.Linear(1, 1).eval()
    with pytest.raises(RuntimeError), evaluating([first, second]):
        assert not first.training
        raise RuntimeError
    assert first.training and not second.training


def test_an_input_far_from_the_training_data_gets_no_answer(make_model: Callable[..., Model], dataset: Pixels) -> None:
    model = make_model()
    _, pooled = model.infer(dataset, np.arange(9))  # type: ignore[arg-type]
    ones = np.ones(1)
    model.domain = Domain(
        mean=pooled.mean(0), basis=np.eye(1, pooled.shape[1]), variance=ones, rest=ones, limit=np.array([1e6])
    )
    near = model.answer(torch.from_numpy(dataset.pixels))
    model.domain = replace(model.domain, limit=np.array([0.0]))
    far = model.answer(torch.from_numpy(dataset.pixels))
    assert all(answer.answer is not None for answer in near)
    assert all(
        answer.answer is None and answer.abstain and "unlike the training data" in answer.reason for answer in far
    )


def test_a_config_describes_the_whole_architecture(make_model: Callable[..., Model]) -> None:
    model = make_model("test_vit")
    again = Model.from_config(json.loads(json.dumps(model.to_config())))
    for part, module in model.parts().items():
        shapes = {key: value.shape for key, value in module.state_dict().items()}
        assert {key: value.shape for key, value in again.parts()[part].state_dict().items()} == shapes
    assert again.head.config == model.head.config and again.head.metrics == model.head.metrics
