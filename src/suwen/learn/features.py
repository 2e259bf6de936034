"""Features of a frozen encoder, computed once, kept on disk, and trained on as if they were the data."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from suwen.core.dataset import Batch, Dataset
from suwen.core.errors import RecipeError, SuwenError
from suwen.core.features import Features
from suwen.core.inputs import on_device
from suwen.core.model import Model, evaluating
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput
from suwen.data.contents import cache_root
from suwen.learn.batches import Augment
from suwen.learn.processes import Part
from suwen.learn.randomness import generator

if TYPE_CHECKING:
    from suwen.learn.adaptation import Place

FORMAT = 1
"""Raise it whenever what is stored changes."""

_VIEWS = 40  # stream of randomness: augmented views

BATCH = 256
"""Images encoded at a time."""

STALE_SECONDS = 24 * 3600.0

Columns = dict[str, np.ndarray]


class FeatureRows:
    """Some rows of a Dataset whose `take` gives features; everything else is the Dataset's own.

    Args:
        dataset: the images.
        rows: row numbers, ascending.
        columns: ``pooled (R, V, D)`` and, where the head needs them, ``tokens (R, V, N, D)`` and ``maps0``, ``maps1`` …
            ``(R, V, C, H, W)``: V views of each row.
    """

    def __init__(self, dataset: Dataset, rows: np.ndarray, columns: Columns) -> None:
        self.dataset, self.rows, self.columns = dataset, rows, columns

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, index: np.ndarray) -> Columns:
        """All views of the features of these rows."""
        place = np.searchsorted(self.rows, index)
        return {name: np.asarray(column[place]) for name, column in self.columns.items()}


class PickView:
    """One of the cached views of each row, drawn anew for each batch: what augmentation is to images."""

    def __call__(self, batch: Batch, generator: torch.Generator, part: Part | None = None) -> Batch:
        """A batch whose inputs ``(B, V, …)`` have become ``(B, …)``."""
        inputs = batch["inputs"]
        count, views = inputs["pooled"].shape[:2]
        whole, own = (count, slice(None)) if part is None else (len(part.whole), part.rows)
        which = torch.randint(views, (whole,), generator=generator)[own]
        return {**batch, "inputs": {name: _pick(values, which) for name, values in inputs.items()}}


class OnFeatures(nn.Module):
    """A head that learns from features: the TaskModule `Supervised` without its encoder."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": scalar, "output": logits}`` of one batch of features. The loss is computed in float32."""
        logits = self.head(joined(batch["inputs"])).float()
        loss: Any = self.head.loss(logits, batch["target"])  # type: ignore[operator]
        return {"loss": loss, "output": logits}

    def after_step(self) -> None:
        """Nothing to do."""


def split(features: Features, needs: frozenset[str]) -> dict[str, Tensor]:
    """What a head uses of `Features`, by column name."""
    maps = {f"maps{number}": grid for number, grid in enumerate(features.maps or ()) if "maps" in needs}
    tokens = {"tokens": features.tokens} if "tokens" in needs and features.tokens is not None else {}
    return {"pooled": features.pooled} | tokens | maps


def joined(columns: dict[str, Tensor]) -> Features:
    """The inverse of `split`."""
    maps = tuple(columns[name] for name in sorted(columns, key=_number) if name.startswith("maps"))
    return Features(columns["pooled"], columns.get("tokens"), maps or None)


def logits_of(head: nn.Module, features: FeatureRows, rows: np.ndarray, device: torch.device) -> np.ndarray:
    """float32 logits of the first view of some rows."""
    found = [np.zeros((0, len(head.labels)), np.float32)]  # type: ignore[arg-type]
    for start in range(0, len(rows), BATCH):
        taken = features.take(rows[start : start + BATCH])
        inputs = {name: torch.from_numpy(values[:, 0]).to(device) for name, values in taken.items()}
        found.append(head(joined(inputs)).float().cpu().numpy())
    return np.concatenate(found)


def pooled_of(
    model: Model, dataset: Dataset, rows: np.ndarray, device: torch.device, autocast: Callable[[], Any]
) -> tuple[Tensor, Tensor]:
    """Pooled features ``(R, D)`` of some rows, and their targets."""
    encoder: Any = model.encoder
    parts = _encoded(encoder, frozenset(), dataset, rows, device, autocast)
    pooled = np.concatenate([part["pooled"][:, 0] for part in parts])
    return torch.from_numpy(pooled).to(device), torch.from_numpy(np.asarray(dataset.targets)[rows]).to(device)


def features_of(
    model: Model, dataset: Dataset, rows: np.ndarray, device: torch.device, autocast: Callable[[], Any]
) -> tuple[Features, Tensor]:
    """All that the head needs of the features of some rows, and their targets."""
    encoder: Any = model.encoder
    parts = list(_encoded(encoder, model.head.needs, dataset, rows, device, autocast))
    columns = {name: np.concatenate([part[name][:, 0] for part in parts]) for name in parts[0]}
    features = joined({name: torch.from_numpy(values).to(device) for name, values in columns.items()})
    return features, torch.from_numpy(np.asarray(dataset.targets)[rows]).to(device)


def groups_of(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """int64 (n,): rows of one subject share a number."""
    seen: dict[str, int] = {}
    return np.fromiter((seen.setdefault(str(name), len(seen)) for name in dataset.subjects[rows]), np.int64, len(rows))


def cache_features(
    encoder: nn.Module,
    needs: frozenset[str],
    dataset: Dataset,
    rows: np.ndarray,
    *,
    limit: int,
    seed: int,
    place: Place,
    views: int = 0,
    augment: Augment | None = None,
    recipe: Recipe | None = None,
) -> FeatureRows | None:
    """Features of these rows, from the cache or into it.

    The key holds the encoder's weights and settings, the data's fingerprint, the rows, the precision, and, where views
    are augmented, the transforms and the seed. What has not been used for longest gives way when the cache is full.

    Args:
        encoder: frozen; encodes in evaluation mode.
        needs: parts of `Features` besides `pooled`.
        dataset, rows: what to encode; rows ascend.
        limit: bytes that the whole cache of features may hold.
        seed: of the augmented views.
        place: device and precision.
        views: augmented views of each row; 0 for the image as it is.
        augment: the transforms, with `recipe`, which names them.

    Returns:
        None, with a warning, where one set of features alone would be larger than `limit`.

    Raises:
        RecipeError: the transforms mix images.
        SuwenError: the cache cannot be written.
    """
    changes = {"views": views, "seed": seed, "augment": recipe.augment} if views and recipe is not None else {}
    root = cache_root(None) / "features"
    key = _key(encoder, needs, dataset, rows, place.precision, changes)
    if (columns := _open(root / key)) is not None:
        return FeatureRows(dataset, rows, columns)
    augmenting = (augment, views, seed) if views and augment is not None else None
    parts = _encoded(encoder, needs, dataset, rows, place.device, place.autocast, augmenting)
    first = next(parts, None)
    if first is None:
        return FeatureRows(dataset, rows, {"pooled": np.zeros((0, 1, 1), np.float32)})
    size = sum(values.nbytes // len(values) for values in first.values()) * len(rows)
    if size > limit:
        warnings.warn(
            f"features of {len(rows)} rows would be {size / 2**30:.1f} GiB, more than training.features.gib = "
            f"{limit / 2**30:g}: each epoch encodes the images anew",
            stacklevel=2,
        )
        return None
    _store(root, key, len(rows), first, parts, limit)
    columns = _open(root / key)
    if columns is None:
        raise SuwenError(f"{root / key} was written and cannot be read back", why="the disk fails", fix="try another")
    return FeatureRows(dataset, rows, columns)


def fingerprint(encoder: nn.Module) -> str:
    """SHA-256 over an encoder's settings and weights."""
    state = hashlib.sha256(json.dumps(getattr(encoder, "config", None), sort_keys=True, default=str).encode())
    for name, values in sorted(encoder.state_dict().items()):
        state.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        state.update(values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return state.hexdigest()


def _encoded(
    encoder: nn.Module,
    needs: frozenset[str],
    dataset: Dataset,
    rows: np.ndarray,
    device: torch.device,
    autocast: Callable[[], Any],
    augmenting: tuple[Augment, int, int] | None = None,
) -> Iterator[Columns]:
    """Batch after batch, float32 columns ``(B, V, …)``."""
    for number, start in enumerate(range(0, len(rows), BATCH)):
        index = rows[start : start + BATCH]
        inputs = on_device(dataset.take(index), device)
        with evaluating([encoder]), torch.inference_mode(), autocast():
            seen = [split(encoder(view), needs) for view in _views(inputs, index, number, augmenting)]
        yield {name: np.stack([view[name].float().cpu().numpy() for view in seen], 1) for name in seen[0]}


def _views(inputs: Any, index: np.ndarray, number: int, augmenting: tuple[Augment, int, int] | None) -> Iterator[Any]:
    if augmenting is None:
        yield inputs
        return
    augment, views, seed = augmenting
    target = torch.zeros(len(index), dtype=torch.int64, device=getattr(inputs, "device", "cpu"))
    for view in range(views):
        changed = augment({"inputs": inputs, "target": target, "index": index}, generator(seed, _VIEWS, view, number))
        if changed["target"] is not target:
            raise RecipeError(
                "transforms that mix images (mixup, cutmix) with cached features",
                why="a cached feature belongs to one image and its own target",
                fix="leave them out of augment, or --set training.features.gib=0 to encode anew in each epoch",
            )
        yield changed["inputs"]


def _key(
    encoder: nn.Module,
    needs: frozenset[str],
    dataset: Dataset,
    rows: np.ndarray,
    precision: str,
    changes: dict[str, Any],
) -> str:
    parts = [FORMAT, fingerprint(encoder), sorted(needs), dataset.fingerprint, precision, changes]
    state = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    state.update(np.ascontiguousarray(rows, np.int64).tobytes())
    return state.hexdigest()[:32]


def _open(folder: Path) -> Columns | None:
    """The columns mapped from disk; None if they are not there, or damaged, and then taken away."""
    if not folder.is_dir():
        return None
    try:
        digests = json.loads((folder / "check.json").read_text(encoding="utf-8"))
        whole = all(_digest(folder / f"{name}.npy") == digest for name, digest in digests.items())
        columns = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in digests}
    except (OSError, ValueError):
        whole, columns = False, {}
    if not whole or "pooled" not in columns:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    (folder / "check.json").touch()
    return columns


