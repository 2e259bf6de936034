"""Columns of events on their way to disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from suwen.core.errors import DataError
from suwen.core.files import write_json
from suwen.data.records.events import NOWHEN

FORMAT = 1
"""Raise it whenever the files below change their meaning."""

SETTINGS = "columns.json"
RENUMBERED = 1 << 20
"""Codes in memory while they get their final numbers."""

TYPES: Mapping[str, type[np.generic]] = {
    "codes": np.int32,
    "times": np.int64,
    "values": np.float32,
    "available": np.int64,
    "subjects": np.int64,
    "offsets": np.int64,
}
"""Each column, a file ``NAME.npy``."""

IN_ORDER = "suwen records import STORE --from meds --out NEW   puts it in order"


class ColumnsWriter:
    """Columns on their way to a folder, batch by batch; `finish` makes them whole.

    Args:
        folder: exists, and is empty.
        events: how many there will be.
    """

    def __init__(self, folder: Path, events: int) -> None:
        self.folder, self.events = folder, events
        self._files: dict[str, BinaryIO] = {}
        self._counts = np.zeros(0, np.int64)
        self._written, self._later = 0, False
        self._last: tuple[int, int] | None = None
        self._subjects: list[np.ndarray] = []
        self._starts: list[np.ndarray] = []
        for name in ("codes", "times", "values"):
            self._open(name)

    def __enter__(self) -> ColumnsWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def _open(self, name: str) -> None:
        self._files[name] = file = (self.folder / f"{name}.npy").open("wb")
        description = np.lib.format.dtype_to_descr(np.dtype(TYPES[name]))
        header = {"descr": description, "fortran_order": False, "shape": (self.events,)}
        np.lib.format.write_array_header_1_0(file, header)

    def add(
        self,
        subjects: np.ndarray,
        times: np.ndarray,
        codes: np.ndarray,
        values: np.ndarray,
        available: np.ndarray | None = None,
    ) -> None:
        """The events that follow; codes by numbers of the caller's.

        Raises:
            DataError: they are not in order.
        """
        if not len(subjects):
            return
        new = self._starts_in(subjects, times)
        self._subjects.append(subjects[new])
        self._starts.append(np.flatnonzero(new) + self._written)
        self._last = int(subjects[-1]), int(times[-1])
        if available is not None and not self._later and (available != times).any():
            self._begin_available()
        columns = {"codes": codes, "times": times, "values": values}
        if self._later:
            columns["available"] = times if available is None else available
        for name, column in columns.items():
            self._files[name].write(np.ascontiguousarray(column, TYPES[name]).data)
        counts = np.bincount(codes, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        self._written += len(subjects)

    def _starts_in(self, subjects: np.ndarray, times: np.ndarray) -> np.ndarray:
        """bool: where the events of another subject begin."""
        before = self._last or (int(subjects[0]) - 1 if subjects[0] > NOWHEN else int(subjects[0]) + 1, NOWHEN)
        earlier = np.empty_like(times)
        earlier[0], earlier[1:] = before[1], times[:-1]
        new = np.empty(len(subjects), bool)
        new[0], new[1:] = subjects[0] != before[0], subjects[1:] != subjects[:-1]
        back = ~new & (times < earlier)
        if back.any():
            raise DataError(
                f"an event of subject {subjects[back][0]} is earlier than the one above it",
                why="what is read up to a time relies on events by time, those without a time first",
                fix=IN_ORDER,
            )
        return new

    def _begin_available(self) -> None:
        """Times of availability begin to matter: until here they were the times themselves."""
        self._later = True
        self._open("available")
        self._files["times"].flush()
        with (self.folder / "times.npy").open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            shutil.copyfileobj(file, self._files["available"], 1 << 24)

    def finish(self, names: list[str], units: Mapping[str, Mapping[str, int]], fingerprint: str) -> None:
        """Number the codes by how often they occur, and write what is known of all.

        Args:
            names: of the caller's numbers.
            units: code → unit → events.
            fingerprint: of all.

        Raises:
            DataError: a subject in two pieces.
        """
        if self._written != self.events:
            raise DataError(f"{self._written} events of {self.events}", why="files changed meanwhile", fix="try again")
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())  # what is said to be complete is on the disk, even if the power goes
            file.close()
        subjects = np.concatenate([np.zeros(0, np.int64), *self._subjects])
        self._refuse_pieces(subjects)
        np.save(self.folder / "subjects.npy", subjects)
        np.save(self.folder / "offsets.npy", np.concatenate([*self._starts, [self._written]]).astype(np.int64))
        counts = np.zeros(len(names), np.int64)
        counts[: len(self._counts)] = self._counts
        # a dictionary of a file can hold codes that no event of it has
        order = sorted(np.flatnonzero(counts).tolist(), key=lambda number: (-counts[number], names[number]))
        self._renumber(order, len(names))
        settings = {
            "format": FORMAT,
            "fingerprint": fingerprint,
            "events": self._written,
            "columns": [name for name in TYPES if (self.folder / f"{name}.npy").is_file()],
            "codes": [names[number] for number in order],
            "counts": counts[order].tolist(),
            "units": {code: dict(of_code) for code, of_code in units.items()},
        }
        write_json(self.folder / SETTINGS, settings)

    def _refuse_pieces(self, subjects: np.ndarray) -> None:
        ids, pieces = np.unique(subjects, return_counts=True)
        if (pieces > 1).any():
            raise DataError(
                f"the events of subject {ids[pieces > 1][0]} lie in {pieces[pieces > 1][0]} places",
                why="every subject is in one file, in one piece",
                fix=IN_ORDER,
            )

    def _renumber(self, order: list[int], known: int) -> None:
        if not self._written or order == list(range(len(order))):
            return
        table = np.zeros(known, np.int32)
        table[order] = np.arange(len(order), dtype=np.int32)
        codes = np.load(self.folder / "codes.npy", mmap_mode="r+", allow_pickle=False)
        for start in range(0, len(codes), RENUMBERED):
            codes[start : start + RENUMBERED] = table[codes[start : start + RENUMBERED]]
        codes.flush()
