"""Vision models of transformers, tiny and random, in folders as a user has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.encoder import build_encoder
from suwen.core.errors import ExtraMissing, NameUnknown, RecipeError, WeightsMissing
from suwen.core.model import Model
from suwen.core.run import Run, load
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.hf import HfEncoder
from suwen.encoders.lora import add_adapters
from suwen.explanation.grad_cam import grad_cam
from suwen.heads.classify import Classify

transformers = pytest.importorskip("transformers")

GREY = ImagePreprocess(size=28, channels=1)
_VIT = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
_SWIN = {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
_CNN = {"hidden_sizes": [8, 16], "depths": [1, 2]}

KINDS: dict[str, tuple[dict[str, Any], int, int | None, int]] = {
    "vit": (_VIT | {"intermediate_size": 32}, 16, 17, 1),
    "deit": (_VIT | {"intermediate_size": 32}, 16, 18, 1),
    "dinov2": (_VIT | {"mlp_ratio": 2}, 16, 17, 1),
    "dinov2_with_registers": (_VIT | {"mlp_ratio": 2, "num_register_tokens": 4}, 16, 21, 1),
    "beit": (_VIT | {"intermediate_size": 32}, 16, 17, 1),
    "clip_vision_model": (_VIT | {"intermediate_size": 32}, 16, 17, 1),
    "siglip_vision_model": (_VIT | {"intermediate_size": 32}, 16, 16, 1),
    "swin": (_SWIN, 16, 16, 2),
    "resnet": (_CNN | {"embedding_size": 8, "layer_type": "basic"}, 16, None, 2),
    "convnext": (_CNN | {"num_stages": 2}, 16, None, 2),
}
"""model_type → settings, width, tokens (None for convolutional ones), how many maps."""


def write(folder: Path, kind: str = "vit", *, processor: dict[str, Any] | None = None, card: str = "") -> Path:
    torch.manual_seed(3)
    config = transformers.AutoConfig.for_model(kind, **KINDS[kind][0])
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    if card:
        (folder / "README.md").write_text(card)
    return folder


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(folder: Path, preprocess: ImagePreprocess = GREY, **settings: Any) -> HfEncoder:
    encoder = build_encoder(f"hf:{folder}", preprocess, **settings)
    assert isinstance(encoder, HfEncoder)
    return encoder


def images(count: int = 2) -> Tensor:
    return torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_features_have_the_promised_shapes(kind: str, tmp_path: Path) -> None:
    _, width, tokens, maps = KINDS[kind]
    encoder = make(write(tmp_path / "m", kind), needs=frozenset({"maps"})).eval()
    with torch.inference_mode():
        features = encoder(images())
    assert features.pooled.shape == (2, width) == (2, encoder.width) and features.pooled.isfinite().all()
    assert not torch.allclose(features.pooled[0], features.pooled[1])
    assert (None if features.tokens is None else features.tokens.shape[1]) == tokens
    assert features.maps is not None and len(features.maps) == maps
    assert tuple(grid.shape[1] for grid in features.maps) == encoder.map_widths
    sides = [grid.shape[-1] for grid in features.maps]
    assert sides == sorted(set(sides), reverse=True)


def test_it_computes_what_transformers_computes(tmp_path: Path) -> None:
    """ViT, against the library called by hand with its own image processor."""
    folder = write(
        tmp_path / "m",
        processor={"do_normalize": True, "image_mean": [0.2, 0.4, 0.6], "image_std": [0.3, 0.2, 0.1], "size": 32},
    )
    model = transformers.AutoModel.from_pretrained(folder).eval()
    pixels = torch.rand(2, 3, 32, 32)
    mean, std = torch.tensor([0.2, 0.4, 0.6]).reshape(3, 1, 1), torch.tensor([0.3, 0.2, 0.1]).reshape(3, 1, 1)
    encoder = make(folder, ImagePreprocess(size=32, channels=3)).eval()
    with torch.inference_mode():
        expected = model(pixel_values=(pixels - mean) / std).last_hidden_state
        found = encoder(pixels)
    torch.testing.assert_close(found.tokens, expected)
    torch.testing.assert_close(found.pooled, expected[:, 0])


def test_the_processors_range_and_size_are_honoured(tmp_path: Path) -> None:
    processor = {"do_normalize": False, "do_rescale": True, "rescale_factor": 1 / 127.5, "crop_size": {"height": 32}}
    encoder = make(write(tmp_path / "m", "resnet", processor=processor | {"do_center_crop": True}))
    seen: list[Tensor] = []
    encoder.model.register_forward_pre_hook(
        lambda _m, _a, keywords: seen.append(keywords["pixel_values"]) if "pixel_values" in keywords else None,
        with_kwargs=True,
    )
    hook = encoder.model.register_forward_pre_hook(lambda _m, given: seen.append(given[0]) if given else None)
    encoder.eval()(torch.full((1, 1, 28, 28), 255, dtype=torch.uint8))
    hook.remove()
    torch.testing.assert_close(seen[0], torch.full((1, 3, 32, 32), 2.0))


def test_a_run_gives_the_same_bits_and_needs_no_folder(kind: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", kind)
    encoder = make(folder)
    encoder(images(4))
    model = Model(IMAGE_CLASSIFICATION, GREY, encoder.eval(), Classify(encoder.width, ("a", "b")).eval())
    Run(tmp_path / "run").save(model)
    (folder / "config.json").unlink()
    again = load(tmp_path / "run")
    with torch.inference_mode():
        assert torch.equal(again.logits(images()), model.logits(images()))
    assert str(tmp_path) not in (tmp_path / "run" / "model.json").read_text()


def test_depths_name_every_parameter_from_input_to_output(kind: str, tmp_path: Path) -> None:
    encoder = make(write(tmp_path / "m", kind))
    depths = encoder.depths()
    assert set(depths) == {name for name, _ in encoder.named_parameters()}
    assert min(depths.values()) == 0 and len(set(depths.values())) >= 3
    first = next(depth for name, depth in depths.items() if "embe" in name)
    assert first == 0 and max(depths.values()) >= 2


def test_every_weight_gets_a_gradient(kind: str, tmp_path: Path) -> None:
    encoder = make(write(tmp_path / "m", kind)).train()
    pooled = encoder(images()).pooled
    (pooled * torch.randn(pooled.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    without = {name for name, weight in encoder.named_parameters() if weight.grad is None}
    assert all(name.rpartition(".")[2] in ("mask_token", "bias") or "post_layernorm" in name for name in without), (
        without
    )


def test_grad_cam_finds_its_layer(kind: str, tmp_path: Path) -> None:
    encoder = make(write(tmp_path / "m", kind))
    model = Model(IMAGE_CLASSIFICATION, GREY, encoder.eval(), Classify(encoder.width, ("a", "b")).eval())
    heat = torch.stack([grad_cam(model, images(), torch.tensor([label] * 2)) for label in (0, 1)])
    assert heat.shape == (2, 2, 28, 28) and heat.max() > 0 and heat.isfinite().all()


def test_it_takes_adapters_that_merge(tmp_path: Path) -> None:
    encoder = make(write(tmp_path / "m", "dinov2")).eval()
    add_adapters(encoder, rank=2)
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if ".lora_B" in name:
                weight.normal_(std=0.1)
    merged: Any = encoder.adapter.merged(encoder)  # type: ignore[attr-defined]
    with torch.inference_mode():
        torch.testing.assert_close(merged(images()).pooled, encoder(images()).pooled, rtol=1e-4, atol=1e-5)
    assert set(encoder.depths()) == {name for name, _ in encoder.named_parameters()}


def test_weights_none_are_random_and_follow_the_seed(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(make(folder, weights="none").model.embeddings.patch_embeddings.projection.weight)
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert make(folder).pretrained and not make(folder, weights="none").pretrained


def test_reading_weights_leaves_the_draws_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    make(folder)
    assert torch.equal(torch.rand(3), expected)


def test_the_licence_is_that_of_the_model_card(tmp_path: Path) -> None:
    card = "---\nlicense: cc-by-nc-4.0\ntags:\n- chest\n---\n# A model\n"
    assert make(write(tmp_path / "m", card=card)).licence == "cc-by-nc-4.0"
    assert make(write(tmp_path / "n", card="# no front matter")).licence is None
    assert make(write(tmp_path / "o", card="---\nlicense: [broken\n---\n")).licence is None


def test_a_pickle_is_refused_with_how_to_convert_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(RecipeError, match=r"pytorch_model\.bin and no \.safetensors") as refused:
        make(folder)
    assert "save_pretrained(NEW)" in refused.value.fix


def test_code_in_the_folder_is_never_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    theirs = config | {"model_type": "their_own", "auto_map": {"AutoModel": "modeling.Theirs"}}
    (folder / "config.json").write_text(json.dumps(theirs))
    (folder / "modeling.py").write_text("raise SystemExit('run')")
    with pytest.raises(RecipeError, match="needs code of its own"):
        make(folder)


def _edit(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))


def test_what_is_no_encoder_of_images_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    _edit(folder, model_type="bert")
    with pytest.raises(RecipeError, match="does not read images alone"):
        make(folder)
    _edit(folder, model_type="vit_mae", mask_ratio=0.75)
    with pytest.raises(RecipeError, match="hides a random part"):
        make(folder)
    _edit(folder, model_type="vitt")
    with pytest.raises(NameUnknown, match="model_type"):
        make(folder)


def test_weights_that_are_absent_damaged_or_incomplete_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"there is no .*config\.json") as refused:
        make(tmp_path / "nowhere")
    assert "--weights hub" in refused.value.fix
    folder = write(tmp_path / "m")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:200])
    with pytest.raises(WeightsMissing, match="cannot be read"):
        make(folder)
    (folder / "model.safetensors").write_bytes(whole)
    _edit(folder, num_hidden_layers=5)
    with pytest.raises(WeightsMissing, match="lack"):
        make(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsMissing, match="holds no weights"):
        make(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(WeightsMissing, match="is not JSON"):
        make(folder)


def test_other_numbers_of_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="reads 3 channels, the data have 2"):
        make(write(tmp_path / "m"), ImagePreprocess(size=28, channels=2))


def test_the_hub_is_asked_only_when_told_and_says_what_to_fetch() -> None:
    with pytest.raises(WeightsMissing, match="the hub did not give it") as refused:
        build_encoder("hf:nobody/nothing", GREY, weights="hub")
    assert "preprocessor_config.json" in refused.value.fix


def test_without_transformers_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "m")
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ExtraMissing, match=r"suwen\[hf\]"):
        make(folder)
