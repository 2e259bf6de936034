"""Keras models as they come: the functions of `keras.applications`, and ``.keras`` files that hold no code to run."""

from __future__ import annotations

import json
import os
import random
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.core.errors import ExtraMissing, NameUnknown, RecipeError, WeightsMissing


def import_keras() -> Any:
    """Keras, on its torch backend.

    Raises:
        RecipeError: this process or its environment has chosen another backend.
        ExtraMissing: it is not installed.
    """
    chosen = os.environ.setdefault("KERAS_BACKEND", "torch")
    if "keras" in sys.modules:
        chosen = sys.modules["keras"].backend.backend()
    if chosen != "torch":
        raise RecipeError(
            f"Keras is set to its backend {chosen}",
            why="suwen trains Keras models with PyTorch, and Keras chooses its backend once, when it is imported",
            fix="export KERAS_BACKEND=torch before Python starts (or os.environ['KERAS_BACKEND'] = 'torch' before "
            "anything imports keras)",
        )
    try:
        import keras
    except ImportError:
        raise ExtraMissing("keras: encoders", "keras") from None
    return keras


@contextmanager
def drawn_from_torch() -> Iterator[None]:
    """Keras draws weights by seeds of its own; inside, they follow from torch's, and variables lie on the CPU."""
    keras = import_keras()
    seed = int(torch.randint(2**31, (1,)))
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]), keras.device("cpu"):
        try:
            keras.utils.set_random_seed(seed)
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def application(
    name: str, size: int, channels: int, options: dict[str, Any], weights: str | None
) -> tuple[Any, Tensor, Tensor]:
    """A function of `keras.applications` without its top, and the colours that it wants: ``(C, C)`` and ``(C,)``.

    Raises:
        NameUnknown: there is no such function.
        RecipeError: it does not take this size, number of channels, or option.
        WeightsMissing: see `fill`; or those of ImageNet could not be fetched.
    """
    keras = import_keras()
    known = [known for known in dir(keras.applications) if known[0].isupper()]
    if name not in known:
        raise NameUnknown("Keras application", name, known, fix="or a file: --encoder keras:PATH/MODEL.keras")
    make = getattr(keras.applications, name)
    fetched = "imagenet" if weights == "hub" else None
    try:
        model = make(include_top=False, weights=fetched, input_shape=(size, size, channels), **options)
    except (ValueError, TypeError) as error:
        raise RecipeError(
            f"keras:{name} cannot be made for {channels}-channel images of {size} px"
            + (f" with {', '.join(options)}" if options else ""),
            why=" ".join(str(error).split())[:300],
            fix=f"--set encoder.options.resize={max(128, 2 * size)}, or drop the option",
        ) from error
    except OSError as error:
        raise WeightsMissing(
            f"the ImageNet weights of keras:{name} could not be fetched",
            why=" ".join(str(error).split())[:300],
            fix="save them elsewhere: keras.applications."
            f"{name}(include_top=False).save_weights('{name}.weights.h5'), and pass --weights FILE",
        ) from error
    if weights not in (None, "none", "hub"):
        fill(model, str(weights), name)
    return model, *_wanted_colours(sys.modules[make.__module__].preprocess_input, channels)


def fill(model: Any, weights: str, name: str) -> None:
    """Load weights from a file of numbers: ``.weights.h5``, ``.h5``, or those in a ``.keras`` file.

    Raises:
        WeightsMissing: it is absent, damaged, or of another architecture.
        RecipeError: it is of another kind.
    """
    file = Path(weights).expanduser()
    if not file.is_file():
        raise WeightsMissing(
            f"there are no weights at {file}", why="--weights takes a file or 'hub'", fix="leave it out for random ones"
        )
    if file.suffix not in (".h5", ".hdf5", ".keras"):
        raise RecipeError(
            f"{file} is a {file.suffix or 'nameless'} file",
            why="weights of Keras are read from .weights.h5, .h5 and .keras files; nothing is unpickled",
            fix="model.save_weights('NEW.weights.h5')",
        )
    try:
        model.load_weights(file)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsMissing(
            f"{file} does not fit keras:{name}",
            why=" ".join(str(error).split())[:300],
            fix=f"weights of keras.applications.{name}(include_top=False) are wanted",
        ) from error


def saved_model(file: Path, *, random: bool = False) -> Any:
    """A whole model from a ``.keras`` file, its weights left out if `random`.

    Raises:
        WeightsMissing: the file is absent or damaged.
        RecipeError: it holds code (a Lambda), or layers that neither Keras nor this process knows.
    """
    keras = import_keras()
    if file.suffix != ".keras":
        raise RecipeError(
            f"{file} is a {file.suffix} file",
            why="older formats of whole models can hold code that runs when they are opened",
            fix="convert it where you trust it: keras.saving.load_model(FILE).save('NEW.keras')",
        )
    if not file.is_file():
        raise WeightsMissing(
            f"there is no {file}", why="keras:NAME takes an application or a file", fix="check the path"
        )
    try:
        with zipfile.ZipFile(file) as archive:
            content = archive.read("config.json").decode("utf-8")
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise WeightsMissing(
            f"{file} is not a whole .keras file ({error})", why="it is truncated", fix="copy it again"
        ) from error
    if random:
        return from_architecture(content, str(file))
    _refuse_code(content, str(file))
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except (TypeError, ValueError, OSError, KeyError) as error:
        raise _unreadable(str(file), error) from error


