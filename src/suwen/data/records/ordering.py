"""Events by subject and time, each once.

Subjects are laid together by counting, O(N); within a subject events are sorted by time only where they are not in
order. Whole events, texts included, are compared only where subject, time and code are the same.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit

from suwen.data.records.events import microseconds

FEW = 32
"""Events of one time whose codes are compared each with each; of more they are sorted."""


def in_order(table: pa.Table) -> tuple[pa.Table, int]:
    """The events of a table of `SCHEMA` by subject and time, those without a time first; and how many were repeated.

    Events of one time keep the order in which they came.
    """
    table = table.combine_chunks()
    if not len(table):
        return table, 0
    subjects = table["subject_id"].combine_chunks().dictionary_encode()
    ids = subjects.dictionary.to_numpy()
    ranks = np.empty(len(ids), np.int32)
    ranks[np.argsort(ids)] = np.arange(len(ids), dtype=np.int32)
    codes = table["code"].combine_chunks().dictionary_encode().indices.to_numpy()
    rows, alike = _laid(ranks[subjects.indices.to_numpy()], len(ids), microseconds(table["time"]), codes)
    again = _again(table, np.flatnonzero(alike))
    if len(again):
        alike[:] = False
        alike[again] = True
        rows = rows[~alike[rows]]
    return taken(table, rows), len(again)


def taken(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """These rows; columns of nothing but nulls, of which most sources have some, are not looked up."""
    places = pa.array(rows)
    columns = [
        pa.nulls(len(rows), column.type) if column.null_count == len(column) else column.take(places)
        for column in table.combine_chunks().columns
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _again(table: pa.Table, rows: np.ndarray) -> np.ndarray:
    """Which of these rows, ascending, are there further up among them."""
    numbered = table.take(pa.array(rows)).append_column("row", pa.array(rows))
    first = numbered.group_by(table.column_names, use_threads=False).aggregate([("row", "min")])["row_min"]
    return np.setdiff1d(rows, first.to_numpy(), assume_unique=True)


@njit(cache=True, nogil=True)
def _laid(ranks: np.ndarray, subjects: int, times: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64 (N,), the rows in order; bool (N,), whether a row shares subject, time and code with another."""
    starts = np.zeros(subjects + 1, np.int64)
    for rank in ranks:
        starts[rank + 1] += 1
    starts = np.cumsum(starts)
    place, rows = starts.copy(), np.empty(len(ranks), np.int64)
    for row in range(len(ranks)):
        rank = ranks[row]
        rows[place[rank]] = row
        place[rank] += 1
    alike = np.zeros(len(ranks), np.bool_)
    for subject in range(subjects):
        own = rows[starts[subject] : starts[subject + 1]]
        for number in range(1, len(own)):
            if times[own[number]] < times[own[number - 1]]:
                own[:] = own[np.argsort(times[own], kind="mergesort")]
                break
        first = 0
        for number in range(1, len(own) + 1):
            if number == len(own) or times[own[number]] != times[own[first]]:
                if number - first > 1:
                    _compare(own[first:number], codes, alike)
                first = number
    return rows, alike


@njit(cache=True, nogil=True)
def _compare(rows: np.ndarray, codes: np.ndarray, alike: np.ndarray) -> None:
    """Mark those of these rows that share their code."""
    if len(rows) <= FEW:
        for number in range(len(rows)):
            for other in range(number):
                if codes[rows[number]] == codes[rows[other]]:
                    alike[rows[number]] = alike[rows[other]] = True
        return
    ordered = rows[np.argsort(codes[rows])]
    for number in range(1, len(ordered)):
        if codes[ordered[number]] == codes[ordered[number - 1]]:
            alike[ordered[number]] = alike[ordered[number - 1]] = True
