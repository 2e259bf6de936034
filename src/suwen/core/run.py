"""`Run`: the folder that a fine-tuning leaves."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suwen.core.domain import Domain
from suwen.core.errors import RunError
from suwen.core.files import atomic_path, write_json
from suwen.core.model import Model

if TYPE_CHECKING:
    from torch import Tensor, nn

    from suwen.core.encoder import Adapter

FORMAT = 1
"""Version of ``model.json``; a newer one is refused, older ones are read."""


class Run:
    """Paths and files of one Run folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def recipe(self) -> Path:
        """Every setting."""
        return self.path / "recipe.yaml"

    @property
    def weights(self) -> Path:
        """All weights."""
        return self.path / "model.safetensors"

    @property
    def config(self) -> Path:
        """All of the Model but its weights."""
        return self.path / "model.json"

    @property
    def metrics(self) -> Path:
        """What was measured."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.path / "report.html"

    @property
    def log(self) -> Path:
        """One JSON object an epoch."""
        return self.path / "log.jsonl"

    @property
    def seen(self) -> Path:
        """Digests of the inputs it was trained and chosen on, against which later test data is held."""
        return self.path / "seen.safetensors"

    @property
    def fisher(self) -> Path:
        """How much each weight matters to what it learned: for EWC where its data cannot go."""
        return self.path / "fisher.safetensors"

    @property
    def engines(self) -> Path:
        """What ``suwen export`` made of it."""
        return self.path / "engines"

    @property
    def checkpoints(self) -> Path:
        """What an interrupted training goes on from."""
        return self.path / "checkpoints"

    def save(self, model: Model) -> None:
        """Write the weights, then the config that names their digest: a Run is whole or refused."""
        from safetensors.torch import save_file

        with atomic_path(self.weights) as temporary:
            save_file(_tensors(model), temporary)
        digest = digest_of(self.weights)
        model.name = f"{self.path.resolve().name}@{digest[:12]}"
        config = model.to_config()
        if base := config["encoder"].get("base"):
            config["encoder"] = config["encoder"] | {"base": base | {"path": self._towards(base["path"])}}
        write_json(self.config, {"format": FORMAT, "weights_sha256": digest, **config})

    def load(self, device: str = "cpu") -> Model:
        """The Model, ready to be asked.

        Raises:
            RunError: a file is missing, truncated, or written by a newer suwen.
        """
        from safetensors.torch import load_file

        config = self._read_config()
        if not self.weights.is_file():
            raise RunError(
                f"{self.weights} is missing",
                why="a Run without its weights cannot answer",
                fix="copy the whole Run folder",
            )
        digest = digest_of(self.weights)
        if digest != config["weights_sha256"]:
            raise RunError(
                f"{self.weights} is not the file that {self.config.name} describes (sha256 {digest[:12]}…, expected "
                f"{config['weights_sha256'][:12]}…)",
                why="it is truncated or of another Run; answers from wrong weights look like answers",
                fix="copy the whole Run folder again",
            )
        if base := config["encoder"].get("base"):
            found = base | {"path": str(self._find_base(base))}
            config["encoder"] = config["encoder"] | {"base": found, "device": device}
        model = Model.from_config(config)
        try:
            _fill(model, load_file(self.weights))
        except RuntimeError as error:
            raise RunError(
                f"{self.weights} does not fit the architecture that {self.config.name} describes",
                why=" ".join(str(error).split())[:300],
                fix=f"install the versions that {self.config.name} lists under card.versions",
            ) from error
        model.name = f"{self.path.resolve().name}@{digest[:12]}"
        for part in model.parts().values():
            part.eval().to(device)
        return model

    def fingerprint(self) -> str:
        """SHA-256 of the weights, as ``model.json`` names it."""
        return str(self._read_config()["weights_sha256"])

    def _towards(self, base: str) -> str:
        """The way from this folder to a base Run, so that both can be moved together."""
        return os.path.relpath(Path(base).resolve(), self.path.resolve())

    def _find_base(self, base: dict[str, Any]) -> Path:
        """The Run that holds the weights under these adapters: where it was, or beside this Run.

        Raises:
            RunError: it is not there, or what is there is another.
        """
        places: list[Path] = [
            (self.path / base["path"]).resolve(),
            self.path.resolve().parent / Path(base["path"]).name,
        ]
        there: dict[Path, str] = {place: Run(place).fingerprint() for place in places if Run(place).config.is_file()}
        for place, digest in there.items():
            if digest == base["sha256"]:
                return place
        seen = "; ".join(f"{place} has {digest[:12]}…" for place, digest in there.items()) or "no Run is there"
        raise RunError(
            f"{self.path} holds adapters for the base Run {Path(base['path']).name!r} with weights "
            f"{base['sha256'][:12]}…, which is not at {places[0]}: {seen}",
            why="adapters change the weights they were trained on; on others they give answers that mean nothing",
            fix=f"copy that very Run to {places[0]} (its model.json says weights_sha256 {base['sha256']})",
        )

    def source_digest(self) -> str:
        """Of all that decides logits and features: weights, architecture, preprocessing, labels."""
        config = self._read_config()
        parts = [config[name] for name in ("weights_sha256", "encoder", "head", "preprocess", "labels")]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _read_config(self) -> dict[str, Any]:
        if not self.config.is_file():
            there = "it is a folder without model.json" if self.path.is_dir() else "there is no such folder"
            raise RunError(
                f"{self.path} is not a finished Run: {there}",
                why="suwen reads the model and its preprocessing from model.json",
                fix=f"suwen finetune TASK DATA --out {self.path}",
            )
        try:
            content = json.loads(self.config.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(
                f"{self.config} is not JSON ({error})",
                why="it is truncated or edited",
                fix="copy the whole Run folder again",
            ) from error
        config: dict[str, Any] = content if isinstance(content, dict) else {}
        if config.get("format", 0) > FORMAT:
            raise RunError(
                f"{self.path} has format {config['format']}; this suwen reads up to {FORMAT}",
                why="it was written by a newer version",
                fix="pip install --upgrade suwen",
            )
        wanted = {
            "format",
            "weights_sha256",
            "task",
            "labels",
            "preprocess",
            "encoder",
            "head",
            "calibration",
            "views",
            "card",
        }
        if missing := sorted(wanted - set(config)):
            raise RunError(
                f"{self.config} lacks {', '.join(missing)}",
                why="it is truncated or edited",
                fix="copy the whole Run folder again",
            )
        return config


def load(path: str | Path, *, device: str = "cpu") -> Model:
    """The Model of a Run folder: ``suwen.load("runs/chest")``."""
    return Run(path).load(device)


def _tensors(model: Model) -> dict[str, Tensor]:
    import torch

    tensors = {
        f"{part}.{key}": tensor.detach().cpu().contiguous().clone()
        for part, module in model.parts().items()
        for key, tensor in _kept(module).items()
    }
    arrays = model.domain.to_arrays() if model.domain is not None else {}
    return tensors | {f"domain.{key}": torch.from_numpy(array).contiguous() for key, array in arrays.items()}


def _kept(module: nn.Module) -> dict[str, Tensor]:
    """What a Run keeps of a part: all of it, or its adapters where another Run holds the rest."""
    adapter: Adapter | None = getattr(module, "adapter", None)
    return module.state_dict() if adapter is None else adapter.kept(module)


def _fill(model: Model, tensors: dict[str, Tensor]) -> None:
    for part, module in model.parts().items():
        found, wanted = _below(part, tensors), _kept(module)
        if differing := sorted(found.keys() ^ wanted.keys()):
            raise RuntimeError(f"{part}: {', '.join(differing[:5])}")
        module.load_state_dict(found, strict=len(wanted) == len(module.state_dict()))
    if domain := _below("domain", tensors):
        model.domain = Domain(**{key: tensor.numpy() for key, tensor in domain.items()})


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{prefix}."): value for key, value in tensors.items() if key.startswith(f"{prefix}.")}


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
