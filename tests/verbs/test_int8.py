"""An 8-bit export is kept only where it pays and costs nearly nothing, judged on validation images."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import suwen
from suwen.core.errors import DataError, LeakError, NameUnknown, NotKept, RecipeError
from suwen.core.run import Run
from suwen.engines.exports import Exports
from suwen.engines.network import Network, probes
from suwen.engines.onnx import write_onnx
from suwen.verbs.int8 import TOLERANCE, Trial, _lost, _too_slow

MISSING = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra onnx)")

FASTER = {"1": {"fp32": 2.0, "int8": 1.0}, "64": {"fp32": 20.0, "int8": 10.0}}
SLOWER = {"1": {"fp32": 2.0, "int8": 1.0}, "64": {"fp32": 20.0, "int8": 19.9}}


@pytest.fixture(scope="module")
def graph(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("graph") / "float32.onnx"
    model = suwen.load(run)
    write_onnx(Network(model), probes(model, 3), file, opset=18, metadata={})
    return file


@pytest.fixture
def mine(run: Path, graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the Run, whose graph is written already and whose 8-bit one is said to be faster."""
    monkeypatch.setattr("suwen.verbs.export.write_onnx", lambda network, inputs, file, **_: shutil.copy(graph, file))
    monkeypatch.setattr("suwen.engines.choose.SECONDS", 0.0)
    monkeypatch.setattr(Trial, "_seconds", lambda *_: FASTER)
    return Run(Path(shutil.copytree(run, tmp_path / "run")))


