"""An `Outcome`: what was true and what was said, for every sample of one split. All evaluation starts here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from suwen.core.errors import DataError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Threshold = float | Sequence[float] | Floats | None
"""The operating threshold: one number (binary), one a label (multi-label), or None (multi-class: the largest wins)."""

_SUM_TOLERANCE = 1e-3  # float32 softmax is far inside this; raw logits or sigmoid scores are far outside


class Judged(Protocol):
    """What every kind of outcome has: N samples, whose they are, and what is known of them besides."""

    @property
    def ids(self) -> NDArray[np.str_]:
        """(N,) names."""
        ...

    @property
    def subjects(self) -> NDArray[np.str_]:
        """(N,) the person each comes from."""
        ...

    @property
    def metadata(self) -> pd.DataFrame:
        """N rows of further columns."""
        ...

    def __len__(self) -> int: ...

    def take(self, index: ArrayLike) -> Any:
        """The samples at `index`, in that order."""
        ...

    def note(self) -> str:
        """What keeps these samples from being compared with others; empty if nothing does."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """Truth and answers of N samples over K labels.

    Attributes:
        ids: (N,) the samples' names.
        subjects: (N,) the person each sample comes from; bootstraps draw these, not samples.
        target: int64 (N,) class index, or uint8 (N, K) multi-hot for multi-label questions.
        probabilities: float64 (N, K) in [0, 1]; rows sum to 1 unless multi-label.
        labels: the K label names.
        metadata: N rows of further columns (age, sex, site …), in the same order.
        positive: index of the positive class in binary questions; the last label unless given.

    Raises:
        DataError: shapes that do not agree, a target outside the labels, or probabilities that are none.
    """

    ids: NDArray[np.str_]
    subjects: NDArray[np.str_]
    target: NDArray[Any]
    probabilities: Floats
    labels: tuple[str, ...]
    metadata: pd.DataFrame = field(default_factory=pd.DataFrame)
    positive: int = -1

    def __post_init__(self) -> None:
        target = np.asarray(self.target)
        if target.dtype.kind not in "iub" or not -len(self.labels) <= self.positive < len(self.labels):
            raise DataError(
                f"target of type {target.dtype}, positive class {self.positive} of {len(self.labels)} labels",
                why="the target is whole numbers, and the positive class one of the labels",
                fix="give class indices (N,) or multi-hot (N, K) integers; leave positive out for the last label",
            )
        metadata = self.metadata if self.metadata.shape[1] else pd.DataFrame(index=range(len(self.ids)))
        values = {
            "ids": np.asarray(self.ids, dtype=np.str_),
            "subjects": np.asarray(self.subjects, dtype=np.str_),
            "target": target.astype(np.uint8 if target.ndim == 2 else np.int64),
            "probabilities": np.asarray(self.probabilities, dtype=np.float64),
            "labels": tuple(self.labels),
            "metadata": metadata.reset_index(drop=True),
            "positive": self.positive % len(self.labels),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        count, width = len(self.ids), len(self.labels)
        expected: dict[str, tuple[int, ...]] = {
            "subjects": (count,),
            "target": (count, width) if self.multi_label else (count,),
            "probabilities": (count, width),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise DataError(
                    f"{name} has shape {getattr(self, name).shape}",
                    why=f"{count} ids and {width} labels need {shape}",
                    fix="give one row a sample and one column a label, in the same order",
                )
        if len(self.metadata) != count:
            raise DataError(
                f"metadata has {len(self.metadata)} rows for {count} samples",
                why="each sample needs its row, in the same order",
                fix="leave metadata out, or give one row a sample",
            )

    def _check_values(self) -> None:
        if not len(self.ids):
            raise DataError(
                "no samples to evaluate", why="every figure would be undefined", fix="check the split's size"
            )
        top = 1 if self.multi_label else len(self.labels) - 1
        if self.target.min() < 0 or self.target.max() > top:
            raise DataError(
                f"target runs from {self.target.min()} to {self.target.max()}",
                why=f"it must lie in 0 … {top} for the labels {', '.join(self.labels)}",
                fix="give class indices, or 0 and 1 for each label of a multi-label question",
            )
        inside = (self.probabilities >= 0) & (self.probabilities <= 1)  # NaN is neither
        bad = np.asarray(~inside.all(axis=1))
        if not self.multi_label:
            bad |= np.abs(self.probabilities.sum(axis=1) - 1) > _SUM_TOLERANCE
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"{int(bad.sum())} of {len(bad)} samples have no valid probabilities; the first is "
                f"{self.ids[first]}: {np.array2string(self.probabilities[first], precision=4, threshold=8)}",
                why="probabilities are finite, in 0 … 1"
                + ("" if self.multi_label else ", and sum to 1 over the classes"),
                fix="pass softmax (one class of many) or sigmoid (multi-label) output, not logits",
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def multi_label(self) -> bool:
        """Whether a sample can have several labels at once."""
        return self.target.ndim == 2

    @property
    def binary(self) -> bool:
        """Whether the question is one of two classes."""
        return not self.multi_label and len(self.labels) == 2

    @property
    def scored(self) -> tuple[int, ...]:
        """The label columns that curves and rank metrics look at: the positive class if binary, else all."""
        return (self.positive,) if self.binary else tuple(range(len(self.labels)))

    @property
    def truth(self) -> Bools:
        """(N, K) True where a sample has a label."""
        if self.multi_label:
            return self.target.astype(np.bool_)
        return np.asarray(self.target[:, None] == np.arange(len(self.labels)))

    @property
    def in_short(self) -> tuple[str, ...]:
        """The few metrics that a table with little room shows beside the headline."""
        single = self.binary or self.multi_label
        return ("sensitivity", "specificity") if single else ("balanced_accuracy", "accuracy")

    @property
    def sentence(self) -> str:
        """Which sentence of the report says how good the model is."""
        return "finds_binary" if self.binary else "finds_labels" if self.multi_label else "finds_classes"

    def note(self) -> str:
        """What keeps these samples from being compared with others; empty if nothing does."""
        lacking = [
            label
            for label, present in zip(self.labels, self.truth.T, strict=True)
            if not present.any() or (self.multi_label and present.all())
        ]
        if not lacking:
            return ""
        if self.multi_label:
            return f"{len(lacking)} of {len(self.labels)} labels not comparable: {', '.join(lacking[:3])}"
        return f"none of {', '.join(lacking)}"

    def take(self, index: ArrayLike) -> Outcome:
        """The samples at `index` (integers or a boolean mask), in that order."""
        rows = np.arange(len(self))[np.asarray(index, dtype=None if np.size(index) else np.int64)]
        return Outcome(
            ids=self.ids[rows],
            subjects=self.subjects[rows],
            target=self.target[rows],
            probabilities=self.probabilities[rows],
            labels=self.labels,
            metadata=self.metadata.iloc[rows],
            positive=self.positive,
        )

    def one_vs_rest(self, column: int) -> Outcome:
        """The same samples, asked about one label alone: present or not."""
        return Outcome(
            ids=self.ids,
            subjects=self.subjects,
            target=self.truth[:, [column]].astype(np.uint8),
            probabilities=self.probabilities[:, [column]],
            labels=(self.labels[column],),
            metadata=self.metadata,
        )

    def answering(self, said: Bools) -> Outcome:
        """The same samples with plain yes and no, (N, K), in place of probabilities; multi-label only."""
        return replace(self, probabilities=said.astype(np.float64))


def decisions(outcome: Outcome, threshold: Threshold = 0.5) -> Bools:
    """(N, K) the labels said to be present, one a sample unless multi-label.

    Binary: the positive class where its probability is at least `threshold`. Multi-label: each label by its own
    threshold. Multi-class: the most probable class, whatever the threshold.
    """
    scores = outcome.probabilities
    least = np.asarray(0.5 if threshold is None else threshold, dtype=np.float64)
    if outcome.multi_label:
        return np.asarray(scores >= least)
    if outcome.binary:
        said = scores[:, outcome.positive] >= least
        chosen = np.where(said, outcome.positive, 1 - outcome.positive)
    else:
        chosen = scores.argmax(axis=1)
    return np.asarray(chosen[:, None] == np.arange(len(outcome.labels)))
