from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub.errors import EntryNotFoundError
from safetensors.torch import save_file
from torch import Tensor

from suwen.core.errors import RecipeError, WeightsMissing
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.encoders.weights import find_weights

WriteWeights = Callable[..., tuple[Path, dict[str, Tensor]]]

GREY, COLOUR = ImagePreprocess(size=64, channels=1), ImagePreprocess(size=64, channels=3)


@pytest.mark.parametrize("as_folder", [False, True])
def test_weights_come_from_a_file_or_its_folder(write_weights: WriteWeights, as_folder: bool) -> None:
    path, tensors = write_weights()
    encoder = TimmEncoder("test_resnet", COLOUR, weights=str(path.parent if as_folder else path))
    found = encoder.model.state_dict()
    assert all(torch.equal(found[key], tensors[key]) for key in found)
    assert set(tensors) - set(found) == {"fc.weight", "fc.bias"}


def test_pretrained_weights_bring_their_normalisation(write_weights: WriteWeights) -> None:
    path, _ = write_weights()
    colour = TimmEncoder("test_resnet", COLOUR, weights=str(path))
    grey = TimmEncoder("test_resnet", GREY, weights=str(path))
    assert colour.mean.flatten().tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert colour.mean.flatten().tolist() == pytest.approx(colour.model.pretrained_cfg["mean"])
    assert grey.mean.item() == pytest.approx(colour.mean.mean().item())
    assert TimmEncoder("test_resnet", COLOUR).std.flatten().tolist() == pytest.approx([0.25] * 3)


def test_three_channel_weights_serve_grey_images_as_if_these_were_coloured_grey(write_weights: WriteWeights) -> None:
    path, _ = write_weights()
    colour = TimmEncoder("test_resnet", COLOUR, weights=str(path)).eval()
    grey = TimmEncoder("test_resnet", GREY, weights=str(path)).eval()
    images = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(grey(images).pooled, colour(images.expand(-1, 3, -1, -1)).pooled)


@pytest.mark.parametrize("channels", [2, 4])
def test_three_channel_weights_are_adapted_to_two_and_four_channels(write_weights: WriteWeights, channels: int) -> None:
    path, tensors = write_weights()
    encoder = TimmEncoder("test_resnet", ImagePreprocess(size=64, channels=channels), weights=str(path))
    first = encoder.model.conv1[0].weight
    assert first.shape[1] == channels
    assert torch.equal(encoder.model.layer1[0].conv1.weight, tensors["layer1.0.conv1.weight"])


def test_a_transformer_takes_weights_of_another_image_size(write_weights: WriteWeights) -> None:
    path, tensors = write_weights("test_vit")
    encoder = TimmEncoder("test_vit", GREY, weights=str(path)).eval()
    assert encoder.model.pos_embed.shape[1] == 1 + 4 * 4 != tensors["pos_embed"].shape[1]
    with torch.inference_mode():
        assert encoder(torch.rand(1, 1, 64, 64)).pooled.isfinite().all()


def test_small_images_are_enlarged_for_pretrained_weights(write_weights: WriteWeights) -> None:
    path, _ = write_weights()
    encoder = TimmEncoder("test_resnet", ImagePreprocess(size=28, channels=1), weights=str(path))
    assert (encoder.config["stem"], encoder.config["resize"]) == ("plain", 112)


@pytest.mark.parametrize(
    "rename",
    [lambda key: f"visual.trunk.{key}", lambda key: key],
    ids=["open_clip, as BiomedCLIP", "DINOv2, as RAD-DINO"],
)
def test_the_forms_of_known_medical_checkpoints_are_read(
    write_weights: WriteWeights, rename: Callable[[str], str]
) -> None:
    path, tensors = write_weights("test_vit", rename=rename)
    if rename("a") == "a":
        save_file(tensors | {"mask_token": torch.zeros(1, 64)}, path)
    encoder = TimmEncoder("test_vit", COLOUR, weights=str(path))
    assert torch.equal(encoder.model.blocks[0].attn.qkv.weight, tensors["blocks.0.attn.qkv.weight"])


def test_loading_weights_draws_no_random_numbers(write_weights: WriteWeights) -> None:
    path, _ = write_weights()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    TimmEncoder("test_resnet", COLOUR, weights=str(path))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ""])
