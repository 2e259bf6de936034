"""One contract for every family of timm models, tested on tiny inputs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suwen.core.encoder import build_encoder
from suwen.core.errors import NameUnknown, RecipeError
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder

MAPS = frozenset({"maps"})


@dataclass(frozen=True)
class Family:
    """A timm model, and what it gives for images of `size` px."""

    name: str
    size: int
    channels: int = 1
    tokens: int | None = None
    finest: int | None = None


FAMILIES = (
    Family("test_resnet", 28, finest=28),
    Family("resnet10t", 28, finest=28),
    Family("resnet18", 32, finest=32),
    Family("densenet121", 28, finest=28),
    Family("test_convnext", 28, finest=28),
    Family("convnext_atto", 64, channels=3, finest=16),
    Family("efficientnet_b0", 64, finest=32),
    Family("mobilenetv3_small_050", 28, finest=28),
    Family("test_vit", 32, channels=4, tokens=8 * 8, finest=8),
    Family("vit_tiny_patch16_224", 64, tokens=4 * 4, finest=4),
)
SLOW = (
    Family("resnet50", 64, channels=3, finest=32),
    Family("inception_v3", 28, finest=24),
    Family("inception_v3", 80, channels=3, finest=37),
    Family("vgg11_bn", 28, finest=28),
    Family("vit_small_patch14_dinov2", 28, tokens=7 * 7, finest=7),
    Family("vit_small_patch14_dinov2", 70, channels=3, tokens=5 * 5, finest=5),
    Family("vit_small_patch16_dinov3", 80, channels=3, tokens=5 * 5, finest=5),
    Family("swin_tiny_patch4_window7_224", 64, finest=16),
)
CASES = [*FAMILIES, *(pytest.param(family, marks=pytest.mark.slow) for family in SLOW)]


@dataclass(frozen=True)
class Built:
    """An encoder that gives its maps, and images for it."""

    family: Family
    preprocess: ImagePreprocess
    encoder: TimmEncoder
    images: Tensor


@pytest.fixture(scope="module", params=CASES, ids=lambda family: f"{family.name}-{family.size}")
def built(request: pytest.FixtureRequest) -> Built:
    family: Family = request.param
    torch.manual_seed(0)
    preprocess = ImagePreprocess(size=family.size, channels=family.channels)
    encoder = TimmEncoder(family.name, preprocess, needs=MAPS)
    images = torch.randint(0, 256, (2, family.channels, family.size, family.size), dtype=torch.uint8)
    return Built(family, preprocess, encoder.eval(), images)


def test_features_have_the_promised_shapes(built: Built) -> None:
    with torch.inference_mode():
        features = built.encoder(built.images)
    family, width = built.family, built.encoder.width
    assert features.pooled.shape == (2, width) and features.pooled.isfinite().all()
    if family.tokens is None:
        assert features.tokens is None
    else:
        assert features.tokens.shape == (2, family.tokens, width)
    assert tuple(grid.shape[1] for grid in features.maps) == built.encoder.map_widths
    sides = [grid.shape[-1] for grid in features.maps]
    assert sides[0] == family.finest and sides == sorted(sides, reverse=True)
    assert all(grid.shape[-2] == grid.shape[-1] for grid in features.maps)


def test_two_images_are_told_apart_and_bytes_equal_their_shares_of_255(built: Built) -> None:
    with torch.inference_mode():
        from_bytes, from_floats = built.encoder(built.images), built.encoder(built.images.float() / 255)
    assert torch.equal(from_bytes.pooled, from_floats.pooled)
    assert not torch.allclose(from_bytes.pooled[0], from_bytes.pooled[1])


def test_its_config_and_weights_build_the_same_encoder_again(built: Built) -> None:
    again = build_encoder(**built.encoder.config, preprocess=built.preprocess)
    assert isinstance(again, TimmEncoder)
    again.load_state_dict(built.encoder.state_dict())
    with torch.inference_mode():
        first, second = built.encoder(built.images), again.eval()(built.images)
    assert torch.equal(first.pooled, second.pooled)
    # without a head that asks for them, a transformer gives no maps and a CNN only its coarsest
    assert len(second.maps or ()) == (0 if built.family.tokens else 1)
    assert again.map_widths == (() if built.family.tokens else (second.maps[0].shape[1],))


def test_depths_name_every_parameter_and_rise_from_input_to_output(built: Built) -> None:
    depths = built.encoder.depths()
    assert set(depths) == {name for name, _ in built.encoder.named_parameters()}
    along = [depths[name] for name in _in_order_of_use(built)]
    assert along[0] == 0 and along[-1] >= max(depths.values()) - 1 and len(set(along)) >= 4
    assert all(later >= earlier for earlier, later in pairwise(along))


def test_gradients_reach_the_first_layer(built: Built) -> None:
    first = built.encoder.get_parameter(_in_order_of_use(built)[0])
    pooled = built.encoder(built.images).pooled
    # a fixed mixture: the plain sum of what a layer norm gives has no gradient
    mixture = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((pooled * mixture).sum(), first)
    assert gradient.isfinite().all() and gradient.abs().sum() > 0


def test_the_layer_for_grad_cam_gives_a_grid_or_tokens(built: Built) -> None:
    seen: list[Tensor] = []
    hook = built.encoder.cam_layer().register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.inference_mode():
        built.encoder(built.images)
    hook.remove()
    assert len(seen) == 1 and seen[0].ndim == (3 if built.family.tokens else 4)


def test_grad_cam_looks_at_the_deepest_map_that_is_not_too_coarse() -> None:
    def side(size: int, **options: Any) -> int:
        encoder = TimmEncoder("resnet18", ImagePreprocess(size=size, channels=1), **options)
        seen: list[int] = []
        encoder.cam_layer().register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[-1]))
        with torch.inference_mode():
            encoder.eval()(torch.rand(1, 1, size, size))
        return seen[0]

    channels = {"channels": [8, 8, 8, 8]}
    assert side(224, **channels) == 7 and side(256, **channels) == 8 and side(192, **channels) == 12
    assert side(64, **channels) == 8 and side(28, stem="half", **channels) == 7
    assert side(12, stem="plain", **channels) == 1  # nothing is left to choose from: the last


def _in_order_of_use(built: Built) -> list[str]:
    """Names of the weights of layers that stand on the way, in the order in which an image meets them."""
    names: list[str] = []
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, _output, name=name: names.append(f"{name}.weight"))
        for name, module in built.encoder.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    with torch.no_grad():
        built.encoder(built.images)
    for hook in hooks:
        hook.remove()
    return names


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_one_to_four_channels_all_matter(name: str, channels: int) -> None:
    torch.manual_seed(0)
    encoder = TimmEncoder(name, ImagePreprocess(size=32, channels=channels)).eval()
    images = torch.rand(1, channels, 32, 32)
    with torch.inference_mode():
        plain = encoder(images).pooled
        for channel in range(channels):
            changed = images.clone()
            changed[:, channel] = torch.rand(32, 32)
            assert not torch.allclose(plain, encoder(changed).pooled, atol=1e-7)


def test_normalising_each_image_makes_brightness_and_contrast_not_matter() -> None:
    encoder = TimmEncoder("test_resnet", ImagePreprocess(size=32, channels=1), normalise="image").eval()
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(images).pooled, encoder(images * 0.5 + 0.2).pooled, rtol=1e-3, atol=1e-3)
        assert encoder(torch.zeros(1, 1, 32, 32)).pooled.isfinite().all()


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(NameUnknown, match="did you mean") as refused:
        TimmEncoder("resnet81", ImagePreprocess(size=32, channels=1))
    assert "resnet18" in refused.value.why or "resnet101" in refused.value.why
    with pytest.raises(NameUnknown, match="a1_in1k"):
        TimmEncoder("resnet18.a1_in2k", ImagePreprocess(size=32, channels=1))


@pytest.mark.parametrize(
    ("name", "size", "options", "says"),
    [
        ("test_resnet", 32, {"nonsense": 1}, "does not take these options"),
        ("inception_v3", 64, {}, "cannot read images of 64 px"),
        ("regnetx_002", 32, {"stem": "small"}, "with stem=small"),
    ],
)
def test_what_an_architecture_cannot_do_is_refused(name: str, size: int, options: dict[str, object], says: str) -> None:
    with pytest.raises(RecipeError, match=says) as refused:
        TimmEncoder(name, ImagePreprocess(size=size, channels=1), **options)  # type: ignore[arg-type]
    assert refused.value.why and refused.value.fix


def test_building_an_encoder_leaves_it_in_training_mode_with_fresh_statistics() -> None:
    encoder = TimmEncoder("test_resnet", ImagePreprocess(size=32, channels=1))
    assert encoder.training
    assert all((value == 0).all() for key, value in encoder.state_dict().items() if key.endswith("running_mean"))


@pytest.mark.parametrize("mean", [0.3, [0.3, 0.1]])
def test_mean_and_std_can_be_named_and_travel_with_the_config(mean: float | list[float]) -> None:
    preprocess = ImagePreprocess(size=32, channels=2)
    encoder = TimmEncoder("test_resnet", preprocess, mean=mean, std=0.2).eval()
    expected = torch.tensor(mean).expand(2).reshape(1, 2, 1, 1)
    assert torch.equal(encoder.mean, expected) and torch.equal(encoder.std, torch.full((1, 2, 1, 1), 0.2))
    assert encoder.config["mean"] == mean and encoder.config["std"] == 0.2
    again = build_encoder(**encoder.config, preprocess=preprocess)
    assert torch.equal(again.mean, encoder.mean) and torch.equal(again.std, encoder.std)
    images = torch.rand(1, 2, 32, 32)
    torch.testing.assert_close(encoder.prepare(images), (images - expected) / 0.2)


@pytest.mark.parametrize("options", [{"mean": [0.1, 0.2, 0.3]}, {"std": 0.0}, {"mean": float("nan")}])
def test_an_impossible_mean_or_std_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(options))) as refused:
        TimmEncoder("test_resnet", ImagePreprocess(size=32, channels=2), **options)
    assert refused.value.why and refused.value.fix


@pytest.mark.parametrize("options", [{}, {"reg_tokens": 3}])
def test_tokens_are_the_patches_alone(options: dict[str, Any]) -> None:
    encoder = TimmEncoder("test_vit", ImagePreprocess(size=32, channels=1), **options).eval()
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        last = encoder.model.forward_features(encoder.prepare(images))
        tokens = encoder(images).tokens
    assert encoder.model.num_prefix_tokens == 1 + options.get("reg_tokens", 0)
    assert torch.equal(tokens, last[:, encoder.model.num_prefix_tokens :])
