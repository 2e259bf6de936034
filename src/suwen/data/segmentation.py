"""The reader ``masks``: images with masks → Samples → a `CaseSet`, and the data check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from suwen.core.errors import DataError, RecipeError
from suwen.core.sample import Sample
from suwen.data.case_check import check_cases
from suwen.data.case_preprocess import CasePreprocess, choose_case_preprocess
from suwen.data.cases import CaseSet, build_cases
from suwen.data.check import DataCheck
from suwen.data.contents import for_each
from suwen.data.mask_files import MOST_VALUES, MaskSamples, classes_from, mask_values, named
from suwen.data.readers.masks import read_masks
from suwen.data.samples import Samples
from suwen.data.split import assign_splits


class MaskReader:
    """How images with masks come in (a `suwen.core.dataset.Reader`)."""

    def read(self, source: str | Path, *, labelled: bool = True) -> MaskSamples:
        """See `read_masks`."""
        return read_masks(source, labelled=labelled)

    def preprocess(self, samples: Sequence[Sample], settings: dict[str, Any]) -> CasePreprocess:
        """From settings; what they leave open is chosen by looking at some of the images, and at all masks."""
        try:
            if {"channels", "patch", "classes"} <= set(settings):
                return CasePreprocess(**settings)
            return choose_case_preprocess(samples, _classes(samples, settings), settings)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["inputs", *map(str, first["loc"])])
            raise RecipeError(f"{place} = {first['input']!r}", why=first["msg"], fix=f"--set {place}=VALUE") from error

    def split(self, samples: Sequence[Sample], *, seed: int, fractions: tuple[float, float, float]) -> Sequence[Sample]:
        """See `assign_splits`; masks play no part in it."""
        columns = Samples.of(samples)
        bare = replace(columns, targets=[None] * len(columns))
        return columns.with_splits(assign_splits(bare, seed=seed, fractions=fractions).splits)

    def build(
        self,
        samples: Sequence[Sample],
        preprocess: CasePreprocess,
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
    described = getattr(samples, "classes", None)
    if described is not None:
        return dict(described)
    return classes_from(*_values(samples))


def _values(samples: Sequence[Sample]) -> tuple[list[int], str]:
    """All values in all masks, and the name of the mask that has most."""

    def work(sample: Sample) -> tuple[str, np.ndarray]:
        whole = None if sample.target is None else sample.target.whole
        return ("", np.zeros(0, int)) if whole is None else (named(whole), np.unique(mask_values(whole)))

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


MASKS = MaskReader()
