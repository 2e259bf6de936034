"""The table of what can answer in place of a Run says of each what other verbs say of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import suwen
from suwen.core.errors import LeakError, RecipeError
from suwen.core.run import Run
from suwen.engines.footprint import footprint, peak_memory
from suwen.verbs.variants import Variant

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="no /proc here")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rounds of timing are enough here."""
    monkeypatch.setattr("suwen.verbs.variants.SECONDS", 0.0)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is measured by tests of its own."""
    monkeypatch.setattr("suwen.verbs.variants.footprint", lambda *_, **__: 10**8)


@pytest.mark.usefixtures("light")
def test_each_engine_of_each_run_is_a_row_with_the_figures_of_evaluate(run: Path, films: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("model.json", "model.safetensors"):
        (other / name).write_bytes((run / name).read_bytes())
    found = suwen.variants(run, films, beside=[other])
    assert [(row.run, row.engine) for row in found] == [
        (folder, engine) for folder in (run, other) for engine in ("torch", "frozen")
    ]
    metrics = suwen.evaluate(run, films, resamples=0, quiet=True)["splits"]["test"]["metrics"]
    for row in found:
        assert row.n == 40 and row.figures == {
            name: pytest.approx(metrics[name]["value"], abs=1e-6) for name in ("accuracy", "auroc")
        }
        assert row.latency[64] > row.latency[1] > 0 and row.throughput == pytest.approx(64 / row.latency[64])
    assert found[0].size == pytest.approx((run / "model.safetensors").stat().st_size, rel=0.1)
    assert json.loads(json.dumps(found[0].to_json()))["memory_mb"] == 100.0


@pytest.mark.usefixtures("light")
def test_an_export_is_a_row_with_the_size_of_its_files(run: Path, films: Path, tmp_path: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module, reason=f"not installed: {module} (the extra onnx)")
    from suwen.engines.exports import Exports
    from suwen.engines.network import Network, probes
    from suwen.engines.onnx import write_onnx

    mine = Run(tmp_path / "mine")
    mine.path.mkdir()
    for name in ("model.json", "model.safetensors"):
        (mine.path / name).write_bytes((run / name).read_bytes())
    model = mine.load()
    with Exports(mine).staging() as staging:
        file = staging / "model.onnx"
        write_onnx(Network(model), probes(model, 3), file, opset=18, metadata={})
        size = file.stat().st_size
        Exports(mine).commit("onnx", file, {})
    found = {row.engine: row for row in suwen.variants(mine.path, films)}
    assert set(found) == {"torch", "frozen", "onnx"} and found["onnx"].size == size
    assert found["onnx"].figures["accuracy"] == pytest.approx(found["torch"].figures["accuracy"])


def test_a_run_that_answers_another_question_is_no_variant(run: Path, films: Path, tmp_path: Path) -> None:
    config = json.loads((run / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(config | {"labels": ["clear", "ring"]}))
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    from suwen.verbs.variants import _Entrant, _same_question

    entrants = [
        _Entrant(Run(path), Run(path).load(), None, np.arange(0), {})  # type: ignore[arg-type]
        for path in (run, tmp_path)
    ]
    with pytest.raises(RecipeError, match="clear, ring"):
        _same_question(entrants)


def test_images_that_one_of_them_was_trained_on_are_no_test(run: Path, films: Path) -> None:
    with pytest.raises(LeakError, match="80 of 80 images were used to train"):
        suwen.variants(run, films, split="train")


@needs_proc
def test_memory_is_that_of_a_process_of_its_own(run: Path) -> None:
    held = np.ones(300_000_000, np.uint8)
    mine = peak_memory()
    found = footprint(Run(run), "torch", 1, batch=2)
    assert found is not None and 5e7 < found < mine
    assert held[-1] == 1


@needs_proc
def test_the_peak_of_a_child_does_not_begin_at_its_parents(tmp_path: Path) -> None:
    code = "from suwen.engines.footprint import peak_memory as p; print(p())"
    small = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    code = f"import subprocess, sys; x = bytearray(10**9); sys.exit(subprocess.call([sys.executable, '-c', {code!r}]))"
    below = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert abs(below - small) < 2e8


def test_throughput_is_that_of_the_largest_batch() -> None:
    row = Variant(
        run=Path("a"),
        engine="torch",
        parameters=1,
        n=1,
        figures={},
        size=1,
        latency={1: 0.5, 64: 2.0},
        threads={1: 1, 64: 1},
        memory=None,
    )
    assert row.throughput == 32
