from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.lora import ADAPTATIONS, _verdicts, allocated, epoch_seconds, lora
from benchmarks.results import read_result


def runs(**auroc: float) -> list[dict[str, Any]]:
    learns = {"full": 100, "lora": 4, "head": 1}
    return [
        {
            "adapt": adapt,
            "auroc": auroc[adapt],
            "trained": learns[adapt],
            "parameters": 104,
            "peak": 2**20 * learns[adapt],
            "resident": 2**20,
            "epoch": 0.1 * learns[adapt],
        }
        for adapt in ADAPTATIONS
    ]


def test_lora_is_judged_against_full_fine_tuning_of_the_same_run() -> None:
    near = _verdicts(runs(full=0.95, lora=0.945, head=0.9))
    assert [row.met for row in near] == [True, True, True, True] and near[0].value == "+0.50"
    far = _verdicts(runs(full=0.95, lora=0.93, head=0.9))
    assert not far[0].met and "full 0.9500" in far[0].beside
    assert near[3].value == "100× faster"


def test_an_epoch_is_timed_without_the_first_one() -> None:
    """``seconds`` of a history are since the start."""
    assert epoch_seconds([{"seconds": 5.0}, {"seconds": 6.0}, {"seconds": 7.5}, {"seconds": 8.0}]) == 1.0
    assert epoch_seconds([{"seconds": 5.0}]) == 5.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="is of tensors on the CPU")
def test_memory_is_that_of_tensors_at_their_highest() -> None:
    def train() -> None:
        for size in (1, 3, 2):
            held = [torch.ones(size * 2**20, dtype=torch.uint8) for _ in range(2)]
            del held

    assert allocated(train) == 6 * 2**20


@pytest.mark.slow
def test_a_quick_run_adapts_three_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lora(quick=True, rank=2, results=tmp_path)
    found = read_result(tmp_path / "quick" / "lora.json")
    trained = {one["adapt"]: one["trained"] for one in found.figures["runs"]}
    kept = {one["adapt"]: one["kept"] for one in found.figures["runs"]}
    assert trained["head"] < trained["lora"] < 0.1 * trained["full"]
    assert kept["lora"] < 0.1 * kept["full"]
