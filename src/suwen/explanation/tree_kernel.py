"""TreeSHAP in time linear in the leaves: exact Shapley values of boosted trees, by quadrature.

A leaf is reached by a row of which only the features S are known with the weight ``Π_{i∈S} o_i Π_{i∉S} z_i``: o_i is
1 where the row meets all conditions on i along the way, and z_i is the share of training rows that do (path-dependent
TreeSHAP: Lundberg et al., Nature Machine Intelligence 2020;2:56, algorithm 1). Its Shapley values are, by the
multilinear extension (Owen, Management Science 1972;18:64),

    φ_i = v ∫₀¹ (o_i - z_i) Π_{j≠i} (z_j (1 - t) + o_j t) dt

for a leaf of value v. The integrand is a polynomial of degree d - 1 in t, d features being on the way, so that
⌈d / 2⌉ Gauss-Legendre nodes give the integral exactly. Products go down the tree and sums come up once a node (as in
Linear TreeSHAP: Yu et al., NeurIPS 2022, which evaluates the same polynomials otherwise).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numba
import numpy as np

CATEGORICAL, DEFAULT_LEFT = 1, 2
"""Bits of LightGBM's ``decision_type``; the next two say what is missing: nothing, zero, or NaN."""

NONE, ZERO, NAN = 0, 1, 2
TINY = 1e-35  # LightGBM's kZeroThreshold


class Places(NamedTuple):
    """All trees of a booster as columns. A *place* is a node or a leaf; a tree has its places together, parents first.

    Attributes:
        starts: int64 (T + 1,), the first place of each tree.
        parent: int64 (P,), the place above; -1 of roots.
        earlier: int64 (P,), the nearest place above that was entered by a condition on the same feature, or -1.
        feature: int64 (P,), of the condition by which a place is entered; -1 of roots.
        side: bool (P,), whether it is entered by going left.
        share: float64 (P,), z of that feature here, all conditions on it along the way taken together.
        value: float64 (P,), of leaves.
        leaf: bool (P,).
        threshold: float64 (P,), of nodes; of categorical ones the number of their set.
        decision: int64 (P,), LightGBM's ``decision_type``.
        sets, set_ends: uint32, the bits of all sets of levels; int64, where each set of the booster begins and ends.
        nodes: float64 (Q, 2) of the quadrature: t and its weight.
    """

    starts: np.ndarray
    parent: np.ndarray
    earlier: np.ndarray
    feature: np.ndarray
    side: np.ndarray
    share: np.ndarray
    value: np.ndarray
    leaf: np.ndarray
    threshold: np.ndarray
    decision: np.ndarray
    sets: np.ndarray
    set_ends: np.ndarray
    nodes: np.ndarray


