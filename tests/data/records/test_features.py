from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from suwen.core.errors import DataError, NameUnknown, RecipeError
from suwen.data.records.columns import build_columns
from suwen.data.records.events import Events
from suwen.data.records.features import Features
from suwen.data.records.kernels import ALL, DAY
from suwen.data.records.windows import length_of, name_of


def write(store: Path, events: Events) -> Path:
    (store / "data").mkdir(parents=True)
    pq.write_table(events.taken(), store / "data" / "0.parquet")
    return store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Subjects 0 to 19; the even ones have a second lab, whose values are high; subject 19 alone has a third."""
    events = Events()
    for subject in range(20):
        events.add(subject, None, "SEX//F")
        for day in range(10):
            events.add(subject, day * DAY, "LOINC//718-7", float(subject + day))
            if subject % 2 == 0:
                events.add(subject, day * DAY, "LOINC//2160-0", 100.0 + day)
        if subject == 19:
            events.add(subject, 9 * DAY, "RARE", 1e6)
    return write(tmp_path / "store", events)


def labels(subjects: range | list[int], day: int = 9) -> pd.DataFrame:
    time = np.full(len(subjects), day * DAY).astype("datetime64[us]")
    return pd.DataFrame({"subject_id": np.array(subjects, np.int64), "prediction_time": time})


def test_columns_are_named_by_code_aggregate_and_window(store: Path) -> None:
    features = Features(store, windows=("30d", 7 * DAY, "all"), aggregates=("mean", "count"), min_subjects=5)
    found = features.fit_transform(labels(range(20)))
    names = features.get_feature_names_out().tolist()
    assert names[:6] == [
        f"LOINC//718-7|{what}|{window}" for window in ("7d", "30d", "all") for what in ("mean", "count")
    ]
    assert isinstance(found, sparse.csr_matrix) and found.shape == (20, len(names)) == (20, 18)
    table = pd.DataFrame(found.toarray(), columns=names)
    assert table["LOINC//718-7|mean|7d"].tolist() == [subject + 6.0 for subject in range(20)]  # days 3 to 9
    assert table["LOINC//2160-0|count|30d"].tolist() == [10.0, 0.0] * 10
    assert table["SEX//F|count|all"].tolist() == [1.0] * 20 and table["SEX//F|count|30d"].sum() == 0


def test_only_training_subjects_until_their_labels_are_learned_from(store: Path) -> None:
    features = Features(store, min_subjects=1, clip=(0.0, 1.0)).fit(labels([1, 3, 5], day=4))
    assert features.codes_.tolist() == ["LOINC//718-7", "SEX//F"]  # not what others have
    row = features.statistics_.loc["LOINC//718-7"]
    values = np.array([subject + day for subject in (1, 3, 5) for day in range(5)])
    assert (row["subjects"], row["values"]) == (3, 15)
    np.testing.assert_allclose(row[["mean", "std", "low", "high"]], [values.mean(), values.std(), 1, 9])


def test_codes_of_few_subjects_are_left_out(store: Path) -> None:
    assert "RARE" in Features(store, min_subjects=1).fit(labels(range(20))).codes_
    assert "RARE" not in Features(store, min_subjects=2).fit(labels(range(20))).codes_


def test_values_are_clipped_and_standardized_by_the_training_values(store: Path) -> None:
    features = Features(
        store, windows=("all",), aggregates=("last",), clip=(0.0, 1.0), standardize=True, output="dense", min_subjects=1
    )
    features.fit(labels([1, 3], day=4))
    values = np.array([subject + day for subject in (1, 3) for day in range(5)])
    found = features.transform(labels([1, 18]))
    assert isinstance(found, np.ndarray)
    place = features.get_feature_names_out().tolist().index("LOINC//718-7|last|all")
    np.testing.assert_allclose(found[:, place], (np.array([7, 7]) - values.mean()) / values.std(), rtol=1e-6)


def test_quantiles_of_many_values_are_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suwen.data.records.tallies.SAMPLED", 500)
    events, values = Events(), np.random.default_rng(0).normal(size=4999)
    for day, value in enumerate(values.tolist()):
        events.add(1, day * DAY, "A", value)
    features = Features(write(tmp_path / "s", events), min_subjects=1, clip=(0.1, 0.9)).fit(labels([1], day=9999))
    assert features.statistics_.loc["A", ["low", "high"]].tolist() == pytest.approx([-1.28, 1.28], abs=0.2)
    assert features.statistics_.loc["A", "std"] == pytest.approx(values.std(), rel=1e-6)


def test_what_became_known_later_changes_no_feature_and_no_statistic(store: Path, tmp_path: Path) -> None:
    """Leaks planted: a result of before that came in after the label, and everything after it."""
    clean = pq.read_table(store / "data" / "0.parquet")
    late = Events()
    for subject in range(20):
        late.add(subject, 9 * DAY, "LOINC//718-7", 1e9, available_time=9 * DAY + 1)
        late.add(subject, 9 * DAY, "OUTCOME", 1.0, available_time=20 * DAY)
        late.add(subject, 9 * DAY + 1, "LOINC//718-7", 1e9)
        late.add(subject, 12 * DAY, "MEDS_DEATH")
    table = pa.concat_tables([clean, late.taken()]).sort_by(
        [("subject_id", "ascending"), ("time", "ascending")]
    )  # nulls go last there
    known, static = table.filter(pa.compute.is_valid(table["time"])), table.filter(pa.compute.is_null(table["time"]))
    leaky = pa.concat_tables(
        each.filter(pa.compute.equal(each["subject_id"], subject)) for subject in range(20) for each in (static, known)
    )
    (tmp_path / "leaky" / "data").mkdir(parents=True)
    pq.write_table(leaky, tmp_path / "leaky" / "data" / "0.parquet")
    found = []
    for path in (store, tmp_path / "leaky"):
        features = Features(
            path, windows=("1d", "all"), aggregates=("last", "max", "count", "slope", "since"), min_subjects=1
        )
        values = features.fit(labels(range(20))).transform(labels(range(20)))
        table = pd.DataFrame(values.toarray(), columns=features.get_feature_names_out())
        found.append((table[sorted(table.columns)], features.statistics_.sort_index()))
    pd.testing.assert_frame_equal(found[0][0], found[1][0])
    pd.testing.assert_frame_equal(found[0][1], found[1][1])


def test_real_infusions_give_what_pandas_gives(shared_data: Path, tmp_path: Path) -> None:
    """MIMIC-III demo: each infusion is known from when it was charted (``storetime``), mostly after it began."""
    raw = pd.read_csv(shared_data / "mimic3_demo" / "INPUTEVENTS_MV.csv", parse_dates=["starttime", "storetime"])
    raw = raw.sort_values(["subject_id", "starttime"], kind="stable")
    code = "ITEM//" + raw["itemid"].astype(str)
    (tmp_path / "data").mkdir()
    columns = {"subject_id": raw["subject_id"], "time": raw["starttime"], "code": code, "unit": raw["amountuom"]}
    frame = pd.DataFrame(
        columns | {"numeric_value": raw["amount"].astype(np.float32), "available_time": raw["storetime"]}
    )
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "data" / "0.parquet")
    asked = frame.sample(200, random_state=0).reset_index()[["subject_id", "time"]]
    asked = asked.rename(columns={"time": "prediction_time"})

    features = Features(
        tmp_path, windows=("6h", "5d"), aggregates=("count", "mean", "min", "max", "sum"), min_subjects=1
    )
    found = features.fit_transform(asked)
    pairs = asked.reset_index().merge(frame, on="subject_id")
    pairs = pairs[(pairs["time"] <= pairs["prediction_time"]) & (pairs["available_time"] <= pairs["prediction_time"])]
    place = {name: number for number, name in enumerate(features.get_feature_names_out())}
    wanted = np.zeros(found.shape)
    for window, hours in (("6h", 6), ("5d", 120)):
        inside = pairs[pairs["time"] > pairs["prediction_time"] - pd.Timedelta(hours=hours)]
        values = inside.astype({"numeric_value": float}).groupby(["index", "code"])["numeric_value"]
        for (row, of), answers in values.agg(list(features.aggregates)).iterrows():
            for what, answer in answers.items():
                wanted[row, place[f"{of}|{what}|{window}"]] = answer
    assert wanted.any(axis=1).sum() > 150
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-5, atol=1e-4)
    odd = build_columns(tmp_path).units.odd()
    assert sum(each.events for each in odd) == sum(
        counts.iloc[1:].sum() for _, group in frame.groupby("code")["unit"] if len(counts := group.value_counts())
    )


def test_chosen_codes_and_groups(store: Path) -> None:
    one = Features(store, codes=["LOINC//718-7"], windows=("all",), aggregates=("count",)).fit(labels(range(20)))
    assert one.get_feature_names_out().tolist() == ["LOINC//718-7|count|all"]
    groups = {"LOINC//718-7": "LABS", "LOINC//2160-0": "LABS"}
    both = Features(store, codes=groups, windows=("all",), aggregates=("count",), min_subjects=1)
    assert both.fit_transform(labels([0, 1, 2])).toarray().ravel().tolist() == [20.0, 10.0, 20.0]
    with pytest.raises(NameUnknown, match="718-7"):
        Features(store, codes=["LOINC//718-8"]).fit(labels(range(20)))


def test_another_store_answers_in_the_same_columns(store: Path, tmp_path: Path) -> None:
    features = Features(store, windows=("all",), aggregates=("last",), min_subjects=1).fit(labels(range(20)))
    events = Events()
    events.add(500, 0, "ELSEWHERE", 1.0)
    events.add(500, 0, "LOINC//718-7", 7.0)
    there = features.set_params(store=write(tmp_path / "there", events)).transform(labels([500]))
    named = dict(zip(features.get_feature_names_out(), there.toarray()[0], strict=True))
    assert named["LOINC//718-7|last|all"] == 7 and sum(named.values()) == 7


def test_labels_come_as_frames_tables_and_numbers(store: Path) -> None:
    features = Features(build_columns(store), min_subjects=1).fit(labels(range(20)))
    frame = labels([3, 1])
    numbers = np.array([[3, 9 * DAY], [1, 9 * DAY]], np.int64)
    wanted = features.transform(frame).toarray()
    for other in (pa.Table.from_pandas(frame), numbers):
        np.testing.assert_array_equal(features.transform(other).toarray(), wanted)
    with pytest.raises(DataError, match="shape"):
        features.transform(numbers.astype(float))


def test_scikit_learn_can_clone_configure_and_chain_it(store: Path) -> None:
    features = Features(build_columns(store), windows=("1d",), min_subjects=3)
    again = clone(features)
    assert again.get_params() == features.get_params() and again.store is features.store
    with pytest.raises(NotFittedError):
        again.transform(labels([1]))
    pipeline = make_pipeline(again, LogisticRegression())
    y = np.arange(20) % 2
    assert pipeline.fit(labels(range(20)), y).score(labels(range(20)), y) == 1.0


def test_unknown_subjects_and_missing_times_are_refused(store: Path) -> None:
    features = Features(store, min_subjects=1).fit(labels(range(20)))
    with pytest.raises(DataError, match="77"):
        features.transform(labels([1, 77]))
    frame = labels([1, 2])
    frame.loc[1, "prediction_time"] = pd.NaT
    with pytest.raises(DataError, match="without a prediction_time"):
        features.transform(frame)


def test_windows_are_read_and_named() -> None:
    assert [length_of(window) for window in ("2w", "7d", "36h", "5min", "all", 3)] == [
        14 * DAY, 7 * DAY, 1.5 * DAY, DAY // 288, ALL, 3,
    ]  # fmt: skip
    assert [name_of(window) for window in ("2w", 14 * DAY, DAY // 2, ALL, 3)] == ["2w", "14d", "12h", "all", "3us"]


@pytest.mark.parametrize("window", ["", "d", "1month", "-1d", 0, "0d"])
def test_a_window_that_is_none_is_refused(window: str | int) -> None:
    with pytest.raises(RecipeError, match="window"):
        length_of(window)
