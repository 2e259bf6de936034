from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam, Occlusion
from torch import Tensor, nn

from suwen.clinic.imaging import VOLUME_CLASSIFICATION
from suwen.core.errors import DataError, RecipeError
from suwen.core.model import Model
from suwen.core.registry import EXPLANATIONS
from suwen.data.whole_volume import WholeVolume
from suwen.encoders.pyramid import UNetEncoder
from suwen.explanation.grad_cam import grad_cam
from suwen.explanation.image_parts import BASELINES, SEGMENTS, VolumeParts, slic
from suwen.explanation.methods import method_of
from suwen.explanation.occlusion import occlusion
from suwen.heads.classify import Classify

BOX = (12, 16, 8)


@pytest.fixture(scope="module")
def scanner() -> Model:
    """Random weights."""
    torch.manual_seed(0)
    preprocess = WholeVolume(spacing=(2, 2, 3), box=BOX)
    encoder = UNetEncoder(preprocess, widths=[4, 8])
    head = Classify(encoder.width, ("clear", "nodule"))
    nn.init.normal_(head.linear.weight)
    return Model(VOLUME_CLASSIFICATION, preprocess, encoder.eval(), head.eval())


@pytest.fixture
def scans() -> Tensor:
    return torch.rand(2, 1, *BOX, generator=torch.Generator().manual_seed(1))


class Logits(nn.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.parts = nn.ModuleDict(model.parts())

    def forward(self, volumes: Tensor) -> Tensor:
        return self.model.logits(volumes)


def test_grad_cam_is_captums(scanner: Model, scans: Tensor) -> None:
    labels = torch.tensor([0, 1])
    rival: Any = LayerGradCam(Logits(scanner), scanner.encoder.cam_layer())
    expected = rival.attribute(scans, target=labels, relu_attributions=True)
    expected = expected / expected.amax((1, 2, 3, 4), keepdim=True).clamp_min(1e-12)
    found = grad_cam(scanner, scans, labels)
    assert found.shape == (2, *BOX)
    torch.testing.assert_close(found, F.interpolate(expected, size=BOX, mode="trilinear")[:, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (5, 3)])
def test_occlusion_is_captums(scanner: Model, scans: Tensor, window: int, stride: int) -> None:
    labels = torch.tensor([0, 1])
    rival = Occlusion(Logits(scanner)).attribute(
        scans, (1, window, window, window), strides=(1, stride, stride, stride), baselines=0.0, target=labels
    )
    found = occlusion(scanner, scans, labels, window=window, stride=stride, baseline="black")
    torch.testing.assert_close(found, rival[:, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(EXPLANATIONS.names()))
def test_every_method_says_a_number_a_voxel_or_why_not(name: str, scanner: Model, scans: Tensor) -> None:
    method = method_of(name)
    if method.needs_examples:
        pytest.skip("compares with examples")
    if not method.fits("volumes"):
        pytest.skip("for another kind of input")
    few = {"steps": 8} if "steps" in method.defaults() else {}
    try:
        found = method(scanner, scans, torch.tensor([0, 1]), **few)
    except RecipeError as refused:
        assert "attention" in str(refused)
    else:
        assert found.shape == (2, *BOX) and bool(found.isfinite().all()) and float(found.abs().max()) > 0


@pytest.mark.parametrize("kind", sorted(SEGMENTS))
def test_segments_are_numbered_without_gaps(kind: str, scans: Tensor) -> None:
    found = VolumeParts.segments(scans[0], kind, 27)
    assert found.shape == BOX and found.unique().tolist() == list(range(int(found.max()) + 1))
    assert 8 <= int(found.max()) + 1 <= 27


def test_superpixels_keep_to_the_border_of_a_ball() -> None:
    places = torch.stack(torch.meshgrid(*(torch.arange(16.0),) * 3, indexing="ij"))
    inside = ((places - 7.5) ** 2).sum(0) < 25
    found = slic(inside[None].float(), 27)
    assert not set(found[inside].tolist()) & set(found[~inside].tolist())


@pytest.mark.parametrize("kind", sorted(BASELINES))
def test_what_is_removed_is_the_baseline(kind: str, scans: Tensor) -> None:
    start = VolumeParts.baseline(scans[0], kind)
    keep = torch.rand(1, *BOX, generator=torch.Generator().manual_seed(0)) < 0.5
    (mixed,) = VolumeParts.mix(scans[0], start, keep)
    assert torch.equal(mixed[:, keep[0]], scans[0][:, keep[0]]) and torch.equal(mixed[:, ~keep[0]], start[:, ~keep[0]])


def test_a_smoothed_map_keeps_its_sum_and_images_are_refused(scans: Tensor) -> None:
    smoothed = VolumeParts.smooth(scans[:, 0], 1 / 12)
    torch.testing.assert_close(smoothed.sum((1, 2, 3)), scans.sum((1, 2, 3, 4)), atol=1e-2, rtol=1e-3)
    assert float(smoothed.std()) < 0.7 * float(scans.std())
    with pytest.raises(DataError, match=r"\(B, C, X, Y, Z\)"):
        VolumeParts.read(torch.zeros(1, 1, 4, 4))
