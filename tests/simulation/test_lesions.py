"""Lesions: shadow, mask and box agree; sizes and contrasts are those documented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from suwen.simulation.anatomy import HALF_FIELD_MM, Pose, draw_anatomy, draw_pose
from suwen.simulation.chest import Chest
from suwen.simulation.lesions import CONSPICUITY, Lesion, bounding_box, draw_nodule, draw_opacity, shadow
from suwen.simulation.patients import draw_patient

STILL = Pose(view="PA", tilt=0.0, turn=0.0, breath=0.0, shift=(0.0, 0.0), zoom=1.0)
DRAW = {"nodule": draw_nodule, "opacity": draw_opacity}


def _chest(size: int, seed: int | None = None) -> Chest:
    anatomy = draw_anatomy(np.random.default_rng(0), draw_patient(0, seed=1), 60.0)
    return Chest(anatomy, STILL if seed is None else draw_pose(np.random.default_rng(seed), 0.5), size)


@given(st.sampled_from(sorted(DRAW)), st.integers(0, 2**32), st.sampled_from([32, 64, 128]))
@settings(max_examples=40, deadline=None)
def test_every_lesion_has_a_shadow_in_its_mask(finding: str, seed: int, size: int) -> None:
    lesion = DRAW[finding](np.random.default_rng(seed))
    depth, mask = shadow(lesion, _chest(size, seed))
    assert mask.any() and not mask.all()
    assert depth.dtype == np.float32 and depth.min() >= 0.0
    assert depth[mask].min() > 0.0 and depth.max() == depth[mask].max() <= lesion.full_contrast * 1.0001


@given(st.floats(0.5, 30.0), st.integers(0, 2**32), st.sampled_from([32, 64]))
@settings(max_examples=30, deadline=None)
def test_even_a_nodule_smaller_than_a_pixel_is_on_the_mask(size_mm: float, seed: int, size: int) -> None:
    lesion = replace(draw_nodule(np.random.default_rng(seed)), size_mm=size_mm)
    assert shadow(lesion, _chest(size, seed))[1].any()


def test_a_nodule_is_as_wide_as_it_says() -> None:
    chest = _chest(512)
    parts = np.array([[0.0, 0.0, 1.0, 1.0]], dtype=np.float32)
    for size_mm in (16.0, 24.0, 30.0):
        lesion = replace(draw_nodule(np.random.default_rng(0)), size_mm=size_mm, parts=parts)
        box = bounding_box(shadow(lesion, chest)[1])
        assert box is not None
        pixel = 2 * HALF_FIELD_MM / 512
        assert (box[2] - box[0] + 1) * pixel == pytest.approx(size_mm, abs=2 * pixel)


def test_the_shadow_of_a_nodule_keeps_its_weight_at_any_pixel_size() -> None:
    lesion = draw_nodule(np.random.default_rng(4))
    weights = [shadow(lesion, _chest(size))[0].sum() / size**2 for size in (64, 128, 512)]
    np.testing.assert_allclose(weights, weights[-1], rtol=0.2)


def test_opacities_stay_in_the_lungs() -> None:
    chest = _chest(128)
    for seed in range(20):
        depth, mask = shadow(draw_opacity(np.random.default_rng(seed)), chest)
        assert depth[chest.lung == 0.0].max() == 0.0 and not mask[chest.lung == 0.0].any()


def test_sizes_contrasts_and_occult_share() -> None:
    lesions: list[Lesion] = [draw(np.random.default_rng(i)) for i in range(800) for draw in DRAW.values()]
    nodules = [lesion for lesion in lesions if lesion.finding == "nodule"]
    assert all(lesion.size_mm <= 30.0 for lesion in nodules)  # Fleischner Society: larger is a mass
    occult = np.array([lesion.conspicuity <= CONSPICUITY[1][2] for lesion in lesions])
    assert occult.mean() == pytest.approx(CONSPICUITY[1][0], abs=0.03)
    seen = [lesion.conspicuity for lesion, hidden in zip(lesions, occult, strict=True) if not hidden]
    assert CONSPICUITY[0][1] <= min(seen) and max(seen) <= CONSPICUITY[0][2]
    assert sum(share for share, _, _ in CONSPICUITY) == pytest.approx(1.0)


def test_opacities_are_usually_the_deeper_signal() -> None:
    chest = _chest(64)
    energy = {
        name: np.median([(shadow(draw(np.random.default_rng(i)), chest)[0] ** 2).sum() for i in range(30)])
        for name, draw in DRAW.items()
    }
    assert energy["opacity"] > energy["nodule"]


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
@settings(max_examples=60, deadline=None)
def test_the_box_is_the_one_pillow_finds(mask: np.ndarray) -> None:
    found = Image.fromarray(mask.astype(np.uint8) * 255).getbbox()  # right and lower borders excluded
    assert bounding_box(mask) == (None if found is None else (found[0], found[1], found[2] - 1, found[3] - 1))
