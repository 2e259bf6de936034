from __future__ import annotations

from suwen.evaluation.profile_figures import (
    LONGEST,
    commonest_figure,
    density_figure,
    histogram_figure,
    measured_figure,
    pyramid_figure,
    short,
    years_figure,
)

ROW = {"code": "LOINC//1", "description": "Body weight", "unit": "kg"}


def test_a_bar_that_is_not_shown_is_hatched_and_says_no_height() -> None:
    spans = [
        {"from": 2010, "to": 2010, "events": 4000, "subjects": 90},
        {"from": 2011, "to": 2011, "events": 4321, "subjects": 80},
    ]
    open_ = years_figure({"spans": spans, "width": 1})
    hidden = years_figure({"spans": [spans[0], {**spans[1], "events": "<11 subjects", "subjects": "<11"}], "width": 1})
    assert open_ is not None and hidden is not None
    assert "<pattern" in hidden and "<pattern" not in open_


def test_all_but_a_few_are_told_as_more_than_a_share() -> None:
    rows = [{**ROW, "subjects": ">89", "share": None}, {**ROW, "subjects": 40, "share": 0.4}]
    drawn = commonest_figure(rows, 100)
    assert drawn is not None and "&gt;89%" in drawn and "40%" in drawn and "Body weight" in drawn


def test_a_spread_is_told_with_its_ends_and_its_median() -> None:
    spread = {"p5": 6.9, "p25": 56.0, "p50": 76.0, "p75": 87.0, "p95": 98.0}
    drawn = measured_figure([{**ROW, "spread": spread}, {**ROW, "spread": dict.fromkeys(spread, 7.0)}])
    assert drawn is not None and all(text in drawn for text in (">6.9<", ">76<", ">98<", ">kg<"))
    assert drawn.count(">7<") == 1  # a constant has no ends


def test_a_pyramid_has_two_sides_or_one() -> None:
    two = pyramid_figure({"ages": [{"age": "0–9", "female": 20, "male": "<11", "all others": 0}]})
    one = pyramid_figure({"ages": [{"age": "0–9", "female": 0, "male": 0, "all others": 20}]})
    assert two is not None and one is not None
    assert "female" in two and "others" not in two and "others" in one and "female" not in one


def test_nothing_is_drawn_of_nothing() -> None:
    calendar = {"spans": [], "width": 1, "density": {"from": 1900, "width": 1, "kinds": {"A": [0, 0]}}}
    assert years_figure(calendar) is None and density_figure(calendar) is None
    assert pyramid_figure({"ages": [{"age": "not known", "female": 5, "male": 5, "all others": 0}]}) is None
    assert histogram_figure({"histogram": []}) is None
    assert commonest_figure([], 100) is None and commonest_figure([ROW], "<11") is None
    assert measured_figure([{**ROW, "spread": None}]) is None


def test_long_names_are_cut() -> None:
    assert short("a" * LONGEST) == "a" * LONGEST
    assert len(short("a" * 99)) == LONGEST and short("a" * 99).endswith("…")
