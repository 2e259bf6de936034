from __future__ import annotations

import numpy as np
import pytest

from suwen.core.errors import DataError
from suwen.data.records.codes.hierarchy import Hierarchy
from suwen.data.records.column_writer import NOWHEN
from suwen.data.records.columns import Columns
from suwen.data.records.token_fit import FEW_VALUES, fit_tokens
from suwen.data.records.token_kernels import EVER, MINUTES, interval_of
from suwen.data.records.tokens import UNKNOWN, EventTokens, interval_edges
from suwen.data.records.units.units import Units

DAY = 86_400_000_000


def columns_of(subjects: list[list[tuple[int | None, str, float]]], vocabulary: tuple[str, ...]) -> Columns:
    """Subjects 0, 1, … with events (day, code, value) in order."""
    rows = [event for events in subjects for event in events]
    number = {code: place for place, code in enumerate(vocabulary)}
    codes = np.array([number[code] for _, code, _ in rows], np.int32)
    return Columns(
        codes=codes,
        times=np.array([NOWHEN if day is None else day * DAY for day, _, _ in rows], np.int64),
        values=np.array([value for _, _, value in rows], np.float32),
        available=None,
        subjects=np.arange(len(subjects)),
        offsets=np.cumsum([0, *map(len, subjects)]).astype(np.int64),
        vocabulary=vocabulary,
        counts=np.bincount(codes, minlength=len(vocabulary)),
        units=Units(),
        fingerprint="",
    )


NAN = float("nan")
VOCABULARY = ("GENDER//F", "MEDS_BIRTH", "LAB", "ICD10CM//E11.9", "ICD10CM//E11.65", "RARE", "DRUG", "DRUG//END")


@pytest.fixture
def columns() -> Columns:
    """30 women with a lab a day; two kinds of diabetes, each rare by itself; from 25 on, another lab level."""
    subjects: list[list[tuple[int | None, str, float]]] = []
    for subject in range(30):
        shift = 1000.0 if subject >= 25 else 0.0
        events: list[tuple[int | None, str, float]] = [(None, "GENDER//F", NAN), (0, "MEDS_BIRTH", NAN)]
        events += [(20_000 + day, "LAB", shift + subject + day / 10) for day in range(5)]
        events.append((20_010, "ICD10CM//E11.9" if subject % 2 else "ICD10CM//E11.65", NAN))
        events.append((20_020, "DRUG", NAN))
        if subject == 0:
            events += [(20_030, "RARE", NAN), (20_040, "DRUG//END", NAN)]
        subjects.append(events)
    return columns_of(subjects, VOCABULARY)


def fitted(columns: Columns, subjects: int = 25, **settings: int) -> EventTokens:
    places = np.arange(subjects)
    return fit_tokens(columns, places, np.full(subjects, EVER), EventTokens(**({"min_subjects": 10} | settings)))


def test_codes_are_kept_by_how_many_training_subjects_have_them(columns: Columns) -> None:
    tokens = fitted(columns)
    assert tokens.codes[0] == UNKNOWN and "MEDS_BIRTH" not in tokens.codes
    assert dict(zip(tokens.codes[1:], tokens.subjects[1:], strict=True)) == {
        "DRUG": 25,
        "GENDER//F": 25,
        "ICD10CM//E11": 25,
        "LAB": 25,
        "ICD10CM//E11.6": 13,
        "ICD10CM//E11.65": 13,
        "ICD10CM//E11.9": 12,
    }


def test_a_code_too_rare_is_read_as_the_nearest_above_it_and_else_as_unknown(columns: Columns) -> None:
    tokens = fitted(columns, min_subjects=14)
    read = dict(zip(VOCABULARY, (tokens.codes[token] for token in tokens.tokens_of(VOCABULARY)), strict=True))
    assert read["ICD10CM//E11.9"] == read["ICD10CM//E11.65"] == "ICD10CM//E11"
    assert read["RARE"] == UNKNOWN
    assert read["DRUG//END"] == UNKNOWN  # that something ends is no further occurrence of it


def test_a_code_that_training_never_saw_is_read_as_one_above_it(columns: Columns) -> None:
    tokens = fitted(columns)
    elsewhere = Hierarchy(parents={"LOCAL//sugar": ("ICD10CM//E11",)})
    asked = ("ICD10CM//E11.22", "ICD10CM//I10", "LOCAL//sugar")
    assert [tokens.codes[each] for each in tokens.tokens_of(asked, elsewhere)] == [
        "ICD10CM//E11",
        UNKNOWN,
        "ICD10CM//E11",
    ]


def test_a_token_knows_those_above_it(columns: Columns) -> None:
    tokens = fitted(columns)
    above = {tokens.codes[number]: [tokens.codes[each] for each in row] for number, row in enumerate(tokens.above)}
    assert above["ICD10CM//E11.65"] == ["ICD10CM//E11.6", "ICD10CM//E11"]
    assert above["LAB"] == [] and above[UNKNOWN] == []


def test_deciles_are_those_of_the_training_values_alone(columns: Columns) -> None:
    tokens, lab = fitted(columns), fitted(columns).numbers["LAB"]
    values = np.array([np.float32(subject + day / 10) for subject in range(25) for day in range(5)], np.float64)
    assert tokens.edges[lab] == pytest.approx(np.quantile(values, np.arange(1, 10) / 10), rel=1e-6)
    assert tokens.mean[lab] == pytest.approx(values.mean(), rel=1e-6)
    assert tokens.deviation[lab] == pytest.approx(values.std(), rel=1e-6)
    assert tokens.edges[tokens.numbers["DRUG"]] == ()  # it has no values


def test_nothing_after_the_time_until_which_a_subject_is_known_is_fitted(columns: Columns) -> None:
    early = fit_tokens(columns, np.arange(25), np.full(25, 20_002 * DAY), EventTokens(min_subjects=1))
    assert set(early.codes) == {UNKNOWN, "GENDER//F", "LAB"}
    values = [np.float32(subject + day / 10) for subject in range(25) for day in range(3)]
    assert len(values) >= FEW_VALUES
    assert early.mean[early.numbers["LAB"]] == pytest.approx(np.mean(values), rel=1e-6)


def test_it_comes_back_from_json_as_it_was(columns: Columns) -> None:
    tokens = fitted(columns)
    again = EventTokens.model_validate_json(tokens.model_dump_json())
    assert again == tokens and again.digest == tokens.digest
    assert np.array_equal(again.book(columns).edges, tokens.book(columns).edges, equal_nan=True)


def test_a_recipe_holds_what_was_chosen_and_the_same_subjects_give_the_rest_again(columns: Columns) -> None:
    tokens = fitted(columns)
    assert tokens.settings() == {"length": 256, "size": 4096, "min_subjects": 10}
    assert fit_tokens(columns, np.arange(25), np.full(25, EVER), EventTokens(**tokens.settings())) == tokens


def test_of_many_codes_those_of_most_subjects_stay(columns: Columns) -> None:
    assert fitted(columns, size=4).codes == (UNKNOWN, "DRUG", "GENDER//F", "ICD10CM//E11")


def test_too_few_subjects_are_an_error_that_says_what_to_set(columns: Columns) -> None:
    with pytest.raises(DataError, match="min_subjects=1"):
        fitted(columns, subjects=5)


@pytest.mark.parametrize(("minutes", "bucket"), [(0, 1), (4.99, 1), (5, 2), (24 * 60, 12), (1e9, len(MINUTES) + 1)])
def test_intervals_are_those_between_the_edges(minutes: float, bucket: int) -> None:
    assert interval_of(int(minutes * 60_000_000), interval_edges()) == bucket
