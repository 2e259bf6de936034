"""Train, validation and test, by subject and with every class in each."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from suwen.core.errors import DataError
from suwen.core.sample import SPLITS, Sample, Split
from suwen.data.contents import content_digests

Fractions = tuple[float, float, float]


def assign_splits(
    samples: Sequence[Sample],
    *,
    seed: int,
    fractions: Fractions = (0.7, 0.15, 0.15),
    cache: Path | None = None,
    progress: bool = True,
) -> list[Sample]:
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
    given = {sample.split for sample in samples}
    if None in given and len(given) > 1:
        without = [sample.id for sample in samples if sample.split is None]
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
    return list(samples)


def _cut(
    samples: Sequence[Sample], seed: int, parts: dict[Split, float], cache: Path | None, progress: bool
) -> list[Sample]:
    """Distribute what is in no split or in train over `parts`, and keep the rest.

    A subject that the source puts both in train and in test stays where it is, for the data check to name.
    """
    fixed = {sample.subject for sample in samples if sample.split not in (None, "train")}
    loose = [i for i, sample in enumerate(samples) if sample.split in (None, "train") and sample.subject not in fixed]
    keys = _subject_keys([samples[index] for index in loose], cache, progress)
    members: dict[str, list[int]] = defaultdict(list)
    for index, key in zip(loose, keys, strict=True):
        members[key].append(index)
    strata: dict[str, list[str]] = defaultdict(list)
    frequency = Counter(label for index in loose for label in label_names(samples[index]))
    for key, indices in members.items():
        labels = {label for index in indices for label in label_names(samples[index])}
        strata[min(labels, key=lambda label: (frequency[label], label), default="")].append(key)
    result = list(samples)
    for keys_of_stratum in strata.values():
        for key, split in _deal(keys_of_stratum, seed, parts).items():
            for index in members[key]:
                result[index] = dataclasses.replace(samples[index], split=split)
    return result


def label_names(sample: Sample) -> tuple[str, ...]:
    """The labels of a sample: none, one or several."""
    if sample.target is None:
        return ()
    return sample.target if isinstance(sample.target, tuple) else (str(sample.target),)


def _deal(keys: Sequence[str], seed: int, parts: dict[Split, float]) -> dict[str, Split]:
    """Subjects to splits, in the order of their hashes; every part has at least one subject if there are enough.

    With too few, train comes first and test second: a validation score can be done without.
    """
    ordered = sorted(keys, key=lambda key: hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=16).digest())
    total = sum(parts.values())
    counts: dict[Split, int] = {
        split: round(len(keys) * share / total) for split, share in parts.items() if split != "train"
    }
    counts = {split: max(count, parts[split] > 0) for split, count in counts.items()}
    while sum(counts.values()) >= len(keys) and any(counts.values()):
        most = max(counts, key=lambda split: (counts[split], split == "val"))
        counts[most] -= 1
    dealt: list[Split] = [split for split in SPLITS for _ in range(counts.get(split, 0))]
    return dict(zip(ordered, dealt + ["train"] * (len(keys) - len(dealt)), strict=True))


def _subject_keys(samples: Sequence[Sample], cache: Path | None, progress: bool) -> list[str]:
    """What stands for each sample's subject: its name, or the content of a picture that is a subject of its own."""
    own = [sample for sample in samples if sample.subject == sample.id]
    digests = iter(content_digests(own, cache=cache, progress=progress))
    keys = []
    for sample in samples:
        digest = next(digests) if sample.subject == sample.id else None
        keys.append(f"subject {sample.subject}" if digest is None else f"content {digest.hex()}")
    return keys
