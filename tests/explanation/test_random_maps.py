from __future__ import annotations

import numpy as np

from suwen.explanation.random_maps import WIDTHS, moved, random_maps, with_values_of


def neighbours_alike(image: np.ndarray) -> float:
    return float(np.corrcoef(image[:, 1:].ravel(), image[:, :-1].ravel())[0, 1])


def test_kinds_get_smoother() -> None:
    found = random_maps((48, 48), seed=0, each=3)
    assert list(found) == list(WIDTHS) and all(maps.shape == (3, 48, 48) for maps in found.values())
    smoothness = [np.mean([neighbours_alike(one) for one in maps]) for maps in found.values()]
    assert smoothness == sorted(smoothness) and abs(smoothness[0]) < 0.1 < 0.9 < smoothness[-1]


def test_the_seed_decides() -> None:
    first, again, other = (random_maps((9, 9), seed=seed)["noise"] for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_moved_map_keeps_its_values_and_lies_anywhere() -> None:
    one = np.zeros((16, 16))
    one[2:5, 2:5] = 1
    places = {tuple(np.argwhere(other)[0]) for other in moved(one, np.random.default_rng(0), 200)}
    assert len(places) > 80
    for other in moved(one, np.random.default_rng(0), 20):
        assert np.array_equal(np.sort(other, axis=None), np.sort(one, axis=None))


def test_noise_can_take_on_the_values_of_a_map() -> None:
    rng = np.random.default_rng(0)
    noise, one = rng.normal(size=(8, 8)), rng.random((8, 8))
    found = with_values_of(noise, one)
    assert np.array_equal(np.sort(found, axis=None), np.sort(one, axis=None))
    assert np.array_equal(np.argsort(found, axis=None), np.argsort(noise, axis=None))
