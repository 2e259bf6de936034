from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import NotFittedError

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.columns import build_columns
from suwen.data.records.events import Events
from suwen.data.records.features import Features
from suwen.data.records.features_file import Fitted, read_fitted, write_fitted
from suwen.data.records.kernels import DAY
from suwen.data.records.units.table import standard_units

HB, GLUCOSE = "LOINC//718-7", "LOINC//2345-7"


def store(path: Path, unit: str = "g/dL") -> Path:
    random, events = np.random.default_rng(0), Events()
    for subject in range(12):
        events.add(subject, None, "SEX//F")
        for day in range(20):
            events.add(subject, day * DAY, HB, random.normal(13, 2), unit=unit)
            events.add(subject, day * DAY, GLUCOSE, random.normal(100, 30), unit="mg/dL")
    (path / "data").mkdir(parents=True)
    pq.write_table(events.taken(), path / "data" / "0.parquet")
    return path


@pytest.fixture
def labels() -> pd.DataFrame:
    return pd.DataFrame(
        {"subject_id": np.arange(12), "prediction_time": np.full(12, 15 * DAY).astype("datetime64[us]")}
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"clip": (0.01, 0.99), "standardize": True, "output": "dense", "windows": ("all", 3 * DAY, "1d")},
        {"codes": [HB, "SEX//F"], "aggregates": ["slope", "since"], "windows": np.array([DAY, 9 * DAY])},
        {"codes": {HB: "blood", GLUCOSE: "blood", "SEX//F": "sex"}, "standardize": True},
    ],
)
def test_features_come_back_with_the_same_numbers_to_the_last_bit(
    tmp_path: Path, labels: pd.DataFrame, parameters: dict[str, Any]
) -> None:
    fitted = Features(store(tmp_path / "s"), min_subjects=1, threads=1, **parameters).fit(labels[:8])
    loaded = Features.load(fitted.save(tmp_path / "features.json"), tmp_path / "s", threads=1)
    before, after = fitted.transform(labels), loaded.transform(labels)
    if sparse.issparse(before):
        assert (before.indices == after.indices).all() and (before.indptr == after.indptr).all()
        before, after = before.data, after.data
    assert before.dtype == after.dtype and before.tobytes() == after.tobytes()
    assert loaded.get_feature_names_out().tolist() == fitted.get_feature_names_out().tolist()
    pd.testing.assert_frame_equal(loaded.statistics_, fitted.statistics_, check_exact=True)
    assert (loaded.save(tmp_path / "again.json")).read_bytes() == (tmp_path / "features.json").read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.floats(), min_size=1, max_size=5), st.sampled_from(["float64", "float32"]))
def test_every_number_comes_back(tmp_path: Path, numbers: list[float], kind: str) -> None:
    with np.errstate(over="ignore"):
        column = np.array(numbers).astype(kind)
    names = [str(each) for each in range(len(numbers))]
    table = pd.DataFrame({"mean": column, "subjects": np.arange(len(numbers))}, index=pd.Index(names, name="code"))
    write_fitted(tmp_path / "f.json", Fitted({}, table, {name: name for name in names}, {}))
    found = read_fitted(tmp_path / "f.json").statistics
    same = (found["mean"].to_numpy() == column) | (np.isnan(column) & np.isnan(found["mean"].to_numpy()))
    assert same.all() and found["mean"].dtype == column.dtype and found["subjects"].dtype == np.int64
    assert (np.signbit(found["mean"]) == np.signbit(column))[~np.isnan(column)].all()


def test_nothing_is_saved_of_what_is_not_fitted(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        Features(tmp_path).save(tmp_path / "features.json")


def test_a_store_in_other_units_is_refused(tmp_path: Path, labels: pd.DataFrame) -> None:
    saved = Features(store(tmp_path / "s"), min_subjects=1).fit(labels).save(tmp_path / "features.json")
    other = store(tmp_path / "other", unit="g/L")
    with pytest.raises(DataError, match=r"LOINC//718-7 is in g/L, and was in g/dL"):
        Features.load(saved, other)
    assert Features.load(saved, other, any_unit=True).codes_.tolist()
    columns = build_columns(other, conversions=standard_units(other))
    assert Features.load(saved, columns).units_ == {HB: "g/dL", GLUCOSE: "mg/dL"}
    assert Features.load(saved, store(tmp_path / "loud", unit="G/DL")).codes_.tolist()  # the same, written otherwise


def test_what_is_no_such_file_is_refused(tmp_path: Path, labels: pd.DataFrame) -> None:
    path = tmp_path / "features.json"
    whole = json.loads(Features(store(tmp_path / "s"), min_subjects=1).fit(labels).save(path).read_text())
    broken = {
        "kind": ({"kind": "model"}, "holds no features"),
        "newer": ({"version": 2}, "version 2"),
        "groups": ({"groups": {}}, "name different things"),
        "statistics": ({"statistics": {"mean": {"type": "object", "values": ["os.system"]}}}, "not as it was written"),
        "word": ({"statistics": {"mean": {"type": "float64", "values": ["much"]}}}, "'much' is no number"),
        "parameters": ({"parameters": whole["parameters"] | {"secret": 1}}, "parameters secret"),
    }
    for change, said in broken.values():
        path.write_text(json.dumps(whole | change))
        with pytest.raises(DataError, match=said):
            Features.load(path, tmp_path / "s")
    path.write_text("{")
    with pytest.raises(FileUnreadable, match="damaged"):
        Features.load(path, tmp_path / "s")
    with pytest.raises(FileUnreadable, match="No such file"):
        Features.load(tmp_path / "none.json", tmp_path / "s")
