"""Codes and the codes above them, as a directed graph without cycles: what belongs to what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from suwen.core.errors import DataError, NameUnknown, RecipeError
from suwen.data.records.codes.parents import Key
from suwen.data.records.events import END
from suwen.data.records.quality import Finding

NOT_REACHED = np.int64(1) << np.int64(61)
OFFERED = 2000
"""Codes among which an error looks for one that was meant."""


class Range(NamedTuple):
    """Categories of ICD that a term is said to be about: ``ICD9CM``, 460 to 519."""

    system: str
    first: str
    last: str
    term: str

    def holds(self, category: Key) -> bool:
        """Whether a category lies in it: those of one length are in the order of their letters and digits."""
        system, code = category
        return system == self.system and len(code) == len(self.first) and self.first <= code <= self.last


class _Graph(NamedTuple):
    """`codes`, in generations: all that is above a code is in an earlier one. `starts` and `above` are the parents of
    each, as numbers, one after another; `bounds` are first and last, exclusive, of each generation."""

    codes: tuple[str, ...]
    numbers: dict[str, int]
    starts: np.ndarray
    above: np.ndarray
    bounds: list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Hierarchy:
    """Codes with their descriptions and the codes right above them.

    Attributes:
        parents: each code → the codes right above it, in their order; all of them are codes of it too.
        descriptions: code → text.
        named_by: a code of another vocabulary → the codes that are said to mean the same (xref in OBO).
        ranges: categories of ICD that codes are said to be about.
        findings: what was odd in the file, counted.

    Raises:
        DataError: there is a cycle; its codes are named.
    """

    parents: Mapping[str, tuple[str, ...]]
    descriptions: Mapping[str, str] = field(default_factory=dict)
    named_by: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    ranges: tuple[Range, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        known = {
            code: tuple(dict.fromkeys(each for each in above if each != code)) for code, above in self.parents.items()
        }
        for above in list(known.values()):
            for code in above:
                known.setdefault(code, ())
        object.__setattr__(self, "parents", known)
        _ = self._graph  # refuses cycles

    def __len__(self) -> int:
        return len(self.parents)

    def __contains__(self, code: object) -> bool:
        return code in self.parents

    def __iter__(self) -> Iterator[str]:
        return iter(self.parents)

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Code → the codes right below it."""
        found: dict[str, list[str]] = {code: [] for code in self.parents}
        for code, above in self.parents.items():
            for each in above:
                found[each].append(code)
        return {code: tuple(below) for code, below in found.items()}

    @property
    def roots(self) -> tuple[str, ...]:
        """Codes above which there is nothing."""
        return tuple(code for code, above in self.parents.items() if not above)

    @property
    def lowest(self) -> tuple[str, ...]:
        """Codes below which there is nothing."""
        return tuple(code for code, below in self.children.items() if not below)

    def ancestors(self, code: str) -> tuple[str, ...]:
        """All codes above, the nearest first, those equally near in the order of the parents.

        Raises:
            NameUnknown: there is no such code.
        """
        return self._walk(code, self.parents, self._above)

    def descendants(self, code: str) -> tuple[str, ...]:
        """All codes below, the nearest first.

        Raises:
            NameUnknown: there is no such code.
        """
        return self._walk(code, self.children, self._below)

    def depth(self, code: str) -> int:
        """Fewest steps up to a code above which there is nothing: 0 for that itself.

        Raises:
            NameUnknown: there is no such code.
        """
        self._require(code)
        return int(self._depths[self._graph.numbers[code]])

    def rollup(self, vocabulary: Sequence[str], to: Iterable[str] | int, *, keep: bool = False) -> dict[str, str]:
        """Each code → one code above it, or itself, in the form that `Features` takes as ``codes``.

        Of several that are asked for the nearest is taken, of those equally near the one that comes first in `to`: a
        code counts once, never for two. The end of something (``CODE//END``) is no further occurrence of it, and
        stands below nothing here.

        Args:
            vocabulary: codes, as those of `Columns`; those that are below none of `to` are left out.
            to: codes; or a depth, see `depth`: then codes above that depth stand for themselves.
            keep: let codes that are below none stand for themselves.

        Raises:
            NameUnknown: a code of `to` is not in the hierarchy.
            RecipeError: a depth below 0.
        """
        graph = self._graph
        asked = self._at(to) if isinstance(to, int) else list(dict.fromkeys(to))
        own = np.full(len(graph.codes), NOT_REACHED)
        for rank, code in enumerate(asked):
            self._require(code)
            own[graph.numbers[code]] = rank
        # a key is (steps, rank): it is smallest for the nearest, then for the first
        found = _downward(graph, own, max(1, len(asked)))
        names: dict[str, str] = {}
        for code in vocabulary:
            number = graph.numbers.get(code)
            if number is not None and found[number] < NOT_REACHED and not code.endswith(END):
                names[code] = asked[int(found[number]) % len(asked)]
            elif keep:
                names[code] = code
        return names

    def _at(self, depth: int) -> list[str]:
        if depth < 0:
            raise RecipeError(f"depth {depth}", why="the topmost codes are at depth 0", fix="rollup(vocabulary, 1)")
        return [code for code, each in zip(self._graph.codes, self._depths.tolist(), strict=True) if each <= depth]

    def _walk(
        self, code: str, edges: Mapping[str, tuple[str, ...]], known: dict[str, tuple[str, ...]]
    ) -> tuple[str, ...]:
        if code not in known:
            self._require(code)
            found = dict.fromkeys(edges[code])
            waiting = list(found)
            for each in waiting:  # grows meanwhile
                fresh = [other for other in edges[each] if other not in found]
                found.update(dict.fromkeys(fresh))
                waiting += fresh
            known[code] = tuple(found)
        return known[code]

    def _require(self, code: str) -> None:
        if code not in self.parents:
            system = code.split("//")[0]
            near = [each for each in self.parents if each.startswith(system)] or list(self.parents)
            raise NameUnknown("code", code, near[:OFFERED], fix="see the codes of the hierarchy: list(hierarchy)[:20]")

    @cached_property
    def _above(self) -> dict[str, tuple[str, ...]]:
        return {}

    @cached_property
    def _below(self) -> dict[str, tuple[str, ...]]:
        return {}

    @cached_property
    def _depths(self) -> np.ndarray:
        own = np.where(np.diff(self._graph.starts) == 0, 0, NOT_REACHED)
        return _downward(self._graph, own, 1)

    @cached_property
    def _graph(self) -> _Graph:
        codes: list[str] = []
        bounds: list[tuple[int, int]] = []
        missing = {code: len(above) for code, above in self.parents.items()}
        generation = [code for code, count in missing.items() if not count]
        while generation:
            bounds.append((len(codes), len(codes) + len(generation)))
            codes += generation
            below = [each for code in generation for each in self.children[code]]
            for each in below:
                missing[each] -= 1
            generation = [each for each in dict.fromkeys(below) if not missing[each]]
        if len(codes) < len(self.parents):
            _refuse_cycle(self.parents, set(self.parents) - set(codes))
        numbers = {code: number for number, code in enumerate(codes)}
        starts = np.cumsum([0, *(len(self.parents[code]) for code in codes)])
        above = np.array([numbers[each] for code in codes for each in self.parents[code]], np.int64)
        return _Graph(tuple(codes), numbers, starts, above, bounds)


def _downward(graph: _Graph, own: np.ndarray, step: int) -> np.ndarray:
    """int64 (codes,): the least of a code's own number and of those right above it, each `step` more."""
    found = own.copy()
    for first, last in graph.bounds[1:]:  # those of the first have none above them
        begin, end = graph.starts[first], graph.starts[last]
        least = np.minimum.reduceat(found[graph.above[begin:end]], graph.starts[first:last] - begin)
        found[first:last] = np.minimum(own[first:last], least + step)
    return found


def _refuse_cycle(parents: Mapping[str, tuple[str, ...]], left: set[str]) -> None:
    """Say which codes are above themselves. Every code that is left has one above it that is left too."""
    path = [min(left)]
    while True:
        above = next(each for each in parents[path[-1]] if each in left)
        if above in path:
            cycle = [*path[path.index(above) :], above]
            raise DataError(
                f"codes that are above themselves: {' → '.join(cycle)}",
                why="what belongs to what has no circle in it",
                fix=f"take one of these steps out, such as {cycle[0]} below {cycle[1]}",
            )
        path.append(above)
