from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch import Generator, Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as rival

from suwen.core.errors import NameUnknown, RecipeError
from suwen.learn.augment import DEFAULT, TRANSFORMS, Draws, ImageAugment

NAMES = sorted(TRANSFORMS)
MIXING = [name for name in NAMES if TRANSFORMS[name].kept is not None]


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int = 16, channels: int = 1, side: int = 12) -> Tensor:
    return torch.rand(n, channels, side, side, generator=seeded(9))


def batch_of(images: Tensor) -> dict[str, Any]:
    return {"inputs": images, "target": torch.arange(len(images)) % 3, "index": np.arange(len(images))}


def only(name: str, **strengths: float) -> ImageAugment:
    return ImageAugment({name: strengths}, labels=3)


def strongest(name: str) -> dict[str, float]:
    row = TRANSFORMS[name]
    return {setting: row.most.get(setting, 3 * value) for setting, value in row.defaults.items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_range_are_kept_at_any_strength(name: str, channels: int) -> None:
    images = noise(channels=channels)
    for strengths in ({}, strongest(name)):
        changed = only(name, **strengths)(batch_of(images), seeded(0))["inputs"]
        assert changed.shape == images.shape and changed.dtype == torch.float32
        assert changed.min() >= -1e-6 and changed.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_zero_strength_changes_nothing(name: str) -> None:
    images = noise()
    batch = only(name, **dict.fromkeys(TRANSFORMS[name].defaults, 0.0))(batch_of(images), seeded(0))
    torch.testing.assert_close(batch["inputs"], images, atol=1e-5, rtol=0)
    target = batch["target"]
    assert torch.equal(target if target.ndim == 1 else target.argmax(1), torch.arange(16) % 3)
    assert target.ndim == 1 or set(target.unique().tolist()) == {0, 1}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_change_and_another_seed_another(name: str) -> None:
    images = noise()
    first, same, other = (only(name)(batch_of(images), seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first["inputs"], same["inputs"]) and torch.equal(first["target"], same["target"])
    assert not torch.equal(first["inputs"], other["inputs"])
    assert not torch.equal(first["inputs"], images)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_batch_that_comes_in_is_left_as_it_is(name: str, dtype: torch.dtype) -> None:
    images = (noise() * 255).to(dtype) if dtype == torch.uint8 else noise()
    before = images.clone()
    batch = batch_of(images)
    only(name)(batch, seeded(0))
    assert torch.equal(images, before) and batch["inputs"] is images


def test_bytes_and_their_shares_of_255_are_changed_alike() -> None:
    images = (noise() * 255).to(torch.uint8)
    everything = ImageAugment({name: {} for name in NAMES}, labels=3)
    from_bytes = everything(batch_of(images), seeded(0))["inputs"]
    assert torch.equal(from_bytes, everything(batch_of(images.float() / 255), seeded(0))["inputs"])


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_changes_something(name: str) -> None:
    images = noise()
    for setting in TRANSFORMS[name].defaults:
        strengths = dict.fromkeys(TRANSFORMS[name].defaults, 0.0) | {setting: 0.5}
        if "p" in strengths:  # a probability acts with what it is the probability of
            strengths |= {"p": 1.0, setting: 1.0} | ({"side": 0.5} if name == "erase" else {"alpha": 1.0})
        changed = only(name, **strengths)(batch_of(images), seeded(1))["inputs"]
        assert not torch.allclose(changed, images, atol=1e-4), setting


def affine(images: Tensor, **given: float) -> Tensor:
    """One transform whose draws are given, for all images alike."""
    n = len(images)
    still = {"angle": 0.0, "scale_x": 1.0, "scale_y": 1.0, "shear": 0.0, "x": 0.0, "y": 0.0}
    draws: Draws = {key: torch.full((n,), value) for key, value in (still | given).items()}
    return TRANSFORMS["affine"].apply(images, draws)


@pytest.fixture
def blob() -> Tensor:
    """Nothing near the edge, so that it does not matter how the outside is filled."""
    image = torch.zeros(1, 1, 24, 24)
    image[..., 7:16, 9:17] = torch.rand(9, 8, generator=seeded(3))
    return image


def moved(image: Tensor, *, angle: float = 0, translate: tuple[int, int] = (0, 0), scale: float = 1) -> Tensor:
    return rival.affine(image, angle, list(translate), scale, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)


@pytest.mark.parametrize("degrees", [0.0, 10.0, -25.0, 90.0])
def test_rotation_is_torchvisions(blob: Tensor, degrees: float) -> None:
    torch.testing.assert_close(
        affine(blob, angle=math.radians(degrees)), moved(blob, angle=-degrees), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_scaling_is_torchvisions(blob: Tensor, factor: float) -> None:
    torch.testing.assert_close(
        affine(blob, scale_x=factor, scale_y=factor), moved(blob, scale=factor), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -4), (-2, 5)])
def test_shifts_are_shares_of_the_side(blob: Tensor, right: int, down: int) -> None:
    shifted = affine(blob, x=-2 * right / 24, y=-2 * down / 24)
    torch.testing.assert_close(shifted, moved(blob, translate=(right, down)), atol=1e-4, rtol=0)


@settings(max_examples=15, deadline=None)
@given(
    angle=st.floats(-1, 1),
    log_x=st.floats(-0.3, 0.3),
    log_y=st.floats(-0.3, 0.3),
    shear=st.floats(-0.5, 0.5),
    x=st.floats(-0.3, 0.3),
    y=st.floats(-0.3, 0.3),
)
def test_all_at_once_is_one_linear_map_sampled_bilinearly(
    angle: float, log_x: float, log_y: float, shear: float, x: float, y: float
) -> None:
    image = noise(1, 1, 24)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    backward = np.diag(np.exp([-log_x, -log_y])) @ rotation @ np.array([[1, np.tan(shear)], [0, 1]])
    centres = (np.arange(24) + 0.5) / 12 - 1
    points = np.stack(np.meshgrid(centres, centres), 0).reshape(2, -1)
    columns, rows = (backward @ points + np.array([[x], [y]]) + 1) * 12 - 0.5
    expected = map_coordinates(image[0, 0].numpy(), [rows, columns], order=1, mode="nearest").reshape(24, 24)
    found = affine(image, angle=angle, scale_x=math.exp(log_x), scale_y=math.exp(log_y), shear=shear, x=x, y=y)
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=2e-3)


