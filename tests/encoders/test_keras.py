"""Keras models, small ones, through Keras's torch backend."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.encoder import build_encoder
from suwen.core.errors import NameUnknown, RecipeError, WeightsMissing
from suwen.core.model import Model
from suwen.core.run import Run, load
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.keras import PARTS, KerasEncoder
from suwen.encoders.lora import add_adapters
from suwen.explanation.grad_cam import grad_cam
from suwen.heads.classify import Classify

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

GREY = ImagePreprocess(size=28, channels=1)
MAPS = frozenset({"maps"})


def images(count: int = 2) -> Tensor:
    return torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def small_cnn(*, extra: Any = None) -> Any:
    """The CNN that everyone starts from, with batch normalisation and dropout."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(),
            keras.layers.Dropout(0.5),
            keras.layers.Conv2D(8, 3, activation="relu"),
            *([] if extra is None else [extra]),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Any]:
    """A ``.keras`` file, and the model in it."""
    keras.utils.set_random_seed(0)
    model = small_cnn()
    model.save(tmp_path / "cnn.keras")
    return tmp_path / "cnn.keras", model


def make(name: str | Path, preprocess: ImagePreprocess = GREY, **settings: Any) -> KerasEncoder:
    encoder = build_encoder(f"keras:{name}", preprocess, **settings)
    assert isinstance(encoder, KerasEncoder)
    return encoder


@pytest.fixture(params=["application", "saved"])
def encoder(request: pytest.FixtureRequest, saved: tuple[Path, Any]) -> KerasEncoder:
    torch.manual_seed(0)
    if request.param == "saved":
        return make(saved[0], needs=MAPS)
    return make("MobileNet", needs=MAPS, alpha=0.25, resize=32)


def test_features_have_the_promised_shapes(encoder: KerasEncoder) -> None:
    with torch.inference_mode():
        features = encoder.eval()(images())
        floats = encoder(images().float() / 255)
    assert features.pooled.shape == (2, encoder.width) and features.pooled.isfinite().all()
    torch.testing.assert_close(features.pooled, floats.pooled)
    assert not torch.equal(features.pooled[0], features.pooled[1])  # random weights: tiny, but not the same
    assert features.tokens is None and features.maps is not None
    assert tuple(grid.shape[1] for grid in features.maps) == encoder.map_widths
    sides = [grid.shape[-1] for grid in features.maps]
    assert len(sides) > 1 and sides == sorted(set(sides), reverse=True)
    torch.testing.assert_close(features.pooled, features.maps[-1].mean((2, 3)))


def test_a_saved_model_computes_what_keras_computes(saved: tuple[Path, Any]) -> None:
    path, model = saved
    last = keras.Model(model.inputs, model.layers[5].output)
    expected = np.asarray(last.predict(images().permute(0, 2, 3, 1).numpy().astype("float32"), verbose=0))
    with torch.inference_mode():
        found = make(path).eval()(images())
    np.testing.assert_allclose(found.pooled.numpy(), expected.mean((1, 2)), rtol=1e-4, atol=1e-5)


def test_each_variable_is_registered_once_under_a_name_that_does_not_count_up(saved: tuple[Path, Any]) -> None:
    first, second = make(saved[0]), make(saved[0])
    assert list(first.state_dict()) == list(second.state_dict())
    pointers = [value.data_ptr() for value in first.state_dict().values()]
    assert len(pointers) == len(set(pointers))
    kept = {name for name, _ in first.named_buffers()}
    assert any("moving_mean" in name for name in kept) and any("seed" in name for name in kept)


def test_gradients_reach_every_trainable_variable(encoder: KerasEncoder) -> None:
    pooled = encoder.train()(images()).pooled
    (pooled * torch.randn(pooled.shape)).sum().backward()
    assert all(weight.grad is not None for weight in encoder.parameters())


def test_training_mode_moves_batch_statistics_and_drops_out_and_evaluation_does_not(encoder: KerasEncoder) -> None:
    def statistics() -> list[Tensor]:
        return [value.clone() for name, value in encoder.named_buffers() if "moving" in name]

    before = statistics()
    with torch.no_grad():
        assert torch.equal(encoder.eval()(images()).pooled, encoder(images()).pooled)
        assert all(map(torch.equal, before, statistics()))
        encoder.train()(images())
    assert not any(map(torch.equal, before, statistics()))


