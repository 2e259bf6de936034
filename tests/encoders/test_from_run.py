from __future__ import annotations

from pathlib import Path

import pytest
import torch

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.encoder import build_encoder
from suwen.core.errors import RecipeError, RunError
from suwen.core.model import Model
from suwen.core.run import Run
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.heads.classify import Classify

GREY = ImagePreprocess(size=32, channels=1)


def save(folder: Path, name: str = "test_resnet") -> TimmEncoder:
    torch.manual_seed(0)
    encoder = TimmEncoder(name, GREY)
    encoder(torch.rand(8, 1, 32, 32))
    head = Classify(encoder.width, ("clear", "nodule"))
    card = {"licence": "CC BY-NC 4.0"}
    Run(folder).save(Model(IMAGE_CLASSIFICATION, GREY, encoder.eval(), head.eval(), card=card))
    return encoder


def test_the_encoder_of_a_run_comes_with_its_weights_and_licence(tmp_path: Path) -> None:
    trained = save(tmp_path / "base")
    encoder = build_encoder(f"run:{tmp_path / 'base'}", GREY)
    assert isinstance(encoder, TimmEncoder)
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(encoder.eval()(images).pooled, trained(images).pooled)
    assert encoder.licence == "CC BY-NC 4.0"


def test_a_run_trained_from_it_stands_on_its_own(tmp_path: Path) -> None:
    save(tmp_path / "base")
    encoder = build_encoder(f"run:{tmp_path / 'base'}", GREY)
    assert encoder.config["name"] == "timm:test_resnet" and str(tmp_path) not in str(encoder.config)


def test_a_head_may_ask_the_same_encoder_for_maps(tmp_path: Path) -> None:
    save(tmp_path / "base")
    assert len(build_encoder(f"run:{tmp_path / 'base'}", GREY, needs=frozenset({"maps"})).map_widths) > 1


@pytest.mark.parametrize(
    ("inputs", "keywords", "says"),
    [
        (ImagePreprocess(size=32, channels=3), {}, "reads 1 channels, the data have 3"),
        (ImagePreprocess(size=48, channels=1), {}, "do not fit inputs of size 48"),
        (GREY, {"weights": "hub"}, "with --weights hub"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, inputs: ImagePreprocess, keywords: dict[str, str], says: str
) -> None:
    save(tmp_path / "base", "test_vit")
    with pytest.raises(RecipeError, match=says) as refused:
        build_encoder(f"run:{tmp_path / 'base'}", inputs, weights=keywords.get("weights"))
    assert refused.value.fix


def test_a_damaged_run_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "base")
    Run(tmp_path / "base").weights.unlink()
    with pytest.raises(RunError):
        build_encoder(f"run:{tmp_path / 'base'}", GREY)
    with pytest.raises(RunError, match="no such folder"):
        build_encoder(f"run:{tmp_path / 'nowhere'}", GREY)
