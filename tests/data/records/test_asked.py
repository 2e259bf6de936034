from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suwen.core.errors import DataError, FileUnreadable, RecipeError
from suwen.data.records.asked import RECORDS, RecordSamples
from suwen.data.records.events import Events
from suwen.data.records.histories import FUTURES, HISTORIES
from suwen.data.records.questions import find_question, splits_of
from suwen.data.records.sequences import RecordDataset
from suwen.data.records.tokens import EventTokens

EPOCH = datetime(2020, 1, 1)
FRACTIONS = (0.6, 0.2, 0.2)


def day(number: float) -> datetime:
    return EPOCH + timedelta(days=number)


def write_store(folder: Path, subjects: int = 60) -> Path:
    """Everybody has a sex, a birth, ten labs; odd ones a diagnosis on day 5, known on day 8.5. Subject 0 dies on day 20
    and has a bill on day 30; subject 1000 has nothing but a sex."""
    events = Events()
    for subject in range(subjects):
        events.add(subject, None, f"GENDER//{'F' if subject % 2 else 'M'}")
        events.add(subject, EPOCH - timedelta(days=365.25 * (30 + subject)), "MEDS_BIRTH")
        for number in range(10):
            events.add(subject, day(number), "LAB", float(number + subject % 2))
            if number == 5 and subject % 2:
                events.add(subject, day(5), "ICD10CM//E11.9", available_time=day(8.5))
    events.add(0, day(20), "MEDS_DEATH")
    events.add(0, day(30), "BILL")
    events.add(1000, None, "GENDER//F")
    table = events.taken()
    order = np.lexsort(
        (table["time"].to_numpy().astype("datetime64[us]").astype(np.int64), table["subject_id"].to_numpy())
    )
    (folder / "data").mkdir(parents=True)
    pq.write_table(table.take(pa.array(order)), folder / "data" / "0.parquet")
    return folder


def write_labels(file: Path, subjects: list[int], when: float = 9.5, **values: list[object]) -> Path:
    times = np.full(len(subjects), np.datetime64(day(when)), "datetime64[us]")
    found = values or {"boolean_value": [bool(subject % 2) for subject in subjects]}
    pd.DataFrame({"subject_id": subjects, "prediction_time": times, **found}).to_parquet(file)
    return file


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    write_store(tmp_path / "store")
    write_labels(tmp_path / "labels.parquet", list(range(60)))
    return tmp_path


def built(ward: Path, **keywords: object) -> RecordDataset:
    samples = RECORDS.read(ward)
    options = {"seed": 0, "fractions": FRACTIONS} | keywords
    return RECORDS.build(samples, EventTokens(min_subjects=5), **options)  # type: ignore[arg-type]


def test_a_dataset_has_a_row_a_label_with_what_was_known_then(ward: Path) -> None:
    dataset = built(ward)
    assert len(dataset) == 60 and dataset.labels == ("no", "yes")
    assert dataset.targets.tolist() == [subject % 2 for subject in range(60)]
    assert dataset.ids[3] == "3@2020-01-10T12:00:00" and dataset.subjects[3] == "3"
    assert dataset.metadata["sex"].tolist()[:2] == ["M", "F"]
    assert dataset.metadata["age"][7] == pytest.approx(37 + 9.5 / 365.25, abs=0.01)
    diabetes, inputs = dataset.preprocess.numbers["ICD10CM//E11.9"], dataset.take(np.array([1, 2]))
    # known half a day after the lab of day 8, and before that of day 9
    assert inputs["codes"][: inputs["offsets"][1]].tolist().index(diabetes) == 1 + 9


def test_the_vocabulary_is_that_of_the_training_subjects(ward: Path) -> None:
    dataset = built(ward)
    train = dataset.where("train")
    assert dataset.preprocess.subjects[dataset.preprocess.numbers["LAB"]] == len(train)
    values = [number + subject % 2 for subject in train for number in range(10)]
    assert dataset.preprocess.mean[dataset.preprocess.numbers["LAB"]] == pytest.approx(np.mean(values), rel=1e-6)


