"""The readers ``volumes`` and ``volume-numbers``: volumes with a label or a number each → a Dataset, and its check."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.sample import Sample
from suwen.data.case_check import plan_table
from suwen.data.cases import build_cases
from suwen.data.check import DataCheck
from suwen.data.columns import Dataset, label_names, label_targets
from suwen.data.images import ImageReader
from suwen.data.numbers import NumberReader
from suwen.data.phash import perceptual_hash
from suwen.data.readers.whole_volumes import read_whole_volumes
from suwen.data.samples import Digests, Samples
from suwen.data.split import assign_splits
from suwen.data.whole_volume import WholeVolume, choose_whole_volume


class VolumeReader(ImageReader):
    """As images with labels, but volumes (a `suwen.core.dataset.Reader`)."""

    kind = WholeVolume
    needed = frozenset({"spacing", "intensity", "box"})

    def find(self, source: str | Path, labelled: bool) -> Samples:
        """See `read_whole_volumes`."""
        return read_whole_volumes(source, labelled=labelled)

    def choose(self, samples: Sequence[Sample], settings: dict[str, Any]) -> Any:
        """See `choose_whole_volume`."""
        return choose_whole_volume(samples, settings)

    def cut(self, samples: Sequence[Sample], seed: int, fractions: tuple[float, float, float]) -> Samples:
        """See `assign_splits`; a volume is known by its subject, not by its voxels, which are not read for this."""
        columns = Samples.of(samples)
        unread = replace(columns, digests=Digests.unknown(len(columns)))
        return columns.with_splits(assign_splits(unread, seed=seed, fractions=fractions).splits)

    def decode(
        self, samples: Sequence[Sample], preprocess: Any, *, labels: Sequence[str] | None, skip_bad: bool
    ) -> Dataset:
        """See `build_volumes`."""
        return build_volumes(samples, preprocess, labels=labels, skip_bad=skip_bad)

    def check(self, dataset: Dataset, *, allow_leak: bool = False, labelled: bool = True) -> DataCheck:
        """As of images; and the plan."""
        seen = super().check(dataset, allow_leak=allow_leak, labelled=labelled)
        seen.tables.append(plan_table(dataset.preprocess, np.array(dataset.pixels.shape[2:])[None]))
        return seen


class VolumeNumberReader(VolumeReader, NumberReader):
    """As volumes with labels, but each label is a number (a `suwen.core.dataset.Reader`)."""


def build_volumes(
    samples: Sequence[Sample], preprocess: WholeVolume, *, labels: Sequence[str] | None, skip_bad: bool
) -> Dataset:
    """Decode the samples once into a memory-mapped cache, and open it. Rows are in the order of the samples' ids.

    Raises:
        FileUnreadable: files that cannot be decoded, unless they may be skipped.
        DataError: no sample, or a label that is not among `labels`.
    """
    columns = Samples.of(samples)
    names, multi_label = label_names(columns, labels)
    cases = build_cases(replace(columns, targets=[None] * len(columns)), preprocess, skip_bad=skip_bad)
    row_of = {id: row for row, id in enumerate(columns.ids)}
    order = np.array([row_of[str(id)] for id in cases.ids])
    targets = label_targets(columns, order, names, multi_label)
    pixels = cases.columns.pixels.reshape(len(cases), preprocess.channels, *preprocess.box)
    content = hashlib.blake2b(f"{cases.fingerprint} {names}".encode(), digest_size=16)
    content.update(targets.tobytes())
    return Dataset(
        ids=cases.ids,
        subjects=cases.subjects,
        splits=cases.splits,
        labels=names,
        multi_label=multi_label,
        targets=targets,
        metadata=cases.metadata,
        pixels=pixels,
        digests=cases.digests,
        phash=np.array([perceptual_hash(each[..., each.shape[-1] // 2]) for each in pixels], np.uint64),
        sizes=cases.columns.own_shapes.astype(np.int32),
        modes=cases.columns.modes,
        preprocess=preprocess,
        fingerprint=content.hexdigest(),
        skipped=cases.skipped,
    )


VOLUMES = VolumeReader()
VOLUME_NUMBERS = VolumeNumberReader()
