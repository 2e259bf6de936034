from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from suwen.core.errors import DataError, FileUnreadable, LeakError, RecipeError
from suwen.data.case_check import check_cases
from suwen.data.cases import CaseSet
from suwen.data.codebook import IGNORED
from suwen.data.patches import Patches
from suwen.data.segmentation import MASKS


def blobs(root: Path, sizes: list[tuple[int, int]], *, value: int = 255, seed: int = 0) -> Path:
    """Grey images of these sizes with a bright square each, and its mask."""
    rng = np.random.default_rng(seed)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, (height, width) in enumerate(sizes):
        mask = np.zeros((height, width), np.uint8)
        top, left = rng.integers(2, height - 12), rng.integers(2, width - 12)
        mask[top : top + 10, left : left + 10] = value
        image = np.clip(rng.normal(80, 10, mask.shape) + 100 * (mask > 0), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root


def built(root: Path, **settings: object) -> CaseSet:
    samples = MASKS.read(root)
    return MASKS.build(samples, MASKS.preprocess(samples, dict(settings)), seed=0)


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CaseSet:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return built(blobs(tmp_path / "data", [(40, 50), (64, 48), (41, 77), (50, 50), (44, 44), (60, 61), (48, 52)]))


def test_every_image_keeps_its_own_size_and_its_own_mask(cases: CaseSet, tmp_path: Path) -> None:
    for row, name in enumerate(cases.ids):
        image = np.asarray(Image.open(tmp_path / "data" / str(name)))
        mask = np.asarray(Image.open(tmp_path / "data" / str(name).replace("images", "masks")))
        assert (cases.pixels_of(row)[0] == image).all()
        assert ((cases.codes_of(row) == 1) == (mask == 255)).all()
        assert (cases.truth(row) == cases.codes_of(row)).all()


def test_patches_are_cut_from_image_and_mask_alike(cases: CaseSet) -> None:
    rows = np.repeat(np.arange(len(cases)), 20)
    pixels, codes, _ = everywhere(cases).draw(rows, torch.Generator().manual_seed(0))
    assert pixels.shape == (140, 1, 32, 32) and codes.shape == (140, 32, 32)
    assert pixels[:, 0][codes == 1].min() > 120 > pixels[:, 0][codes == 0].max()
    assert (codes == 1).any(axis=(1, 2)).mean() > 1 / 3  # those that are drawn around a label, and by chance some more


def everywhere(cases: CaseSet) -> Patches:
    return cases.patches(np.arange(len(cases)))


def test_a_rare_label_is_drawn_from_any_image_that_may_be_and_shows_it(tmp_path: Path) -> None:
    root = blobs(tmp_path / "data", [(64, 64)] * 8)
    mask = np.array(Image.open(root / "masks" / "3.png"))
    mask[10:14, 10:14] = 128
    Image.fromarray(mask).save(root / "masks" / "3.png")
    cases = built(root, patch=32)
    rare = next(code for code in (1, 2) if (cases.columns.counts[:, code] > 0).sum() == 1)
    showing = int(np.flatnonzero(cases.columns.counts[:, rare])[0])
    everything = np.arange(len(cases))
    asked = np.repeat(everything, 40)
    _, codes, rows = cases.patches(everything).draw(asked, torch.Generator().manual_seed(0))
    with_it = (codes == rare).any(axis=(1, 2))
    assert with_it.mean() > 0.15 and set(rows[with_it]) == {showing}
    # most of what is drawn is of the image that was asked for
    assert (rows == asked).mean() > 0.6
    others = np.delete(everything, showing)
    _, codes, rows = cases.patches(others).draw(np.repeat(others, 40), torch.Generator().manual_seed(0))
    assert showing not in rows and not (codes == rare).any()


def test_draws_follow_the_generator_alone(cases: CaseSet) -> None:
    rows = np.arange(5)
    first, again, other = (everywhere(cases).draw(rows, torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2))
    assert (first == again).all() and not (first == other).all()


def test_an_image_smaller_than_a_patch_is_continued_and_not_labelled_there(cases: CaseSet) -> None:
    pixels, codes, _ = cases.patches(np.array([0])).draw(np.array([0]), torch.Generator().manual_seed(0), reach=2.0)
    assert pixels.shape[-2:] == (64, 64)
    assert (codes == IGNORED).any() and (pixels[0, 0][codes[0] == IGNORED] > 0).all()


def test_every_row_and_column_of_an_image_comes_into_the_middle_of_a_patch(cases: CaseSet) -> None:
    row = int(np.flatnonzero((cases.columns.shapes == (64, 48)).all(axis=1))[0])
    seen, patches = np.zeros((64, 48), bool), cases.patches(np.array([row]))
    drawn = torch.Generator().manual_seed(0)
    for _ in range(300):
        state = drawn.get_state()
        _, codes, _ = patches.draw(np.array([row]), drawn, reach=2.0)
        drawn.set_state(state)
        _, inner, _ = patches.draw(np.array([row]), drawn, reach=1.0)
        assert (codes[0, 16:48, 16:48] == inner[0]).all()  # the middle is the patch itself
        place = _where(cases, row, inner[0], state)
        seen[place] = True
    assert seen.any(axis=0).all() and seen.any(axis=1).all()


def _where(cases: CaseSet, row: int, patch: np.ndarray, state: torch.Tensor) -> tuple[slice, slice]:
    """Where a patch was cut, by looking for its pixels."""
    generator = torch.Generator()
    generator.set_state(state)
    pixels, _, _ = cases.patches(np.array([row])).draw(np.array([row]), generator)
    image = cases.pixels_of(row)[0]
    windows = np.lib.stride_tricks.sliding_window_view(image, pixels.shape[-2:])
    ((top, left),) = np.argwhere((windows == pixels[0, 0]).all(axis=(2, 3)))
    return slice(top, top + patch.shape[0]), slice(left, left + patch.shape[1])


def test_a_second_reading_is_the_first_and_another_mask_is_another_set(cases: CaseSet, tmp_path: Path) -> None:
    assert built(tmp_path / "data").fingerprint == cases.fingerprint
    blobs(tmp_path / "data", [(40, 50)], seed=9)
    assert built(tmp_path / "data").fingerprint != cases.fingerprint


def test_at_half_the_size_the_truth_is_still_that_of_the_file(cases: CaseSet, tmp_path: Path) -> None:
    half = built(tmp_path / "data", scale=0.5, patch=16)
    assert (half.columns.shapes == np.rint(cases.columns.shapes / 2)).all()
    assert all((half.truth(row) == cases.truth(row)).all() for row in range(len(half)))


def test_a_region_takes_pixels_out_of_the_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = blobs(tmp_path / "data", [(40, 40)] * 4)
    region = np.zeros((40, 40), np.uint8)
    region[:, :20] = 255
    (root / "fov").mkdir()
    for number in range(4):
        Image.fromarray(region).save(root / "fov" / f"{number}.png")
    cases = built(root)
    assert ((cases.codes_of(0) == IGNORED) == (region == 0)).all()


def test_a_mask_of_another_size_is_refused_by_name(tmp_path: Path) -> None:
    root = blobs(tmp_path, [(40, 40)] * 3)
    Image.fromarray(np.zeros((40, 41), np.uint8)).save(root / "masks" / "1.png")
    with pytest.raises(DataError, match=r"masks/1\.png is 40 x 41, its image images/1\.png is 40 x 40"):
        built(root)


def test_an_unknown_value_is_refused_by_name(tmp_path: Path) -> None:
    root = blobs(tmp_path, [(40, 40)] * 3)
    (root / "labels.json").write_text('{"cell": 255}')
    mask = np.zeros((40, 40), np.uint8)
    mask[0, 0] = 3
    Image.fromarray(mask).save(root / "masks" / "2.png")
    with pytest.raises(DataError, match=r"masks/2\.png holds the value 3"):
        built(root)


def test_a_damaged_image_is_refused_or_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = blobs(tmp_path / "data", [(40, 40)] * 8)
    (root / "images" / "3.png").write_bytes((root / "images" / "3.png").read_bytes()[:200])
    samples = MASKS.read(root)
    preprocess = MASKS.preprocess(samples, {})
    samples = MASKS.split(samples, seed=0, fractions=(0.6, 0.2, 0.2))
    with pytest.raises(FileUnreadable, match=r"3\.png"):
        MASKS.build(samples, preprocess, seed=0, fractions=None)
    kept = MASKS.build(samples, preprocess, seed=0, fractions=None, skip_bad=True)
    assert len(kept) == 7 and kept.skipped[0][0] == "images/3.png"
    assert "images/3.png" not in kept.ids.tolist()


def test_empty_masks_are_counted_and_a_training_set_of_them_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = blobs(tmp_path / "data", [(40, 40)] * 8)
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(root / "masks" / "0.png")
    assert any("1 of 8 masks show no label: images/0.png" in line for line in check_cases(built(root)).warnings)
    (root / "labels.json").write_text('{"cell": 255}')
    for number in range(8):
        Image.fromarray(np.zeros((40, 40), np.uint8)).save(root / "masks" / f"{number}.png")
    with pytest.raises(DataError, match="background alone"):
        check_cases(built(root))


def test_an_image_both_in_train_and_in_test_is_a_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for split in ("train", "test"):
        blobs(tmp_path / "data" / split, [(40, 40)] * 4)
    with pytest.raises(LeakError, match="test images are also in train"):
        check_cases(built(tmp_path / "data"))
    assert check_cases(built(tmp_path / "data"), allow_leak=True).leaks


def test_masks_of_one_label_each_become_one_and_may_overlap_where_that_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    lines = ["path,mask:nucleus,mask:wall"]
    for number in range(6):
        parts = np.zeros((2, 40, 40), np.uint8)
        parts[0, 5:15, 5:15], parts[1, 20:30, number : number + 9] = 255, 1
        Image.fromarray(rng.integers(0, 255, (40, 40)).astype(np.uint8)).save(tmp_path / f"{number}.png")
        for part, name in zip(parts, ("n", "w"), strict=True):
            Image.fromarray(part).save(tmp_path / f"{number}{name}.png")
        wall = "" if number == 2 else f"{number}w.png"
        lines.append(f"{number}.png,{number}n.png,{wall}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    cases = built(tmp_path)
    assert cases.labels == ("background", "nucleus", "wall")
    assert [int((cases.codes_of(0) == code).sum()) for code in (1, 2)] == [100, 90]
    assert not (cases.codes_of(2) == 2).any()
    Image.fromarray(np.full((40, 40), 255, np.uint8)).save(tmp_path / "4w.png")
    cases = built(tmp_path)
    assert cases.preprocess.model_dump()["overlaps"] == (("nucleus", "wall"),)
    assert cases.sizes[4].tolist() == [0, 100, 1600] and (cases.codes_of(4) == 3).sum() == 100
    assert cases.counts("train")["nucleus"] == len(cases.where("train"))
    assert any(row[0] == "inputs.overlaps" for table in check_cases(cases).tables for row in table.rows)
    with pytest.raises(DataError, match=r"4\.png: nucleus and wall overlap in 100 pixels"):
        built(tmp_path, overlaps=[])
    with pytest.raises(RecipeError, match="a set of two and more"):
        built(tmp_path, overlaps=[["nucleus", "liver"]])
