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
    """uint64 (n,): the first 8 of 16 bytes of each digest; nothing where the kind of data has none."""
    digests = getattr(dataset, "digests", None)
    if digests is None:
        return np.zeros(0, np.uint64)
    return np.ascontiguousarray(digests[rows][:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def write_seen(run: Run, dataset: Dataset, base: Run | None = None) -> None:
    """Note the training and validation inputs, and what the Run that it started from had seen."""
    from safetensors.numpy import save_file

    used = digests_of(dataset, np.concatenate([dataset.where("train"), dataset.where("val")]))
    seen = np.unique(np.concatenate([used, read_seen(base)]))
    with atomic_path(run.seen) as temporary:
        save_file({"digests": seen.view(np.int64)}, temporary)


def read_seen(run: Run | None) -> np.ndarray:
    """uint64, sorted; empty where the Run has noted nothing."""
    if run is None or not run.seen.is_file():
        return np.zeros(0, np.uint64)
    from safetensors.numpy import load_file

    found: np.ndarray = load_file(run.seen)["digests"].view(np.uint64)
    return found


def seen_before(run: Run | None, dataset: Dataset, rows: np.ndarray, *, allow_leak: bool) -> list[str]:
    """A sentence about those of these rows that the Run has seen; nothing if it has seen none.

    Raises:
        LeakError: it has, and that is not allowed.
    """
    again = np.flatnonzero(np.isin(digests_of(dataset, rows), read_seen(run)))
    if run is None or not len(again):
        return []
    names = ", ".join(str(name) for name in dataset.ids[rows[again[:5]]])
    seen = f"{len(again)} of {len(rows)} images were used to train or choose {run.path}: {names}"
    if not allow_leak:
        raise LeakError(
            seen, why="figures on them say nothing about new patients", fix="--split test, other data, or --allow-leak"
        )
    return [seen]
