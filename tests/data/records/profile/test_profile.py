from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import DataError, NameUnknown
from suwen.data.records.building import import_records
from suwen.data.records.events import NOWHEN, SCHEMA
from suwen.data.records.profile.groups import band_of, bands
from suwen.data.records.profile.kinds import kind_of
from suwen.data.records.profile.people import EPOCH, SEXES, WIDTHS, spans
from suwen.data.records.profile.profile import Profile, profile
from suwen.data.records.profile.spread import SHARES
from suwen.data.records.quality import check_store
from suwen.data.records.store import RecordStore

NOW = datetime(2021, 1, 1, tzinfo=UTC)
CODES = (
    "MEDS_BIRTH",
    "MEDS_DEATH",
    "GENDER//F",
    "GENDER//M",
    "LOINC//1",
    "LOINC//2",
    "HR",
    "VISIT//IMP//START",
    "VISIT//IMP//END",
    "VISIT//AMB//START",
    "VISIT//AMB//END",
)
TIMES = st.one_of(
    st.none(),
    st.datetimes(datetime(2000, 1, 1), datetime(2001, 1, 1)).map(lambda time: time.replace(microsecond=0)),
    st.sampled_from([datetime(1899, 5, 5), datetime(1990, 1, 1), datetime(2022, 1, 1), datetime(2400, 1, 1)]),
)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 4),
        TIMES,
        st.sampled_from(CODES),
        st.one_of(st.none(), st.sampled_from([0.0, 1.0, 5.0, 1000.0])),
        st.one_of(st.none(), st.integers(-5, 5)),
        st.sampled_from([None, "mg", "g"]),
    ),
    max_size=60,
)
Row = tuple[int, datetime | None, str, float | None, int | None, str | None]


def write_store(path: Path, rows: Sequence[Row]) -> pd.DataFrame:
    """A MEDS folder as others write it: events by subject and time, no metadata."""
    order = sorted(rows, key=lambda row: (row[0], row[1] is not None, row[1] or datetime.min))
    table: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for subject, time, code, value, later, unit in order:
        known = None if later is None or time is None else time + timedelta(hours=later)
        whole = (subject, time, code, value, None, known, unit, None)
        for name, each in zip(SCHEMA.names, whole, strict=True):
            table[name].append(each)
    (path / "data").mkdir(parents=True)
    pq.write_table(pa.table(table, schema=SCHEMA), path / "data" / "0.parquet")
    return pa.table(table, schema=SCHEMA).to_pandas()


def profiled(rows: Sequence[Row], **options: Any) -> tuple[Profile, pd.DataFrame, list[Any]]:
    with tempfile.TemporaryDirectory() as folder:
        frame = write_store(Path(folder) / "store", rows)
        found = profile(Path(folder) / "store", now=NOW, **options)
        return found, frame, check_store(RecordStore(Path(folder) / "store"), now=NOW, progress=False)


def _microseconds(time: Any) -> int:
    return NOWHEN if pd.isna(time) else int(time.asm8.astype("datetime64[us]").astype(np.int64))


@given(EVENTS)
@settings(max_examples=25, deadline=None)
def test_subjects_are_as_pandas_finds_them(rows: list[Row]) -> None:
    found, frame, _ = profiled(rows)
    people = found.people
    assert found.columns.subjects.tolist() == sorted(frame["subject_id"].unique())
    for place, (_, events) in enumerate(frame.groupby("subject_id")):
        assert people.events[place] == len(events)
        for name, code in (("birth", "MEDS_BIRTH"), ("death", "MEDS_DEATH")):
            time = events.loc[events["code"] == code, "time"].min()
            assert getattr(people, name)[place] == _microseconds(time)
        sexes = set(events["code"]) & {"GENDER//F", "GENDER//M"}
        wanted = {0: "not said", 2: "contradictory"}.get(len(sexes), "female" if "GENDER//F" in sexes else "male")
        assert SEXES[people.sex[place]] == wanted
        seen = events[(events["code"] != "MEDS_BIRTH") & events["time"].between("1901-01-01", "2299-12-31 23:59:59")]
        first, last = seen["time"].min(), seen["time"].max()
        assert people.first[place] == _microseconds(first)
        years = np.nan if pd.isna(first) else (last - first).total_seconds() / 86400 / 365.25
        assert people.followed[place] == pytest.approx(years, nan_ok=True)


