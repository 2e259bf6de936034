from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from suwen.evaluation.content import Example
from suwen.evaluation.page import page_of
from suwen.evaluation.section import Page, Section
from suwen.evaluation.words import ENGLISH


def _example(correct: bool, **changes: Any) -> Example:
    given = {"id": "a", "image_png": b"1", "overlay_png": b"2", "truth": "ill", "answer": "ill", "probability": 0.9}
    return Example(**{**given, "correct": correct, **changes})


@pytest.fixture(scope="module")
def pages(make_content: Any) -> dict[str, tuple[Any, Page]]:
    """Content and page of every kind of question, each with something of its own."""
    examples = [_example(True), _example(False, id="b", overlay_png=None, truth="healthy")]
    contents = {
        "binary": make_content("binary", examples=examples, temperature=1.4),
        "classes": make_content("classes", temperature=0.7, data_check={"leaks": ["a.png"]}),
        "labels": make_content("labels"),
    }
    return {kind: (content, page_of(content, ENGLISH)) for kind, content in contents.items()}


def _section(page: Page, anchor: str) -> Section:
    (found,) = (section for section in page.sections if section.anchor == anchor)
    return found


@pytest.mark.parametrize("kind", ["binary", "classes", "labels"])
def test_every_kind_of_question_has_a_whole_page(pages: Any, kind: str) -> None:
    expected = ["baselines", "worse", "threshold", "discrimination", "calibration", "subgroups", "training", "data"]
    only_here = {"binary": {"decision", "examples"}, "classes": set(), "labels": set()}[kind]
    found = [section.anchor for section in pages[kind][1].sections]
    assert [anchor for anchor in found if anchor not in only_here] == [*expected, "recipe", "reading"]
    assert only_here <= set(found)


def test_the_operating_point_is_told_in_whole_people(pages: Any) -> None:
    content, page = pages["binary"]
    outcome = content.outcomes["test"]
    threshold = content.metrics["splits"]["test"]["threshold"]
    said, ill = outcome.probabilities[:, 1] >= threshold, outcome.target == 1
    told = " ".join(_section(page, "threshold").sentences)
    assert (
        f"Of {ill.sum()} images with class-1, {(said & ill).sum()} were found and {(~said & ill).sum()} missed." in told
    )
    assert (
        f"Of {(~ill).sum()} without, {(~said & ~ill).sum()} were cleared and {(said & ~ill).sum()} were false" in told
    )
    assert f"Of {said.sum()} called class-1, {(said & ill).sum()} were right" in told


def test_a_model_that_says_the_same_of_all_at_one_half_has_a_page_too(make_content: Any) -> None:
    content = make_content(baselines={})
    content.metrics["splits"]["test"]["threshold"] = None
    same = {split: replace(one, probabilities=one.probabilities * 0 + 0.5) for split, one in content.outcomes.items()}
    page = page_of(replace(content, outcomes=same), ENGLISH)
    assert _section(page, "discrimination").drawings == [] and len(_section(page, "decision").drawings) == 1
    assert "from a probability of 0.5" in _section(page, "threshold").sentences[0]


def test_nothing_measured_still_shows_what_was_done(make_content: Any) -> None:
    page = page_of(make_content(outcomes={}, baselines={}, metrics={"splits": {}}), ENGLISH)
    assert [section.anchor for section in page.sections] == ["training", "recipe", "reading"]
    assert page.tiles == [] and "Nothing was measured" in page.verdict


def test_a_leak_takes_the_green_from_the_verdict(pages: Any) -> None:
    assert pages["binary"][1].standing == "beats" and pages["classes"][1].standing == "leaks"


def test_right_and_wrong_are_shown_apart_with_their_overlays(pages: Any) -> None:
    section = _section(pages["binary"][1], "examples")
    assert [(picture.id, picture.overlay) for picture in section.right] == [("a", "data:image/png;base64,Mg==")]
    assert [(picture.id, picture.overlay) for picture in section.wrong] == [("b", None)]
    assert section.wrong[0].caption == "said ill (90%), true healthy"


def test_temperature_says_which_way_the_model_erred(pages: Any) -> None:
    said = {kind: " ".join(_section(page, "calibration").sentences) for kind, (_, page) in pages.items()}
    assert "too sure of itself" in said["binary"] and "not sure enough" in said["classes"]
    assert "temperature" not in said["labels"]


def test_a_student_is_set_beside_its_teacher(make_content: Any) -> None:
    content = make_content("binary")
    figures = {"auroc": {"value": 0.8, "low": 0.7, "high": 0.9}}
    content.metrics["teacher"] = {
        "model": "large@1",
        "temperature": 4.0,
        "alpha": 0.9,
        "n": 10,
        "subjects": 9,
        "student": figures,
        "teacher": {"auroc": {"value": 0.9, "low": 0.8, "high": 0.95}},
        "change": {"auroc": {"value": -0.1, "low": -0.2, "high": 0.0}},
        "parameters": {"student": 1000, "teacher": 5000},
        "latency": {"1": {"student": 0.001, "teacher": 0.004}},
    }
    section = _section(page_of(content, ENGLISH), "teacher")
    assert "large@1" in section.sentences[0] and "90%" in section.sentences[0]
    (table,) = section.tables
    auroc, parameters, one = table.rows
    assert auroc[1].worse and auroc[3].text == "−0.100"
    assert [cell.text for cell in parameters[1:]] == ["1,000", "5,000", "5.0×"]
    assert [cell.text for cell in one[1:]] == ["1.00", "4.00", "4.0×"]
