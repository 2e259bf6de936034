from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from suwen.core.features import Features
from suwen.core.recipe import Recipe
from suwen.data.contents import cache_root
from suwen.encoders.image import TimmEncoder
from suwen.learn.adaptation import Place
from suwen.learn.augment import ImageAugment
from suwen.learn.features import FeatureRows, PickView, cache_features, joined, split

PLACE = Place(torch.device("cpu"), nullcontext, "fp32")
GIB = 2**30
TRAIN = np.arange(0, 48, 2)


@pytest.fixture
def encoder(squares: Any) -> TimmEncoder:
    torch.manual_seed(0)
    return TimmEncoder("test_resnet", squares.preprocess).requires_grad_(False)


def cached(encoder: Any, squares: Any, **changed: Any) -> FeatureRows:
    settings: dict[str, Any] = {"limit": GIB, "seed": 0, "place": PLACE} | changed
    found = cache_features(encoder, frozenset(), squares, TRAIN, **settings)
    assert found is not None
    return found


@pytest.fixture
def passes(encoder: TimmEncoder) -> Iterator[list[int]]:
    """How many images each pass through the encoder had."""
    seen: list[int] = []
    hook = encoder.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    yield seen
    hook.remove()


def test_they_are_what_the_encoder_gives(encoder: TimmEncoder, squares: Any) -> None:
    index = np.array([4, 0, 40])
    found = cached(encoder, squares).take(index)["pooled"]
    with torch.inference_mode():
        expected = encoder.eval()(torch.from_numpy(squares.take(index))).pooled.numpy()
    assert found.shape == (3, 1, encoder.width)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)


def test_everything_else_is_the_datas_own(encoder: TimmEncoder, squares: Any) -> None:
    found = cached(encoder, squares)
    assert found.labels == squares.labels and len(found) == len(squares) and found.targets is squares.targets


def test_a_second_time_no_image_is_encoded(encoder: TimmEncoder, squares: Any, passes: list[int]) -> None:
    cached(encoder, squares)
    assert sum(passes) == len(TRAIN)
    again = cached(encoder, squares)
    assert sum(passes) == len(TRAIN) and isinstance(again.columns["pooled"], np.memmap)


@pytest.mark.parametrize("changed", ["weights", "settings", "data", "rows", "precision"])
def test_what_it_was_computed_from_is_in_its_key(
    encoder: TimmEncoder, squares: Any, passes: list[int], changed: str
) -> None:
    cached(encoder, squares)
    before, place, rows = sum(passes), PLACE, TRAIN
    match changed:
        case "weights":
            with torch.no_grad():
                next(encoder.parameters()).add_(1e-3)
        case "settings":
            encoder.config = encoder.config | {"normalise": "image"}
        case "data":
            squares.fingerprint = "another"
        case "rows":
            rows = TRAIN[1:]
        case _:
            place = Place(torch.device("cpu"), nullcontext, "bf16")
    cache_features(encoder, frozenset(), squares, rows, limit=GIB, seed=0, place=place)
    assert sum(passes) > before


def test_a_damaged_file_is_computed_again(encoder: TimmEncoder, squares: Any, passes: list[int]) -> None:
    whole = np.array(cached(encoder, squares).columns["pooled"])
    (file,) = cache_root(None).glob("features/*/pooled.npy")
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    assert np.array_equal(cached(encoder, squares).columns["pooled"], whole)
    assert sum(passes) == 2 * len(TRAIN)


def test_an_interrupted_computation_leaves_nothing_to_be_mistaken(
    encoder: TimmEncoder, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("suwen.learn.features.BATCH", 8)
    calls = iter(range(100))

    def stop(*_: Any) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt

    hook = encoder.register_forward_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        cached(encoder, squares)
    hook.remove()
    assert not list(cache_root(None).glob("features/*/pooled.npy"))
    assert len(cached(encoder, squares).columns["pooled"]) == len(TRAIN)


def test_what_was_not_used_for_longest_gives_way(encoder: TimmEncoder, squares: Any) -> None:
    cached(encoder, squares)
    (first,) = cache_root(None).glob("features/*")
    size = sum(file.stat().st_size for file in first.iterdir())
    squares.fingerprint = "another"
    cached(encoder, squares, limit=int(1.5 * size))
    (second,) = cache_root(None).glob("features/*")
    assert second != first


def test_features_that_do_not_fit_are_said_and_done_without(encoder: TimmEncoder, squares: Any) -> None:
    with pytest.warns(UserWarning, match=r"training\.features\.gib"):
        found = cache_features(encoder, frozenset(), squares, TRAIN, limit=100, seed=0, place=PLACE)
    assert found is None and not list(cache_root(None).glob("features/*/pooled.npy"))


def test_views_are_augmented_differ_and_one_of_them_is_picked(
    encoder: TimmEncoder, squares: Any, tiny: Callable[..., Recipe]
) -> None:
    recipe = tiny(augment={"affine": {}})
    found = cached(encoder, squares, views=3, augment=ImageAugment(recipe.augment, 2), recipe=recipe)
    pooled = torch.from_numpy(found.take(TRAIN)["pooled"])
    assert pooled.shape == (len(TRAIN), 3, encoder.width) and not torch.allclose(pooled[:, 0], pooled[:, 1])
    batch = {"inputs": {"pooled": pooled}, "target": torch.zeros(len(TRAIN)), "index": TRAIN}
    picked = PickView()(batch, torch.Generator().manual_seed(0))["inputs"]["pooled"]
    which = (picked[:, None] == pooled).all(-1)
    assert which.any(1).all() and which.any(0).sum() > 1


def test_parts_of_features_survive_the_way_through_columns() -> None:
    maps: tuple[Tensor, ...] = tuple(torch.rand(2, number + 1, 4, 4) for number in range(12))
    features = Features(torch.rand(2, 3), torch.rand(2, 5, 3), maps)
    again = joined(split(features, frozenset({"tokens", "maps"})))
    assert again.tokens is features.tokens and again.maps == maps
    assert joined(split(features, frozenset())).maps is None
