"""What a Run has seen: digests of the inputs it was trained and chosen on, against which later test data is held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.errors import LeakError
from suwen.core.files import atomic_path
from suwen.core.recipe import Recipe
from suwen.core.run import Run

RUN = "run:"
"""How an encoder that comes from another Run is named."""


def bases_of(recipe: Recipe) -> list[Run]:
    """The Runs that this one learns from: the one that it starts from, and its teacher."""
    first = recipe.encoder.name.removeprefix(RUN) if recipe.encoder.name.startswith(RUN) else None
    return [Run(path) for path in (first, recipe.teacher.run) if path is not None]


def digests_of(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """uint64 (n,), one an input, in order; nothing where the kind of data has no digests."""
    digests = getattr(dataset, "digests", None)
    return np.zeros(0, np.uint64) if digests is None else short_digests(digests[rows])


def short_digests(digests: np.ndarray) -> np.ndarray:
    """uint64 (n,): the first 8 of 16 bytes, as ``seen.safetensors`` holds them."""
    return np.ascontiguousarray(digests[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def write_seen(run: Run, dataset: Dataset, bases: Sequence[Run] = (), unlabelled: Dataset | None = None) -> None:
    """Note the training and validation inputs, the unlabelled ones, and what the Runs that it learned from had seen.

    Those of val and of test are noted by themselves too: a Run that extends this one must have the same.
    """
    from safetensors.numpy import save_file

    rows = {"digests": np.concatenate([dataset.where("train"), dataset.where("val")])}
    rows |= {split: dataset.where(split) for split in ("val", "test")}
    seen = {name: np.unique(digests_of(dataset, which)) for name, which in rows.items()}
    seen["digests"] = np.union1d(seen["digests"], used_by(*bases))
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


def used_by(*runs: Run) -> np.ndarray:
    """What trained or chose any of these Runs."""
    none = np.zeros(0, np.uint64)
    return np.unique(np.concatenate([none, *(read_seen(run).get("digests", none) for run in runs)]))


def seen_before(runs: Sequence[Run], dataset: Dataset, rows: np.ndarray, *, allow_leak: bool) -> list[str]:
    """A sentence for each Run that has seen some of these rows; nothing if none has.

    Raises:
        LeakError: one has, and that is not allowed.
    """
    said = []
    for run in runs:
        again = np.flatnonzero(np.isin(digests_of(dataset, rows), used_by(run)))
        if len(again):
            names = ", ".join(str(name) for name in dataset.ids[rows[again[:5]]])
            said.append(f"{len(again)} of {len(rows)} images were used to train or choose {run.path}: {names}")
    if said and not allow_leak:
        raise LeakError(
            "\n".join(said),
            why="figures on them say nothing about new patients",
            fix="--split test, other data, or --allow-leak",
        )
    return said


def refuse_test_images(run: Run, dataset: Dataset, rows: np.ndarray) -> None:
    """Images on which something is tuned or chosen must not be those that the Run is tested on.

    Raises:
        LeakError: some of these rows are.
    """
    again = np.flatnonzero(np.isin(digests_of(dataset, rows), read_seen(run).get("test", np.zeros(0, np.uint64))))
    if len(again):
        names = ", ".join(str(name) for name in dataset.ids[rows[again[:5]]])
        raise LeakError(
            f"{len(again)} of {len(rows)} images are test images of {run.path}: {names}",
            why="what is chosen on them could no longer be tested on them",
            fix="other data, or the Run's own with the splits it was trained on",
        )
