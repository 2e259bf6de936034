"""Train, validation and test, by subject and with every class in each."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.errors import DataError
from suwen.core.sample import SPLITS, Sample, Split
from suwen.data.contents import content_digests
from suwen.data.samples import Digests, Samples, sortable

Fractions = tuple[float, float, float]


def assign_splits(
    samples: Sequence[Sample],
    *,
    seed: int,
    fractions: Fractions = (0.7, 0.15, 0.15),
    cache: Path | None = None,
    progress: bool = True,
) -> Samples:
    """The samples, each with a split.

    Splits that the source gives are kept. Where it gives train and test only, validation is cut from train; where it
    gives none (or train only), all three are cut. Cuts are by subject, stratified by each subject's rarest label,
    and drawn by hashing the seed with the subject's name, or with the picture's content where the subject is only
    the picture itself. So the order of the samples and the names of such files play no part, a set read from
    ``.npz`` is split as the same set read from folders, and repeated pictures stay together.

    Args:
        samples: as a reader yields them.
        seed: draws another split.
        fractions: of the subjects for train, val and test; they add up to 1.
        cache: folder of the table of content digests; the user's cache folder when None.
        progress: show a bar if pictures have to be decoded for over two seconds.

    Raises:
        DataError: some samples have a split and others have none; the fractions are impossible.
    """
    if len(fractions) != 3 or min(fractions) < 0 or fractions[0] <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise DataError(f"fractions {fractions}", why="three parts of 1, the first above 0", fix="(0.7, 0.15, 0.15)")
    samples = Samples.of(samples)
    given = set(samples.splits)
    if None in given and len(given) > 1:
        without = [samples.ids[row] for row, split in enumerate(samples.splits) if split is None]
        raise DataError(
            f"{len(without)} of {len(samples)} samples have no split, such as {', '.join(without[:5])}",
            why="the others have one, and a guess could move a test image into training",
            fix="give every sample a split, or none",
        )
    train, val, test = fractions
    if given == {"train", "test"}:
        return _cut(samples, seed, {"train": train, "val": val}, cache, progress)
    if given <= {None, "train"}:
        return _cut(samples, seed, {"train": train, "val": val, "test": test}, cache, progress)
    return samples


def _cut(samples: Samples, seed: int, parts: dict[Split, float], cache: Path | None, progress: bool) -> Samples:
    """Distribute what is in no split or in train over `parts`, and keep the rest.

    A subject that the source puts both in train and in test stays where it is, for the data check to name.
    """
    fixed = {samples.subject(row) for row, split in enumerate(samples.splits) if split not in (None, "train")}
    loose = np.array(
        [
            row
            for row, split in enumerate(samples.splits)
            if split in (None, "train") and samples.subject(row) not in fixed
        ],
        np.int64,
    )
    # one number a subject, in the order of the subjects' hashes
    persons, member = np.unique(_subject_hashes(samples, loose, seed, cache, progress), return_inverse=True)
    strata = _strata(samples, loose, member, len(persons))
    dealt = np.zeros(len(persons), np.int8)
    for stratum in np.unique(strata):
        some = np.flatnonzero(strata == stratum)
        dealt[some] = _deal(len(some), parts)
    splits = list(samples.splits)
    for row, person in zip(loose.tolist(), member.tolist(), strict=True):
        splits[row] = SPLITS[dealt[person]]
    return samples.with_splits(splits)


def _strata(samples: Samples, loose: np.ndarray, member: np.ndarray, persons: int) -> np.ndarray:
    """int64 (persons,): the rank of each subject's rarest label; one more than the last rank where it has none."""
    frequency = Counter(label for row in loose for label in names_of(samples.targets[row]))
    ranked = sorted(frequency, key=lambda label: (frequency[label], label))
    rank = {label: position for position, label in enumerate(ranked)}
    rarest = np.array(
        [min((rank[label] for label in names_of(samples.targets[row])), default=len(rank)) for row in loose], np.int64
    )
    strata = np.full(persons, len(rank), np.int64)
    np.minimum.at(strata, member, rarest)
    return strata


def label_names(sample: Sample) -> tuple[str, ...]:
    """The labels of a sample: none, one or several."""
    return names_of(sample.target)


def names_of(target: Any) -> tuple[str, ...]:
    """The labels that a target means: none, one or several."""
    if target is None:
        return ()
    return target if isinstance(target, tuple) else (str(target),)


def _deal(count: int, parts: dict[Split, float]) -> np.ndarray:
    """The position in `SPLITS` of each of `count` subjects; every part has at least one if there are enough.

    With too few, train comes first and test second: a validation score can be done without.
    """
    total = sum(parts.values())
    counts: dict[Split, int] = {
        split: round(count * share / total) for split, share in parts.items() if split != "train"
    }
    counts = {split: max(number, parts[split] > 0) for split, number in counts.items()}
    while sum(counts.values()) >= count and any(counts.values()):
        most = max(counts, key=lambda split: (counts[split], split == "val"))
        counts[most] -= 1
    dealt = [position for position, split in enumerate(SPLITS) for _ in range(counts.get(split, 0))]
    return np.array(dealt + [SPLITS.index("train")] * (count - len(dealt)), np.int8)


def _subject_hashes(samples: Samples, rows: np.ndarray, seed: int, cache: Path | None, progress: bool) -> np.ndarray:
    """S16 (n,): the seed hashed with each sample's subject: its name, or the content of a picture of its own."""
    own = samples.subjects is None or any(samples.subjects[row] == samples.ids[row] for row in rows)
    digests = content_digests(samples, cache=cache, progress=progress) if own else Digests.unknown(len(samples))
    hashes = np.zeros((len(rows), 16), np.uint8)
    for position, row in enumerate(rows.tolist()):
        subject = samples.subject(row)
        digest = digests.get(row) if subject == samples.ids[row] else None
        key = f"subject {subject}" if digest is None else f"content {digest.hex()}"
        hashes[position] = np.frombuffer(hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=16).digest(), np.uint8)
    return sortable(hashes)