def from_architecture(content: str, where: str = "model.json") -> Any:
    """A model with random weights from its description as JSON; refuses what `saved_model` refuses."""
    keras = import_keras()
    _refuse_code(content, where)
    try:
        return keras.models.model_from_json(content)
    except (TypeError, ValueError, KeyError) as error:
        raise _unreadable(where, error) from error


def colours_of(model: Any, name: str, channels: int, unit: bool | None) -> tuple[Tensor, Tensor, bool]:
    """What a saved model wants to see: ``(C, C)``, ``(C,)``, and whether that is in [0, 1].

    Raises:
        RecipeError: it does not read one image, or another number of channels.
    """
    shape = model.inputs[0].shape
    if len(model.inputs) != 1 or len(shape) != 4 or shape[-1] not in (channels, 3 if channels == 1 else channels):
        raise RecipeError(
            f"keras:{name} reads {', '.join(str(tuple(given.shape)) for given in model.inputs)}",
            why=f"one image (B, H, W, {channels}) is what the data have",
            fix=f"--set inputs.channels={shape[-1]}, if that is its number of colours",
        )
    if unit is None:
        unit = not any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in _flat(model))
    return torch.eye(shape[-1]) * (1.0 if unit else 255.0), torch.zeros(shape[-1]), unit


def _flat(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        yield from _flat(layer) if hasattr(layer, "layers") else ()


def _wanted_colours(preprocess_input: Any, channels: int) -> tuple[Tensor, Tensor]:
    """The affine map of colours in [0, 1] that an application's own ``preprocess_input`` makes, found by asking it.

    For another number of channels than three: the mean scale and offset, on each.
    """
    black = np.asarray(preprocess_input(np.zeros((1, 1, 1, 3), np.float32))).reshape(3)
    pure = [np.asarray(preprocess_input(row.reshape(1, 1, 1, 3))) for row in 255 * np.eye(3, dtype=np.float32)]
    matrix = np.stack([seen.reshape(3) - black for seen in pure], 1)
    if channels != 3:
        return torch.eye(channels) * float(matrix.sum() / 3), torch.full((channels,), float(black.mean()))
    return torch.tensor(matrix.copy()).float(), torch.tensor(black.copy()).float()


def _refuse_code(content: str, where: str) -> None:
    """Every part must be Keras's own, or registered by name in this process; a Lambda never is."""
    try:
        parts = list(_parts(json.loads(content)))
    except ValueError as error:
        raise WeightsMissing(f"{where} is not JSON ({error})", why="it is damaged", fix="copy it again") from error
    for part in parts:
        kind, module = str(part.get("class_name")), part.get("module")
        if kind in ("Lambda", "__lambda__"):
            raise RecipeError(
                f"{where} holds a Lambda layer",
                why="it carries code that would run when the model is opened",
                fix="write it as a layer class, register it, and save the model again (keras.io: Making new layers)",
            )
        own = module is not None and (module == "keras" or str(module).startswith("keras."))
        if not own and not _registered(part):
            raise RecipeError(
                f"{where} holds {kind if kind != 'function' else part.get('config')!r}, which Keras does not know",
                why=f"a custom layer or function (of {module}) is code, and code is not in the file",
                fix="in Python, import its class, decorated with @keras.saving.register_keras_serializable(), before "
                "suwen.finetune(…); or save the model without it",
            )


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """All descriptions of objects inside a config."""
    if isinstance(value, dict):
        # "module" marks what has to be looked up; tuples, dtypes and arrays have a class_name only
        if "class_name" in value and ("module" in value or value["class_name"] == "__lambda__"):
            yield value
        for below in value.values():
            yield from _parts(below)
    elif isinstance(value, list):
        for below in value:
            yield from _parts(below)


def _registered(part: dict[str, Any]) -> bool:
    keras = import_keras()
    named = (part.get("registered_name"), part.get("class_name"), part.get("config"))
    names = {name for name in named if isinstance(name, str)}
    return any(keras.saving.get_registered_object(name) is not None for name in names if isinstance(name, str))


def _unreadable(where: str, error: Exception) -> RecipeError:
    return RecipeError(
        f"{where} cannot be opened by this version of Keras",
        why=" ".join(str(error).split())[:300],
        fix="pip install --upgrade keras, or save the model with the version that is here",
    )
