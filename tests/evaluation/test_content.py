from __future__ import annotations

from typing import Any

import pytest

from suwen.core.errors import DataError, NameUnknown


def test_the_report_is_about_the_test_split_where_there_is_one(make_content: Any) -> None:
    content = make_content()
    assert content.split == "test"
    assert make_content(outcomes={"val": content.outcomes["val"]}).split == "val"
    assert make_content(outcomes={}).split == ""


def test_leaks_come_from_the_data_check(make_content: Any) -> None:
    assert make_content(data_check={"leaks": ["a.png"]}).leaks == ["a.png"]
    assert make_content().leaks == []


def test_an_outcome_without_its_headline_figure_is_refused(make_content: Any) -> None:
    with pytest.raises(DataError, match="metrics of the val split: none"):
        make_content(metrics={"splits": {}})
    with pytest.raises(NameUnknown, match="did you mean auroc"):
        make_content(headline="auroch")


def test_a_baseline_may_have_been_run_on_one_split_only(make_content: Any) -> None:
    content = make_content()
    del content.metrics["baselines"]["logistic-pixels"]["val"]
    assert content.baseline_figures("val") == {}
    assert set(content.baseline_figures("test")) == {"logistic-pixels"}
