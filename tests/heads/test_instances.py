from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import adapted_rand_error

from suwen.heads.instances import distance_loss, distances, separate


def discs(shape: tuple[int, ...], centres: list[tuple[float, ...]], radius: float) -> np.ndarray:
    """int32 numbers of balls; a pixel of several belongs to the nearest."""
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    away = np.stack([np.linalg.norm(places - np.array(centre), axis=-1) for centre in centres])
    return np.where(away.min(0) <= radius, away.argmin(0) + 1, 0).astype(np.int32)


@pytest.mark.parametrize("dims", [2, 3])
def test_balls_that_touch_are_told_apart_and_lone_crumbs_are_objects_too(dims: int) -> None:
    rest = (10.0,) * (dims - 1)
    ids = discs((50, *[20] * (dims - 1)), [(9.0, *rest), (22.0, *rest), (36.0, *rest)], 7.5)
    mask = ids > 0
    assert ndimage.label(mask)[1] == 1
    ids[(48, *[1] * (dims - 1))] = 4
    said = np.stack([distances(np.stack([ids == n]))[0] for n in range(1, 5)]).max(0)
    said[ids == 4] = 0
    found = separate(ids > 0, said)
    assert len(np.unique(found)) == 5 and np.array_equal(found > 0, ids > 0)
    assert adapted_rand_error(ids, found)[0] < 0.01


def test_a_ripple_does_not_cut_an_object() -> None:
    mask = np.ones((40, 60), bool)
    rippled = np.log1p(np.broadcast_to(5 + 0.4 * np.sin(np.arange(60) / 5), mask.shape))
    assert separate(mask, rippled).max() == 1 and separate(mask, rippled, depth=0.2).max() > 1


def test_nothing_gives_nothing_and_an_object_without_a_top_is_kept() -> None:
    mask = np.zeros((6, 7), bool)
    assert not separate(mask, np.zeros((6, 7), np.float16)).any()
    mask[2:4, 2:5] = True
    assert (separate(mask, np.zeros((6, 7), np.float16)) > 0).sum() == 6


def test_distances_are_scipys_and_the_loss_is_least_at_them() -> None:
    inside = discs((16, 18), [(6.0, 6.0), (12.0, 13.0)], 4) > 0
    true = distances(inside[None])
    assert np.allclose(np.expm1(true[0]), ndimage.distance_transform_edt(inside), atol=1e-4)
    said, known = torch.from_numpy(true)[None], torch.ones(1, 1, 16, 18, dtype=torch.bool)
    target = torch.from_numpy(inside)[None, None]
    assert distance_loss(said, target, known) == 0 < distance_loss(said + 0.1, target, known)
    known[..., 9:] = False
    far = said.clone()
    far[..., 9:] += 5
    assert distance_loss(far, target, known) == 0
