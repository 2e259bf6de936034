from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from suwen.core.errors import DataError
from suwen.data.records.cohorts.config import read_cohort
from suwen.data.records.cohorts.extract import extract
from suwen.data.records.cohorts.labels import Labels
from suwen.data.records.columns import build_columns
from suwen.data.records.events import Events
from suwen.data.records.features import Features
from suwen.data.records.kernels import SECOND

HOUR = 3600 * SECOND


def write(folder: Path, events: Events) -> Path:
    (folder / "data").mkdir(parents=True)
    pq.write_table(events.taken(), folder / "data" / "0.parquet")
    return folder


def one(*events: tuple[int | None, str] | tuple[int | None, str, float | None, int | None]) -> Events:
    """Events of subject 1: hour, code, value, hour since when it is known."""
    made = Events()
    for hour, code, *more in events:
        value, known = more or (None, None)
        made.add(1, hour if hour is None else hour * HOUR, code, value, None, known if known is None else known * HOUR)
    return made


def cohort(**changed: Any) -> dict[str, Any]:
    """Who is admitted, and has one lab at least until a day later: is there a death within ten days from then on?"""
    inclusive = {"start_inclusive": False, "end_inclusive": True}
    return {
        "predicates": {"admission": {"code": "ADMISSION"}, "death": {"code": "MEDS_DEATH"}, "lab": {"code": "LAB"}},
        "trigger": "admission",
        "windows": {
            "input": {
                "start": None,
                "end": "trigger + 24h",
                **inclusive,
                "start_inclusive": True,
                "index_timestamp": "end",
            }
            | {"has": {"lab": (1, None)}},
            "target": {"start": "input.end", "end": "start + 10d", **inclusive, "label": "death"},
        },
    } | changed


def labels_of(folder: Path, events: Events | None, written: dict[str, Any] | None = None) -> Labels:
    """Of events that are put into a new store in the folder, or of those that are there."""
    if events is not None:
        write(folder / "store", events)
    return extract(build_columns(folder / "store"), read_cohort(written or cohort()), threads=1)


def test_a_lab_that_became_known_later_does_not_let_anybody_in(tmp_path: Path) -> None:
    known = one((0, "ADMISSION"), (5, "LAB", 1.0, 24), (400, "VISIT"))
    assert len(labels_of(tmp_path / "known", known)) == 1
    late = one((0, "ADMISSION"), (5, "LAB", 1.0, 25), (400, "VISIT"))
    with pytest.raises(DataError, match="-1 → 0   input: fewer than 1 of lab"):
        labels_of(tmp_path / "late", late)


def test_an_exclusion_that_became_known_later_keeps_nobody_out(tmp_path: Path) -> None:
    """At the prediction nobody knew of it: the model will meet such patients."""
    written = cohort()
    written["windows"]["input"]["has"] = {"lab": (None, 0)}
    late = one((0, "ADMISSION"), (5, "LAB", 1.0, 25), (400, "VISIT"))
    assert len(labels_of(tmp_path / "late", late, written)) == 1
    known = one((0, "ADMISSION"), (5, "LAB", 1.0, 24), (400, "VISIT"))
    with pytest.raises(DataError, match="input: more than 0 of lab"):
        labels_of(tmp_path / "known", known, written)


def test_no_prediction_hangs_on_what_was_not_known(tmp_path: Path) -> None:
    """A diagnosis that is coded weeks later triggers no prediction on its day."""
    late = one((0, "ADMISSION", None, 700), (5, "LAB"), (400, "VISIT"))
    with pytest.raises(DataError, match="-1 → 0   the trigger, admission, was not yet known at the prediction"):
        labels_of(tmp_path, late)
    written = cohort(patient_demographics={"male": {"code": "MALE"}})
    events = one((None, "MALE", None, 25), (0, "ADMISSION"), (5, "LAB"), (400, "VISIT"))
    with pytest.raises(DataError, match="demographics were not yet known"):
        labels_of(tmp_path / "static", events, written)


def test_the_label_holds_what_happened_whenever_it_became_known(tmp_path: Path) -> None:
    events = one((0, "ADMISSION"), (5, "LAB"), (100, "MEDS_DEATH", None, 5000))
    assert labels_of(tmp_path, events).values.tolist() == [True]  # type: ignore[union-attr]


