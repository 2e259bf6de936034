from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.record_model import Timed, measure_attention, record_model
from benchmarks.results import read_result


def test_every_way_to_attend_is_measured() -> None:
    assert all(value > 0 for value in measure_attention(0.0).values())


def test_waiting_for_batches_is_noted() -> None:
    class Rows:
        targets = np.zeros(8, np.int64)

        def take(self, index: object) -> object:
            return self.targets[index]

    batches = Timed(Rows(), Rows.targets, batch_size=4, seed=0)  # type: ignore[arg-type]
    assert len(list(batches.epoch(0))) == 2 and batches.waited > 0


@pytest.mark.slow
def test_a_quick_run_measures_speed_and_quality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    record_model(questions="readmission_30d", quick=True, speed_only=False, runs=tmp_path / "runs", results=tmp_path)
    found = read_result(tmp_path / "quick" / "record-model.json")
    assert found.figures["speed"]["tokens_a_second"] > 0
    assert [each["few"] for each in found.figures["answers"]] == [True, False]
    few = found.figures["answers"][0]
    assert few["labels"] <= 200 and {"fine-tuned", "from scratch", "trees-features"} <= few["auroc"].keys()