def test_it_is_calibrated_on_training_images_and_judged_on_validation_images(
    mine: Run, graph: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    asked: list[set[str]] = []
    images, figures = Trial.images, Trial._figures

    def watched(self: Trial) -> Any:
        for batch in images(self):
            seen.append(batch)
            yield batch

    def judged(self: Trial, graph: Path) -> dict[str, float]:
        asked.append({str(name) for name in self.dataset.ids[self.dataset.where("val")]})
        return figures(self, graph)

    monkeypatch.setattr(Trial, "images", watched)
    monkeypatch.setattr(Trial, "_figures", judged)
    monkeypatch.setattr("suwen.verbs.int8.TOLERANCE", 1.0)
    made = suwen.export(mine.path, int8="static", quiet=True)
    known = {suwen.load(mine.path).preprocess(path).tobytes() for path in (films / "train").rglob("*.png")}
    assert {image.tobytes() for batch in seen for image in batch} == known and len(known) == 80
    assert all(name.startswith("val/") for name in asked[0]) and len(asked[0]) == 40
    assert made.name == "onnx-int8" and made.record["int8"]["n"] == 40 and "parity" not in made.record
    assert made.file.stat().st_size < graph.stat().st_size
    answer = suwen.predict(mine.path, films / "test" / "disc" / "000.png", engine="onnx-int8")[0]
    assert answer.engine == "onnx-int8"


def test_one_that_loses_too_much_is_refused_and_the_old_one_stays(
    mine: Run, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("suwen.verbs.int8.TOLERANCE", 1.0)
        suwen.export(mine.path, int8="static", quiet=True)
    before = {path.name: path.read_bytes() for path in mine.engines.iterdir()}
    figures = iter([{"accuracy": 0.95, "auroc": 0.99}, {"accuracy": 0.94, "auroc": 0.99}])
    monkeypatch.setattr(Trial, "_figures", lambda *_: next(figures))
    with pytest.raises(NotKept, match=r"accuracy is worse by 1\.00 points \(0\.9500 to 0\.9400\)") as refused:
        suwen.export(mine.path, int8="static", quiet=True)
    assert "what was there before stays" in refused.value.why and "dynamic" in refused.value.fix
    assert {path.name: path.read_bytes() for path in mine.engines.iterdir()} == before
    assert suwen.predict(mine.path, films / "test", engine="onnx-int8")[0].engine == "onnx-int8"


def test_one_that_is_not_faster_is_refused_with_the_times(mine: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trial, "_seconds", lambda *_: SLOWER)
    monkeypatch.setattr("suwen.verbs.int8.TOLERANCE", 1.0)
    with pytest.raises(NotKept, match=r"64 at once are not faster \(19900\.00 ms, float32 20000\.00 ms\)"):
        suwen.export(mine.path, int8="dynamic", quiet=True)
    assert Exports(mine).names() == []


def test_an_interrupted_one_leaves_the_old_one(mine: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suwen.verbs.int8.TOLERANCE", 1.0)
    suwen.export(mine.path, int8="dynamic", quiet=True)
    before = {path.name: path.read_bytes() for path in mine.engines.iterdir()}

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trial, "judge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        suwen.export(mine.path, int8="dynamic", quiet=True)
    assert {path.name: path.read_bytes() for path in mine.engines.iterdir()} == before


@pytest.mark.parametrize(
    ("figures", "lost"),
    [
        ({"auroc": {"fp32": 0.9, "int8": 0.9 - TOLERANCE}}, 0),
        ({"auroc": {"fp32": 0.9, "int8": 0.894}}, 1),
        ({"auroc": {"fp32": 0.9, "int8": 0.95}}, 0),
        ({"brier": {"fp32": 0.1, "int8": 0.106}}, 1),
        ({"brier": {"fp32": 0.1, "int8": 0.05}}, 0),
        ({"answered": {"fp32": 1.0, "int8": 0.99}}, 1),
    ],
)
def test_half_a_point_may_be_lost_whichever_way_is_better(figures: dict[str, Any], lost: int) -> None:
    assert len(_lost(figures)) == lost


def test_it_must_be_faster_beyond_the_noise_at_each_batch_size() -> None:
    assert _too_slow(FASTER) == []
    assert len(_too_slow(SLOWER)) == 1
    assert len(_too_slow({"1": {"fp32": 1.0, "int8": 1.0}, "64": {"fp32": 1.0, "int8": 1.2}})) == 2


def test_without_the_training_data_others_can_be_named(mine: Run, films: Path, tmp_path: Path) -> None:
    recipe = mine.recipe.read_text().replace(str(films), str(tmp_path / "moved"))
    mine.recipe.write_text(recipe)
    with pytest.raises(DataError, match="moved") as refused:
        suwen.export(mine.path, int8="static", quiet=True)
    assert "--data DATA" in refused.value.fix
    trial = Trial.of(mine, suwen.load(mine.path), films)
    assert trial.source == str(films) and len(trial.dataset.where("val")) == 40
    with pytest.raises(DataError, match="no images in the split 'train'"):
        Trial.of(mine, suwen.load(mine.path), shutil.copytree(films / "val", tmp_path / "other" / "val").parent)


def test_images_that_the_run_is_tested_on_are_not_chosen_by(mine: Run, films: Path, tmp_path: Path) -> None:
    for here, there in (("train", "train"), ("test", "val")):
        shutil.copytree(films / here, tmp_path / "swapped" / there)
    with pytest.raises(LeakError, match="40 of 40 images are test images"):
        Trial.of(mine, suwen.load(mine.path), tmp_path / "swapped")


def test_what_makes_no_sense_is_refused(run: Path, films: Path) -> None:
    with pytest.raises(NameUnknown, match="statik"):
        suwen.export(run, int8="statik", quiet=True)
    with pytest.raises(RecipeError, match="--to openvino"):
        suwen.export(run, int8="static", to="openvino", quiet=True)
    with pytest.raises(RecipeError, match="--data without --int8"):
        suwen.export(run, data=films, quiet=True)


def test_an_opset_without_8_bit_layers_is_refused(mine: Run, monkeypatch: pytest.MonkeyPatch, graph: Path) -> None:
    import onnx

    def older(network: Any, inputs: Any, file: Path, **_: Any) -> None:
        made = onnx.load(graph)
        made.opset_import[0].version = 12
        onnx.save(made, file)

    monkeypatch.setattr("suwen.verbs.export.write_onnx", older)
    with pytest.raises(RecipeError, match="opset 12"):
        suwen.export(mine.path, int8="static", opset=12, quiet=True)


@pytest.mark.slow
def test_both_graphs_are_timed_side_by_side(mine: Run, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    trial = Trial.of(mine, suwen.load(mine.path), None)
    found = trial._seconds(graph, graph)
    assert all(0.5 < row["int8"] / row["fp32"] < 2 for row in found.values()) and set(found) == {"1", "64"}
