"""A `Codebook`: which labels a pixel with a code has.

Where labels overlap (a tumour within an organ, an enhancing core within a tumour), each set of labels that occurs is a
code of its own, and a network chooses one code a pixel: the label powerset (Tsoumakas & Katakis, International Journal
of Data Warehousing and Mining 2007;3(3):1-13, section 2), which keeps to sets that exist and needs no threshold a label
(Plaquet & Bredin, Interspeech 2023, doi:10.21437/Interspeech.2023-205, measured both).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

IGNORED = 255
"""The code of pixels that do not count: outside the region in which an image was labelled."""

Set = tuple[str, ...]


@dataclass(frozen=True)
class Codebook:
    """What codes mean.

    Attributes:
        labels: K names, the background first; code k means label k alone.
        overlaps: sets of labels that pixels have together; their codes follow.
        touching: the last code means the first label too, where one of its objects touches another.
    """

    labels: tuple[str, ...]
    overlaps: tuple[Set, ...] = ()
    touching: bool = False

    def __len__(self) -> int:
        return len(self.labels) + len(self.overlaps) + self.touching

    @cached_property
    def members(self) -> np.ndarray:
        """bool (codes, K): which labels a code means."""
        found = np.zeros((len(self), len(self.labels)), bool)
        found[: len(self.labels)] = np.eye(len(self.labels), dtype=bool)
        for code, together in enumerate(self.overlaps, start=len(self.labels)):
            found[code, [self.labels.index(label) for label in together]] = True
        found[-1, 1] |= self.touching
        return found

    def mask(self, codes: np.ndarray, label: int) -> np.ndarray:
        """bool, of the shape of the codes: where a label is. Nowhere where a pixel does not count."""
        if not self.overlaps and not self.touching:
            return np.asarray(codes == label)
        table = np.zeros(256, bool)
        table[: len(self)] = self.members[:, label]
        return np.asarray(table[codes])

    def masks(self, codes: np.ndarray) -> np.ndarray:
        """bool ``(K - 1, *S)``: each label but the background."""
        return np.stack([self.mask(codes, label) for label in range(1, len(self.labels))])

    def counts(self, of_codes: np.ndarray) -> np.ndarray:
        """``(…, ≥ codes)`` numbers a code → ``(…, K)`` a label."""
        return np.asarray(of_codes[..., : len(self)] @ self.members.astype(of_codes.dtype))

    def without(self, label: int) -> np.ndarray:
        """uint8 (codes,): each code's set less a label; where that set has no code, the largest part of it that has."""
        found = np.arange(len(self), dtype=np.uint8)
        for code in np.flatnonzero(self.members[:, label]):
            wanted = self.members[code] & (np.arange(len(self.labels)) != label)
            inside = ~(self.members[:, 1:] & ~wanted[1:]).any(axis=1)
            found[code] = np.where(inside, self.members[:, 1:].sum(axis=1), -1).argmax()
        return found

    def code_of(self, together: Sequence[str]) -> int | None:
        """The code of a set of labels; None where it has none."""
        wanted = set(together)
        if not wanted:
            return 0
        return next((code for code in range(1, len(self)) if set(self.named(code)) == wanted), None)

    def named(self, code: int) -> Set:
        """The labels of a code."""
        return tuple(np.array(self.labels, object)[self.members[code]])


def sets_in(masks: Iterable[tuple[str, np.ndarray]]) -> tuple[np.ndarray | None, list[Set]]:
    """Masks of one image, a label each → which set of labels each pixel has.

    Returns:
        int32 numbers of sets, None where there is no mask, and the sets; the first is empty.
    """
    found: np.ndarray | None = None
    sets: list[Set] = [()]
    for label, there in masks:
        found = np.zeros(there.shape, np.int32) if found is None else found
        table = np.arange(len(sets), dtype=np.int32)
        inside = found[there]
        for number in np.unique(inside).tolist():
            table[number] = len(sets)
            sets.append((*sets[number], label))
        found[there] = table[inside]
    return found, sets


def overlaps_of(sets: Iterable[Iterable[Set]], labels: Sequence[str]) -> tuple[Set, ...]:
    """Those with two labels and more, each once, in the order of the labels."""
    order = list(labels)
    every = {tuple(sorted(one, key=order.index)) for some in sets for one in some if len(one) > 1}
    return tuple(sorted(every, key=lambda one: (len(one), [order.index(label) for label in one])))


def planned(overlaps: Sequence[Set]) -> list[tuple[str, str, str]]:
    """A row of a plan, (setting, value, why), where labels overlap."""
    if not overlaps:
        return []
    sets = "; ".join(" + ".join(together) for together in overlaps)
    return [("inputs.overlaps", sets, "masks show these labels together; each such set is an answer of its own")]


def checked_overlaps(overlaps: Sequence[Sequence[str]], labels: Sequence[str]) -> tuple[Set, ...]:
    """Sets of labels as settings give them.

    Raises:
        ValueError: a set of one label, a label that is not there, the background, or too many sets.
    """
    for together in overlaps:
        strange = [label for label in together if label not in list(labels)[1:]]
        if strange or len(set(together)) < 2 or len(set(together)) < len(together):
            raise ValueError(f"{', '.join(together)}: a set of two and more of {', '.join(list(labels)[1:])}")
    if len(labels) + len(overlaps) >= IGNORED:
        raise ValueError(f"{len(overlaps)} sets of labels, of at most {IGNORED - 1 - len(labels)}")
    return tuple(tuple(together) for together in overlaps)