def test_pickles_are_refused_with_what_to_type(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(RecipeError, match="run code") as refused:
        TimmEncoder("test_resnet", GREY, weights=str(path))
    assert "save_file(torch.load(FILE, weights_only=True), NEW)" in refused.value.fix


@pytest.mark.parametrize(("files", "count"), [([], 0), (["a.safetensors", "b.safetensors"], 2), (["a.pth"], 0)])
def test_a_folder_holds_exactly_one_file(tmp_path: Path, files: list[str], count: int) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(WeightsMissing, match=f"holds {count} .safetensors files"):
        TimmEncoder("test_resnet", GREY, weights=str(tmp_path))


def test_what_an_interrupted_write_left_behind_is_not_taken_for_weights(write_weights: WriteWeights) -> None:
    path, _ = write_weights()
    (path.parent / ".model.safetensors.k2j1.safetensors").touch()
    assert TimmEncoder("test_resnet", COLOUR, weights=str(path.parent)).licence is None


def test_a_missing_path_says_what_weights_may_be(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="there are no weights at") as refused:
        TimmEncoder("test_resnet", GREY, weights=str(tmp_path / "nowhere.safetensors"))
    assert "hf-hub:ORG/NAME" in refused.value.why


@pytest.mark.parametrize("keep", [0, 4, 1000, -1])
def test_truncated_weights_are_refused(write_weights: WriteWeights, keep: int) -> None:
    path, _ = write_weights()
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsMissing, match="not a whole safetensors file"):
        TimmEncoder("test_resnet", GREY, weights=str(path))


@pytest.mark.parametrize(
    ("name", "rename"),
    [
        ("test_vit", str),
        ("test_resnet", lambda key: f"encoder.{key}"),
        ("test_resnet", lambda key: key.replace("layer3", "stage3")),
    ],
    ids=["another architecture", "another library's names", "one stage missing"],
)
def test_weights_that_would_leave_layers_random_are_refused(
    write_weights: WriteWeights, name: str, rename: Callable[[str], str]
) -> None:
    path, _ = write_weights(name, rename=rename)
    with pytest.raises(WeightsMissing, match=r"does not (hold the weights of|fit) timm:test_resnet") as refused:
        TimmEncoder("test_resnet", COLOUR, weights=str(path))
    assert str(path) in refused.value.seen


def test_weights_of_a_wider_network_are_refused(write_weights: WriteWeights) -> None:
    path, tensors = write_weights()
    save_file(
        {key: value.repeat(2, *[1] * (value.ndim - 1)) if value.ndim else value for key, value in tensors.items()}, path
    )
    with pytest.raises(WeightsMissing, match="does not fit timm:test_resnet"):
        TimmEncoder("test_resnet", COLOUR, weights=str(path))


def test_without_the_hub_the_error_says_what_to_fetch_and_where_to_put_it() -> None:
    with pytest.raises(WeightsMissing, match="not on this machine") as refused:
        TimmEncoder("test_resnet", GREY, weights="hub")
    assert "https://huggingface.co/timm/test_resnet.r160_in1k/resolve/main/model.safetensors" in refused.value.fix
    assert "--weights FOLDER" in refused.value.fix
    with pytest.raises(WeightsMissing) as refused:
        TimmEncoder("test_resnet", GREY, weights="hf-hub:hospital/private@v2")
    assert "https://huggingface.co/hospital/private/resolve/v2/model.safetensors" in refused.value.fix


def test_a_hub_that_only_has_a_pickle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> str:
        raise EntryNotFoundError("404")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", absent)
    with pytest.raises(WeightsMissing, match=r"microsoft/Biomed.* holds no model\.safetensors") as refused:
        TimmEncoder("test_vit", GREY, weights="hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224")
    assert "convert it" in refused.value.fix


def test_weights_from_the_hub_bring_their_licence(write_weights: WriteWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = write_weights()
    asked: list[tuple[str, str, str | None]] = []

    def fetched(place: str, file: str, *, revision: str | None) -> str:
        asked.append((place, file, revision))
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetched)
    assert TimmEncoder("test_resnet", COLOUR, weights="hub").licence == "apache-2.0"
    assert (
        TimmEncoder("test_resnet", COLOUR, weights="hf-hub:MahmoodLab/UNI@main").licence
        == "CC BY-NC-ND 4.0, academic only"
    )
    assert asked == [
        ("timm/test_resnet.r160_in1k", "model.safetensors", None),
        ("MahmoodLab/UNI", "model.safetensors", "main"),
    ]


def test_an_architecture_without_published_weights_says_so() -> None:
    name = next(name for name in timm.list_models() if not getattr(timm.get_pretrained_cfg(name), "hf_hub_id", None))
    with pytest.raises(WeightsMissing, match=f"timm has no weights for {name}"):
        find_weights(name, "hub")


def test_no_weights_are_random_ones() -> None:
    assert find_weights("test_resnet", None) is None and find_weights("test_resnet", "none") is None
