"""How a format comes in: an `Importer` cuts a source into parts, and each part into batches of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from suwen.data.records.rejects import Rejects


@dataclass(frozen=True)
class Part:
    """What is imported at a time, by itself, in any order, by any process.

    Attributes:
        name: stable from run to run, unique in the source: a path relative to it, or ``"LABEVENTS.csv#3"``.
        files: what it reads.
        size: bytes of it, for the progress bar.
        options: what else `Importer.read` needs to know, JSON-able (a range of bytes, the name of a table).
        span: first byte of the first file that is read, and the one after the last; all of it unless given.
        beside: how many of the files, the last ones, are only looked up in (names of codes, persons).
        rules: a digest of what else says which events come of it (a mapping).
    """

    name: str
    files: tuple[Path, ...]
    size: int
    options: Mapping[str, Any] = field(default_factory=dict)
    span: tuple[int, int] | None = None
    beside: int = 0
    rules: str = ""


@dataclass
class Described:
    """Codes with their descriptions and parents, as a source gives them.

    Attributes:
        descriptions: code → text.
        parents: code → the codes above it.
        authorities: subject_id → who gave the patient that number, where the source says it (the first who did).
    """

    descriptions: dict[str, str] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    authorities: dict[int, str] = field(default_factory=dict)


class Importer(Protocol):
    """One format. Pure: reading a part twice gives the same events in the same order."""

    summary: str

    def parts(self, source: Path) -> Sequence[Part]:
        """The parts of a file or a folder.

        Raises:
            DataError: there is nothing of this format; what was looked for is said.
        """
        ...

    def read(self, part: Part, rejects: Rejects, described: Described) -> Iterator[pa.Table]:
        """Batches of `suwen.data.records.events.SCHEMA`, in the order of the source, in bounded memory.

        What cannot be mapped is counted in `rejects`; codes with descriptions are put into `described`.

        Raises:
            FileUnreadable: the file itself cannot be read (truncated, a wrong encoding, another format).
        """
        ...
