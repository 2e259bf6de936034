from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from suwen.core.errors import DataError
from suwen.data.records.columns import Columns
from suwen.data.records.derived.derive import derive
from suwen.data.records.derived.meanings import meanings_of
from suwen.data.records.events import Events
from suwen.data.records.features import Features
from suwen.data.records.kernels import DAY

HOUR = DAY // 24
RATE, HIGH, LOW, CREATININE = "LOINC//8867-4", "LOINC//8480-6", "LOINC//8462-4", "LOINC//2160-0"


Build = Callable[[Events], Columns]
Row = tuple[int | None, str, float | None]


def of(*rows: Row, **more: object) -> Events:
    """Events of one subject."""
    events = Events()
    for time, code, value in rows:
        events.add(1, time, code, value, **more)  # type: ignore[arg-type]
    return events


def table_of(columns: Columns) -> pd.DataFrame:
    """One row an event."""
    return pd.DataFrame(
        {
            "subject": np.repeat(columns.subjects, np.diff(columns.offsets)),
            "time": columns.times,
            "code": np.array(columns.vocabulary, dtype=object)[columns.codes],
            "value": np.asarray(columns.values),
        }
    )


def test_new_events_stand_where_their_inputs_do(build: Build) -> None:
    columns = build(
        of((0, RATE, 90.0), (0, HIGH, 120.0), (HOUR // 2, RATE, 120.0), (3 * HOUR, RATE, 60.0), (4 * HOUR, "Z", 1.0))
    )
    found = derive(columns, meanings_of(columns))
    assert found.events["shock index"] == 2  # three hours later the pressure is too old
    table = table_of(found.columns)
    mine = table[table["code"] == "DERIVED//shock index"]
    assert mine[["time", "value"]].to_numpy().tolist() == [[0, 0.75], [HOUR // 2, 1.0]]
    assert table["time"].is_monotonic_increasing and found.columns.offsets.tolist() == [0, len(table)]
    assert "pulse pressure" in found.skipped and found.skipped["pulse pressure"] == ("diastolic pressure",)
    assert found.columns.vocabulary == tuple(sorted(found.columns.vocabulary, key=lambda code: (
        -found.columns.counts[found.columns.numbers[code]], code)))  # fmt: skip


def test_measured_events_are_what_they_were(build: Build) -> None:
    columns = build(of((None, "SEX", None), (0, RATE, 90.0), (0, HIGH, 120.0), (5, LOW, 70.0), (9, "Z", 1.0)))
    after = table_of(derive(columns, meanings_of(columns)).columns)
    kept = after[~after["code"].str.startswith("DERIVED//")].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, table_of(columns))


def test_impossible_values_are_none_and_counted(build: Build) -> None:
    columns = build(of((0, RATE, 9000.0), (0, HIGH, 120.0), (1, RATE, 60.0)))
    found = derive(columns, meanings_of(columns))
    assert found.impossible == {RATE: 1} and found.events["shock index"] == 1
    assert np.isnan(table_of(found.columns)["value"][0])
    assert columns.values[0] == 9000.0  # those handed over stay


def test_units_become_the_concepts_or_are_refused(build: Build) -> None:
    person: tuple[Row, ...] = ((None, "Y", 50.0), (None, "S", 0.0))
    names = {"Y": "age", "S": "female"}

    def egfr(*results: tuple[float, str]) -> list[float]:
        events = of(*person)
        for time, (value, unit) in enumerate(results):
            events.add(1, time, CREATININE, value, unit=unit)
        columns = build(events)
        table = table_of(derive(columns, meanings_of(columns, names)).columns)
        return table.loc[table["code"] == "DERIVED//eGFR", "value"].tolist()

    assert egfr((88.42, "umol/L")) == pytest.approx(egfr((1.0, "mg/dL")), rel=1e-3)
    assert egfr((1.0, "mg/dL")) == pytest.approx([91.6], abs=0.5)
    with pytest.raises(DataError, match="mg/dL and umol/L"):
        egfr((88.42, "umol/L"), (1.0, "mg/dL"))
    with pytest.raises(DataError, match="is in cm"):
        egfr((1.0, "cm"))


def test_age_counts_from_birth(build: Build) -> None:
    columns = build(of((0, "MEDS_BIRTH", None), (365 * 60 * DAY, RATE, 100.0), (365 * 60 * DAY, HIGH, 100.0)))
    table = table_of(derive(columns, meanings_of(columns)).columns)
    assert table.loc[table["code"] == "DERIVED//age shock index", "value"].item() == pytest.approx(59.96, abs=0.01)


def test_nothing_is_known_before_its_inputs_are(build: Build) -> None:
    """The pressure of hour 0 came in at hour 5: a label at hour 2 sees no shock index, one at hour 6 does."""
    events = Events()
    events.add(1, 0, HIGH, 100.0, available_time=5 * HOUR)
    events.add(1, 0, RATE, 50.0)
    columns = build(events)
    derived = derive(columns, meanings_of(columns)).columns
    features = Features(derived, windows=("all",), aggregates=("last",), min_subjects=1, output="dense")
    asked = np.array([[1, 2 * HOUR], [1, 6 * HOUR]], np.int64)
    found = pd.DataFrame(features.fit(asked).transform(asked), columns=features.get_feature_names_out())
    assert found["DERIVED//shock index|last|all"].tolist() == pytest.approx([np.nan, 0.5], nan_ok=True)


def test_subjects_do_not_mix(build: Build) -> None:
    events = Events()
    for subject in (1, 2):
        events.add(subject, 0, HIGH if subject == 1 else RATE, 100.0)
    columns = build(events)
    assert derive(columns, meanings_of(columns)).events["shock index"] == 0


def test_physionet_stays_have_what_pandas_works_out(shared_data: Path, build: Build) -> None:
    """P/F ratios of sixty stays: ``merge_asof`` over the raw rows."""
    archive = zipfile.ZipFile(shared_data / "physionet2012" / "set-a.zip")
    events, wanted = Events(), []
    for number, name in enumerate(sorted(archive.namelist())[:60]):
        if not name.endswith(".txt"):
            continue
        raw = pd.read_csv(archive.open(name))
        raw["time"] = pd.to_timedelta(raw["Time"] + ":00").dt.total_seconds().astype(np.int64) * 1_000_000
        raw = raw[raw["Parameter"].isin(["PaO2", "FiO2"]) & (raw["Value"] > 0)]
        for row in raw.itertuples():
            events.add(number, int(row.time), row.Parameter, float(row.Value))
        oxygen, inspired = (
            raw[raw["Parameter"] == code].drop_duplicates("time", keep="last") for code in ("PaO2", "FiO2")
        )
        joined = pd.merge_asof(oxygen, inspired, on="time", tolerance=12 * HOUR, suffixes=("", "_in")).dropna()
        wanted += [(number, row.time, row.Value / row.Value_in) for row in joined.itertuples()]
    columns = build(events)
    table = table_of(derive(columns, meanings_of(columns, "physionet2012")).columns)
    mine = table[table["code"] == "DERIVED//P/F ratio"]
    assert len(wanted) > 100
    np.testing.assert_allclose(mine[["subject", "time", "value"]].to_numpy(np.float64), np.array(wanted), rtol=1e-5)
