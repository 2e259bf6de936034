"""What a Run has seen: digests of the inputs it was trained and chosen on, against which later test data is held."""

from __future__ import annotations

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.errors import LeakError
from suwen.core.files import atomic_path
from suwen.core.recipe import Recipe
from suwen.core.run import Run

RUN = "run:"
"""How an encoder that comes from another Run is named."""


def base_run(recipe: Recipe) -> Run | None:
    """The Run that this one starts from, if it starts from one."""
    return Run(recipe.encoder.name.removeprefix(RUN)) if recipe.encoder.name.startswith(RUN) else None


def digests_of(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """uint64 (n,), one an input, in order; nothing where the kind of data has no digests."""
    digests = getattr(dataset, "digests", None)
    return np.zeros(0, np.uint64) if digests is None else short_digests(digests[rows])


def short_digests(digests: np.ndarray) -> np.ndarray:
    """uint64 (n,): the first 8 of 16 bytes, as ``seen.safetensors`` holds them."""
    return np.ascontiguousarray(digests[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def write_seen(run: Run, dataset: Dataset, base: Run | None = None, unlabelled: Dataset | None = None) -> None:
    """Note the training and validation inputs, the unlabelled ones, and what the Run that it started from had seen.

    Those of val and of test are noted by themselves too: a Run that extends this one must have the same.
    """
    from safetensors.numpy import save_file

    rows = {"digests": np.concatenate([dataset.where("train"), dataset.where("val")])}
    rows |= {split: dataset.where(split) for split in ("val", "test")}
    seen = {name: np.unique(digests_of(dataset, which)) for name, which in rows.items()}
    seen["digests"] = np.union1d(seen["digests"], used_by(base))
    if unlabelled is not None:
        seen["digests"] = np.union1d(seen["digests"], digests_of(unlabelled, unlabelled.where("train")))
    with atomic_path(run.seen) as temporary:
        save_file({name: found.view(np.int64) for name, found in seen.items()}, temporary)


def read_seen(run: Run) -> dict[str, np.ndarray]:
    """``{"digests": train and val, "val", "test"}`` of a Run, uint64, sorted; the last two are not in older ones."""
    from safetensors.numpy import load_file

    if not run.seen.is_file():
        return {}
    return {name: array.view(np.uint64) for name, array in load_file(run.seen).items()}


def used_by(run: Run | None) -> np.ndarray:
    """What trained or chose a Run."""
    return np.zeros(0, np.uint64) if run is None else read_seen(run).get("digests", np.zeros(0, np.uint64))


def seen_before(run: Run | None, dataset: Dataset, rows: np.ndarray, *, allow_leak: bool) -> list[str]:
    """A sentence about those of these rows that the Run has seen; nothing if it has seen none.

    Raises:
        LeakError: it has, and that is not allowed.
    """
    again = np.flatnonzero(np.isin(digests_of(dataset, rows), used_by(run)))
    if run is None or not len(again):
        return []
    names = ", ".join(str(name) for name in dataset.ids[rows[again[:5]]])
    seen = f"{len(again)} of {len(rows)} images were used to train or choose {run.path}: {names}"
    if not allow_leak:
        raise LeakError(
            seen, why="figures on them say nothing about new patients", fix="--split test, other data, or --allow-leak"
        )
    return [seen]
