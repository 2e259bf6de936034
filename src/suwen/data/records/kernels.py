"""What is known of a subject at a time, aggregated over windows that look back: one walk over the events a label.

For each label (subject, time t) the events of the subject are walked backwards from t until the longest window ends.
Each event is added to one cell, (slot of its code, the shortest window it lies in); afterwards the cells of each slot
that was touched are added up from the shortest window to the longest. What an event costs is thus independent of the
number of windows.

An event counts for a label if its time is in (t - window, t] **and** it was available at t. Events without a time
(static) lie in the window ``ALL`` only, as the earliest of all.

Complexity: O(Σ over labels of the events within the longest window + entries of the output); labels are sorted by
subject and time, so that the events of one subject are read from the cache of the processor. Of two walks the first
only counts, so that the output is allocated once, in its final size. A thread needs ``slots × windows × 64`` bytes (128
with aggregates of `SPREAD`). Threads share the labels and run without the interpreter's lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit
from scipy import sparse

from suwen.core.errors import DataError, NameUnknown, RecipeError
from suwen.data.records.columns import Columns
from suwen.data.records.events import NOWHEN

SECOND = 1_000_000
DAY = 86_400 * SECOND
ALL = int(np.iinfo(np.int64).max)
"""The window that holds everything before, events without a time included."""

AGGREGATES = (
    "count", "present", "last", "first", "mean", "min", "max", "sum", "slope", "since", "std", "change", "held",
)  # fmt: skip
"""``count`` and ``present`` (1) of events of any kind; ``since``: days since the last event that has a time. The others
are those of values, and undefined where there is none: ``slope`` is the least-squares one, a day, and undefined below
two points in time; ``std`` that of a sample (n - 1), undefined below two values; ``change`` the last less the first;
``held`` the mean over time, each value with a time holding until the next one does and the last until the label,
undefined where no time passed. Of events of one time the later one in the store is the last."""

COUNT, PRESENT, LAST, FIRST, MEAN, LOWEST, HIGHEST, SUM, SLOPE, SINCE, STD, CHANGE, HELD = range(len(AGGREGATES))
SPREAD = (SLOPE, STD, HELD)
"""Those that need more sums than the others."""

ZERO = frozenset({"count", "present"})
"""Aggregates that are 0, and not undefined, where there is no event."""

NARROW, WIDE = 8, 16
"""Float64 of a cell, without and with the sums that `SPREAD` needs: whole cache lines."""

C_EVENTS, C_VALUES, C_SUM, C_LOW, C_HIGH, C_FIRST, C_N, C_X, C_XX, C_Y, C_XY, C_D, C_DD, C_DAYS, C_AREA = range(15)
"""What a cell holds. X are days and Y values, both less those of the slot's latest point, and D values less the slot's
latest value: numbers far from 0 would lose digits (Chan, Golub & LeVeque, The American Statistician
1983;37(3):242-247). Area is that under values that are held, over so many days."""

S_TIME, S_LAST, S_X, S_Y, S_NEXT = range(5)
"""What a slot holds: the time of its latest event, its latest value, the latest point that has both, and how many days
before the label the value that was met last was taken."""

SHARE = 8
"""Pieces of work a thread: subjects differ in their number of events."""

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Machine code of it, kept from run to run, that needs no lock of the interpreter."""
    return cast("Function", njit(nogil=True, cache=True)(function))


class Store(NamedTuple):
    """See `Columns`; `available` is empty where all is known at its own time."""

    offsets: np.ndarray
    times: np.ndarray
    codes: np.ndarray
    values: np.ndarray
    available: np.ndarray


class _Labels(NamedTuple):
    """`order` sorts them by subject and time."""

    order: np.ndarray
    places: np.ndarray
    times: np.ndarray


class _Asked(NamedTuple):
    """See `Slots` and `aggregate`; `kinds` are positions in `AGGREGATES`."""

    of_code: np.ndarray
    scales: np.ndarray
    edges: np.ndarray
    kinds: np.ndarray
    spread: bool


class _Output(NamedTuple):
    """`sizes` of the rows are found first, while the others are empty; then they are filled."""

    sizes: np.ndarray
    starts: np.ndarray
    indices: np.ndarray
    data: np.ndarray