def test_planted_leaks_reach_neither_labels_nor_features(tmp_path: Path) -> None:
    """From events to a matrix: what happened before the prediction and became known after it, or happened after it,
    changes nothing of what a model sees, and nobody's being in the cohort."""
    inclusive = {"start_inclusive": False, "end_inclusive": True}
    written = cohort()
    written["windows"]["target"] = {"start": "input.end", "end": "start + 10d", **inclusive, "label": "death"}
    clean, leaky = Events(), Events()
    for subject in range(40):
        rows: list[tuple[int, str, float | None, int | None]] = [
            (0, "ADMISSION", None, None),
            *((hour, "LAB", float(subject + hour), None) for hour in range(1, 20, 1 + subject % 4)),
            *(((90, "MEDS_DEATH", None, None),) if subject % 3 == 0 else ((900, "VISIT", None, None),)),
        ]
        planted: list[tuple[int, str, float | None, int | None]] = [
            (20, "LAB", 1e6, 25),
            (23, "LAB", 1e6, 24 * 30),
            (24, "PATHOLOGY", 1e6 if subject % 3 == 0 else 0.0, 26),  # tells the outcome
            (25, "LAB", 1e6, None),
        ]
        for events, its in ((clean, rows), (leaky, [*rows, *planted])):
            for hour, code, value, known in sorted(its, key=lambda row: row[0]):
                events.add(subject, hour * HOUR, code, value, None, known if known is None else known * HOUR)
    found = []
    for name, events in (("clean", clean), ("leaky", leaky)):
        columns = build_columns(write(tmp_path / name, events))
        labels = extract(columns, read_cohort(written))
        features = Features(
            columns, windows=("6h", "all"), aggregates=("last", "max", "mean", "count", "since"), min_subjects=1
        )
        matrix = features.fit_transform(labels.table())
        table = pd.DataFrame(matrix.toarray(), columns=features.get_feature_names_out())
        found.append((labels.table(), table[sorted(table.columns)]))
    assert build_columns(tmp_path / "leaky").available is not None
    assert found[0][0].equals(found[1][0]) and found[0][0].num_rows == 40
    pd.testing.assert_frame_equal(found[0][1], found[1][1])
    assert found[1][1].to_numpy().max() < 1e5 and found[1][1].to_numpy().max() > 50


def test_a_label_that_the_features_would_see_is_an_error(tmp_path: Path) -> None:
    assert len(labels_of(tmp_path, one((0, "ADMISSION"), (5, "LAB"), (100, "MEDS_DEATH")))) == 1
    for start, inclusive in (("trigger", False), ("input.end", True)):
        written = cohort()
        written["windows"]["target"] |= {"start": start, "start_inclusive": inclusive}
        with pytest.raises(DataError, match="1 of 1 labels are predicted when their window, target, has begun"):
            labels_of(tmp_path, None, written)


def test_negative_labels_that_the_record_does_not_cover_are_counted_and_can_be_dropped(tmp_path: Path) -> None:
    """Ten days from hour 24 on end at hour 264."""
    events = Events()
    for subject, (last, code) in enumerate(
        [(264, "VISIT"), (263, "VISIT"), (200, "MEDS_DEATH"), (263, "MEDS_DEATH"), (300, "MEDS_DEATH")]
    ):
        for hour, what in ((0, "ADMISSION"), (5, "LAB"), (last, code)):
            events.add(subject, hour * HOUR, what)
    events.add(5, 0, "ADMISSION")
    events.add(5, 0, "LAB")
    labels = labels_of(tmp_path, events)
    assert labels.values is not None
    assert labels.values.tolist() == [False, False, True, True, False, False]
    assert labels.censored.tolist() == [False, True, False, False, False, True]
    assert labels.censored_negative == 2
    assert (labels.days * 24).tolist() == [240, 239, 176, 239, 240, 0]
    assert labels.events.tolist() == labels.values.tolist()
    assert "2 positive, 4 negative, 2 of these censored" in labels.lines()
    dropped = labels_of(tmp_path, None, cohort(censoring="drop"))
    assert dropped.subject_ids.tolist() == [0, 2, 3, 4] and dropped.censored_negative == 0
    assert dropped.funnel.steps[-1].lost == 2 and dropped.funnel.labels == 4
    in_window = cohort()
    in_window["windows"]["target"]["censoring"] = "drop"
    assert len(labels_of(tmp_path, None, in_window)) == 4


def test_positive_labels_stay_however_short_the_record(tmp_path: Path) -> None:
    """Without a death of its own name, the record ends with the last event, which is what was looked for."""
    written = cohort(censoring="drop")
    written["predicates"]["death"] = {"code": "STROKE"}
    labels = labels_of(tmp_path, one((0, "ADMISSION"), (5, "LAB"), (100, "STROKE")), written)
    assert labels.values.tolist() == [True] and labels.censored.tolist() == [True]  # type: ignore[union-attr]


