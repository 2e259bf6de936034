from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from benchmarks.images import generate_npz
from benchmarks.original import KERAS, OURS, original
from benchmarks.results import read_result

from suwen.core.errors import ExtraMissing


def test_without_keras_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.original.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"suwen\[keras\]"):
        original(data=generate_npz(tmp_path / "films.npz", 20, 28), results=tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("keras") is None, reason="needs the extra keras")
def test_a_quick_run_judges_accuracy_auroc_and_time(tmp_path: Path) -> None:
    original(data=generate_npz(tmp_path / "films.npz", 200, 28), quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "keras.json")
    assert [run["name"] for run in written.figures["runs"]] == [KERAS, OURS]
    assert all(0 <= run[name] <= 1 for run in written.figures["runs"] for name in ("accuracy", "auroc"))
    assert len(written.verdicts) == 3
    # as counted by hand: 64·9+64, 128·64·9+128, 3200·256+256, 256·2+2
    assert written.figures["runs"][0]["parameters"] == 640 + 73_856 + 819_456 + 514