@given(EVENTS)
@settings(max_examples=15, deadline=None)
def test_years_kinds_and_codes_are_as_sql_counts_them(rows: list[Row]) -> None:
    found, frame, _ = profiled(rows)
    frame["kind"] = [kind_of(code) for code in frame["code"]]
    sql = duckdb.connect()
    sql.register("events", frame)
    dated = "code <> 'MEDS_BIRTH' AND year(time) BETWEEN 1901 AND 2299"
    years = dict(sql.execute(f"SELECT year(time), count(*) FROM events WHERE {dated} GROUP BY 1").fetchall())
    there = np.flatnonzero(found.calendar.events)
    assert {EPOCH + year: found.calendar.events[year] for year in there.tolist()} == years
    for row, width in enumerate(WIDTHS):
        query = (
            f"SELECT (year(time) - 1900) // {width}, count(DISTINCT subject_id) FROM events WHERE {dated} GROUP BY 1"
        )
        there = np.flatnonzero(found.calendar.subjects[row])
        assert {place: found.calendar.subjects[row, place] for place in there.tolist()} == dict(
            sql.execute(query).fetchall()
        )
    by = "count(*), count(DISTINCT code), count(DISTINCT subject_id), count(numeric_value)"
    kinds = found.by_kind
    told = {
        name: (kinds.events[n], kinds.codes[n], kinds.subjects[n], kinds.valued[n], kinds.later[n])
        for n, name in enumerate(kinds.names)
    }
    assert told == {
        row[0]: row[1:]
        for row in sql.execute(
            f"SELECT kind, {by}, count(*) FILTER (available_time > time) FROM events GROUP BY 1"
        ).fetchall()
    }
    codes = "SELECT code, count(DISTINCT subject_id), count(numeric_value) FROM events GROUP BY 1"
    assert {
        code: (found.by_code.subjects[n], found.by_code.values[n]) for n, code in enumerate(found.columns.vocabulary)
    } == {row[0]: row[1:] for row in sql.execute(codes).fetchall()}
    timeless, timed = int(frame["time"].isna().sum()), frame["time"].dt.year
    births = frame["code"] == "MEDS_BIRTH"
    assert found.calendar.timeless == timeless
    assert found.calendar.outside == int((~births & ((timed < 1901) | (timed > 2299))).sum())


@given(EVENTS)
@settings(max_examples=25, deadline=None)
def test_values_delays_and_repetitions_are_as_pandas_finds_them(rows: list[Row]) -> None:
    found, frame, _ = profiled(rows)
    for number, code in enumerate(found.columns.vocabulary):
        values = frame.loc[frame["code"] == code, "numeric_value"].dropna().astype(np.float64)
        wanted = [np.nan] * 5 if values.empty else np.quantile(values, SHARES)
        np.testing.assert_allclose(found.by_code.spread[number], wanted)
        q1, q3 = (np.nan, np.nan) if values.empty else np.quantile(values, (0.25, 0.75))
        out = (values < q1 - 3 * (q3 - q1)) | (values > q3 + 3 * (q3 - q1))
        assert found.by_code.far[number] == (int(out.sum()) if q3 > q1 else 0)
    frame["kind"] = [kind_of(code) for code in frame["code"]]
    late = frame[frame["available_time"] > frame["time"]]
    days = (late["available_time"] - late["time"]).dt.total_seconds() / 86400
    for number, kind in enumerate(found.by_kind.names):
        some = days[late["kind"] == kind]
        wanted = [np.nan] * 5 if some.empty else np.quantile(some, SHARES, method="inverted_cdf")
        np.testing.assert_allclose(found.by_kind.delays[number], wanted)
    wanted = [np.nan] * 5 if days.empty else np.quantile(days, SHARES, method="inverted_cdf")
    np.testing.assert_allclose(found.by_kind.delays[-1], wanted)
    before = frame.groupby(["subject_id", "code", "time"], dropna=False)["numeric_value"].shift(fill_value=-1.0)
    again = (before == frame["numeric_value"]) | (before.isna() & frame["numeric_value"].isna())
    assert found.by_kind.repeated == int(again.sum())


@given(EVENTS)
@settings(max_examples=25, deadline=None)
def test_an_end_closes_the_stay_of_its_kind_begun_last(rows: list[Row]) -> None:
    found, frame, _ = profiled(rows)
    counts: Counter[tuple[str, str]] = Counter()
    lengths: dict[str, list[float]] = defaultdict(list)
    for _, events in frame[frame["time"].notna()].groupby("subject_id"):
        opened: dict[str, list[Any]] = defaultdict(list)
        seen = set()
        for time, code in zip(events["time"], events["code"], strict=True):
            if not code.startswith("VISIT//"):
                continue
            stay, ending = code.rsplit("//", 1)
            seen.add(stay)
            if ending == "START":
                counts[stay, "begun"] += 1
                opened[stay].append(time)
            elif opened[stay]:
                lengths[stay].append((time - opened[stay].pop()).total_seconds() / 86400)
            else:
                counts[stay, "never_begun"] += 1
        for stay in seen:
            counts[stay, "subjects"] += 1
            counts[stay, "never_ended"] += len(opened[stay])
    for number, stay in enumerate(found.stays.names):
        for name in ("begun", "never_ended", "never_begun", "subjects"):
            assert getattr(found.stays, name)[number] == counts[stay, name]
        wanted = np.quantile(lengths[stay], SHARES) if lengths[stay] else [np.nan] * 5
        np.testing.assert_allclose(found.stays.days[number], wanted, atol=1e-9)


