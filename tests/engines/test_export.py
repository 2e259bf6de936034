"""Exports answer as torch does, replace each other whole, and are never used for other weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import suwen
from suwen.core.errors import ExtraMissing, NameUnknown, RecipeError, RunError
from suwen.core.model import Model
from suwen.core.run import Run
from suwen.encoders.lora import add_adapters
from suwen.engines.choose import choose_engine
from suwen.engines.exports import Exports
from suwen.engines.network import Network, probes
from suwen.verbs.export import NotKept

MISSING = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra onnx)")
needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="not installed: openvino (the extra openvino)"
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rounds of timing are enough here."""
    monkeypatch.setattr("suwen.engines.choose.SECONDS", 0.0)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, make: Callable[..., Model]) -> Path:
    path = tmp_path_factory.mktemp("exported") / "run"
    Run(path).save(make())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("suwen.engines.choose.SECONDS", 0.0)
        suwen.export(path, quiet=True)
    return path


@pytest.fixture
def exported(made_once: Path, tmp_path: Path) -> Run:
    """A copy of a Run with an export to ONNX."""
    return Run(Path(shutil.copytree(made_once, tmp_path / "exported")))


def images(count: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (32, 32), dtype=np.uint8) for _ in range(count)]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def fastest(run: Run, name: str) -> None:
    """Write into the measured times that this engine was the fastest."""
    path = run.engines / "timing.json"
    timing = json.loads(path.read_text())
    for row in timing["seconds"].values():
        for key, found in row.items():
            found["median"] = 1e-9 if key.startswith(f"{name} ") else 1.0
    path.write_text(json.dumps(timing))


@pytest.mark.parametrize("to", ["onnx", pytest.param("openvino", marks=needs_openvino)])
def test_an_export_answers_as_torch_for_any_number_of_inputs(run: Run, to: str) -> None:
    made = suwen.export(run.path, to=to, quiet=True)
    assert made.record["parity"]["logits"] <= 1e-4 and made.file.parent == run.engines
    assert made.record["preprocess"]["size"] == 32 and made.record["labels"] == ["clear", "nodule", "opacity"]
    model = run.load()
    engine = choose_engine(model, run, to)
    assert engine is not None
    for size in (1, 3, 64):
        inputs = probes(model, size, seed=100 + size)
        with torch.inference_mode():
            expected = Network(model)(inputs)
        for ours, theirs in zip(engine(inputs), expected, strict=True):
            assert ours.shape == theirs.shape and float((ours - theirs).abs().max()) <= 1e-4


def test_predict_uses_the_engine_measured_fastest_and_says_which(run: Run) -> None:
    before = suwen.predict(run.path, *images(3))
    assert [answer.engine for answer in before] == ["torch"] * 3
    made = suwen.export(run.path, quiet=True)
    chosen = suwen.predict(run.path, images()[0])[0].engine
    times = {
        key: found["median"]
        for key, found in json.loads((run.engines / "timing.json").read_text())["seconds"]["1"].items()
    }
    assert chosen == min(times, key=times.__getitem__).split()[0] and set(made.seconds) == {"torch", "frozen", "onnx"}
    fastest(run, "onnx")
    after = suwen.predict(run.path, *images(3))
    assert [answer.engine for answer in after] == ["onnx"] * 3 and after[0].to_json()["engine"] == "onnx"
    for ours, theirs in zip(after, before, strict=True):
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)
    fastest(run, "torch")
    assert suwen.predict(run.path, images()[0])[0].engine == "torch"


def test_torch_by_name_is_bit_equal_beside_an_export(exported: Run, run: Run) -> None:
    before = [answer.probabilities for answer in suwen.predict(run.path, *images(3))]
    assert [answer.probabilities for answer in suwen.predict(exported.path, *images(3), engine="torch")] == before
    assert [answer.probabilities for answer in suwen.load(exported.path).predict(*images(3))] == before