def test_death_is_what_the_cohort_says(tmp_path: Path) -> None:
    written = cohort(censoring="drop", death="gone")
    written["predicates"] |= {"gone": {"code": {"any": ["DISCHARGE//DIED"]}}, "stroke": {"code": "STROKE"}}
    written["windows"]["target"]["label"] = "stroke"
    events = one((0, "ADMISSION"), (5, "LAB"), (100, "DISCHARGE//DIED"), (110, "BILL"))
    labels = labels_of(tmp_path, events, written)
    assert not labels.censored[0] and labels.days[0] * 24 == 76


def test_nobody_is_predicted_before_the_first_event(tmp_path: Path) -> None:
    written = cohort()
    inclusive = {"start_inclusive": True, "end_inclusive": True}
    written["windows"]["input"] = {"start": "end - 1d", "end": "trigger - 8h", **inclusive, "index_timestamp": "end"}
    events = one((0, "VISIT"), (7, "ADMISSION"), (9, "ADMISSION"), (900, "VISIT"))
    labels = labels_of(tmp_path, events, written)
    assert (labels.triggers // HOUR).tolist() == [9] and (labels.prediction_times // HOUR).tolist() == [1]
    assert [step.lost for step in labels.funnel.steps if "before the subject's first event" in step.what] == [1]


def test_an_empty_cohort_tells_where_everybody_was_lost(tmp_path: Path) -> None:
    written = cohort(patient_demographics={"female": {"code": "FEMALE"}})
    written["predicates"]["lab"] = {"code": "LABORATORY"}
    events = one((None, "FEMALE"), (0, "ADMISSION"), (5, "LAB"), (30, "ADMISSION"))
    events.add(2, 0, "ADMISSION")
    with pytest.raises(DataError) as error:
        labels_of(tmp_path, events, written)
    told = str(error.value)
    assert "2 subjects" in told and "1 with the demographics" in told and "2 triggers: admission" in told
    assert "-2 → 0   input: fewer than 1 of lab" in told and "no code of the store fits lab" in told


def test_each_trigger_is_lost_at_the_first_window_that_lacks_something(tmp_path: Path) -> None:
    written = cohort()
    written["windows"]["target"]["end"] = "start -> death"
    events = one((0, "ADMISSION"), (5, "LAB"), (40, "MEDS_DEATH"), (50, "ADMISSION"))
    events.add(2, 0, "ADMISSION")
    labels = labels_of(tmp_path, events, written)
    lost = {step.what: step.lost for step in labels.funnel.steps if step.lost}
    assert lost == {"input: fewer than 1 of lab": 1, "target.end: no death after target.start": 1}
    assert (labels.funnel.subjects, labels.funnel.eligible, labels.funnel.triggers, labels.funnel.labels) == (
        2,
        2,
        3,
        1,
    )


def test_windows_are_there_with_their_times(tmp_path: Path) -> None:
    labels = labels_of(tmp_path, one((3, "ADMISSION"), (5, "LAB"), (900, "VISIT")))
    assert {name: each[0] // HOUR for name, each in labels.starts.items()} == {"input": 3, "target": 27}
    assert {name: each[0] // HOUR for name, each in labels.ends.items()} == {"input": 27, "target": 27 + 240}


def test_the_end_of_a_window_whose_start_hangs_on_it_is_the_index(tmp_path: Path) -> None:
    """ACES 0.7.3 predicts at its start: https://github.com/justin13601/ACES/issues/196."""
    written = cohort()
    inclusive = {"start_inclusive": True, "end_inclusive": True}
    written["windows"]["input"] = {"start": "end - 2h", "end": "trigger", **inclusive, "index_timestamp": "end"}
    events = one((0, "VISIT"), (7, "ADMISSION"), (900, "VISIT"))
    assert labels_of(tmp_path, events, written).prediction_times.tolist() == [7 * HOUR]


def test_a_window_that_never_ends_is_no_label(tmp_path: Path) -> None:
    """ACES 0.7.3 leaves a row without a time where windows stand in a single line, as here."""
    written = {
        "predicates": {"admission": {"code": "ADMISSION"}, "discharge": {"code": "DISCHARGE"}},
        "trigger": "admission",
        "windows": {
            "stay": {"start": "trigger", "end": "start -> discharge", "start_inclusive": False, "end_inclusive": True}
            | {"index_timestamp": "end"}
        },
    }
    labels = labels_of(tmp_path, one((0, "ADMISSION"), (9, "DISCHARGE"), (20, "ADMISSION"), (30, "VISIT")), written)
    assert labels.prediction_times.tolist() == [9 * HOUR] and labels.values is None


def test_a_store_without_events_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 subjects"):
        labels_of(tmp_path, Events())
