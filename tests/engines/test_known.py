"""What is wrong with a Run's exports is said, and never keeps the rest from answering."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from suwen.core.errors import RecipeError, RunError
from suwen.core.model import Model
from suwen.core.run import Run
from suwen.engines.choose import choose_engine, make_engine, sound_exports
from suwen.engines.exports import TIMING, Exports
from suwen.engines.known import Known, best_threads, read_known, write_known
from suwen.engines.timing import Latency, machine


def known(run: Run, **files: str) -> Known:
    """Times in which onnx with two threads is the fastest."""
    timing = {
        size: {("torch", 1): Latency(2.0, 2.0), ("onnx", 1): Latency(1.5, 1.5), ("onnx", 2): Latency(1.0, 1.0)}
        for size in (1, 64)
    }
    return Known({"machine": machine(), "source": run.source_digest(), "files": files}, timing, {})


def export(run: Run, name: str = "onnx", content: bytes = b"no graph") -> None:
    """A whole export whose file no runtime can run."""
    exports = Exports(run)
    with exports.staging() as folder:
        made = folder / "model.onnx"
        made.write_bytes(content)
        exports.commit(name, made, {})


def test_what_was_measured_comes_back(run: Run) -> None:
    assert read_known(run) == Known()
    written = known(run, onnx="onnx-0.onnx")
    run.engines.mkdir()
    write_known(run, written)
    assert read_known(run) == written
    assert best_threads(written.timing, "onnx", 40) == (2, Latency(1.0, 1.0))


@pytest.mark.parametrize("damage", ["cut", "empty", "list", "no times", "a name without threads"])
def test_a_damaged_timing_is_said_and_counts_as_none(run: Run, damage: str) -> None:
    run.engines.mkdir()
    write_known(run, known(run))
    path = run.engines / TIMING
    content = json.loads(path.read_text())
    broken = {
        "cut": path.read_text()[:50],
        "empty": "",
        "list": "[]",
        "no times": json.dumps({**content, "seconds": {}}),
        "a name without threads": json.dumps({**content, "seconds": {"1": {"onnx": {"median": 1, "p95": 1}}}}),
    }
    path.write_text(broken[damage])
    with pytest.warns(UserWarning, match=r"timing\.json is damaged"):
        assert read_known(run) == Known()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[1]", "holds a list"),
        ('{"format": 1}', "lacks file, files, source"),
        ('{"format": 9, "file": "a", "files": {"a": "b"}, "source": "c"}', "has format 9"),
    ],
)
def test_a_broken_record_is_refused_by_name_and_passed_over_by_auto(
    run: Run, make: Callable[..., Model], content: str, says: str
) -> None:
    run.engines.mkdir()
    (run.engines / "onnx.json").write_text(content)
    with pytest.raises(RunError, match=says) as refused:
        make_engine(make(), run, "onnx", 1)
    assert "suwen export" in refused.value.fix
    with pytest.warns(UserWarning, match=f"(?s)onnx is passed over.*{says}"):
        assert choose_engine(make(), run, "auto") is None


def test_an_export_of_an_unknown_engine_is_said(run: Run) -> None:
    export(run, "abacus")
    with pytest.warns(UserWarning, match="abacus is passed over"):
        assert sound_exports(run) == {}


def test_a_file_that_the_runtime_cannot_run_is_said_at_every_start(
    run: Run, make: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="not installed: onnxruntime (the extra onnx)")
    monkeypatch.setattr("suwen.engines.choose.SECONDS", 0.0)
    export(run)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"onnx is passed over.*cannot run onnx-"):
            answers = choose_engine(make(), run, "auto")
        assert answers is None or answers.name == "frozen"
    with pytest.raises(RecipeError, match="cannot run"):
        choose_engine(make(), run, "onnx")


def test_an_opset_that_the_runtime_lacks_is_told_with_one_that_it_has(run: Run, make: Callable[..., Model]) -> None:
    onnx = pytest.importorskip("onnx", reason="not installed: onnx (the extra onnx)")
    pytest.importorskip("onnxruntime", reason="not installed: onnxruntime (the extra onnx)")
    value = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["inputs"], ["logits"])], "g", [value], [value])
    graph.input[0].name = "inputs"
    later = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 999)])
    export(run, content=later.SerializeToString())
    with pytest.raises(RecipeError, match=r"onnxruntime .* cannot run") as refused:
        make_engine(make(), run, "onnx", 1)
    assert "--opset 18" in refused.value.fix and "999" in refused.value.why


def test_a_new_export_takes_away_only_what_was_made_under_its_own_name(run: Run) -> None:
    export(run, "onnx", b"one")
    export(run, "onnx-int8", b"two")
    (run.engines / f"onnx-{'0' * 12}.onnx").write_bytes(b"left by an interrupted one")
    (run.engines / "openvino.json").write_text("{")
    export(run, "onnx", b"three")
    left = sorted(path.read_bytes() for path in run.engines.glob("*.onnx"))
    assert left == [b"three", b"two"]


def test_a_disk_that_cannot_be_written_to_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr("suwen.engines.known.write_json", full)
    with pytest.warns(UserWarning, match="timed again at each start"):
        write_known(run, known(run))
