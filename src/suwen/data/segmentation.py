"""The readers ``masks`` and ``volume-masks``: images or volumes with masks → a `CaseSet`, and the data check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from suwen.core.errors import DataError, RecipeError
from suwen.core.sample import Sample
from suwen.data.case import DensePreprocess
from suwen.data.case_check import check_cases
from suwen.data.case_preprocess import CasePreprocess, choose_case_preprocess
from suwen.data.cases import CaseSet, build_cases, masks_of
from suwen.data.check import DataCheck
from suwen.data.codebook import overlaps_of, sets_in
from suwen.data.contents import for_each
from suwen.data.grid import Grid
from suwen.data.mask_files import BACKGROUND, MOST_VALUES, MaskSamples, classes_from, mask_values, named
from suwen.data.readers.masks import read_masks
from suwen.data.readers.volumes import read_volume_masks
from suwen.data.samples import Digests, Samples
from suwen.data.split import assign_splits
from suwen.data.volume_masks import is_volume, labels_in, values_in
from suwen.data.volume_preprocess import VolumePreprocess, choose_volume_preprocess
from suwen.data.volumes import open_volume


class MaskReader:
    """How images or volumes with masks come in (a `suwen.core.dataset.Reader`).

    Args:
        read: a path → Samples.
        kind: the class of their preprocessing.
        choose: (samples, classes, settings) → a preprocessing that suits them.
        needed: settings of `kind` without which samples are looked at.
    """

    def __init__(
        self,
        read: Callable[..., MaskSamples],
        kind: type[Any],
        choose: Callable[[Sequence[Sample], dict[str, int], dict[str, Any]], Any],
        needed: frozenset[str],
    ) -> None:
        self._read, self._kind, self._choose, self._needed = read, kind, choose, needed

    def read(self, source: str | Path, *, labelled: bool = True) -> MaskSamples:
        """See `read_masks` and `read_volume_masks`."""
        return self._read(source, labelled=labelled)

    def preprocess(self, samples: Sequence[Sample], settings: dict[str, Any]) -> DensePreprocess:
        """From settings; what they leave open is chosen by looking at some of the inputs, and at all masks."""
        known = self._kind.model_fields
        if unknown := sorted(set(settings) - set(known)):
            raise RecipeError(
                f"unknown setting inputs.{unknown[0]}",
                why=f"known here: {', '.join(known)}",
                fix="rename or drop it",
            )
        try:
            made: DensePreprocess = (
                self._kind(**settings) if self._needed <= set(settings) else self._chosen(samples, settings)
            )
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["inputs", *map(str, first["loc"])])
            raise RecipeError(f"{place} = {first['input']!r}", why=first["msg"], fix=f"--set {place}=VALUE") from error
        return made

    def _chosen(self, samples: Sequence[Sample], settings: dict[str, Any]) -> Any:
        classes = _classes(samples, settings)
        if "overlaps" not in settings and (found := _overlaps(samples, list(classes))):
            settings = settings | {"overlaps": found}
        return self._choose(samples, classes, settings)

    def split(self, samples: Sequence[Sample], *, seed: int, fractions: tuple[float, float, float]) -> Sequence[Sample]:
        """See `assign_splits`; masks play no part in it."""
        columns = Samples.of(samples)
        bare = replace(columns, targets=[None] * len(columns))
        if self._kind is VolumePreprocess:  # one is split by its subject, whatever it shows
            bare = replace(bare, digests=Digests.unknown(len(columns)))
        return columns.with_splits(assign_splits(bare, seed=seed, fractions=fractions).splits)

    def build(
        self,
        samples: Sequence[Sample],
        preprocess: DensePreprocess,
        *,
        seed: int,
        labels: tuple[str, ...] | None = None,
        fractions: tuple[float, float, float] | None = (0.7, 0.15, 0.15),
        skip_bad: bool = False,
    ) -> CaseSet:
        """Split, unless `fractions` is None, and decode into the cache."""
        if labels is not None and tuple(labels) != tuple(preprocess.classes):
            raise DataError(
                f"the labels {', '.join(labels)}",
                why=f"the masks have {', '.join(preprocess.classes)}",
                fix="--set 'inputs.classes={background: 0, LABEL: VALUE}'",
            )
        if fractions is not None:
            samples = self.split(samples, seed=seed, fractions=fractions)
        return build_cases(samples, preprocess, skip_bad=skip_bad)

    def check(self, dataset: CaseSet, *, allow_leak: bool = False, labelled: bool = True) -> DataCheck:
        """See `check_cases`."""
        return check_cases(dataset, allow_leak=allow_leak, labelled=labelled)


def _classes(samples: Sequence[Sample], settings: dict[str, Any]) -> dict[str, int]:
    """Label → value: of the settings, else of the description beside the masks, else of what the masks hold."""
    if settings.get("classes"):
        return dict(settings["classes"])
    if settings.get("instances"):
        return _one_label(getattr(samples, "classes", None))
    each = dict.fromkeys(label for sample in samples if sample.target is not None for label in sample.target.each)
    if each:
        return {label: code for code, label in enumerate([BACKGROUND, *each])}
    described = getattr(samples, "classes", None) or _said_by(samples)
    if described is not None:
        return dict(described)
    return classes_from(*_values(samples))


def _one_label(described: dict[str, int] | None) -> dict[str, int]:
    """Of masks in which each value is an object: the one that the description names, or a plain word."""
    named = [label for label, value in (described or {"object": 1}).items() if value]
    return {BACKGROUND: 0} | {label: value for value, label in enumerate(named, start=1)}


def _overlaps(samples: Sequence[Sample], labels: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Sets of labels that pixels have together, in masks that have a label each."""
    several = [sample for sample in samples if sample.target is not None and len(sample.target.each) > 1]

    def work(sample: Sample) -> list[tuple[str, ...]]:
        first = next(iter(sample.target.each.values()))
        grid = open_volume(sample.source).grid if is_volume(first) else Grid(mask_values(first).shape)
        found, sets = sets_in(masks_of(sample.target, grid, sample.id))
        assert found is not None
        return [sets[number] for number in np.unique(found).tolist()]

    found = for_each(several, work, "Looking at overlaps", progress=True)
    return overlaps_of((sets for _, sets in found if not isinstance(sets, DataError)), labels)


