"""From a simulated ward to a pretrained Run, a fine-tuned one, and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

import suwen
from suwen.core.errors import FileUnreadable, LeakError, RecipeError
from suwen.core.registry import READERS
from suwen.core.run import load
from suwen.simulation.hospital import simulate

TINY = ("training.epochs=1", "training.batch_size=16", "evaluation.resamples=20")
SMALL = {"encoder": "suwen:events-1x64", "set": (*TINY, "inputs.length=64"), "quiet": True}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hospital = tmp_path_factory.mktemp("records") / "hospital"
    simulate(patients=250, seed=3, out=hospital, wards=["records"], record_formats=[], progress=False)
    return hospital / "records"


@pytest.fixture(scope="module")
def base(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "base"
    suwen.pretrain("time-to-event", ward, out=out, **SMALL)
    return out


@pytest.fixture(scope="module")
def risk(ward: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "risk"
    question = ward / "labels" / "readmission_30d.parquet"
    suwen.finetune("disease-risk", question, encoder=f"run:{base}", set=TINY, out=out, quiet=True)
    return out


def metrics_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return found


@pytest.mark.slow
def test_pretraining_tells_only_of_training_subjects(base: Path, ward: Path) -> None:
    counts = metrics_of(base)["data"]["counts"]
    assert 0 < counts["train"]["subjects"] < 250 and counts["test"]["subjects"] > 0
    history = [json.loads(line) for line in (base / "log.jsonl").read_text().splitlines()]
    assert {"code_loss", "interval_loss", "bucket_loss", "time_loss"} <= history[-1].keys()


@pytest.mark.slow
def test_a_fine_tuning_starts_from_the_pretrained_weights_and_vocabulary(
    ward: Path, base: Path, tmp_path: Path
) -> None:
    question, run = ward / "labels" / "readmission_30d.parquet", tmp_path / "frozen"
    suwen.finetune("disease-risk", question, encoder=f"run:{base}", adapt="head", set=TINY, out=run, quiet=True)
    ours, theirs = load_file(run / "model.safetensors"), load_file(base / "model.safetensors")
    for name in (name for name in theirs if name.startswith("encoder.")):
        assert np.array_equal(ours[name], theirs[name]), name
    assert load(run).preprocess == load(base).preprocess
    with pytest.raises(RecipeError, match=r"inputs\.size"):
        suwen.finetune(
            "disease-risk",
            question,
            encoder=f"run:{base}",
            set=(*TINY, "inputs.size=50"),
            out=tmp_path / "x",
            quiet=True,
        )


@pytest.mark.slow
def test_trees_logistic_and_the_best_possible_stand_beside(risk: Path) -> None:
    metrics = metrics_of(risk)
    assert set(metrics["baselines"]) == {"majority", "logistic-features", "trees-features"}
    for splits in metrics["baselines"].values():
        assert splits["test"]["n"] == metrics["splits"]["test"]["n"]
    assert "best possible" in (risk / "report.html").read_text()


@pytest.mark.slow
def test_a_loaded_run_gives_the_very_same_logits(risk: Path, ward: Path) -> None:
    model = load(risk)
    reader = READERS["records"]
    samples = reader.read(ward / "labels" / "readmission_30d.parquet")
    dataset = reader.build(samples, model.preprocess, seed=0)
    first = model.infer(dataset, np.arange(20))[0]
    assert np.array_equal(first, load(risk).infer(dataset, np.arange(20))[0])
    # and in another company nearly so
    assert model.infer(dataset, np.arange(20), batch_size=3)[0] == pytest.approx(first, abs=1e-4)


@pytest.mark.slow
def test_answers_are_given_or_refused(risk: Path, ward: Path, tmp_path: Path) -> None:
    table = pq.read_table(ward / "labels" / "death_1y.parquet").drop_columns(["boolean_value"]).slice(0, 8)
    asked = ward / "asked.parquet"
    pq.write_table(table, asked)
    answers = suwen.predict(risk, asked)
    assert len(answers) == 8 and all(sum(each.probabilities.values()) == pytest.approx(1) for each in answers)
    assert answers[0].input.startswith(f"{table['subject_id'][0]}@")
    early = table.set_column(1, "prediction_time", [[np.datetime64("1900-01-01", "us")] * 8])
    pq.write_table(early, asked)
    with pytest.raises(FileUnreadable, match="nothing but what has no time"):
        suwen.predict(risk, asked)
    refused = suwen.predict(risk, asked, skip_bad=True)
    assert all(each.abstain and each.answer is None and "no time" in each.reason for each in refused)
    asked.unlink()


@pytest.mark.slow
def test_codes_that_training_never_saw_get_no_answer(risk: Path, ward: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store" / "data"
    folder.mkdir(parents=True)
    for shard in (ward / "meds" / "data").glob("*.parquet"):
        whole = pq.read_table(shard)
        foreign = [f"ELSEWHERE//{code}" for code in whole["code"].to_pylist()]
        pq.write_table(whole.set_column(whole.column_names.index("code"), "code", [foreign]), folder / shard.name)
    found = suwen.predict(risk, tmp_path / "store", skip_bad=True)
    assert found and all(each.abstain and each.answer is None for each in found)
    assert any("training never saw" in each.reason for each in found)


@pytest.mark.slow
def test_a_pretrained_run_tells_risks_without_any_label(base: Path, ward: Path) -> None:
    found = suwen.predict(base, ward / "labels" / "readmission_30d.parquet", skip_bad=True)
    assert all("MEDS_DEATH" in each.probabilities for each in found if not each.abstain)


@pytest.mark.slow
def test_whoever_was_pretrained_on_is_not_tested_on(ward: Path, base: Path, tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="were used to train or choose"):
        suwen.finetune(
            "disease-risk",
            ward / "labels" / "readmission_30d.parquet",
            encoder=f"run:{base}",
            seed=1,  # another split
            set=TINY,
            out=tmp_path / "leak",
            quiet=True,
        )


@pytest.mark.slow
def test_evaluate_reads_labels_of_the_held_out(risk: Path, ward: Path) -> None:
    with pytest.raises(LeakError):
        suwen.evaluate(risk, ward / "labels" / "readmission_30d.parquet", quiet=True)
    found = suwen.evaluate(risk, ward / "labels" / "readmission_30d.parquet", allow_leak=True, resamples=20, quiet=True)
    assert 0 <= found["splits"]["test"]["metrics"]["auroc"]["value"] <= 1
