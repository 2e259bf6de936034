from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suwen.core.errors import DataError, RecipeError
from suwen.data.records.cohorts.config import read_cohort
from suwen.data.records.cohorts.predicates import Plain

EXAMPLES = sorted((Path(__file__).resolve().parents[4] / "examples" / "cohorts").glob("*.yaml"))

TASK = """
description: >-
  Who dies in the ICU
metadata: {links: [], supported_datasets: [MIMIC-IV]}
predicates:
  icu_admission: ???
  icu_discharge: ???
  death:
    code: { regex: "MEDS_DEATH.*" }
  discharge_or_death:
    expr: or(icu_discharge, death)
patient_demographics:
  grown_up: {code: AGE, value_min: 18, value_min_inclusive: True}
trigger: icu_admission
windows:
  input:
    start: null
    end: trigger + 24h
    start_inclusive: True
    end_inclusive: True
    index_timestamp: end
  target:
    start: input.end
    end: start -> discharge_or_death
    start_inclusive: False
    end_inclusive: True
    label: death
"""
CODES = """
predicates:
  icu_admission: {code: {regex: "^ICU_ADMISSION//.*"}}
  icu_discharge: {code: {regex: "^ICU_DISCHARGE//.*"}}
  of_another_task: {code: null}
"""


def written(**changed: Any) -> dict[str, Any]:
    inclusive = {"start_inclusive": False, "end_inclusive": True}
    return {
        "predicates": {"a": {"code": "A"}, "b": {"code": "B"}},
        "trigger": "a",
        "windows": {
            "input": {"start": None, "end": "trigger", **inclusive, "index_timestamp": "end"},
            "target": {"start": "trigger", "end": "start + 1d", **inclusive, "label": "b"},
        },
    } | changed


def test_a_task_and_what_it_means_in_a_store_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "in_icu.yaml").write_text(TASK, encoding="utf-8")
    (tmp_path / "predicates.yaml").write_text(CODES, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"in_icu.yaml, line 6, predicates.icu_admission: predicate \w+ is \?"):
        read_cohort(tmp_path / "in_icu.yaml")
    cohort = read_cohort(tmp_path / "in_icu.yaml", predicates=tmp_path / "predicates.yaml")
    assert cohort.name == "in_icu" and cohort.trigger == "icu_admission" and cohort.demographics == ("grown_up",)
    assert cohort.predicates["icu_admission"] == Plain(regex="^ICU_ADMISSION//.*")
    assert cohort.predicates["grown_up"] == Plain(codes=("AGE",), low=18.0, low_inclusive=True, static=True)
    assert cohort.label is not None and cohort.label.name == "target" and cohort.index.name == "input"
    assert (cohort.censoring, cohort.death) == ("keep", "")


def test_a_mapping_says_the_same_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "cohort.yaml").write_text(
        """
        predicates: {a: {code: A}, b: {code: B}}
        trigger: a
        windows:
          input: {start: null, end: trigger, start_inclusive: False, end_inclusive: True, index_timestamp: end}
          target: {start: trigger, end: start + 1d, start_inclusive: False, end_inclusive: True, label: b}
        """,
        encoding="utf-8",
    )
    assert read_cohort(tmp_path / "cohort.yaml") == read_cohort(written())


def test_the_digest_is_of_what_it_means() -> None:
    cohort = read_cohort(written())
    assert cohort.digest == read_cohort(written(description="told otherwise")).digest
    assert cohort.digest != read_cohort(written(censoring="drop")).digest
    assert cohort.digest != read_cohort(written(predicates={"a": {"code": "A"}, "b": {"code": "C"}})).digest


def test_suwens_own_keys() -> None:
    cohort = read_cohort(written(censoring="drop", death="b"))
    assert (cohort.censoring, cohort.death) == ("drop", "b")
    task = written(censoring="keep")
    task["windows"]["target"] |= {"censoring": "drop", "value": "integer"}
    cohort = read_cohort(task)
    assert cohort.censoring == "drop" and cohort.label is not None and cohort.label.counted


def test_static_predicates_may_be_part_of_others() -> None:
    task = written(patient_demographics={"male": {"code": "MALE"}}, trigger="male_a")
    task["predicates"]["male_a"] = {"expr": "and(male, a)"}
    assert read_cohort(task).demographics == ("male",)
    with pytest.raises(RecipeError, match="male is static, and asked for at a time"):
        read_cohort(task | {"trigger": "male"})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trigger_event": "a"}, r"'trigger_event' is not supported of a cohort(.|\n)*supported: predicates"),
        ({"trigger": None}, "trigger is"),
        ({"trigger": "c"}, "predicate c is not defined"),
        ({"windows": None}, "no window of cohort has an index_timestamp"),
        ({"censoring": "perhaps"}, "keep   or drop"),
        ({"death": "c"}, "predicate c is not defined"),
        ({"predicates": {"a": {"code": "A"}, "b": {"code": "B"}, "a//b": {"code": "C"}}}, "a predicate named 'a//b'"),
        ({"predicates": {"a": {"code": "A"}, "b": {"code": "B"}, "_ANY_EVENT": {"code": "C"}}}, "special"),
        ({"patient_demographics": {"male": {"expr": "or(a, b)"}}}, "'expr' is not supported of a predicate"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        read_cohort(written(**changed))


def test_there_is_one_label_and_one_index() -> None:
    task = written()
    task["windows"]["input"]["label"] = "b"
    with pytest.raises(RecipeError, match="label in the windows input, target"):
        read_cohort(task)
    task = written()
    task["windows"]["target"]["index_timestamp"] = "start"
    with pytest.raises(RecipeError, match="index_timestamp in the windows input, target"):
        read_cohort(task)
    task = written()
    task["windows"]["target"]["label"] = "_ANY_EVENT"
    with pytest.raises(RecipeError, match="the label is _ANY_EVENT"):
        read_cohort(task)


def test_what_is_no_text_or_no_yaml_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.yaml"):
        read_cohort(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(DataError, match=r"broken\.yaml, line"):
        read_cohort(tmp_path / "broken.yaml")
    (tmp_path / "twice.yaml").write_text("trigger: a\ntrigger: b\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2: trigger is there twice"):
        read_cohort(tmp_path / "twice.yaml")
    (tmp_path / "list.yaml").write_text("- a\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="here stand keys"):
        read_cohort(tmp_path / "list.yaml")


def test_a_file_of_predicates_holds_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'trigger' is not supported of a file of predicates"):
        read_cohort(written(), predicates={"trigger": "a"})


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_are_read(file: Path) -> None:
    cohort = read_cohort(file)
    assert cohort.label is not None and cohort.index.index == "end"


def test_there_are_three_examples() -> None:
    assert [file.stem for file in EXAMPLES] == ["diabetes_5y", "in_hospital_mortality", "readmission_30d"]
