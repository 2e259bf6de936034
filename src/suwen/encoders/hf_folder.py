"""Folders as transformers' ``save_pretrained`` writes them: config, safetensors, image processor, model card.

Code that lies in such a folder is never run, pickles are never opened, and the network is asked only when told to.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml

from suwen.core.errors import ExtraMissing, NameUnknown, RecipeError, WeightsMissing
from suwen.encoders.catalogue import licence_of

WANTED = ["*.json", "*.safetensors", "README.md"]
"""What is fetched from the hub when asked."""


def read_json(file: Path) -> dict[str, Any]:
    """The settings in a JSON file.

    Raises:
        WeightsMissing: it is truncated, or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsMissing(
            f"{file} is not JSON ({error})", why="it is truncated or edited", fix="fetch it again"
        ) from error
    if not isinstance(content, dict):
        raise WeightsMissing(f"{file} holds no settings", why="it is truncated or edited", fix="fetch it again")
    return content


def find_folder(name: str, weights: str | None) -> Path:
    """Where config and weights are, fetched if asked."""
    if weights == "hub":
        return _fetch(name)
    folder = Path(name if weights in (None, "none") else str(weights)).expanduser()
    if not (folder / "config.json").is_file():
        raise WeightsMissing(
            f"there is no {folder / 'config.json'}",
            why="hf: takes a folder as save_pretrained writes it, and asks the network only when told to",
            fix=f"--encoder hf:FOLDER; or --encoder hf:{name} --weights hub   to fetch it",
        )
    return folder


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    place, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(place, revision=revision or None, allow_patterns=WANTED))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise WeightsMissing(
            f"hf:{name} is not on this machine and the hub did not give it",
            why=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
            fix=f"fetch config.json, model.safetensors and preprocessor_config.json of https://huggingface.co/{place} "
            "elsewhere, put them into a folder here, and pass --encoder hf:FOLDER",
        ) from error


def read_config(content: dict[str, Any], folder: Path) -> Any:
    """The transformers config of these settings, of a vision model that the library itself knows."""
    try:
        from transformers import CONFIG_MAPPING, AutoConfig
        from transformers.models.auto import MODEL_MAPPING
    except ImportError:
        raise ExtraMissing("hf: encoders", "hf") from None
    content = dict(content)
    kind, theirs = content.pop("model_type", None), content.pop("auto_map", None)
    if kind not in CONFIG_MAPPING:
        if theirs:
            raise RecipeError(
                f"{folder} needs code of its own ({', '.join(map(str, theirs.values()))})",
                why="code that comes with weights is never run",
                fix="choose one whose model_type transformers knows, or wrap it as your own encoder (CONTRIBUTING.md)",
            )
        raise NameUnknown(
            "model_type", str(kind), list(CONFIG_MAPPING.keys()), fix="pip install --upgrade transformers"
        )
    config = AutoConfig.for_model(kind, **content)
    found = MODEL_MAPPING.get(type(config), None)
    classes = found if isinstance(found, tuple) else (found,)
    if classes[0] is None or classes[0].main_input_name != "pixel_values" or hasattr(config, "vision_config"):
        raise RecipeError(
            f"{folder} holds a {kind}, which does not read images alone",
            why="an encoder of images is asked for",
            fix="of a model of images and words, save the part that sees: "
            "AutoModel.from_pretrained(FOLDER).vision_model.save_pretrained(NEW)",
        )
    if hasattr(config, "mask_ratio"):
        raise RecipeError(
            f"{folder} holds a {kind}, which hides a random part of each image",
            why="it is meant for pretraining; two passes over one image differ",
            fix="load it as what it pretrains: ViTModel.from_pretrained(FOLDER).save_pretrained(NEW)",
        )
    return config


def random_model(config: Any) -> Any:
    """The model with random weights."""
    from transformers import AutoModel

    return AutoModel.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]


def filled_model(config: Any, folder: Path) -> Any:
    """The model with the folder's weights."""
    from safetensors import SafetensorError
    from transformers import AutoModel
    from transformers.utils import logging

    _refuse_pickles(folder)
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=[]):
            model, found = AutoModel.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                dtype=torch.float32,
            )
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise WeightsMissing(
            f"the weights in {folder} cannot be read",
            why=" ".join(str(error).split())[:300],
            fix="fetch the folder again; config.json and the weights must belong together",
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    missing = sorted(name for name in found["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise WeightsMissing(
            f"the weights in {folder} lack {', '.join(missing[:3])} and {max(0, len(missing) - 3)} others",
            why="these would stay random without anyone noticing",
            fix="fetch the folder again; config.json and the weights must belong together",
        )
    for weight in (*model.parameters(), *model.buffers()):
        weight.data = weight.data.clone()  # mapped from the file they lie unaligned, which changes the last bits
    return model


def _refuse_pickles(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
    if pickles:
        raise RecipeError(
            f"{folder} holds {', '.join(pickles)} and no .safetensors file",
            why="pickled weights can run code when they are opened; suwen reads safetensors only",
            fix="convert them where you trust them: "
            "transformers.AutoModel.from_pretrained(FOLDER, use_safetensors=False).save_pretrained(NEW)",
        )
    raise WeightsMissing(
        f"{folder} holds no weights", why="it has only a config", fix="--weights none   to start from random ones"
    )


def read_processor(folder: Path) -> dict[str, Any]:
    """Mean, deviation, scale and side of ``preprocessor_config.json``; None where it says nothing."""
    file = folder / "preprocessor_config.json"
    content = read_json(file) if file.is_file() else {}
    normalises = content.get("do_normalize", bool(content))
    scale = 255 * content.get("rescale_factor", 1 / 255) if content.get("do_rescale", True) else 255.0
    crop = content.get("crop_size") if content.get("do_center_crop") else None
    plain = ([0.0], [1.0]) if content else (None, None)
    return {
        "mean": content.get("image_mean", plain[0]) if normalises else plain[0],
        "std": content.get("image_std", plain[1]) if normalises else plain[1],
        "scale": scale,
        "size": _side(crop or content.get("size")),
    }


def _side(size: Any) -> int | None:
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    return int(size) if size else None


def licence_in(folder: Path, name: str) -> str | None:
    """Of the model card's front matter, else of the catalogue."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if text.startswith("---\n"):
        try:
            matter = yaml.safe_load(text[4:].partition("\n---")[0])
        except yaml.YAMLError:
            matter = None  # a card that no program can read says nothing
        if isinstance(matter, dict) and (found := matter.get("license_name") or matter.get("license")):
            return str(found)
    return licence_of(name) or licence_of(folder.as_posix())
