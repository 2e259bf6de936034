from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from suwen.core.errors import DataError, RecipeError
from suwen.core.model import Model
from suwen.explanation.counterfactual import counterfactual
from suwen.explanation.neighbours import Examples, make_examples, nearest, neighbours

OTHER = 1
"""A label that this model gives to none of the examples."""


@pytest.fixture
def examples(model: Model) -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 32, 32), np.uint8)
    pixels[20:] //= 3
    return make_examples(model, pixels, tuple(f"{row:02}.png" for row in range(40)))


def test_neighbours_are_those_of_a_plain_search(model: Model, images: Tensor, examples: Examples) -> None:
    label = OTHER
    found = neighbours(model, images[0], torch.tensor(label), examples, most=3)
    with torch.no_grad():
        here = model.encoder(images[:1]).pooled[0].numpy()
        there = model.encoder(torch.from_numpy(examples.inputs)).pooled.numpy()
        answers = model.logits(torch.from_numpy(examples.inputs)).argmax(1).tolist()
    distance = {
        name: float(np.linalg.norm(row - here))
        for name, row, answer in zip(examples.ids, there, answers, strict=True)
        if answer != label
    }
    assert [one.id for one in found] == sorted(distance, key=distance.__getitem__)[: len(found)]
    assert [one.distance for one in found] == pytest.approx([distance[one.id] for one in found], rel=1e-4)
    assert all(one.answer != model.head.labels[label] for one in found)


def test_replacing_everything_by_the_neighbour_costs_all_of_the_difference(
    model: Model, images: Tensor, examples: Examples
) -> None:
    labels = torch.tensor([OTHER])
    found = counterfactual(model, images[:1], labels, examples=examples, window=32, stride=32)
    ((row,),) = nearest(model, images[:1], labels, examples)
    with torch.no_grad():
        here, there = model.logits(images[:1])[0], model.logits(torch.from_numpy(examples.inputs[row : row + 1]))[0]
    torch.testing.assert_close(found, (here - there)[labels].expand(1, 32, 32), atol=1e-4, rtol=1e-4)


def test_without_examples_or_without_another_answer_it_is_refused(
    model: Model, images: Tensor, labels: Tensor, examples: Examples
) -> None:
    with pytest.raises(RecipeError, match="--examples FOLDER"):
        counterfactual(model, images, labels)
    alike = Examples(examples.ids, examples.inputs, examples.features, np.zeros(40, np.int64))
    with pytest.raises(DataError, match="'clear' to all 40 examples"):
        counterfactual(model, images[:1], torch.tensor([0]), examples=alike)
