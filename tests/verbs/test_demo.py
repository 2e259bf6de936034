"""The demos, small: what they leave behind is whole and can be made again."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import suwen
from suwen.core.errors import NameUnknown
from suwen.data.records.store import RecordStore
from suwen.simulation.hospital import simulate
from suwen.simulation.records.truth import true_effects
from suwen.verbs.demos import chain, foundation, records

FEW = ("inputs.size=64", "training.epochs=1", "evaluation.resamples=20", "explanation.examples=2")


@pytest.mark.slow
def test_foundation_leaves_one_report_that_shows_every_arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foundation, "PRETRAINING", ("inputs.size=64", "training.epochs=1", "training.batch_size=32"))
    monkeypatch.setattr(foundation, "ADAPTING", FEW)
    report = suwen.demo("foundation", out=tmp_path, patients=120, quiet=True)
    page = report.read_text(encoding="utf-8")
    for arm in foundation.ARMS:
        figures = json.loads((tmp_path / arm.run / "metrics.json").read_text())["splits"]["test"]["metrics"]
        assert arm.title in page and f"{figures['auroc']['value']:.3f}" in page
    assert "suwen pretrain image-foreign-patches" in page and "onnx" in page
    assert (tmp_path / "why.png").is_file()


@pytest.mark.slow
def test_chain_leaves_the_report_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "RECIPE", FEW)
    report = suwen.demo(out=tmp_path, patients=60, quiet=True)
    assert report == tmp_path / "run" / "report.html" and report.is_file()
    assert json.loads((tmp_path / "prediction.json").read_text())["task"] == "image-classification"


@pytest.mark.slow
@pytest.mark.parametrize("source", ["fhir", "omop"])
def test_records_leaves_a_page_with_the_models_beside_the_best_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(records, "SOURCE", source)
    if source == "fhir":
        pytest.importorskip("suwen.data.records.fhir.export", reason="the FHIR exporter is not there")
    report = suwen.demo("records", out=tmp_path, patients=150, quiet=True)
    page = report.read_text(encoding="utf-8")
    assert report == tmp_path / "report.html"
    assert all(title in page for title in records.MODELS) and "never evidence about medicine" in page
    subjects = RecordStore(tmp_path / "store").tables(["subject_id"])
    assert len({number for table in subjects for number in table["subject_id"].to_pylist()}) == 150
    effects = true_effects(tmp_path / "hospital")
    assert f"{100 * effects['effect']['statin']:+.1f}" in page
    # again, into the same folder
    assert suwen.demo("records", out=tmp_path, patients=60, quiet=True) == report


def test_few_labels_are_of_other_patients_than_those_tested_and_pretraining_sees_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foundation, "LABELS", 10)
    films = simulate(patients=300, size=32, out=tmp_path / "hospital", wards=["films"], progress=False) / "films"
    counts = foundation._hide_labels(films, seed=3)
    few, rest = (pd.read_csv(films / name) for name in (foundation.LABELLED, foundation.UNLABELLED))
    splits = {name: set(rows["subject"]) for name, rows in few.groupby("split")}
    assert counts["training"] == counts["validation"] == 10 == len(splits["train"])
    assert not splits["test"] & (splits["train"] | splits["val"]) and not splits["train"] & splits["val"]
    assert not set(rest["subject"]) & (splits["test"] | splits["val"]) and list(rest) == ["path", "subject"]


def test_an_unknown_demo_is_refused() -> None:
    with pytest.raises(NameUnknown, match="suwen demo foundation"):
        suwen.demo("fondation")