def _said_by(samples: Sequence[Sample]) -> dict[str, int] | None:
    """Label → value, where the first mask says so itself, as a DICOM segmentation does."""
    whole = next((sample.target.whole for sample in samples if sample.target is not None), None)
    if not isinstance(whole, Path) or not is_volume(whole):
        return None
    found = labels_in(whole)
    return None if found is None else {BACKGROUND: 0} | found


def _values(samples: Sequence[Sample]) -> tuple[list[int], str]:
    """All values in all masks, and the name of the mask that has most."""

    def work(sample: Sample) -> tuple[str, np.ndarray]:
        whole = None if sample.target is None else sample.target.whole
        if whole is None:
            return "", np.zeros(0, int)
        volume = isinstance(whole, Path) and is_volume(whole)
        return named(whole), values_in(whole) if volume else np.unique(mask_values(whole))

    found: set[int] = set()
    name, most = "", 0
    for _, result in for_each(samples, work, "Looking at masks", progress=True):
        if isinstance(result, DataError):
            continue  # building the set reports it, or counts it
        if len(result[1]) > most:
            name, most = result[0], len(result[1])
        found.update(result[1].tolist())
        if len(found) > 8 * MOST_VALUES:
            break
    return sorted(found), name


MASKS = MaskReader(read_masks, CasePreprocess, choose_case_preprocess, frozenset({"channels", "patch", "classes"}))
VOLUME_MASKS = MaskReader(
    read_volume_masks,
    VolumePreprocess,
    choose_volume_preprocess,
    frozenset({"spacing", "intensity", "patch", "classes"}),
)