@given(EVENTS)
@settings(max_examples=30, deadline=None)
def test_what_is_odd_is_what_checking_the_store_finds(rows: list[Row]) -> None:
    found, frame, checked = profiled(rows)
    told = {each.name: each.count for each in checked}
    died: dict[int, Any] = {}
    for subject, time in zip(frame["subject_id"], frame["time"].where(frame["code"] == "MEDS_DEATH"), strict=True):
        if not pd.isna(time):
            died.setdefault(subject, time)
    told["events more than a day after death"] = sum(
        time - died[subject] > pd.Timedelta(days=1)
        for subject, time in zip(frame["subject_id"], frame["time"], strict=True)
        if subject in died and not pd.isna(time)
    )
    told["events that repeat code, time and value of the one before"] = found.by_kind.repeated
    assert found.odd == {name: count for name, count in told.items() if count}


def test_years_are_put_together_until_nine_tenths_of_the_events_are_of_enough_subjects() -> None:
    rows = [(subject, datetime(2001 + subject, 6, 1), "HR", None, None, None) for subject in range(40)]
    found, *_ = profiled(rows, few=11)
    first, width, events, subjects = spans(found.calendar, 11)
    assert (first, width) == (2000, 20) and events.tolist() == subjects.tolist() == [19, 20]
    assert spans(found.calendar, 1)[:2] == (2001, 1)


def test_groups_are_by_sex_age_trait_or_code() -> None:
    rows: list[Row] = [
        (0, None, "RACE//A", None, None, None),
        (0, datetime(2000, 1, 1), "X//1//START", None, None, None),
        (1, None, "RACE//B", None, None, None),
        (1, None, "RACE//A", None, None, None),
        (2, None, "GENDER//F", None, None, None),
    ]
    found, *_ = profiled(rows, by="RACE")
    assert found.groups is not None and [found.groups.names[n] if n >= 0 else None for n in found.groups.of] == [
        "A",
        found.groups.names[found.groups.of[1]],
        None,
    ]
    assert set(found.groups.names) == {"A", "B"}
    with_code, *_ = profiled(rows, by="X//1")
    assert with_code.groups is not None and with_code.groups.of.tolist() == [0, 1, 1]
    sex, *_ = profiled(rows, by="sex")
    assert sex.groups is not None and [SEXES[n] for n in sex.groups.of] == ["not said", "not said", "female"]
    with pytest.raises(NameUnknown, match="unknown group 'RACES'"):
        profiled(rows, by="RACES")


def test_bands_of_ages_end_at_ninety() -> None:
    names = bands()
    assert [names[n] for n in band_of(np.array([0.0, 9.99, 10.0, 89.9, 90.0, 301.0]))] == [
        "0–9",
        "0–9",
        "10–19",
        "80–89",
        "90+",
        "90+",
    ]
    assert band_of(np.array([np.nan])).tolist() == [-1] and bands(30) == ("0–29", "30–59", "60–89", "90+")


def test_real_stays_and_medicines_are_as_their_tables_say(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "mimic3_demo"
    import_records(source, "mimic3", tmp_path / "store", progress=False)
    found = profile(tmp_path / "store")
    stays = pd.read_csv(source / "ADMISSIONS.csv", parse_dates=["admittime", "dischtime"])
    days = (stays["dischtime"] - stays["admittime"]).dt.total_seconds() / 86400
    place = found.stays.names.index("HOSPITAL_STAY")
    assert found.stays.begun[place] == len(stays) and found.stays.subjects[place] == stays["subject_id"].nunique()
    assert found.stays.days[place, 2] == pytest.approx(np.median(days[days >= 0]), rel=0.02)
    patients = pd.read_csv(source / "PATIENTS.csv")
    assert (found.people.sex == SEXES.index("female")).sum() == (patients["gender"] == "F").sum()
    assert (found.people.death != NOWHEN).sum() == patients["dod"].notna().sum()
    assert found.origin.by_suwen and found.origin.imports["mimic3"][0] == 19 and not found.origin.simulated


def test_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no record store"):
        profile(tmp_path)