def test_where_labels_and_stores_are_found(ward: Path) -> None:
    assert find_question(ward).labels == ward / "labels.parquet"
    assert find_question(ward / "labels.parquet").store.resolve() == (ward / "store").resolve()
    assert find_question(ward / "store").labels is None
    (ward / "asked.yaml").write_text("store: store\nlabels: labels.parquet\n")
    assert find_question(ward / "asked.yaml") == find_question(ward)
    with pytest.raises(DataError, match="no records"):
        find_question(ward / "nowhere")


def test_a_subject_is_in_the_same_split_whatever_is_asked(ward: Path) -> None:
    dataset, tokens = built(ward), EventTokens(min_subjects=5)
    histories = HISTORIES.build(HISTORIES.read(ward), tokens, seed=0, fractions=FRACTIONS)
    ours = dict(zip(dataset.subjects.tolist(), dataset.splits.tolist(), strict=True))
    theirs = dict(zip(histories.subjects.tolist(), histories.splits.tolist(), strict=True))
    assert {subject: theirs[subject] for subject in ours} == ours
    assert set(ours.values()) == {"train", "val", "test"}
    assert (splits_of(ward / "store", np.arange(60), 1, FRACTIONS) != dataset.splits).any()  # another seed


def test_splits_of_meds_are_kept_and_must_name_everybody(ward: Path) -> None:
    folder = ward / "store" / "metadata"
    folder.mkdir()
    names = ["train", "tuning", "held_out"] * 20
    pd.DataFrame({"subject_id": range(60), "split": names}).to_parquet(folder / "subject_splits.parquet")
    assert built(ward).splits.tolist() == ["train", "val", "test"] * 20
    pd.DataFrame({"subject_id": range(59), "split": names[:59]}).to_parquet(folder / "subject_splits.parquet")
    with pytest.raises(DataError, match="without a split"):
        built(ward)


@pytest.mark.parametrize(
    ("subject", "when", "reason"),
    [
        (7777, 9.5, "does not have this subject"),
        (1000, 9.5, "nothing but what has no time"),
        (5, -400.0, "nothing but what has no time"),
        (0, 25.0, "had died"),
        (0, 20.0, "had died"),
    ],
)
def test_labels_that_cannot_be_answered_are_refused_or_counted(
    ward: Path, subject: int, when: float, reason: str
) -> None:
    write_labels(ward / "labels.parquet", list(range(1, 40)))
    odd = write_labels(ward / "odd.parquet", [subject], when)
    both = pa.concat_tables([pq.read_table(file) for file in (ward / "labels.parquet", odd)])
    pq.write_table(both, ward / "labels.parquet")
    odd.unlink()
    with pytest.raises(FileUnreadable, match=reason) as caught:
        built(ward)
    assert "--skip-bad" in caught.value.fix and str(subject) in str(caught.value)
    dataset = built(ward, skip_bad=True)
    assert len(dataset) == 39 and reason in dataset.skipped[0][1]
    assert ["labels" in table.columns for table in RECORDS.check(dataset).tables].count(True) == 1


def test_what_is_written_after_a_death_is_no_history(ward: Path) -> None:
    histories = HISTORIES.build(HISTORIES.read(ward), EventTokens(min_subjects=1), seed=0, fractions=(1.0, 0.0, 0.0))
    row = np.flatnonzero(histories.subjects == "0")
    codes = [histories.preprocess.codes[each] for each in histories.take(row)["codes"]]
    assert codes[-1] == "MEDS_DEATH" and "BILL" not in codes


def test_somebody_without_events_in_time_is_no_history(ward: Path) -> None:
    histories = HISTORIES.build(HISTORIES.read(ward), EventTokens(), seed=0, fractions=(1.0, 0.0, 0.0))
    assert "1000" not in histories.subjects.tolist()


def test_a_store_of_which_the_vocabulary_knows_nothing_is_refused(ward: Path, tmp_path: Path) -> None:
    foreign = EventTokens(
        codes=("<unknown>", "OTHER"), subjects=(0, 9), above=((), ()), edges=((), ()), mean=(0, 0), deviation=(0, 0)
    )
    dataset = RECORDS.build(RECORDS.read(ward), foreign, seed=0, fractions=FRACTIONS)
    assert (dataset.take(np.array([0]))["codes"] == 0).all()
    with pytest.raises(DataError, match="100% of the events have codes that the vocabulary does not know"):
        RECORDS.check(dataset)


