"""Concept numbers of OMOP → codes, descriptions and parents, of the tables CONCEPT, CONCEPT_ANCESTOR and
CONCEPT_RELATIONSHIP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from suwen.data.records.events import END, START
from suwen.data.records.omop.tables import BARE, OURS, table_of
from suwen.data.records.source import Described
from suwen.data.records.tables import casts
from suwen.data.records.tables.sheets import batches, require

UNKNOWN = "OMOP//"
"""Before the number of a concept of which no table tells: it is a code too, though an opaque one."""


class Vocabulary:
    """Codes of concepts.

    Args:
        files: of the three tables, in any order, or none.

    Raises:
        FileUnreadable: one is damaged, or lacks a column.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files: dict[str, list[Path]] = {}
        for file in files:
            self._files.setdefault(table_of(file), []).append(file)
        ids, codes, plain, ours = [np.zeros(0, np.int64)], [], [], [np.zeros(0, bool)]
        for number, batch in self._rows("concept", ("concept_id", "vocabulary_id", "concept_code", "concept_class_id")):
            vocabulary, code, kind = (casts.text(batch.column(place)).values for place in (1, 2, 3))
            own = np.asarray(pc.equal(kind, OURS).fill_null(False))
            bare = pc.or_kleene(pc.is_null(vocabulary), pc.and_(pa.array(own), pc.equal(vocabulary, BARE)))
            ids.append(number)
            ours.append(own)
            plain.append(code)
            joined = pc.binary_join_element_wise(vocabulary, code, "//")
            codes.append(pc.if_else(bare, code, joined))
        self._ids = np.concatenate(ids)
        order = np.argsort(self._ids, kind="stable")
        self._ids, self._ours = self._ids[order], np.concatenate(ours)[order]
        self._codes = pa.chunked_array(codes, pa.string()).take(pa.array(order)).combine_chunks()
        self._plain = pa.chunked_array(plain, pa.string()).take(pa.array(order)).combine_chunks()

    def codes(self, concepts: np.ndarray) -> pa.Array:
        """int64 concepts → ``VOCABULARY//CODE``, or ``OMOP//NUMBER`` of those that are not in the table."""
        return self._told(self._codes, concepts)

    def units(self, concepts: np.ndarray) -> pa.Array:
        """The same without the vocabulary: ``mg/dL``."""
        return self._told(self._plain, concepts)

    def ours(self, concepts: np.ndarray) -> np.ndarray:
        """bool: whether an export of suwen wrote them."""
        place, there = self._places(concepts)
        found = np.zeros(len(concepts), bool)
        found[there] = self._ours[place[there]]
        return found

    @property
    def has_ours(self) -> bool:
        """Whether an export of suwen wrote any."""
        return bool(self._ours.any())

    def describe(self, used: np.ndarray, spanned: np.ndarray, described: Described) -> None:
        """Put in what is known of concepts: names, and the concepts right above them.

        Args:
            used: int64 concepts that occur.
            spanned: those of them that occur as ``CODE//START``, below which the code itself stands.
            described: where it goes.
        """
        if not len(used) or not self._files:
            return
        for number, batch in self._rows("concept", ("concept_id", "concept_name"), used):
            names = casts.text(batch.column(1)).values.to_pylist()
            spans = np.isin(number, spanned).tolist()
            for code, name, spans_time in zip(self.codes(number).to_pylist(), names, spans, strict=True):
                for each in (code, *((code + START, code + END) if spans_time else ())):
                    if name and name != code:
                        described.descriptions[each] = name
                    if each != code:
                        described.parents[each] = [code]
        for below, above in self._pairs(used):
            for code, parent in zip(self.codes(below).to_pylist(), self.codes(above).to_pylist(), strict=True):
                parents = described.parents.setdefault(code, [])
                if parent not in parents:
                    parents.append(parent)

    def _pairs(self, used: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        columns = ("descendant_concept_id", "ancestor_concept_id", "min_levels_of_separation")
        for below, batch in self._rows("concept_ancestor", columns, used):
            levels = np.asarray(casts.whole(batch.column(2)).values.fill_null(0))
            above = np.asarray(casts.whole(batch.column(1)).values.fill_null(0))
            yield below[levels == 1], above[levels == 1]
        columns = ("concept_id_1", "concept_id_2", "relationship_id")
        for below, batch in self._rows("concept_relationship", columns, used):
            upward = np.asarray(pc.equal(casts.text(batch.column(2)).values, "Is a").fill_null(False))
            above = np.asarray(casts.whole(batch.column(1)).values.fill_null(0))
            yield below[upward], above[upward]

    def _rows(
        self, table: str, columns: Sequence[str], used: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """The first column as numbers, and all columns; of the concepts used, if given."""
        for file in self._files.get(table, ()):
            require(file, [(name,) for name in columns if name != "concept_class_id"])
            for batch in batches(file, columns, lambda _: None, quoted=False):
                number = casts.whole(batch.column(0)).values
                wanted = np.asarray(number.is_valid())
                if used is not None:
                    wanted &= np.isin(np.asarray(number.fill_null(0)), used)
                mask = pa.array(wanted)
                yield np.asarray(number.filter(mask)), batch.filter(mask)

    def _told(self, column: pa.Array, concepts: np.ndarray) -> pa.Array:
        numbers = pc.binary_join_element_wise(UNKNOWN, pa.array(concepts).cast(pa.string()), "")
        if not len(self._ids):
            return numbers
        place, there = self._places(concepts)
        return pc.coalesce(column.take(pa.array(place, mask=~there)), numbers)

    def _places(self, concepts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(self._ids):
            return np.zeros(len(concepts), np.int64), np.zeros(len(concepts), bool)
        place = np.searchsorted(self._ids, concepts).clip(max=len(self._ids) - 1)
        return place, self._ids[place] == concepts


@lru_cache(maxsize=1)
def vocabulary(stamps: tuple[tuple[Path, int, int], ...]) -> Vocabulary:
    """That of files, read once a process: each with its size and time of change."""
    return Vocabulary([file for file, _, _ in stamps])
