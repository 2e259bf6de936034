"""Which rows of a data set show the same picture, or nearly the same. No step compares every row with every other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from suwen.data.columns import Dataset

DISTANCE = 4
"""Perceptual hashes that differ in up to this many bits are candidates. Re-encoding a film or changing its brightness
moves 95 % of hashes by at most 4 bits."""

CORRELATION = 0.98
"""Candidates count when their pixels correlate above this. Chest films are all alike at 28 px: of PneumoniaMNIST's
17 million pairs none but exact repeats is above it, while re-encoded copies are (tests/data/test_duplicates.py)."""

MOST_CANDIDATES, MOST_VERIFIED = 100_000_000, 20_000
"""Bounds on the work; beyond them the search says that it is incomplete."""


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs of rows that look alike and are not equal; `complete` unless a bound on the work was reached."""

    pairs: list[tuple[int, int, float]]
    complete: bool


def exact_groups(dataset: Dataset) -> np.ndarray:
    """int64 (N,): rows with one number have the same pixels after preprocessing, so that a model sees one picture.

    Only rows that share their perceptual hash are read.
    """
    _, groups, sizes = np.unique(dataset.phash, return_inverse=True, return_counts=True)
    groups = groups.astype(np.int64)
    seen: dict[bytes, int] = {}
    for row in np.flatnonzero(sizes[groups] > 1):
        content = hashlib.blake2b(dataset.take(np.array([row])).data, digest_size=16).digest()
        groups[row] = seen.setdefault(content, len(dataset) + len(seen))
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def near_pairs(dataset: Dataset, groups: np.ndarray) -> NearPairs:
    """Pairs whose hashes differ in at most `DISTANCE` bits and whose pixels correlate above `CORRELATION`.

    Two hashes that differ in 4 bits agree in at least one of 5 bands of bits, so that only rows with an equal band
    are compared (multi-index hashing; Norouzi et al., CVPR 2012, doi:10.1109/CVPR.2012.6248043). Of equal rows only
    one takes part.

    Returns:
        (row, row, correlation), best first.
    """
    _, firsts = np.unique(groups, return_index=True)
    found: set[tuple[int, int]] = set()
    work = 0
    for left, right in _same_band(dataset.phash[firsts]):
        close = _distance(dataset.phash[firsts[left]], dataset.phash[firsts[right]]) <= DISTANCE
        pairs = np.sort(np.stack([firsts[left[close]], firsts[right[close]]]), axis=0)
        found.update(zip(*pairs.tolist(), strict=True))
        work += len(left)
        if work > MOST_CANDIDATES:
            break
    candidates = sorted(found, key=lambda pair: _priority(dataset, pair))
    verified = [(one, other, _correlation(dataset, one, other)) for one, other in candidates[:MOST_VERIFIED]]
    kept = sorted((pair for pair in verified if pair[2] > CORRELATION), key=lambda pair: -pair[2])
    return NearPairs(kept, complete=work <= MOST_CANDIDATES and len(candidates) <= MOST_VERIFIED)


def _same_band(hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions (left, right) of hashes that agree in one of DISTANCE + 1 bands of bits."""
    edges = np.linspace(0, 64, DISTANCE + 2).astype(int)
    for start, stop in pairwise(edges):
        band = (hashes >> np.uint64(start)) & np.uint64((1 << int(stop - start)) - 1)
        order = np.argsort(band, kind="stable")
        band = band[order]
        for step in range(1, len(band)):
            equal = np.flatnonzero(band[step:] == band[:-step])
            if len(equal) == 0:
                break
            yield order[equal], order[equal + step]


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The number of bits that differ."""
    return np.bitwise_count(one ^ other)


def _correlation(dataset: Dataset, one: int, other: int) -> float:
    """Pearson correlation of the pixels of two rows; 0 where one of them is of one shade."""
    pixels = dataset.take(np.array([one, other])).reshape(2, -1).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(pixels, axis=1)
    return float(pixels[0] @ pixels[1] / (norms[0] * norms[1])) if norms.all() else 0.0


def _priority(dataset: Dataset, pair: tuple[int, int]) -> tuple[bool, int]:
    """Pairs across splits first, then by distance."""
    one, other = pair
    hashes = dataset.phash[[one, other]]
    return bool(dataset.splits[one] == dataset.splits[other]), int(_distance(hashes[:1], hashes[1:])[0])
