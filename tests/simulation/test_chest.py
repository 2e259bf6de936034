"""The chest: what is dark, what is bright, and that it is one body whatever the pixel grid and the pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.simulation.anatomy import Anatomy, Pose, draw_anatomy, draw_pose
from suwen.simulation.chest import Chest, ellipse, step
from suwen.simulation.patients import draw_patient

STILL = Pose(view="PA", tilt=0.0, turn=0.0, breath=0.0, shift=(0.0, 0.0), zoom=1.0)


def _anatomy(number: int = 0) -> Anatomy:
    return draw_anatomy(np.random.default_rng(number), draw_patient(number, seed=1), 60.0)


@pytest.mark.parametrize("number", range(6))
def test_lungs_are_darker_than_heart_abdomen_and_spine_and_air_is_darkest(number: int) -> None:
    chest = Chest(_anatomy(number), STILL, 128)

    def at(x: float, y: float) -> float:
        row, column = (round((value + 1) * 64) for value in (y, x))
        return float(chest.density[row - 3 : row + 3, column - 3 : column + 3].mean())

    lungs = [at(-0.42, -0.1), at(0.48, -0.2)]
    assert at(-0.93, 0.6) < 0.05 < min(lungs)  # beside the body
    assert max(lungs) + 0.2 < min(at(0.12, 0.25), at(-0.3, 0.75), at(0.0, 0.5))


@given(st.integers(0, 2**20))
@settings(max_examples=25, deadline=None)
def test_both_lungs_lie_on_the_film_and_cover_a_plausible_part(seed: int) -> None:
    rng = np.random.default_rng(seed)
    patient = draw_patient(seed, seed=0)
    chest = Chest(draw_anatomy(rng, patient, 60.0), draw_pose(rng, 0.5), 64)
    inside = chest.lung > 0.5
    assert 0.12 < inside.mean() < 0.5
    assert inside[:, :32].any() and inside[:, 32:].any()
    assert not (inside[0].any() or inside[-1].any() or inside[:, 0].any() or inside[:, -1].any())
    assert chest.density.dtype == np.float32 and np.isfinite(chest.density).all()


def test_the_same_chest_at_another_size() -> None:
    anatomy = _anatomy()
    small, large = Chest(anatomy, STILL, 64).density, Chest(anatomy, STILL, 256).density
    pooled = large.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), pooled.ravel())[0, 1] > 0.995


@given(st.sampled_from([-1, 1]), st.floats(0, 1), st.floats(0.05, 0.95), st.integers(0, 2**20))
@settings(max_examples=40, deadline=None)
def test_places_in_a_lung_are_in_that_lung(side: int, across: float, down: float, seed: int) -> None:
    chest = Chest(_anatomy(), draw_pose(np.random.default_rng(seed), 0.5), 64)
    x, y = chest.place(side, across, down)
    nearest = np.argmin((chest.x - x) ** 2 + (chest.y - y) ** 2)
    assert chest.lung.ravel()[nearest] > 0.0
    assert (x > chest.midline) == (side > 0)


def test_shallow_breath_lifts_the_diaphragm_and_ap_widens_the_heart() -> None:
    anatomy = _anatomy()
    full, shallow = (Chest(anatomy, replace(STILL, breath=breath), 128) for breath in (0.0, 0.15))
    assert (full.lung > 0.5).sum() > (shallow.lung > 0.5).sum()
    pa, ap = (Chest(anatomy, replace(STILL, view=view), 128)._heart().sum() for view in ("PA", "AP"))
    assert ap > 1.1 * pa


def test_tilt_and_shift_move_the_body_as_a_whole() -> None:
    anatomy = _anatomy()
    moved = Chest(anatomy, replace(STILL, shift=(8 / 64, 4 / 64)), 128).density
    still = Chest(anatomy, STILL, 128).density
    np.testing.assert_allclose(moved[20:, 20:], still[16:-4, 12:-8], atol=1e-4)


def test_step_and_ellipse() -> None:
    distance = np.array([-2.0, -0.5, 0.0, 0.25, 0.5, 2.0])
    np.testing.assert_allclose(step(distance, 1.0), [0, 0, 0.5, 0.84375, 1, 1])
    np.testing.assert_allclose(ellipse(np.array([0.0, 2.0, 0.0]), np.array([0.0, 0.0, 6.0]), 2.0, 3.0), [1, 0, -3])