def _store(root: Path, key: str, rows: int, first: Columns, rest: Iterator[Columns], limit: int) -> None:
    """Write a whole folder, then give it its name."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".building-") as workspace:
            folder = Path(workspace) / key
            folder.mkdir()
            files = {name: (folder / f"{name}.npy").open("wb") for name in first}
            try:
                for name, values in first.items():
                    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, *values.shape[1:])}
                    np.lib.format.write_array_header_1_0(files[name], header)
                for part in chain([first], rest):
                    for name, values in part.items():
                        files[name].write(np.ascontiguousarray(values, "<f4").tobytes())
            finally:
                for file in files.values():
                    file.close()
            digests = {name: _digest(folder / f"{name}.npy") for name in first}
            (folder / "check.json").write_text(json.dumps(digests), encoding="utf-8")
            _make_room(root, limit - _size(folder))
            if not (root / key).is_dir():
                folder.rename(root / key)
    except OSError as error:
        raise SuwenError(
            f"{root}: {error.strerror or error}",
            why="the features cannot be written",
            fix="free some space, put the cache elsewhere with XDG_CACHE_HOME=/path, or "
            "--set training.features.gib=0 to do without",
        ) from error


def _make_room(root: Path, limit: int) -> None:
    """Remove what was not used for longest, until the rest fits `limit`, and what a killed process left."""
    kept = sorted(root.glob("*/check.json"), key=lambda file: -file.stat().st_mtime)
    for check in kept:
        limit -= _size(check.parent)
        if limit < 0:
            shutil.rmtree(check.parent, ignore_errors=True)
    for folder in root.glob(".building-*"):
        if time.time() - folder.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pick(values: Tensor, which: Tensor) -> Tensor:
    return values[torch.arange(len(values), device=values.device), which.to(values.device)]


def _number(name: str) -> int:
    return int(name.removeprefix("maps") or 0) if name.startswith("maps") else -1
