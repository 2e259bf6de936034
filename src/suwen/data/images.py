"""The reader ``images``: files → Samples → a Dataset of pixels, and the data check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from suwen.core.errors import RecipeError
from suwen.core.sample import Sample
from suwen.data.check import DataCheck, check
from suwen.data.columns import Dataset, build
from suwen.data.preprocess import ImagePreprocess, choose
from suwen.data.readers.images import read_images
from suwen.data.samples import Samples
from suwen.data.split import assign_splits


class ImageReader:
    """How images come in (a `suwen.core.dataset.Reader`).

    Another kind of input of one size replaces `kind`, `needed`, `find`, `choose`, `cut` and `decode`.

    Attributes:
        kind: the class of its preprocessing.
        needed: settings of it without which some of the samples are looked at.
    """

    kind: type[BaseModel] = ImagePreprocess
    needed = frozenset({"size", "channels"})

    def find(self, source: str | Path, labelled: bool) -> Samples:
        """See `read_images`."""
        return read_images(source, labelled=labelled)

    def choose(self, samples: Sequence[Sample], settings: dict[str, Any]) -> Any:
        """See `suwen.data.preprocess.choose`."""
        return choose(samples, **settings)

    def cut(self, samples: Sequence[Sample], seed: int, fractions: tuple[float, float, float]) -> Samples:
        """See `assign_splits`."""
        return assign_splits(samples, seed=seed, fractions=fractions)

    def decode(
        self, samples: Sequence[Sample], preprocess: Any, *, labels: Sequence[str] | None, skip_bad: bool
    ) -> Dataset:
        """See `suwen.data.columns.build`."""
        return build(samples, preprocess, labels=labels, skip_bad=skip_bad)

    def read(self, source: str | Path, *, labelled: bool = True) -> Samples:
        """As `find`."""
        return self.find(source, labelled)

    def preprocess(self, samples: Sequence[Sample], settings: dict[str, Any]) -> Any:
        """From settings; what they leave open is chosen by looking at some of the samples."""
        if unknown := sorted(set(settings) - set(self.kind.model_fields)):
            raise RecipeError(
                f"unknown setting inputs.{unknown[0]}",
                why=f"known here: {', '.join(self.kind.model_fields)}",
                fix="rename or drop it",
            )
        try:
            return self.kind(**settings) if self.needed <= set(settings) else self.choose(samples, settings)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["inputs", *map(str, first["loc"])])
            raise RecipeError(f"{place} = {first['input']!r}", why=first["msg"], fix=f"--set {place}=VALUE") from error

    def split(self, samples: Sequence[Sample], *, seed: int, fractions: tuple[float, float, float]) -> Sequence[Sample]:
        """As `cut`."""
        return self.cut(samples, seed, fractions)

    def build(
        self,
        samples: Sequence[Sample],
        preprocess: Any,
        *,
        seed: int,
        labels: tuple[str, ...] | None = None,
        fractions: tuple[float, float, float] | None = (0.7, 0.15, 0.15),
        skip_bad: bool = False,
    ) -> Dataset:
        """Split, unless `fractions` is None, and decode into the cache."""
        if fractions is not None:
            samples = self.split(samples, seed=seed, fractions=fractions)
        return self.decode(samples, preprocess, labels=labels, skip_bad=skip_bad)

    def check(self, dataset: Dataset, *, allow_leak: bool = False, labelled: bool = True) -> DataCheck:
        """See `suwen.data.check.check`."""
        return check(dataset, allow_leak=allow_leak, labelled=labelled)


IMAGES = ImageReader()