def test_one_answer_only_cannot_be_learned(ward: Path) -> None:
    write_labels(ward / "labels.parquet", list(range(60)), boolean_value=[False] * 60)
    with pytest.raises(DataError, match="all labels are no"):
        RECORDS.check(built(ward))


def test_numbers_mixtures_and_missing_labels_are_refused(ward: Path) -> None:
    write_labels(ward / "labels.parquet", [1, 2], integer_value=[3, 4])
    with pytest.raises(DataError, match="integer_value"):
        RECORDS.read(ward)
    write_labels(ward / "labels.parquet", [1, 2], boolean_value=[True, None])
    with pytest.raises(DataError, match="missing in some rows"):
        RECORDS.read(ward)
    with pytest.raises(DataError, match="without labels"):
        RECORDS.read(ward / "store")
    with pytest.raises(DataError, match="joined"):
        RECORDS.build(list(RECORDS.read(ward / "store", labelled=False)), EventTokens(), seed=0)


def test_names_as_labels(ward: Path) -> None:
    write_labels(ward / "labels.parquet", list(range(60)), categorical_value=["b", "a", "c"] * 20)
    dataset = built(ward)
    assert dataset.labels == ("a", "b", "c") and dataset.targets[:3].tolist() == [1, 0, 2]
    with pytest.raises(DataError, match="known labels are a, b"):
        built(ward, labels=("a", "b"))


def test_without_labels_everybody_is_asked_at_the_time_of_the_last_event(ward: Path) -> None:
    samples = RECORDS.read(ward / "store", labelled=False)
    assert isinstance(samples, RecordSamples) and len(samples) == 61
    assert samples[3].id == "3@2020-01-10T00:00:00" and samples[3].target is None


def test_settings_are_checked_and_a_run_brings_its_vocabulary(ward: Path) -> None:
    with pytest.raises(RecipeError, match=r"inputs\.lenght"):
        RECORDS.preprocess([], {"lenght": 100})
    base = built(ward).preprocess
    assert RECORDS.like(base, {"length": 16}).codes == base.codes
    assert RECORDS.like(base, base.settings()) == base
    with pytest.raises(RecipeError, match="min_subjects"):
        RECORDS.like(base, {"min_subjects": 50})


def test_the_fingerprint_names_labels_splits_and_vocabulary(ward: Path) -> None:
    first = built(ward)
    assert built(ward).fingerprint == first.fingerprint
    assert built(ward, seed=1).fingerprint != first.fingerprint
    write_labels(ward / "labels.parquet", list(range(60)), 9.0)
    assert built(ward).fingerprint != first.fingerprint


def test_histories_and_futures_fit_together(ward: Path) -> None:
    tokens = EventTokens(min_subjects=5, length=8)
    dataset = FUTURES.build(FUTURES.read(ward), tokens, seed=0, fractions=FRACTIONS)
    target = dataset.targets[np.array([0, 1])]
    inputs = dataset.take(np.array([0, 1]))
    assert (target["tokens"] < inputs["offsets"][-1]).all()
    assert target["first"].shape == (len(target["tokens"]), dataset.preprocess.count)
    assert dict(dataset.counts("train"))["subjects"] == len(np.unique(dataset.subjects[dataset.splits == "train"]))


def test_a_folder_of_files_that_ask_different_things_is_refused_and_pieces_of_one_are_read(ward: Path) -> None:
    folder = ward / "labels"
    folder.mkdir()
    (ward / "labels.parquet").unlink()
    write_labels(folder / "0.parquet", list(range(30)))
    write_labels(folder / "1.parquet", list(range(30, 60)))
    assert len(RECORDS.read(ward)) == 60
    write_labels(folder / "other.parquet", [1, 2], boolean_value=[False, True])
    with pytest.raises(DataError, match="two answers for one subject and time"):
        RECORDS.read(ward)
