"""The ward on disk: reproducible, whole, in formats that say the same, and never against the truth."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from meds.schema import LabelSchema

from suwen.core.errors import DataError, NameUnknown
from suwen.data.records.building import import_records
from suwen.data.records.columns import build_columns
from suwen.data.records.features import Features
from suwen.data.records.quality import check_store
from suwen.data.records.store import RecordStore
from suwen.simulation.films import film_times, films_of
from suwen.simulation.hospital import simulate
from suwen.simulation.patients import draw_patients
from suwen.simulation.records.diseases import DIAGNOSES, DRUGS, HABITS
from suwen.simulation.records.life import live
from suwen.simulation.records.truth import OUTCOMES, best_possible, true_effects
from suwen.simulation.records.ward import TRUTH
from suwen.simulation.world import World

PATIENTS, SEED = 40, 3
Row = tuple[object, ...]


def _rows(store: Path) -> Counter[Row]:
    return Counter(tuple(row.values()) for table in RecordStore(store).tables() for row in table.to_pylist())


def _events(ward: Path) -> pd.DataFrame:
    frame = pd.concat([table.to_pandas() for table in RecordStore(ward / "records" / "meds").tables()])
    return frame.reset_index(drop=True)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    def small(name: str, seed: int) -> dict[str, str]:
        out = tmp_path / name
        formats = ["omop", "hl7v2"]
        return _digests(
            simulate(patients=4, seed=seed, out=out, wards=["records"], record_formats=formats, progress=False)
        )

    one, again, other = small("a", 1), small("b", 1), small("c", 2)
    assert one == again and one.keys() == other.keys()
    for name in ("records/meds/data/0000.parquet", "records/hl7v2/messages-0001.hl7", "truth/risks.csv"):
        assert one[name] != other[name]


def test_a_larger_hospital_says_the_same_of_the_first_patients(ward: Path, tmp_path: Path) -> None:
    small = simulate(patients=5, seed=SEED, out=tmp_path / "h", wards=["records"], record_formats=[], progress=False)
    few, all_ = _events(small), _events(ward)
    pd.testing.assert_frame_equal(few, all_[all_["subject_id"] < 5].reset_index(drop=True))
    for name in TRUTH:
        table, larger = (pd.read_csv(each / "truth" / name) for each in (small, ward))
        pd.testing.assert_frame_equal(table, larger[larger["subject_id"] < 5].reset_index(drop=True))


def test_the_store_is_in_order_and_only_units_differ(ward: Path) -> None:
    store = RecordStore(ward / "records" / "meds")
    found = check_store(store, now=datetime(2026, 1, 1), progress=False)
    assert [each.name for each in found] == ["codes with more than one unit"]
    assert sorted(each.split(":")[0] for each in found[0].examples) == ["LOINC//2160-0", "LOINC//2345-7"]
    told = {row["code"] for row in store.codes.to_pylist() if row["description"]}
    assert set(_events(ward)["code"]) <= told
    assert store.subject(7)["subject_id"].unique().to_pylist() == [7]


def test_nothing_is_before_birth_or_after_death_or_known_too_early(ward: Path) -> None:
    events = _events(ward)
    birth = events[events["code"] == "MEDS_BIRTH"].set_index("subject_id")["time"]
    death = events[events["code"] == "MEDS_DEATH"].set_index("subject_id")["time"]
    assert len(birth) == PATIENTS and len(death) > 0
    timed = events[events["time"].notna()]
    assert (timed["time"] >= timed["subject_id"].map(birth)).all()
    last = timed["subject_id"].map(death)
    assert (timed["time"] <= last)[last.notna()].all()
    late = timed["available_time"].notna()
    assert (timed["available_time"] >= timed["time"])[late].all() and late.mean() > 0.3


def test_visits_end_and_their_events_lie_within(ward: Path) -> None:
    events = _events(ward)
    start = events[events["code"].str.endswith("//START")].set_index("encounter_id")["time"]
    end = events[events["code"].str.fullmatch("VISIT//.*//END")].set_index("encounter_id")["time"]
    assert start.index.is_unique and end.index.is_unique and set(end.index) <= set(start.index)
    inside = events[events["encounter_id"].notna()]
    assert (inside["time"] >= inside["encounter_id"].map(start)).all()
    over = inside["encounter_id"].map(end)
    assert (inside["time"] <= over + pd.Timedelta(minutes=1))[over.notna()].all()


def test_the_films_are_in_the_record_when_they_were_taken(ward: Path) -> None:
    world = World(seed=SEED, patients=draw_patients(PATIENTS, seed=SEED), size=32)
    events = _events(ward)
    films = events[events["code"] == "LOINC//30745-4"]
    for patient in world.patients:
        times = film_times(patient, world)
        assert films.loc[films["subject_id"] == patient.number, "time"].tolist() == times
    first = world.patients[0]
    assert [film.time for film in films_of(first, world)] == film_times(first, world)


def test_sites_write_in_their_own_systems_and_units(ward: Path) -> None:
    events = _events(ward)
    people = pd.read_csv(ward / "patients.csv")
    site = events["subject_id"].map(dict(enumerate(people["site"])))
    for name, habits in HABITS.items():
        codes = set(events.loc[site == name, "code"])
        diagnoses = {row.written(habits.system).code for row in DIAGNOSES.values()}
        drugs = {row.written(habits.drugs).code for row in DRUGS.values()}
        assert codes & diagnoses and codes & drugs
        assert not {code for code in codes - diagnoses - drugs if code.startswith(("ICD", "SNOMED", "TEXT"))}
        units = set(events.loc[(site == name) & (events["code"] == "LOINC//2345-7"), "unit"])
        assert units == {"mmol/L" if habits.molar else "mg/dL"}


def test_every_risk_has_its_label_as_meds_has_them(ward: Path) -> None:
    risks = pd.read_csv(ward / "truth" / "risks.csv", parse_dates=["prediction_time"])
    assert set(risks["outcome"]) == set(OUTCOMES) and risks["risk"].between(0, 1).all()
    for name, rows in risks.groupby("outcome"):
        table = pq.read_table(ward / "records" / "labels" / f"{name}.parquet")
        LabelSchema.validate(LabelSchema.align(table))
        labels = table.to_pandas()
        assert labels["subject_id"].tolist() == rows["subject_id"].tolist()
        assert labels["prediction_time"].tolist() == rows["prediction_time"].tolist()
        assert labels["boolean_value"].tolist() == (rows["happened"] == 1).tolist()


def test_what_is_acute_happens_in_the_record_when_the_labels_say(ward: Path) -> None:
    events = _events(ward)
    infarctions = {DIAGNOSES["infarction"].written(habits.system).code for habits in HABITS.values()}
    acute = events["available_time"].notna() & events["code"].isin(infarctions)
    admitted = events["code"] == "VISIT//IMP//START"
    cases = {
        "death_1y": (events["code"] == "MEDS_DEATH", 365),
        "infarction_5y": (acute, 1825),
        "readmission_30d": (admitted, 30),
    }
    for name, (which, days) in cases.items():
        labels = pd.read_parquet(ward / "records" / "labels" / f"{name}.parquet")
        times = events[which].groupby("subject_id")["time"].apply(np.array)
        for row in labels.itertuples():
            found = np.asarray(times.get(row.subject_id, np.array([], "datetime64[us]")), "datetime64[us]")
            since = np.datetime64(row.prediction_time, "us")
            assert ((found > since) & (found <= since + np.timedelta64(days, "D"))).any() == row.boolean_value


def test_the_treated_get_the_drug_just_after_the_decision_and_the_others_do_not(ward: Path) -> None:
    events = _events(ward)
    decisions = pd.read_csv(ward / "truth" / "treatments.csv", parse_dates=["time"])
    drug = {"statin": "atorvastatin", "sglt2_inhibitor": "empagliflozin"}
    for row in decisions.itertuples():
        codes = {DRUGS[drug[row.treatment]].written(system).code for system in ("RXNORM", "ATC")}
        given = events[(events["subject_id"] == row.subject_id) & events["code"].isin(codes)]
        at_once = given["time"] == row.time + pd.Timedelta(minutes=1)
        assert at_once.any() == bool(row.treated) and not (given["time"] <= row.time).any()


def test_onsets_come_before_diagnoses(ward: Path) -> None:
    events = _events(ward)
    onsets = pd.read_csv(ward / "truth" / "onsets.csv", parse_dates=["onset"])
    onset = onsets.set_index(["subject_id", "disease"])["onset"]
    seen = 0
    for name, row in DIAGNOSES.items():
        codes = {row.written(habits.system).code for habits in HABITS.values()}
        first = events[events["code"].isin(codes)].groupby("subject_id")["time"].min()
        if name in onsets["disease"].tolist():
            seen += len(first)
            assert all(time >= onset[subject, name] for subject, time in first.items())
    assert seen > 50


@pytest.mark.parametrize("kind", ["omop", "meds"])
def test_other_formats_say_the_same(ward: Path, tmp_path: Path, kind: str) -> None:
    found = import_records(ward / "records" / kind, kind, tmp_path / "store", progress=False)
    assert not found.rejected
    assert _rows(tmp_path / "store") == _rows(ward / "records" / "meds")


def test_hl7_says_all_but_when_a_drug_was_stopped(ward: Path, tmp_path: Path) -> None:
    found = import_records(ward / "records" / "hl7v2", "hl7v2", tmp_path / "store", progress=False)
    assert not found.rejected
    before, after = _rows(ward / "records" / "meds"), _rows(tmp_path / "store")
    assert not after - before
    lost = {str(row[2]) for row in before - after}
    stops = {row.written(system).code + "//END" for row in DRUGS.values() for system in ("RXNORM", "ATC")}
    assert lost <= stops


def test_fhir_says_the_same(tmp_path: Path) -> None:
    pytest.importorskip("suwen.data.records.fhir.export", reason="the FHIR exporter is not there")
    out = simulate(
        patients=15, seed=SEED, out=tmp_path / "h", wards=["records"], record_formats=["fhir"], progress=False
    )
    found = import_records(out / "records" / "fhir", "fhir", tmp_path / "store", progress=False)
    assert not found.rejected
    assert _rows(tmp_path / "store") == _rows(out / "records" / "meds")


def test_features_of_the_labels_can_be_made(ward: Path, tmp_path: Path) -> None:
    columns = build_columns(ward / "records" / "meds", cache=tmp_path)
    labels = pd.read_parquet(ward / "records" / "labels" / "death_1y.parquet")
    found = Features(columns, windows=("all",), min_subjects=5).fit_transform(labels)
    assert found.shape[0] == PATIENTS and (np.diff(found.indptr) > 10).all()


def test_the_best_possible_figures_come_from_the_truth(ward: Path) -> None:
    best, effects = best_possible(ward), true_effects(ward)
    risks = pd.read_csv(ward / "truth" / "risks.csv")
    readmission = risks[risks["outcome"] == "readmission_30d"]
    pairs = [
        (one > other) + 0.5 * (one == other)
        for one in readmission.loc[readmission["happened"] == 1, "risk"]
        for other in readmission.loc[readmission["happened"] == 0, "risk"]
    ]
    assert best.loc["readmission_30d", "auroc"] == pytest.approx(np.mean(pairs))
    assert best.loc["readmission_30d", "rate"] == readmission["happened"].mean()
    few = set(range(10))
    assert best_possible(ward, few)["labels"].sum() == risks["subject_id"].isin(few).sum()
    assert (effects["effect"] < 0).all() and effects["treated"].between(0, 1).all()


def test_without_truth_there_is_no_best(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--wards records"):
        best_possible(tmp_path)


def test_an_unknown_format_offers_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(NameUnknown, match=r"format of records 'fihr'[\s\S]*fhir"):
        simulate(patients=1, out=tmp_path / "h", wards=["records"], record_formats=["fihr"], progress=False)


def test_onsets_on_disk_are_those_of_the_life(ward: Path) -> None:
    world = World(seed=SEED, patients=draw_patients(1, seed=SEED))
    onsets = pd.read_csv(ward / "truth" / "onsets.csv")
    life = live(world.patients[0], world)
    told = onsets[onsets["subject_id"] == 0]["disease"].tolist()
    assert sorted(told) == sorted(name for name, when in life.onsets.items() if when <= life.end)


@pytest.mark.slow
def test_two_thousand_patients_take_a_minute(tmp_path: Path) -> None:
    began = os.times().user
    simulate(
        patients=2000, seed=1, out=tmp_path / "h", wards=["records"], record_formats=["omop", "hl7v2"], progress=False
    )
    assert os.times().user - began < 60
    events = len(RecordStore(tmp_path / "h" / "records" / "meds")) / 2000
    assert 300 < events < 800
