from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from suwen.core.calibration import Calibration
from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.features import Features
from suwen.data.codebook import Codebook
from suwen.data.grid import Grid
from suwen.heads.finish import finish
from suwen.heads.mask_losses import LOSSES, boundary, cross_entropy, dice, focal_tversky, signed_distances
from suwen.heads.segment import Segment
from suwen.heads.unet import DECODERS

WIDTHS = (4, 6, 8)


def features(dims: int, side: int = 20, batch: int = 2) -> Features:
    torch.manual_seed(0)
    maps = tuple(torch.rand(batch, width, *[-(-side // 2**level)] * dims) for level, width in enumerate(WIDTHS))
    return Features(pooled=torch.rand(batch, 8), maps=maps, size=(side,) * dims)


def head(**options: Any) -> Segment:
    return Segment(8, ("background", "organ", "lesion"), map_widths=WIDTHS, **options)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("dims", [2, 3])
def test_every_pixel_of_the_input_gets_its_logits(decoder: str, dims: int) -> None:
    made = head(decoder=decoder, dims=dims).eval()
    assert made(features(dims)).shape == (2, 3, *[20] * dims)
    assert made(features(dims, side=21)).shape == (2, 3, *[21] * dims)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dims", [2, 3])
def test_every_loss_falls_to_the_truth_and_gives_gradients(loss: str, dims: int) -> None:
    made = head(loss=loss, dims=dims, deep=1)
    target = torch.randint(0, 3, (2, *[20] * dims), dtype=torch.uint8)
    logits = made(features(dims))
    assert logits.shape[1] == 2  # both levels that are judged
    value = made.loss(logits, target)
    value.backward()
    assert value.ndim == 0 and all(parameter.grad is not None for parameter in made.parameters())
    right = 20.0 * torch.nn.functional.one_hot(target.long(), 3).movedim(-1, 1)
    assert made.loss(right, target) < made.loss(right.roll(1, 1), target)


def test_pixels_that_do_not_count_do_not() -> None:
    made = head()
    target = torch.randint(0, 3, (1, 8, 8), dtype=torch.uint8)
    logits = torch.randn(1, 3, 8, 8)
    hidden = target.clone()
    hidden[:, :, 4:] = 255
    changed = logits.clone()
    changed[..., 4:] = 50 * torch.randn(1, 3, 8, 4)
    for loss in ("ce", "dice", "dice-ce", "focal-tversky"):
        made.terms = LOSSES[loss]
        assert torch.allclose(made.loss(logits, hidden), made.loss(changed, hidden))


def test_losses_are_their_formulas() -> None:
    rng = np.random.default_rng(0)
    z, codes = rng.normal(size=(2, 3, 5, 5)), rng.integers(0, 3, (2, 5, 5))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = np.stack([codes == k for k in range(3)], 1).astype(float)
    logits, shares, known = torch.from_numpy(z), torch.from_numpy(y), torch.ones(2, 1, 5, 5).double()
    assert np.isclose(cross_entropy(logits, shares, known, None).item(), -(y * np.log(p)).sum(1).mean())
    overlaps, totals = (p * y)[:, 1:].sum((0, 2, 3)), (p + y)[:, 1:].sum((0, 2, 3))
    assert np.isclose(dice(logits, shares, known, None).item(), 1 - (2 * overlaps / totals).mean(), atol=1e-6)
    hit = (p * y)[:, 1:].sum((0, 2, 3))
    missed, false = ((1 - p) * y)[:, 1:].sum((0, 2, 3)), (p * (1 - y))[:, 1:].sum((0, 2, 3))
    tversky = (1 - hit / (hit + 0.7 * missed + 0.3 * false)) ** 0.75
    assert np.isclose(focal_tversky(logits, shares, known, None).item(), tversky.mean(), atol=1e-5)


def test_dice_is_that_of_monai() -> None:
    losses = pytest.importorskip("monai.losses")
    logits, codes = torch.randn(2, 3, 9, 9), torch.randint(0, 3, (2, 9, 9))
    shares = torch.nn.functional.one_hot(codes, 3).movedim(-1, 1).float()
    theirs = losses.DiceLoss(include_background=False, softmax=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)
    assert torch.isclose(dice(logits, shares, torch.ones(2, 1, 9, 9), None), theirs(logits, shares), atol=1e-5)


def test_the_boundary_loss_rises_with_the_distance_of_what_is_drawn() -> None:
    codes = torch.zeros(1, 32, 32, dtype=torch.long)
    codes[:, 4:10, 4:10] = 1
    shares = torch.nn.functional.one_hot(codes, 2).movedim(-1, 1).float()
    values = []
    for shift in (0, 4, 10, 18):
        said = shares.roll((shift, shift), (2, 3))
        values.append(float(boundary(20 * said - 10, shares, torch.ones(1, 1, 32, 32), None)))
    assert values == sorted(values) and values[0] < 0 < values[-1]


def test_signed_distances_are_negative_inside_and_nothing_where_nothing_is() -> None:
    masks = np.zeros((1, 2, 9, 9), bool)
    masks[0, 0, 3:6, 3:6] = True
    found = signed_distances(masks) * 9
    assert found[0, 0, 4, 4] == -1 and found[0, 0, 3, 3] == 0 and found[0, 0, 4, 8] == 3
    assert not found[0, 1].any()


def test_a_threshold_moves_the_line_between_two_labels() -> None:
    made = Segment(8, ("background", "vessel"), map_widths=WIDTHS)
    p = torch.tensor([[[[0.7, 0.4]], [[0.3, 0.6]]]])
    assert made.codes(p, Calibration()).tolist() == [[[0, 1]]]
    assert made.codes(p, Calibration(threshold=0.2)).tolist() == [[[1, 1]]]


def test_an_answer_measures_each_label_in_the_units_of_its_grid() -> None:
    codes = np.array([[0, 1], [1, 2]], np.uint8)
    said = head().said(codes, Grid((2, 2)), Calibration())
    assert said.answer == {
        "organ": {"size": 2.0, "unit": "px", "low": None, "high": None},
        "lesion": {"size": 1.0, "unit": "px", "low": None, "high": None},
    }


def test_a_size_has_the_interval_that_validation_gave_its_label() -> None:
    codes = np.array([[0, 1], [1, 2]], np.uint8)
    said = head().said(codes, Grid((2, 2)), Calibration(sizes={"organ": 1.25}))
    assert said.answer["organ"] == {"size": 2.0, "unit": "px", "low": 1.6, "high": 2.5}
    assert said.answer["lesion"]["low"] is None


def test_only_the_largest_part_stays_holes_are_filled_and_crumbs_go() -> None:
    codes = np.zeros((12, 12), np.uint8)
    codes[1:6, 1:6], codes[3, 3], codes[9:11, 9:11] = 1, 0, 1
    codes[8, 1], codes[10, 1:4] = 2, 2
    labels = Codebook(("background", "organ", "lesion"))
    found = finish(codes, labels, largest=["organ"], fill=["organ"], least={"lesion": 2})
    assert (found[1:6, 1:6] == 1).all() and not found[9:11, 9:11].any()
    assert found[8, 1] == 0 and (found[10, 1:4] == 2).all()
    assert (finish(codes, labels) == codes).all()


def test_a_hole_that_another_label_fills_is_not_filled() -> None:
    codes = np.ones((5, 5), np.uint8)
    codes[2, 2] = 2
    assert finish(codes, Codebook(("background", "organ", "lesion")), fill=["organ"])[2, 2] == 2


def test_labels_that_overlap_are_judged_by_themselves_and_answered_together() -> None:
    together = (("organ", "lesion"),)
    made = head(overlaps=together).eval()
    assert made(features(2)).shape == (2, 4, 20, 20) and made.config["overlaps"] == [["organ", "lesion"]]
    codes = np.array([[0, 1], [3, 3]], np.uint8)
    said = made.said(codes, Grid((2, 2)), Calibration())
    assert [said.answer[label]["size"] for label in ("organ", "lesion")] == [3.0, 2.0]
    rng = np.random.default_rng(0)
    z, target = rng.normal(size=(2, 4, 5, 5)), rng.integers(0, 4, (2, 5, 5))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    p, y = np.stack([p[:, 1] + p[:, 3], p[:, 2] + p[:, 3]]), np.stack([(target == 1) | (target == 3), target >= 2])
    expected = 1 - (2 * (p * y).sum((1, 2, 3)) / (p.sum((1, 2, 3)) + y.sum((1, 2, 3)))).mean()
    made.terms = LOSSES["dice"]
    assert np.isclose(
        made.loss(torch.from_numpy(z), torch.from_numpy(target.astype(np.uint8))).item(), expected, atol=1e-5
    )


def test_the_largest_part_of_a_label_goes_its_own_way_where_labels_overlap() -> None:
    codebook = Codebook(("background", "organ", "lesion"), (("organ", "lesion"),))
    codes = np.zeros((8, 12), np.uint8)
    codes[1:7, 1:6], codes[2:4, 2:4], codes[2:6, 9:11], codes[3, 9] = 1, 3, 1, 3
    found = finish(codes, codebook, largest=["organ"])
    assert not (found[:, 7:] == 1).any() and found[3, 9] == 2 and np.array_equal(found[:, :7], codes[:, :7])
    found = finish(codes, codebook, largest=["lesion"])
    assert found[3, 9] == 1 and (found[2:4, 2:4] == 3).all()


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(RecipeError, match="without maps"):
        Segment(8, ("a", "b"))
    with pytest.raises(NameUnknown, match="unknown decoder"):
        head(decoder="unet++")
    with pytest.raises(NameUnknown, match="unknown loss"):
        head(loss="dise")
    with pytest.raises(NameUnknown, match="unknown label"):
        head(largest=["liver"])
