"""Which rows of a data set show the same picture, or nearly the same. No step compares every row with every other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from suwen.data.columns import Dataset
from suwen.data.progress import track

DISTANCE = 4
"""Perceptual hashes that differ in up to this many bits are candidates. Re-encoding a film or changing its brightness
moves 95 % of hashes by at most 4 bits."""

CORRELATION = 0.98
"""Candidates count when their pixels correlate above this. Chest films are all alike at 28 px: of PneumoniaMNIST's
17 million pairs none but exact repeats is above it, while re-encoded copies are (tests/data/test_duplicates.py)."""

MOST_CANDIDATES, MOST_VERIFIED, VERIFIED_AT_A_TIME = 200_000_000, 20_000, 256
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
    rows = np.unique(groups, return_index=True)[1]
    left, right, complete = _close(dataset.phash[rows])
    left, right = rows[left], rows[right]
    apart, together = (
        _distance(dataset.phash[left], dataset.phash[right]),
        dataset.splits[left] == dataset.splits[right],
    )
    order = np.lexsort((apart, together))  # pairs across splits first, then the closest
    verified = order[:MOST_VERIFIED]
    pairs = []
    for start in range(0, len(verified), VERIFIED_AT_A_TIME):
        some = verified[start : start + VERIFIED_AT_A_TIME]
        correlations = _correlation(dataset.take(left[some]), dataset.take(right[some]))
        pairs += list(zip(left[some].tolist(), right[some].tolist(), correlations.tolist(), strict=True))
    kept = sorted((pair for pair in pairs if pair[2] > CORRELATION), key=lambda pair: -pair[2])
    return NearPairs(kept, complete=complete and len(order) <= MOST_VERIFIED)


def _close(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Positions (left < right) of hashes at most `DISTANCE` bits apart, and whether all were compared."""
    found, work = [np.empty(0, np.int64)], 0
    edges = np.linspace(0, 64, DISTANCE + 2).astype(int).tolist()
    for start, stop in track(pairwise(edges), "Comparing pictures", DISTANCE + 1):
        band = (hashes >> np.uint64(start)) & np.uint64((1 << (stop - start)) - 1)
        order = np.argsort(band, kind="stable")
        band, ordered = band[order], hashes[order]
        step, alive = 1, np.arange(len(band) - 1)
        while work <= MOST_CANDIDATES:
            alive = alive[alive + step < len(band)]
            alive = alive[band[alive] == band[alive + step]]
            if not len(alive):
                break
            work += len(alive)
            close = alive[_distance(ordered[alive], ordered[alive + step]) <= DISTANCE]
            found.append(order[close] * len(hashes) + order[close + step])  # stable sort: left < right
            step += 1
    left, right = np.divmod(np.unique(np.concatenate(found)), max(1, len(hashes)))
    return left, right, work <= MOST_CANDIDATES


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The number of bits that differ."""
    bits: np.ndarray = np.bitwise_count(one ^ other)
    return bits


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Pearson correlation (n,) of two sets of images (n, C, H, W); 0 where one of a pair is of one shade."""
    one, other = (images.reshape(len(images), -1).astype(np.float32) for images in (one, other))
    one, other = (images - images.mean(axis=1, keepdims=True) for images in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    products: np.ndarray = np.einsum("ij,ij->i", one, other)
    return products / np.where(norms > 0, norms, np.inf)


def look_alikes(dataset: Dataset) -> tuple[np.ndarray, bool]:
    """int64 (N,): rows with one number show the same picture or nearly so, directly or by way of others; and whether
    all pairs were compared."""
    groups = exact_groups(dataset)
    near = near_pairs(dataset, groups)
    firsts = np.unique(groups, return_index=True)[1][groups]
    left = np.array([*range(len(dataset)), *(pair[0] for pair in near.pairs)])
    right = np.array([*firsts, *(pair[1] for pair in near.pairs)])
    links = coo_array((np.ones(len(left)), (left, right)), shape=(len(dataset), len(dataset)))
    return connected_components(links, directed=False)[1].astype(np.int64), near.complete
