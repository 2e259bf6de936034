"""Someone else's package adds a modality, an encoder, a head and a task; suwen finds, trains, saves and loads them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suwen.core import registry
from suwen.core.errors import NameUnknown
from suwen.core.model import Model
from suwen.core.recipe import make_recipe
from suwen.core.registry import READERS, TASKS, Registry
from suwen.core.run import Run, load
from suwen.learn.train import train
from suwen.verbs.tasks import tasks

PACKAGE = Path(__file__).parent / "suwen-pulse"
REGISTRIES = [thing for thing in vars(registry).values() if isinstance(thing, Registry)]


def forget_entry_points() -> None:
    for known in REGISTRIES:
        vars(known).pop("_points", None)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as pip leaves it: metadata with the entry points of the package's ``pyproject.toml``."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    folder = tmp_path / "site" / f"suwen_pulse-{project['version']}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in rows.items())
        for group, rows in project["entry-points"].items()
    ]
    (folder / "entry_points.txt").write_text("\n".join(groups))
    return folder.parent


@pytest.fixture
def plugin(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package as this process sees it once it is installed."""
    monkeypatch.syspath_prepend(str(PACKAGE / "src"))
    monkeypatch.syspath_prepend(str(installed))
    forget_entry_points()
    yield
    forget_entry_points()
    for name in [name for name in sys.modules if name.partition(".")[0] == "suwen_pulse"]:
        del sys.modules[name]


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    """Pulses of known rates, eight seconds at 16 Hz."""
    rng = np.random.default_rng(0)
    rates = rng.uniform(45, 150, 240).astype(np.float32)
    times = np.arange(128) / 16
    phases = 2 * np.pi * (rates[:, None] / 60 * times + rng.random((240, 1)))
    noisy = np.exp(np.sin(phases)) + rng.normal(0, 0.2, phases.shape)
    splits = np.array(["train", "train", "train", "val"])[np.arange(240) % 4]
    np.savez(
        tmp_path / "waves.npz", waves=noisy.astype(np.float32), rates=rates, subjects=np.arange(240), splits=splits
    )
    return tmp_path / "waves.npz"


def rmse(model: Model, logits: np.ndarray, rates: np.ndarray) -> float:
    return float(np.sqrt(np.mean((logits - rates) ** 2)))


def test_its_task_is_trained_by_the_same_loop(plugin: None, waves: Path, tmp_path: Path) -> None:
    task = TASKS["pulse-rate"]
    reader = READERS[task.reader]
    samples = reader.read(waves)
    dataset = reader.build(samples, reader.preprocess(samples, {}))
    reader.check(dataset)

    def score(model: Model, logits: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        return {"score": -rmse(model, logits, dataset.targets[rows])}

    training = {"epochs": 12, "batch_size": 16, "learning_rate": 1e-2, "precision": "fp32"}
    recipe = make_recipe({"task": task.name, "encoder": {"name": task.encoder}, "training": training})
    trained = train(task, dataset, recipe, score=score)

    val = dataset.where("val")
    logits, _ = trained.model.infer(dataset, val)
    spread = dataset.targets[val].std()
    assert rmse(trained.model, logits, dataset.targets[val]) < 0.4 * spread
    assert trained.progress.history[-1]["train_loss"] < 0.2

    Run(tmp_path / "run").save(trained.model)
    again = load(tmp_path / "run")
    assert np.array_equal(again.infer(dataset, val)[0], logits)
    wave = again.preprocess(samples[3].source)
    import torch

    (answer,) = again.answer(torch.from_numpy(wave[None]))
    assert answer.answer == pytest.approx(float(logits[0]), abs=0.06)


def test_suwen_lists_it_beside_its_own(plugin: None) -> None:
    assert {"image-classification", "pulse-rate"} <= {task.name for task in tasks()}


def test_the_command_finds_it_and_stays_light(installed: Path) -> None:
    script = (
        "import sys\nfrom suwen.cli.main import app\n"
        "try:\n    app(['tasks'])\nexcept SystemExit:\n    pass\nassert 'torch' not in sys.modules\n"
    )
    paths = f"import sys; sys.path[:0] = [{str(installed)!r}, {str(PACKAGE / 'src')!r}]\n"
    wide = os.environ | {"COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", paths + script], env=wide, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pulse-rate" in done.stdout and "image-classification" in done.stdout


def test_its_own_refusals_teach_as_suwens_do(plugin: None) -> None:
    from suwen.core.encoder import build_encoder

    inputs: Any = READERS["pulse"].preprocess([], {"samples": 128})
    with pytest.raises(NameUnknown, match="did you mean small"):
        build_encoder("pulse:smal", inputs)


def test_without_the_package_its_task_is_unknown() -> None:
    forget_entry_points()
    assert "pulse-rate" not in TASKS