def test_weights_put_in_are_the_ones_keras_computes_with(encoder: KerasEncoder) -> None:
    with torch.inference_mode():
        expected = encoder.eval()(images()).pooled
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.add_(0.1)
        assert not torch.allclose(encoder(images()).pooled, expected)
        encoder.load_state_dict(state, assign=True)
        encoder.to(memory_format=torch.contiguous_format)
        torch.testing.assert_close(encoder(images()).pooled, expected)


def test_a_copy_is_the_same_and_then_its_own(encoder: KerasEncoder) -> None:
    twin = copy.deepcopy(encoder.eval())
    with torch.no_grad():
        expected = encoder(images()).pooled
        assert torch.equal(twin(images()).pooled, expected)
        for weight in twin.parameters():
            weight.add_(0.1)
        assert not torch.allclose(twin(images()).pooled, expected) and torch.equal(encoder(images()).pooled, expected)


def test_random_weights_follow_torchs_seed_and_leave_other_draws_alone() -> None:
    made, draws = [], []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        np.random.seed(7)
        made.append(torch.cat([weight.flatten() for weight in make("MobileNet", alpha=0.25, resize=32).parameters()]))
        draws.append(np.random.rand())
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert len(set(draws)) == 1


def test_a_run_gives_the_same_bits_and_needs_no_file(
    encoder: KerasEncoder, saved: tuple[Path, Any], tmp_path: Path
) -> None:
    encoder.train()(images(4))
    model = Model(IMAGE_CLASSIFICATION, GREY, encoder.eval(), Classify(encoder.width, ("a", "b")).eval())
    Run(tmp_path / "run").save(model)
    saved[0].unlink()
    again = load(tmp_path / "run")
    with torch.inference_mode():
        assert torch.equal(again.logits(images()), model.logits(images()))
    assert str(tmp_path) not in (tmp_path / "run" / "model.json").read_text()


def test_depths_rise_in_equal_parts(encoder: KerasEncoder) -> None:
    depths = encoder.depths()
    assert list(depths) == [name for name, _ in encoder.named_parameters()]
    assert list(depths.values()) == sorted(depths.values()) and 0 in depths.values()
    assert max(depths.values()) < PARTS


def test_grad_cam_finds_its_layer(encoder: KerasEncoder) -> None:
    model = Model(IMAGE_CLASSIFICATION, GREY, encoder.eval(), Classify(encoder.width, ("a", "b")).eval())
    heat = torch.stack([grad_cam(model, images(), torch.tensor([label] * 2)) for label in (0, 1)])
    assert heat.shape == (2, 2, 28, 28) and heat.max() > 0 and heat.isfinite().all()