def test_an_export_of_other_weights_is_refused_by_name_and_passed_over_otherwise(
    exported: Run, make: Callable[..., Model]
) -> None:
    fastest(exported, "onnx")
    exported.save(make(seed=1))
    with pytest.raises(RunError, match="other weights"):
        suwen.predict(exported.path, images()[0], engine="onnx")
    with pytest.warns(UserWarning, match=r"onnx is passed over.*other weights"):
        (answer,) = suwen.predict(exported.path, images()[0])
    assert answer.engine == "torch"
    suwen.export(exported.path, quiet=True)
    assert suwen.predict(exported.path, images()[0], engine="onnx")[0].engine == "onnx"
    assert len(list(exported.engines.glob("*.onnx"))) == 1


def test_a_damaged_export_is_refused(exported: Run) -> None:
    file = Exports(exported).file("onnx")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(RunError, match="missing or not the file"):
        suwen.predict(exported.path, images()[0], engine="onnx")


@pytest.mark.parametrize(
    "at", ["suwen.verbs.export.write_onnx", "suwen.verbs.export.differences", "suwen.engines.exports.write_json"]
)
def test_an_interrupted_export_leaves_the_old_one(exported: Run, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    before = content(exported.engines)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(at, interrupted)
        with pytest.raises(KeyboardInterrupt):
            suwen.export(exported.path, quiet=True)
    assert before.items() <= content(exported.engines).items() and not list(exported.engines.glob(".making-*"))
    assert suwen.predict(exported.path, images()[0], engine="onnx")[0].engine == "onnx"


def test_an_export_that_answers_otherwise_is_not_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suwen.verbs.export.differences", lambda *_: {"logits": 2e-4, "pooled": 0.0})
    with pytest.raises(NotKept, match=r"2\.00e-04"):
        suwen.export(run.path, quiet=True)
    assert Exports(run).names() == []
    assert suwen.predict(run.path, images()[0])[0].engine == "torch"


def test_adapters_are_merged_on_export(tmp_path: Path, make: Callable[..., Model], run: Run) -> None:
    pytest.importorskip("peft", reason="not installed: peft (the extra lora)")
    base = suwen.load(run.path)
    encoder: Any = base.encoder
    encoder.origin = {"path": str(run.path), "sha256": run.fingerprint(), "options": {}}
    add_adapters(encoder, rank=2)
    with torch.no_grad():
        for key, weight in encoder.named_parameters():
            if ".lora_B" in key:
                weight.normal_(std=0.1)
    adapted = Run(tmp_path / "adapted")
    adapted.save(base)
    expected = suwen.predict(adapted.path, *images(3))
    plain = suwen.predict(run.path, *images(3))
    assert any(
        ours.probabilities != pytest.approx(theirs.probabilities, abs=1e-3)
        for ours, theirs in zip(expected, plain, strict=True)
    )
    suwen.export(adapted.path, quiet=True)
    for ours, theirs in zip(suwen.predict(adapted.path, *images(3), engine="onnx"), expected, strict=True):
        assert ours.engine == "onnx" and ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)


@pytest.mark.parametrize("absent", ["onnxruntime", "onnx", "onnxscript"])
def test_a_missing_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setattr("suwen.engines.extras.find_spec", lambda name: None if name == absent else find_spec(name))
    with pytest.raises(ExtraMissing, match="onnx"):
        suwen.export(run.path, quiet=True)
    assert Exports(run).names() == []


def test_without_the_runtime_an_export_is_passed_over(exported: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suwen.engines.extras.find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="passed over"):
        assert suwen.predict(exported.path, images()[0])[0].engine == "torch"
    with pytest.raises(ExtraMissing):
        suwen.predict(exported.path, images()[0], engine="onnx")


def test_what_does_not_exist_is_refused(run: Run) -> None:
    with pytest.raises(NameUnknown, match="onx"):
        suwen.export(run.path, to="onx", quiet=True)
    with pytest.raises(NameUnknown, match="onx"):
        suwen.predict(run.path, images()[0], engine="onx")
    with pytest.raises(RunError, match="no export 'onnx'"):
        suwen.predict(run.path, images()[0], engine="onnx")
    with pytest.raises(RecipeError, match="opset 999"):
        suwen.export(run.path, opset=999, quiet=True)
