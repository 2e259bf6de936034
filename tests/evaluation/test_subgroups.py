from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from suwen.core.errors import NameUnknown, RecipeError
from suwen.evaluation.metrics import METRICS
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.subgroups import MISSING, MOST_GROUPS, OTHER, group_values, subgroups


def _with(outcome: Outcome, **columns: Any) -> Outcome:
    return replace(outcome, metadata=pd.DataFrame(columns))


def test_each_group_is_measured_on_its_own_samples(make_outcome: Any) -> None:
    outcome = make_outcome(200)
    found = subgroups(outcome, "sex", ["auroc", "accuracy"], resamples=50)
    assert list(found["groups"]) == ["F", "M"]
    for value, group in found["groups"].items():
        part = outcome.take((outcome.metadata["sex"] == value).to_numpy())
        assert group["n"] == len(part) and not group["note"]
        assert group["metrics"]["auroc"]["value"] == METRICS["auroc"].function(part)
    values = {value: group["metrics"]["auroc"]["value"] for value, group in found["groups"].items()}
    gap = found["gaps"]["auroc"]
    assert gap["value"] == pytest.approx(max(values.values()) - min(values.values()))
    assert values[gap["highest"]] > values[gap["lowest"]]


def test_a_quantity_is_cut_into_quarters_and_a_code_is_not(make_outcome: Any) -> None:
    order, index = group_values(pd.Series(np.arange(1, 101)))
    assert order == ["1 to 25", "26 to 50", "51 to 75", "76 to 100"]
    assert np.bincount(index).tolist() == [25] * 4
    assert group_values(pd.Series([10, 9, 2, 10]))[0] == ["2", "9", "10"]


def test_text_from_a_csv_is_read_as_the_numbers_it_holds() -> None:
    assert group_values(pd.Series([str(age) for age in range(1, 101)]))[0][0] == "1 to 25"
    assert group_values(pd.Series([f"{age}Y" for age in range(1, 10)]))[0][0] == "1Y"


def test_given_edges_are_kept_even_where_a_bin_is_empty() -> None:
    order, index = group_values(pd.Series([39, 40, 59, 60, np.nan]), edges=[40, 60, 90])
    assert order == ["under 40", "40 to under 60", "60 to under 90", MISSING]
    assert index.tolist() == [0, 1, 1, 2, 3]


@pytest.mark.parametrize("edges", [[60, 40], [40, 40], []])
def test_edges_out_of_order_are_refused(edges: list[float]) -> None:
    with pytest.raises(RecipeError, match="increasing edges"):
        group_values(pd.Series([1, 2]), edges=edges)
    with pytest.raises(RecipeError, match="numeric column"):
        group_values(pd.Series(["a", "b"]), edges=[1])


@pytest.mark.parametrize("empty", [None, np.nan, "", "  ", "NaN", "unknown"])
def test_missing_values_are_a_group_of_their_own(empty: Any) -> None:
    order, index = group_values(pd.Series(["F", empty, "M"], dtype=object))
    assert order == ["F", "M", MISSING] and index.tolist() == [0, 2, 1]


def test_all_missing_is_one_group() -> None:
    assert group_values(pd.Series([None, None]))[0] == [MISSING]


def test_rare_values_are_shown_together() -> None:
    order, _ = group_values(pd.Series([f"ward-{number:02}" for number in range(40)] + ["ward-00"]))
    assert len(order) == MOST_GROUPS and order[-1] == OTHER and order[0] == "ward-00"


def test_small_and_one_sided_groups_are_marked_and_left_out_of_gaps(make_outcome: Any) -> None:
    outcome = make_outcome(200)
    row = np.arange(200)
    site = np.where(row < 100, "north", "south").astype(object)
    site[(row % 2 == 0) & (outcome.target == 1)] = "ill only"
    site[:5] = "tiny"
    found = subgroups(_with(outcome, site=site), "site", ["auroc", "accuracy"], resamples=50)
    assert found["groups"]["tiny"]["note"] == "only 5 subjects"
    assert found["groups"]["ill only"]["note"] == "none of class-0"
    assert np.isnan(found["groups"]["ill only"]["metrics"]["auroc"]["value"])
    assert {found["gaps"]["auroc"]["highest"], found["gaps"]["auroc"]["lowest"]} == {"north", "south"}


def test_a_gap_by_chance_stays_under_its_reference_and_a_real_one_does_not(make_outcome: Any) -> None:
    outcome = make_outcome(600, images_each=2, signal=3.0)
    site = np.where(np.arange(600) // 2 % 2 == 0, "a", "b")
    fair = subgroups(_with(outcome, site=site), "site", ["accuracy"], resamples=20)["gaps"]["accuracy"]
    assert fair["value"] < fair["chance"] < 0.2
    blurred = outcome.probabilities.copy()
    blurred[site == "b"] = blurred[site == "b"][:, ::-1]
    unfair = subgroups(_with(replace(outcome, probabilities=blurred), site=site), "site", ["accuracy"], resamples=20)
    assert unfair["gaps"]["accuracy"]["value"] > unfair["gaps"]["accuracy"]["chance"]
    assert unfair["gaps"]["accuracy"]["lowest"] == "b"


def test_a_column_that_is_not_there_is_refused_with_the_nearest(make_outcome: Any) -> None:
    with pytest.raises(NameUnknown, match="did you mean sex"):
        subgroups(make_outcome(), "sexe", ["auroc"])


def test_what_subjects_are_called_does_not_matter(make_outcome: Any) -> None:
    outcome = make_outcome(80, images_each=2)
    renamed = replace(outcome, subjects=np.array([f"{999 - int(name[8:])}" for name in outcome.subjects]))
    first, second = (subgroups(one, "sex", ["auroc"], resamples=20) for one in (outcome, renamed))
    assert first == second