class _Scratch(NamedTuple):
    """Of one thread. A label's slots get cells in the order in which they are touched, so that what is worked on stays
    small, whatever the vocabulary: `spot` (slots) says which, -1 for none, and `touched` which slots there are."""

    cells: np.ndarray
    latest: np.ndarray
    spot: np.ndarray
    touched: np.ndarray
    stats: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Which codes are looked at, and what becomes of their values.

    Attributes:
        of_code: int32 (V,): the slot of each code of the vocabulary, -1 for one that is not looked at. Codes may share.
        count: number of slots.
        scales: float64 (count, 4): lowest and highest value, to which others are clipped; then what is taken away, and
            what the rest is multiplied by.
    """

    of_code: np.ndarray
    count: int
    scales: np.ndarray

    @staticmethod
    def of(of_code: np.ndarray, count: int | None = None, scales: np.ndarray | None = None) -> Slots:
        """Slots whose values stay as they are, unless `scales` are given."""
        count = int(of_code.max(initial=-1)) + 1 if count is None else count
        same = np.tile(np.array([-np.inf, np.inf, 0.0, 1.0]), (count, 1))
        return Slots(of_code=of_code.astype(np.int32), count=count, scales=same if scales is None else scales)


def aggregate(
    columns: Columns,
    places: np.ndarray,
    times: np.ndarray,
    slots: Slots,
    windows: Sequence[int],
    aggregates: Sequence[str],
    *,
    threads: int | None = None,
) -> sparse.csr_matrix:
    """Aggregates of L labels, float32 (L, slots × windows × aggregates).

    Column ``(slot * W + window) * A + aggregate``. What is undefined, or 0 for want of events, is not stored; a value
    of 0 is. Rows are in the order of the labels, columns of a row in ascending order.

    Args:
        columns: the events.
        places: int64 (L,), the subject of each label, see `Columns.places`.
        times: int64 (L,), microseconds.
        slots: the codes.
        windows: W lengths in microseconds, ascending; `ALL` for everything before.
        aggregates: A of `AGGREGATES`.
        threads: as many as there are processors unless given.

    Raises:
        RecipeError: no window, none above 0, or not in ascending order.
        NameUnknown: an aggregate is not known.
        DataError: a subject, or a slot, that is not there.
    """
    _refuse_outside(columns, places, slots)
    kinds, edges = _kinds(aggregates), _edges(windows)
    labels = _Labels(*(_frozen(each, np.int64) for each in (np.lexsort((times, places)), places, times)))
    asked = _Asked(
        _frozen(slots.of_code, np.int32),
        _frozen(slots.scales, np.float64),
        edges,
        kinds,
        bool(np.isin(SPREAD, kinds).any()),
    )
    store = store_of(columns)
    bounds = _pieces(columns, places[labels.order], threads or processors())
    wide = slots.count * len(edges) * len(kinds)
    kind = np.int32 if wide <= np.iinfo(np.int32).max else np.int64
    sizes = np.zeros(len(times) + 1, np.int64)
    counting = _Output(sizes, np.zeros(0, np.int64), np.zeros(0, kind), np.zeros(0, np.float32))
    _in_threads(threads, bounds, lambda first, last: _rows(first, last, labels, store, asked, counting))
    starts = np.cumsum(sizes)
    filled = _Output(sizes, starts, np.empty(starts[-1], kind), np.empty(starts[-1], np.float32))
    _in_threads(threads, bounds, lambda first, last: _rows(first, last, labels, store, asked, filled))
    return _matrix(filled, (len(times), wide))


def dense(
    columns: Columns,
    places: np.ndarray,
    times: np.ndarray,
    slots: Slots,
    windows: Sequence[int],
    aggregates: Sequence[str],
    *,
    threads: int | None = None,
) -> np.ndarray:
    """The same as `aggregate`, float32 (L, slots × windows × aggregates): NaN where undefined, counts of nothing 0."""
    empty = np.array([0.0 if name in ZERO else np.nan for name in aggregates], np.float32)
    row = np.tile(empty, slots.count * len(windows))
    found = np.empty((len(times), len(row)), np.float32)
    step = max(1, (1 << 24) // max(1, len(row)))  # the sparse form of so many rows lies beside it
    for start in range(0, len(times), step):
        some = slice(start, start + step)
        part = aggregate(columns, places[some], times[some], slots, windows, aggregates, threads=threads)
        found[some] = row
        found[some][np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)), part.indices] = part.data
    return found


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _refuse_outside(columns: Columns, places: np.ndarray, slots: Slots) -> None:
    """Kernels do not look whether a position is within an array."""
    absent = (places < 0) | (places >= len(columns.subjects))
    if absent.any():
        raise DataError(
            f"{absent.sum()} labels of subjects that have no events", why="their place is -1", fix="leave them out"
        )
    if len(slots.of_code) != len(columns.vocabulary) or slots.of_code.max(initial=-1) >= slots.count:
        raise DataError(
            f"slots of {len(slots.of_code)} codes up to {slots.of_code.max(initial=-1)}",
            why=f"there are {len(columns.vocabulary)} codes and {slots.count} slots",
            fix="Slots.of with a slot, or -1, for each code of the vocabulary",
        )


def _kinds(aggregates: Sequence[str]) -> np.ndarray:
    for name in aggregates:
        if name not in AGGREGATES:
            raise NameUnknown("aggregate", name, AGGREGATES)
    return np.array([AGGREGATES.index(name) for name in aggregates], np.int64)


def _edges(windows: Sequence[int]) -> np.ndarray:
    edges = np.array(list(windows), np.int64)
    if not len(edges) or (edges <= 0).any() or (np.diff(edges) <= 0).any():
        raise RecipeError(
            f"windows {list(windows)}", why="each is longer than the one before", fix='windows=("1d", "7d")'
        )
    return edges


def _frozen(array: np.ndarray, kind: type[np.generic]) -> np.ndarray:
    """A read-only view, so that mapped and other arrays are of one type, for which one kernel is compiled."""
    view = np.ascontiguousarray(np.asarray(array), kind).view()
    view.flags.writeable = False
    return view


def _pieces(columns: Columns, places: np.ndarray, threads: int) -> list[tuple[int, int]]:
    """Ranges of sorted labels with about as many events each, cut between labels."""
    events = np.cumsum((columns.offsets[places + 1] - columns.offsets[places]) + 16) if len(places) else np.zeros(0)
    wanted = SHARE * threads if threads > 1 else 1
    cuts = np.searchsorted(events, np.linspace(0, events[-1] if len(events) else 0, wanted + 1)[1:-1]).tolist()
    ends = sorted({0, *cuts, len(places)})
    return list(pairwise(ends))


def _in_threads(threads: int | None, bounds: Sequence[tuple[int, int]], work: Any) -> None:
    workers = min(threads or processors(), len(bounds))
    if workers <= 1:
        for first, last in bounds:
            work(first, last)
        return
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, first, last) for first, last in bounds]:
            done.result()


def _matrix(output: _Output, shape: tuple[int, int]) -> sparse.csr_matrix:
    """The matrix around these arrays, which are not copied: SciPy wants both kinds of positions to be of one type."""
    small = output.starts[-1] <= np.iinfo(np.int32).max and output.indices.dtype == np.int32
    indices, starts = (each.astype(np.int32 if small else np.int64, copy=False) for each in output[2:0:-1])
    found = sparse.csr_matrix((output.data, indices, starts), shape=shape, copy=False)
    found.has_sorted_indices = True
    return found


def store_of(columns: Columns) -> Store:
    """The arrays as kernels take them: read-only, and of one type whether they are mapped or not."""
    available = np.zeros(0, np.int64) if columns.available is None else columns.available
    return Store(
        _frozen(columns.offsets, np.int64),
        _frozen(columns.times, np.int64),
        _frozen(columns.codes, np.int32),
        _frozen(columns.values, np.float32),
        _frozen(available, np.int64),
    )


@compiled
def _rows(first: int, last: int, labels: _Labels, store: Store, asked: _Asked, output: _Output) -> None:
    """Labels `first` to `last` of the sorted ones: their sizes, or, once `starts` are known, their entries."""
    slots, windows, filling = len(asked.scales), len(asked.edges), len(output.starts) > 0
    scratch = _Scratch(
        np.empty((slots * windows, WIDE if asked.spread else NARROW)),
        np.empty((slots, S_NEXT + 1)),
        np.full(slots, -1, np.int32),
        np.empty(slots, np.int32),
        np.ones(len(AGGREGATES)),  # `present` is 1 wherever it is asked for
    )
    for number in range(first, last):
        row = labels.order[number]
        place, t = labels.places[row], labels.times[row]
        begin, end = store.offsets[place], store.offsets[place + 1]
        end = begin + np.searchsorted(store.times[begin:end], t, side="right")
        count = _walk(begin, end, t, store, asked, scratch)
        if filling:
            scratch.touched[:count].sort()
            _entries(count, asked, scratch, output, output.starts[row])
        else:
            output.sizes[row + 1] = _entries(count, asked, scratch, output, 0)


@compiled
def _walk(begin: int, end: int, t: int, store: Store, asked: _Asked, scratch: _Scratch) -> int:
    """Add the events before `end` to the cells, the latest first; how many slots were touched."""
    # An array that is taken from a tuple, or handed to a function, has its references counted, which takes longer than
    # an event does: hence all fields are taken here, and nothing is called within the loops.
    _, times, codes, values, available = store
    of_code, scales, edges, _, spread = asked
    cells, latest, spots, touched, _ = scratch
    windows, count, window, late = len(edges), 0, 0, len(available) > 0
    for event in range(end - 1, begin - 1, -1):
        time = times[event]
        timed = time != NOWHEN
        if not timed:
            window = windows - 1 if edges[windows - 1] == ALL else windows
        while timed and window < windows and t - time >= edges[window]:
            window += 1
        if window == windows:
            break
        slot = of_code[codes[event]]
        if slot < 0 or (late and available[event] > t):
            continue
        spot = spots[slot]
        if spot < 0:
            spot, spots[slot], touched[count] = count, count, slot
            count += 1
            for each in range(S_NEXT):
                latest[spot, each] = np.nan
            latest[spot, S_NEXT] = 0.0
            for cell in range(spot * windows, (spot + 1) * windows):
                for each in range(cells.shape[1]):
                    cells[cell, each] = 0.0
                cells[cell, C_LOW], cells[cell, C_HIGH] = np.inf, -np.inf
            if timed:
                latest[spot, S_TIME] = (t - time) / DAY
        cell = spot * windows + window
        cells[cell, C_EVENTS] += 1
        value = np.float64(values[event])
        if np.isnan(value):
            continue
        value = (min(max(value, scales[slot, 0]), scales[slot, 1]) - scales[slot, 2]) * scales[slot, 3]
        if np.isnan(latest[spot, S_LAST]):
            latest[spot, S_LAST] = value
        cells[cell, C_VALUES] += 1
        cells[cell, C_SUM] += value
        cells[cell, C_LOW] = min(cells[cell, C_LOW], value)
        cells[cell, C_HIGH] = max(cells[cell, C_HIGH], value)
        cells[cell, C_FIRST] = value
        if spread:
            away = value - latest[spot, S_LAST]
            cells[cell, C_D] += away
            cells[cell, C_DD] += away * away
        if spread and timed:
            days = (t - time) / DAY  # before the label: they count the other way
            if np.isnan(latest[spot, S_X]):
                latest[spot, S_X], latest[spot, S_Y] = days, value
            x, y = latest[spot, S_X] - days, value - latest[spot, S_Y]
            cells[cell, C_N] += 1
            cells[cell, C_X] += x
            cells[cell, C_XX] += x * x
            cells[cell, C_Y] += y
            cells[cell, C_XY] += x * y
            cells[cell, C_DAYS] += days - latest[spot, S_NEXT]
            cells[cell, C_AREA] += (days - latest[spot, S_NEXT]) * value
            latest[spot, S_NEXT] = days
    return count


@compiled
def _entries(count: int, asked: _Asked, scratch: _Scratch, output: _Output, place: int) -> int:
    """Add up the cells of each slot over the windows, and write what is defined; how many entries that is."""
    _, _, edges, kinds, spread = asked
    cells, latest, spots, touched, stats = scratch
    _, starts, indices, data = output
    windows, start, filling = len(edges), place, len(starts) > 0
    for number in range(count):
        slot = touched[number]
        spot, spots[slot] = spots[slot], -1
        for cell in range(spot * windows, (spot + 1) * windows):
            if cell > spot * windows:  # a window holds what the next shorter one holds
                if cells[cell, C_VALUES] == 0:
                    cells[cell, C_FIRST] = cells[cell - 1, C_FIRST]
                cells[cell, C_LOW] = min(cells[cell, C_LOW], cells[cell - 1, C_LOW])
                cells[cell, C_HIGH] = max(cells[cell, C_HIGH], cells[cell - 1, C_HIGH])
                for each in range(C_SUM + 1):
                    cells[cell, each] += cells[cell - 1, each]
                for each in range(C_N, C_AREA + 1 if spread else C_N):
                    cells[cell, each] += cells[cell - 1, each]
            if cells[cell, C_EVENTS] == 0:
                continue
            stats[COUNT], stats[SINCE] = cells[cell, C_EVENTS], latest[spot, S_TIME]
            n = cells[cell, C_VALUES]
            some = 1.0 if n > 0 else np.nan
            stats[LAST], stats[FIRST] = latest[spot, S_LAST] * some, cells[cell, C_FIRST] * some
            stats[MEAN], stats[SUM] = cells[cell, C_SUM] / max(n, 1) * some, cells[cell, C_SUM] * some
            stats[LOWEST], stats[HIGHEST] = cells[cell, C_LOW] * some, cells[cell, C_HIGH] * some
            stats[CHANGE] = stats[LAST] - stats[FIRST]
            if spread:
                squares = cells[cell, C_DD] - cells[cell, C_D] ** 2 / max(n, 1)
                stats[STD] = np.sqrt(max(squares, 0.0) / (n - 1)) if n > 1 else np.nan
                days = cells[cell, C_DAYS]
                stats[HELD] = cells[cell, C_AREA] / days if days > 0 else np.nan
                n, x = cells[cell, C_N], cells[cell, C_X]
                wide = n * cells[cell, C_XX] - x * x
                stats[SLOPE] = (n * cells[cell, C_XY] - x * cells[cell, C_Y]) / wide if wide > 0 else np.nan
            column = (slot * windows + cell - spot * windows) * len(kinds)
            for aggregate in range(len(kinds)):
                stat = stats[kinds[aggregate]]
                if not np.isnan(stat):
                    if filling:
                        indices[place], data[place] = column + aggregate, stat
                    place += 1
    return place - start
