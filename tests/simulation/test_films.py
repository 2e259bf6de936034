"""Films: class, mask, box, report and picture tell one story; subjects, sizes and sites behave as promised."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from suwen.simulation.anatomy import draw_anatomy
from suwen.simulation.films import CLASSES, Film, class_priors, draw_plan, films_of, make_film
from suwen.simulation.lesions import draw_nodule
from suwen.simulation.patients import SITES, Stream, draw_patient, draw_patients, stream
from suwen.simulation.reports import SENTENCES
from suwen.simulation.scanner import SCANNERS
from suwen.simulation.world import World

WORDS = {
    "nodule": ("There is a round nodule", "见一类圆形结节影"),
    "opacity": ("There is a patchy", "见斑片状密度增高影"),
}


def _same(one: Film, other: Film) -> bool:
    pictures = np.array_equal(one.image, other.image) and np.array_equal(one.mask, other.mask)
    return pictures and replace(one, image=other.image, mask=other.mask) == other


def test_mask_box_and_class_agree_on_every_film(films: list[Film]) -> None:
    for film in films:
        assert film.image.dtype == film.mask.dtype == np.uint8 and film.image.shape == film.mask.shape == (32, 32)
        assert set(np.unique(film.mask)) <= {0, 255}
        assert (film.label == "normal") == (film.mask.max() == 0) == (film.box is None)
        found = Image.fromarray(film.mask).getbbox()
        assert film.box == (found and (found[0], found[1], found[2] - 1, found[3] - 1))
        assert film.label in CLASSES


def test_the_report_says_class_and_side_in_the_sites_language(films: list[Film]) -> None:
    for film in films:
        language = SITES[film.patient.site].language
        if film.label == "normal":
            assert film.report == SENTENCES[language]["normal"]
            continue
        assert WORDS[film.label][language == "zh"] in film.report
        if film.label == "nodule":  # an opacity can be cut by the heart's side of the lung, a nodule is all there
            on_the_left = np.nonzero(film.mask)[1].mean() < 15.5 + 4
            side = film.truth["side"]
            assert ("右" in film.report or "right" in film.report) == (side == "right")
            assert on_the_left or side == "left"
    assert {film.report for film in films if film.label == "normal"} == {
        SENTENCES[language]["normal"] for language in ("en", "zh")
    }


def test_subjects_have_one_to_three_films_in_order_of_time(films: list[Film], world: World) -> None:
    counts = Counter(film.patient.subject_id for film in films)
    assert len(counts) == len(world.patients) and set(counts.values()) == {1, 2, 3}
    for one, following in pairwise(films):
        if one.patient is following.patient:
            assert one.time < following.time


def test_a_carried_nodule_is_on_every_film_of_the_subject(films: list[Film]) -> None:
    for film in films:
        assert (film.label == "nodule") == film.patient.nodule
        if film.label == "nodule":
            alike = {other.truth["size_mm"] for other in films if other.patient is film.patient}
            assert alike == {film.truth["size_mm"]}


def test_classes_come_as_often_as_the_risks_say(films: list[Film], world: World) -> None:
    without = [film for film in films if not film.patient.nodule]
    risks = np.array([film.patient.opacity_risk for film in without])
    seen = sum(film.label == "opacity" for film in without)
    assert seen == pytest.approx(risks.sum(), abs=3 * np.sqrt((risks * (1 - risks)).sum()))
    for patient in world.patients[:20]:
        assert sum(class_priors(patient).values()) == pytest.approx(1.0)


def test_films_are_the_same_whatever_the_cohort_and_however_many_each_has() -> None:
    small = World(seed=9, patients=draw_patients(2, seed=9), size=32, films_per_patient=(1, 1))
    large = World(seed=9, patients=draw_patients(8, seed=9), size=32, films_per_patient=(3, 5))
    for one, other in zip(small.patients, large.patients, strict=False):
        (first, *_), (again, *more) = list(films_of(one, small)), list(films_of(other, large))
        assert _same(first, again) and 2 <= len(more) <= 4


def test_other_seeds_give_other_films() -> None:
    worlds = [World(seed=seed, patients=draw_patients(1, seed=1), size=32) for seed in (1, 2)]
    one, other = (next(films_of(world.patients[0], world)) for world in worlds)
    assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("size", [64, 512])
def test_size_changes_the_grid_and_nothing_else(size: int) -> None:
    patients = draw_patients(6, seed=3)
    for patient in patients:
        worlds = [World(seed=3, patients=patients, size=side, films_per_patient=(1, 1)) for side in (128, size)]
        one, other = (next(films_of(patient, world)) for world in worlds)
        assert other.image.shape == (size, size)
        assert (one.label, one.view, one.time, one.report) == (other.label, other.view, other.time, other.report)
        if one.box and other.box:
            np.testing.assert_allclose(np.array(other.box) * 128 / size, one.box, atol=4)


@pytest.mark.parametrize("finding", ["nodule", "opacity"])
def test_the_lesion_changes_the_picture_where_the_mask_is_and_not_elsewhere(finding: str) -> None:
    patient = replace(draw_patient(0, seed=1), site="riverside", language="en")
    anatomy = draw_anatomy(stream(1, 0, Stream.ANATOMY), patient, 60.0)
    nodule = replace(draw_nodule(stream(1, 0, Stream.NODULE)), conspicuity=0.8)
    plan = draw_plan(stream(1, 0, Stream.FILM, 0), patient, nodule, 0, 128)
    clear = replace(plan.candidates["opacity"], conspicuity=0.8)
    plan = replace(plan, candidates={"nodule": nodule, "opacity": clear}, shown=None)
    without = make_film("a", patient, anatomy, plan)
    shown = make_film("a", patient, anatomy, replace(plan, shown=finding))  # type: ignore[arg-type]
    change = shown.image.astype(int) - without.image.astype(int)
    inside = shown.mask > 0
    assert change[inside].mean() > 8
    if finding == "nodule":
        assert not change[~ndimage.binary_dilation(inside, iterations=5)].any()
    assert np.abs(change[~inside]).mean() < 0.1 * change[inside].mean()


def test_sites_differ_in_grain_grey_levels_and_bedside_films(films: list[Film]) -> None:
    by_site = {site: [film for film in films if film.patient.site == site] for site in SITES}
    grain = {
        site: np.mean([np.abs(np.diff(film.image[20:, 12:20].astype(float), axis=1)).mean() for film in group])
        for site, group in by_site.items()
    }
    assert max(grain.values()) > 1.5 * min(grain.values())
    for site, group in by_site.items():
        assert max(len(np.unique(film.image)) for film in group) <= 2 ** SCANNERS[site].bits
        bedside = np.mean([film.view == "AP" for film in group])
        assert bedside == pytest.approx(SCANNERS[site].portable, abs=0.12)
    ill = {site: np.mean([film.label == "opacity" for film in group]) for site, group in by_site.items()}
    assert max(ill.values()) > ill["qingshan"] + 0.1
