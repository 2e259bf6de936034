"""Anatomy and pose: drawn from who the subject is, within bounds that keep the lungs on the film."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.simulation.anatomy import RAYS, TEXTURE_CELLS, draw_anatomy, draw_pose
from suwen.simulation.patients import draw_patient


def _mean(field: str, **changes: Any) -> float:
    patient = replace(draw_patient(0, seed=0), **changes)
    years = 60.0
    return float(np.mean([getattr(draw_anatomy(np.random.default_rng(i), patient, years), field) for i in range(40)]))


def test_sex_weight_and_lung_disease_show() -> None:
    assert _mean("chest", sex="M") > _mean("chest", sex="F")
    assert _mean("breast", sex="M") == 0.0 < _mean("breast", sex="F")
    assert _mean("heart", bmi=35.0) > _mean("heart", bmi=20.0)
    assert _mean("wall", bmi=35.0) > _mean("wall", bmi=20.0)
    assert _mean("doming", lung_disease=0.9) < _mean("doming", lung_disease=0.0)  # flattened diaphragm
    assert _mean("air", lung_disease=0.9) > _mean("air", lung_disease=0.0)


def test_heart_and_aorta_grow_and_bone_fades_with_age() -> None:
    patient = draw_patient(0, seed=0)
    young, old = ([draw_anatomy(np.random.default_rng(i), patient, y) for i in range(40)] for y in (25.0, 85.0))
    for field, sign in (("heart", 1), ("aorta", 1), ("bone", -1)):
        assert sign * (np.mean([getattr(a, field) for a in old]) - np.mean([getattr(a, field) for a in young])) > 0


@given(st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_texture_is_a_standard_power_law_field(seed: int) -> None:
    anatomy = draw_anatomy(np.random.default_rng(seed), draw_patient(0, seed=0), 60.0)
    assert anatomy.vessels.shape == (2, 2, RAYS) and anatomy.texture.shape == (TEXTURE_CELLS, TEXTURE_CELLS)
    assert abs(anatomy.texture.mean()) < 1e-3 and abs(anatomy.texture.std() - 1.0) < 1e-3
    power = np.abs(np.fft.rfft2(anatomy.texture)) ** 2
    frequency = np.hypot(np.fft.fftfreq(TEXTURE_CELLS)[:, None], np.fft.rfftfreq(TEXTURE_CELLS)[None, :])
    band = (frequency > 0.03) & (frequency < 0.5)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band] + 1e-12), 1)[0]
    assert abs(slope + 3.0) < 0.4


@given(st.integers(0, 2**32), st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_poses_stay_within_bounds(seed: int, portable: float) -> None:
    pose = draw_pose(np.random.default_rng(seed), portable)
    assert abs(pose.turn) <= 0.12 and 0.92 <= pose.zoom <= 1.08 and pose.breath >= 0.0
    assert max(map(abs, pose.shift)) <= 0.05


def test_the_share_of_bedside_films_is_as_asked() -> None:
    views = [draw_pose(np.random.default_rng(i), 0.3).view for i in range(600)]
    assert abs(views.count("AP") / 600 - 0.3) < 0.06