def test_draws_of_the_affine_map_stay_within_their_settings() -> None:
    strengths = {"rotate": 10.0, "shift": 0.1, "scale": 0.2, "stretch": 0.0, "shear": 5.0}
    draws = TRANSFORMS["affine"].draw(2000, strengths, seeded(0))
    assert draws["angle"].abs().max() <= math.radians(10) and draws["angle"].abs().max() > math.radians(9)
    assert draws["x"].abs().max() <= 0.2 and draws["y"].abs().max() > 0.19
    assert draws["scale_x"].min() >= 0.8 - 1e-6 and draws["scale_x"].max() <= 1.2 + 1e-6
    assert torch.equal(draws["scale_x"], draws["scale_y"])


def test_flips_come_as_often_as_asked() -> None:
    draws = TRANSFORMS["flip"].draw(4000, {"horizontal": 0.3, "vertical": 0.0}, seeded(0))
    assert draws["horizontal"].float().mean() == pytest.approx(0.3, abs=0.03) and not draws["vertical"].any()


@pytest.mark.parametrize("name", MIXING)
def test_mixed_targets_add_up_to_one(name: str) -> None:
    target = only(name)(batch_of(noise()), seeded(0))["target"]
    assert target.shape == (16, 3)
    torch.testing.assert_close(target.sum(1), torch.ones(16))


@pytest.mark.parametrize("name", MIXING)
@pytest.mark.parametrize("side", [12, 7])
def test_an_image_keeps_as_much_of_its_target_as_of_its_pixels(name: str, side: int) -> None:
    """The images of class k show only the value k, so that a mixture shows whose pixels it holds."""
    target = torch.arange(16) % 2
    images = target.float()[:, None, None, None].expand(-1, 1, side, side)
    batch = {"inputs": images, "target": target, "index": np.arange(16)}
    mixed = ImageAugment({name: {"alpha": 1.0}}, labels=2)(batch, seeded(3))
    torch.testing.assert_close(mixed["inputs"].mean((1, 2, 3)), mixed["target"][:, 1])
    assert ((mixed["target"] > 0.01) & (mixed["target"] < 0.99)).any()


@pytest.mark.parametrize("name", MIXING)
def test_targets_of_several_labels_are_mixed_too(name: str) -> None:
    batch = batch_of(noise()) | {"target": (torch.rand(16, 3, generator=seeded(1)) < 0.5).to(torch.uint8)}
    target = only(name, alpha=1.0)(batch, seeded(0))["target"]
    assert target.shape == (16, 3) and target.min() >= 0 and target.max() <= 1
    assert not torch.equal(target, batch["target"].float())


def test_mixup_draws_follow_the_beta_distribution() -> None:
    share = TRANSFORMS["mixup"].draw(20000, {"alpha": 0.4}, seeded(0))["share"]
    expected = np.random.default_rng(0).beta(0.4, 0.4, 20000)
    for order in (1, 2, 4):
        assert float((share**order).mean()) == pytest.approx(float((expected**order).mean()), abs=0.01)


def test_none_is_the_default_and_empty_is_nothing() -> None:
    images = noise()
    named = ImageAugment(dict(DEFAULT), labels=3)(batch_of(images), seeded(0))["inputs"]
    assert torch.equal(ImageAugment(None, labels=3)(batch_of(images), seeded(0))["inputs"], named)
    batch = batch_of(images)
    assert ImageAugment({}, labels=3)(batch, seeded(0)) is batch


def test_left_and_right_mean_something_in_a_body() -> None:
    assert "flip" not in DEFAULT and TRANSFORMS["flip"].defaults["vertical"] == 0


def test_an_unknown_transform_offers_the_nearest() -> None:
    with pytest.raises(NameUnknown, match="did you mean affine"):
        ImageAugment({"afine": {}}, labels=3)


@pytest.mark.parametrize(
    ("name", "strengths", "says"),
    [
        ("affine", {"rotation": 3}, "rotate, shift, scale"),
        ("affine", {"scale": 1.0}, "from 0"),
        ("affine", {"rotate": -10}, "from 0"),
        ("noise", {"level": "1e-2"}, "from 0"),
        ("erase", {"p": 1.5}, "to 1"),
        ("mixup", {"alpha": float("nan")}, "from 0"),
    ],
)
def test_an_impossible_setting_is_refused_by_name(name: str, strengths: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=rf"augment\.{name}\.{next(iter(strengths))}") as refused:
        ImageAugment({name: strengths}, labels=3)
    assert says in refused.value.why and refused.value.fix
