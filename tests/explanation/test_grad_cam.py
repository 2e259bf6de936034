from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from torch import Tensor, nn

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.core.model import Model
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.explanation.grad_cam import grad_cam
from suwen.heads.classify import Classify

LABELS = ("clear", "nodule", "opacity")


def make_model(name: str, size: int = 32, labels: tuple[str, ...] = LABELS) -> Model:
    """Random weights, but batch statistics of real inputs."""
    torch.manual_seed(0)
    preprocess = ImagePreprocess(size=size, channels=1)
    encoder = TimmEncoder(name, preprocess)
    for _ in range(5):
        encoder(torch.rand(8, 1, size, size))
    head = Classify(encoder.width, labels)
    nn.init.normal_(head.linear.weight)
    return Model(IMAGE_CLASSIFICATION, preprocess, encoder.eval(), head.eval())


def images_of(size: int = 32) -> Tensor:
    return torch.rand(3, 1, size, size, generator=torch.Generator().manual_seed(1))


class Asked(nn.Module):
    """Images → logits, as captum wants it."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.parts = nn.ModuleDict(model.parts())

    def forward(self, images: Tensor) -> Tensor:
        return self.model.logits(images)


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_convnext", "test_efficientnet", pytest.param("densenet121", marks=pytest.mark.slow)]
)
def test_on_a_cnn_it_is_captums(name: str) -> None:
    model, images, labels = make_model(name), images_of(), torch.tensor([0, 1, 2])
    rival = LayerGradCam(Asked(model), model.encoder.cam_layer())
    expected = rival.attribute(images, target=labels, relu_attributions=True)
    peak = expected.amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    expected = F.interpolate(expected / peak, size=(32, 32), mode="bilinear")[:, 0]
    torch.testing.assert_close(grad_cam(model, images, labels), expected.detach(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "size"),
    [("test_vit", 32), ("test_vit3", 64), pytest.param("swin_tiny_patch4_window7_224", 64, marks=pytest.mark.slow)],
)
def test_a_transformer_is_explained_differently_for_different_labels(name: str, size: int) -> None:
    model, images = make_model(name, size), images_of(size)
    found = [grad_cam(model, images, torch.full((3,), label)) for label in range(3)]
    for attribution in found:
        assert attribution.shape == (3, size, size) and attribution.isfinite().all()
        assert attribution.min() >= 0 and attribution.max() <= 1
    assert all(attribution.std((1, 2)).max() > 0.05 for attribution in found)
    assert not torch.allclose(found[0], found[1]) and not torch.allclose(found[1], found[2])


def test_bytes_and_floats_are_explained_alike() -> None:
    model, labels = make_model("test_resnet"), torch.tensor([0, 1, 2])
    images = (images_of() * 255).to(torch.uint8)
    torch.testing.assert_close(grad_cam(model, images, labels), grad_cam(model, images.float() / 255, labels))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_a_frozen_model_is_explained_as_a_free_one_and_neither_is_changed(name: str) -> None:
    model, images, labels = make_model(name), images_of(), torch.tensor([0, 1, 2])
    free = grad_cam(model, images, labels)
    for part in model.parts().values():
        part.requires_grad_(False).train()
    with torch.no_grad():
        frozen = grad_cam(model, images, labels)
    torch.testing.assert_close(frozen, free)
    assert not frozen.requires_grad and not images.requires_grad
    for part in model.parts().values():
        assert part.training and all(parameter.grad is None for parameter in part.parameters())
        assert not any(module._forward_hooks for module in part.modules())


def test_where_nothing_speaks_for_a_label_all_is_0() -> None:
    model = make_model("test_resnet")
    nn.init.zeros_(model.parts()["head"].get_parameter("linear.weight"))
    assert grad_cam(model, images_of(), torch.zeros(3, dtype=torch.int64)).abs().max() == 0


class Flat(nn.Module):
    """An encoder without a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(32 * 32, 8)

    def forward(self, images: Tensor) -> Features:
        return Features(self.linear(images.flatten(1)))

    def cam_layer(self) -> nn.Module:
        return self.linear


def test_an_encoder_without_a_grid_is_refused() -> None:
    encoder: Any = Flat()
    model = Model(IMAGE_CLASSIFICATION, SimpleNamespace(), encoder, Classify(8, LABELS))  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="gives 2 axes"):
        grad_cam(model, images_of(), torch.tensor([0, 1, 2]))


def test_a_model_that_finds_squares_rests_on_the_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    model = make_model("test_resnet", labels=("nothing", "square"))

    def draw(n: int) -> tuple[Tensor, Tensor, Tensor]:
        images, target = torch.rand(n, 1, 32, 32, generator=generator) * 0.4, torch.arange(n) % 2
        inside = torch.zeros(n, 32, 32, dtype=torch.bool)
        for row in range(n):
            y, x = torch.randint(0, 24, (2,), generator=generator).tolist()
            inside[row, y : y + 8, x : x + 8] = True
        images[(inside & (target == 1)[:, None, None])[:, None]] += 0.5
        return images, target, inside

    parameters = [parameter for part in model.parts().values() for parameter in part.train().parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    for _ in range(40):
        images, target, _ = draw(16)
        optimizer.zero_grad()
        model.head.loss(model.logits(images), target).backward()
        optimizer.step()

    images, target, inside = draw(40)
    images, inside = images[target == 1], inside[target == 1]
    attribution = grad_cam(model, images, torch.ones(len(images), dtype=torch.int64))
    assert attribution[inside].mean() > 3 * attribution[~inside].mean()
    # the grid of 4 x 4 cells places a square to within half a cell
    near = F.max_pool2d(inside[:, None].float(), 9, stride=1, padding=4)[:, 0]
    hits = near.flatten(1)[torch.arange(len(images)), attribution.flatten(1).argmax(1)]
    assert hits.mean() > 0.9
