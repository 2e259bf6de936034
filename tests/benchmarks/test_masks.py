from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.masks import RECIPES, drive, membranes, volumes, write_splits
from benchmarks.results import read_result
from PIL import Image

from suwen.core.errors import DataError
from suwen.core.recipe import read_recipe
from suwen.data.readers.masks import read_masks
from suwen.verbs.finetune import full_recipe


def write_slices(root: Path, count: int, *, fov: bool = False) -> Path:
    rng = np.random.default_rng(0)
    names = ("images", "1st_manual", "mask") if fov else ("image", "label")
    for folder in names:
        (root / folder).mkdir(parents=True)
    for number in range(count):
        mask = np.zeros((130, 140), np.uint8)
        mask[20:90, 10 + number : 60 + number] = 255
        image = np.clip(rng.normal(80, 10, mask.shape) + 80 * (mask > 0), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(root / names[0] / f"{number}.png")
        Image.fromarray(mask).save(root / names[1] / f"{number}.png")
        if fov:
            Image.fromarray(np.full_like(mask, 255)).save(root / names[2] / f"{number}.png")
    return root


@pytest.mark.parametrize("name", ["drive", "membranes", "volumes"])
def test_recipes_are_valid_and_start_from_nothing(name: str) -> None:
    recipe = full_recipe(read_recipe(RECIPES / f"{name}.yaml"))
    assert recipe.encoder.weights is None and not recipe.data.allow_leak


def test_splits_go_by_the_number_of_a_slice_and_not_by_its_name(tmp_path: Path) -> None:
    manifest = write_splits(write_slices(tmp_path / "em", 12), tmp_path / "splits.csv", [10, 11], [0])
    splits = {Path(sample.id).stem: sample.split for sample in read_masks(manifest)}
    assert {name for name, split in splits.items() if split == "test"} == {"10", "11"}
    assert splits["0"] == "val" and splits["2"] == "train"
    with pytest.raises(DataError, match="not there"):
        write_splits(tmp_path / "nowhere", tmp_path / "splits.csv", [], [])


@pytest.mark.slow
@pytest.mark.parametrize(("run", "count", "fov"), [(drive, 20, True), (membranes, 30, False)])
def test_a_quick_run_writes_its_figures(
    run: object, count: int, fov: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = write_slices(tmp_path / "data", count, fov=fov)
    run(data=data, runs=tmp_path / "runs", quick=True, results=tmp_path)  # type: ignore[operator]
    name = run.__name__  # type: ignore[attr-defined]
    written = read_result(tmp_path / "quick" / f"{name}.json")
    assert 0 <= float(written.verdicts[0].value) <= 1 and written.quick


@pytest.mark.slow
def test_volumes_run_from_the_simulation_to_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    volumes(runs=tmp_path / "runs", quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "volumes.json")
    assert all(verdict.what.startswith("simulated CT") for verdict in written.verdicts)