@pytest.mark.parametrize("name", ["ResNet50", "InceptionV3", "VGG16"])
def test_an_application_sees_the_colours_that_it_was_trained_on(name: str) -> None:
    """Against its own preprocess_input, on random colours."""
    from suwen.encoders.keras_files import _wanted_colours

    own = sys.modules[getattr(keras.applications, name).__module__].preprocess_input
    colour, offset = _wanted_colours(own, 3)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3)).astype("float32")
    expected = np.asarray(own(pixels.reshape(4, 1, 1, 3).copy())).reshape(4, 3)
    np.testing.assert_allclose(pixels / 255 @ colour.numpy().T + offset.numpy(), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width"), [("ResNet50", 2048), ("InceptionV3", 2048), ("VGG16", 512)])
def test_the_known_applications_read_28_px(name: str, width: int) -> None:
    encoder = make(name).eval()
    with torch.inference_mode():
        assert encoder(images(1)).pooled.shape == (1, width) == (1, encoder.width)


def test_weights_of_an_application_come_from_a_file_of_numbers(tmp_path: Path) -> None:
    make_mobile = keras.applications.MobileNet
    model = make_mobile(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25)
    model.save_weights(tmp_path / "mobile.weights.h5")
    encoder = make("MobileNet", weights=str(tmp_path / "mobile.weights.h5"), alpha=0.25, resize=32)
    ours = [weight.detach().numpy() for weight in encoder.parameters()]
    theirs = [np.asarray(variable) for variable in model.trainable_variables]
    assert encoder.pretrained and all(map(np.array_equal, ours, theirs))
    with pytest.raises(WeightsMissing, match="does not fit keras:MobileNet"):
        make("MobileNet", weights=str(tmp_path / "mobile.weights.h5"), alpha=0.5, resize=32)


class Doubled(keras.layers.Layer):  # type: ignore[name-defined,misc]
    """A layer that only this file knows."""

    def call(self, inputs: Any) -> Any:
        return inputs * 2


def test_an_unknown_custom_layer_is_refused_and_a_registered_one_is_not(tmp_path: Path) -> None:
    small_cnn(extra=Doubled()).save(tmp_path / "own.keras")
    with pytest.raises(RecipeError, match=r"Doubled.*which Keras does not know") as refused:
        make(tmp_path / "own.keras")
    assert "register_keras_serializable" in refused.value.fix
    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        assert make(tmp_path / "own.keras").width == 8


def test_a_lambda_is_refused_before_anything_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_cnn(extra=keras.layers.Lambda(lambda x: x * 2)).save(tmp_path / "lambda.keras")
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(RecipeError, match="Lambda layer"):
        make(tmp_path / "lambda.keras")


def test_code_smuggled_into_the_description_is_refused(saved: tuple[Path, Any], tmp_path: Path) -> None:
    with zipfile.ZipFile(saved[0]) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][2]["config"]["activation"] = {
        "module": "os",
        "class_name": "function",
        "config": "system",
        "registered_name": "system",
    }
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as archive:
        for name, content in (parts | {"config.json": json.dumps(config).encode()}).items():
            archive.writestr(name, content)
    with pytest.raises(RecipeError, match="'system', which Keras does not know"):
        make(tmp_path / "bad.keras")


def test_files_that_are_absent_damaged_or_of_another_kind_are_refused(saved: tuple[Path, Any], tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="there is no"):
        make(tmp_path / "nowhere.keras")
    saved[0].write_bytes(saved[0].read_bytes()[:-200])
    with pytest.raises(WeightsMissing, match=r"not a whole \.keras file"):
        make(saved[0])
    with pytest.raises(RecipeError, match="older formats of whole models can hold code"):
        make(tmp_path / "old.h5")
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(RecipeError, match="nothing is unpickled"):
        make("MobileNet", weights=str(tmp_path / "weights.bin"), alpha=0.25, resize=32)


@pytest.mark.parametrize(
    ("name", "settings", "error", "says"),
    [
        ("ResNet51", {}, NameUnknown, "ResNet50"),
        ("MobileNet", {"alpa": 0.25}, RecipeError, "with alpa"),
        ("InceptionV3", {"resize": 40}, RecipeError, "images of 40 px"),
    ],
)
def test_what_an_application_cannot_do_is_refused(
    name: str, settings: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make(name, **settings)


def test_another_layer_can_be_asked_for(saved: tuple[Path, Any]) -> None:
    dense = saved[1].layers[-2].name
    assert make(saved[0], layer=dense).width == 16
    with pytest.raises(NameUnknown, match="layer"):
        make(saved[0], layer="dens")


def test_three_colours_do_not_go_into_one(saved: tuple[Path, Any]) -> None:
    with pytest.raises(RecipeError, match=r"reads \(None, 28, 28, 1\)"):
        make(saved[0], ImagePreprocess(size=28, channels=3))


def test_adapters_of_torch_layers_have_no_place_in_it(encoder: KerasEncoder) -> None:
    with pytest.raises(RecipeError, match="no layer for adapters") as refused:
        add_adapters(encoder)
    assert "Keras" in refused.value.why


OTHER = """
import os, sys
{before}
from suwen.core.errors import RecipeError
from suwen.encoders.keras_files import import_keras
try:
    import_keras()
except RecipeError as error:
    print(error)
"""


def test_another_backend_is_refused_with_what_to_set() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OTHER.format(before="os.environ['KERAS_BACKEND'] = 'jax'")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "its backend jax" in done.stdout and "export KERAS_BACKEND=torch" in done.stdout