@dataclass(frozen=True, eq=False)
class TreeTable:
    """The trees of a booster.

    Attributes:
        places: of all trees.
        classes: scores a row has; tree k is of class k modulo this.
        width: features.
    """

    places: Places
    classes: int
    width: int

    def shares(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shapley values float64 (B, K, C) of the raw scores, and the mean scores (K,) they start from."""
        found = np.zeros((len(rows), self.classes, self.width))
        _shares(np.ascontiguousarray(rows, np.float64), found, self.places)
        return found, self.base

    @cached_property
    def base(self) -> np.ndarray:
        """(K,): each class's mean score of the training rows, as they went through the trees."""
        places = self.places
        reach = np.ones(len(places.parent))
        for place, above in enumerate(places.parent.tolist()):
            if above >= 0:
                earlier = places.earlier[place]
                before = places.share[earlier] if earlier >= 0 else 1.0
                reach[place] = reach[above] * places.share[place] / before
        trees = np.searchsorted(places.starts, np.arange(len(reach)), side="right") - 1
        found = np.zeros(self.classes)
        np.add.at(found, (trees % self.classes)[places.leaf], (reach * places.value)[places.leaf])
        return found


def read_trees(text: str) -> TreeTable:
    """The trees of a booster's text (``Booster.model_to_string``)."""
    head, *bodies = text.split("\nTree=")
    header = _fields(head)
    each = [_Tree(_fields(body.partition("\n\n")[0])) for body in bodies]
    starts, offset = [0], 0
    places: list[dict[str, np.ndarray]] = []
    ends: list[int] = []
    sets: list[np.ndarray] = []
    for tree in each:
        places.append(tree.places(starts[-1], len(ends)))
        starts.append(starts[-1] + tree.count)
        for part in tree.sets:
            offset += len(part)
            sets.append(part)
            ends.append(offset)
    most = max((tree.features_on_a_way() for tree in each), default=1)
    nodes, weights = np.polynomial.legendre.leggauss(max(1, -(-most // 2)))
    columns = {name: np.concatenate([place[name] for place in places]) for name in places[0]}
    found = Places(
        starts=np.array(starts),
        **columns,
        sets=np.concatenate([*sets, np.zeros(0, np.uint32)]).astype(np.uint32),
        set_ends=np.array([0, *ends], np.int64),
        nodes=np.stack([(nodes + 1) / 2, weights / 2], axis=1),
    )
    return TreeTable(found, int(header.get("num_tree_per_iteration", "1")), int(header["max_feature_idx"]) + 1)


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, equals, value in pairs if equals}


class _Tree:
    """One tree of the text: of M nodes, node i is place i and leaf l place M + l. LightGBM numbers children after their
    parents."""

    def __init__(self, fields: dict[str, str]) -> None:
        def numbers(name: str, kind: Any) -> np.ndarray:
            return np.array(fields.get(name, "").split(), kind)

        self.leaves = int(fields["num_leaves"])
        self.nodes = self.leaves - 1
        self.count = self.nodes + self.leaves
        self.split = numbers("split_feature", np.int64)
        self.threshold = numbers("threshold", np.float64)
        self.decision = numbers("decision_type", np.int64)
        self.children = np.stack([numbers("left_child", np.int64), numbers("right_child", np.int64)], axis=1)
        self.value = numbers("leaf_value", np.float64)
        counts = [numbers("internal_count", np.float64), numbers("leaf_count", np.float64)]
        # a tree of one leaf, as of a booster that found nothing to split, has no counts
        self.counts = np.concatenate(counts) if self.nodes else np.ones(1)
        self.sets: list[np.ndarray] = []
        if int(fields.get("num_cat", "0")):
            ends = numbers("cat_boundaries", np.int64)
            bits = numbers("cat_threshold", np.uint32)
            self.sets = [bits[start:stop] for start, stop in pairwise(ends.tolist())]

    def edges(self) -> Iterator[tuple[int, int, bool]]:
        """(place above, place, whether left), parents first."""
        for node in range(self.nodes):
            for child, left in zip(self.children[node].tolist(), (True, False), strict=True):
                yield node, child if child >= 0 else self.nodes + ~child, left

    def places(self, start: int, first_set: int) -> dict[str, np.ndarray]:
        """Columns of `TreeTable`; `start` is the tree's first place, `first_set` its first set among all."""
        parent, earlier = np.full(self.count, -1), np.full(self.count, -1)
        feature, side = np.full(self.count, -1), np.zeros(self.count, bool)
        share = np.ones(self.count)
        for above, place, left in self.edges():
            parent[place], feature[place], side[place] = above, self.split[above], left
            earlier[place] = self._same_above(above, parent, feature, self.split[above])
            before = share[earlier[place]] if earlier[place] >= 0 else 1.0
            share[place] = before * self.counts[place] / self.counts[above]
        blank = np.zeros(self.leaves)
        threshold = np.concatenate([self.threshold, blank])
        decision = np.concatenate([self.decision, blank.astype(np.int64)])
        threshold[(decision & CATEGORICAL) > 0] += first_set
        return {
            "parent": np.where(parent >= 0, parent + start, -1),
            "earlier": np.where(earlier >= 0, earlier + start, -1),
            "feature": feature,
            "side": side,
            "share": share,
            "value": np.concatenate([np.zeros(self.nodes), self.value]),
            "leaf": np.arange(self.count) >= self.nodes,
            "threshold": threshold,
            "decision": decision,
        }

    def _same_above(self, place: int, parent: np.ndarray, feature: np.ndarray, wanted: int) -> int:
        while place >= 0:
            if feature[place] == wanted:
                return place
            place = int(parent[place])
        return -1

    def features_on_a_way(self) -> int:
        """The most different features on the way to a leaf."""
        seen: list[frozenset[int]] = [frozenset()] * self.count
        for above, place, _ in self.edges():
            seen[place] = seen[above] | {int(self.split[above])}
        return max(len(way) for way in seen)


@numba.njit(cache=True)
def _goes_left(x: float, threshold: float, decision: int, sets: np.ndarray, set_ends: np.ndarray) -> bool:
    """Whether a value goes left, as LightGBM's ``Tree::NumericalDecision`` and ``CategoricalDecision``."""
    if decision & CATEGORICAL:
        if np.isnan(x) or x < 0:
            return False
        code, first = int(x), set_ends[int(threshold)]
        word = first + code // 32
        if word >= set_ends[int(threshold) + 1]:
            return False
        return bool((sets[word] >> np.uint32(code % 32)) & np.uint32(1))
    missing = (decision >> 2) & 3
    if np.isnan(x) and missing != NAN:
        x = 0.0
    if (missing == ZERO and -TINY <= x <= TINY) or (missing == NAN and np.isnan(x)):
        return decision & DEFAULT_LEFT > 0
    return x <= threshold


@numba.njit(cache=True)
def _shares(rows: np.ndarray, found: np.ndarray, trees: Places) -> None:
    """Fill `found` (B, K, C); see the module."""
    quadrature, most = len(trees.nodes), 1
    for tree in range(len(trees.starts) - 1):
        most = max(most, trees.starts[tree + 1] - trees.starts[tree])
    holds = np.zeros(most)  # o of the feature by which a place is entered
    factor = np.ones((most, quadrature))  # z (1 - t) + o t
    product = np.ones((most, quadrature))
    for row in range(len(rows)):
        for tree in range(len(trees.starts) - 1):
            _down(rows[row], tree, trees, holds, factor, product)
            _up(found[row, tree % found.shape[1]], tree, trees, holds, factor, product)


@numba.njit(cache=True)
def _down(x: np.ndarray, tree: int, trees: Places, holds: np.ndarray, factor: np.ndarray, product: np.ndarray) -> None:
    """The product of the factors of all features on the way to each place, at each node of the quadrature."""
    start = trees.starts[tree]
    product[0] = 1.0
    for here in range(start + 1, trees.starts[tree + 1]):
        place, above, before = here - start, trees.parent[here], trees.earlier[here] - start
        value, threshold, decision = x[trees.feature[here]], trees.threshold[above], trees.decision[above]
        left = _goes_left(value, threshold, decision, trees.sets, trees.set_ends)
        holds[place] = 1.0 if left == trees.side[here] else 0.0
        if before >= 0:
            holds[place] *= holds[before]
        for at in range(len(trees.nodes)):
            t = trees.nodes[at, 0]
            factor[place, at] = trees.share[here] * (1.0 - t) + holds[place] * t
            product[place, at] = product[above - start, at] * factor[place, at]
            if before >= 0:
                product[place, at] /= factor[before, at]


@numba.njit(cache=True)
def _up(
    found: np.ndarray, tree: int, trees: Places, holds: np.ndarray, factor: np.ndarray, product: np.ndarray
) -> None:
    """Sums over the leaves below each place, and from them its feature's part; products of nodes become these sums."""
    start = trees.starts[tree]
    for here in range(start, trees.starts[tree + 1]):
        for at in range(len(trees.nodes)):
            weight = trees.nodes[at, 1] * trees.value[here] if trees.leaf[here] else 0.0
            product[here - start, at] *= weight
    for here in range(trees.starts[tree + 1] - 1, start, -1):
        place, above, before = here - start, trees.parent[here] - start, trees.earlier[here] - start
        added = 0.0
        for at in range(len(trees.nodes)):
            slope = (holds[place] - trees.share[here]) / factor[place, at]
            if before >= 0:
                slope -= (holds[before] - trees.share[before + start]) / factor[before, at]
            added += slope * product[place, at]
            product[above, at] += product[place, at]
        found[trees.feature[here]] += added
