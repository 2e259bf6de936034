"""Bytes of FHIR files: plain, in gzip or in a zip archive, read a piece at a time and never unpacked to disk."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson

from suwen.core.errors import FileUnreadable
from suwen.data.records.packed import refuse_grown

CHUNK = 2**20
"""Bytes read at a time."""

MOST = 2**27
"""An archive may expand to so many bytes in any case; to more only if that is not suspicious (`refuse_grown`)."""

LONGEST = 256 * 2**20
"""Bytes of a document, or of a line, which is in memory as a whole, read and parsed: five to ten times as many."""

LINES = (".ndjson", ".jsonl")
SUFFIXES = (".json", *LINES)

READ_ERRORS = (EOFError, NotImplementedError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What gzip and zipfile raise on files that are cut short, damaged, encrypted, or packed in a way they do not know."""

BOM = b"\xef\xbb\xbf"
FIX = "export the file again, or take it out of the source"


@dataclass(frozen=True)
class Opened:
    """One document, or one file of lines.

    Attributes:
        name: to tell where something is: a path, and a member of an archive.
        lines: a resource a line.
        chunks: its bytes.
    """

    name: str
    lines: bool
    chunks: Iterator[bytes]


def damaged(name: str, error: Exception) -> FileUnreadable:
    """The error to raise for a file that is not what its name says."""
    return FileUnreadable(f"{name}: {error}", why="the file is cut short, damaged, or no UTF-8 JSON", fix=FIX)


def too_long(name: str) -> FileUnreadable:
    """The error to raise for what is longer than `LONGEST`."""
    return FileUnreadable(
        f"{name}: a document, or a line, longer than {LONGEST >> 20} MiB",
        why="it is in memory as a whole, and takes there several times as much",
        fix="write a resource a line: jq -c '.entry[].resource' BUNDLE.json > BUNDLE.ndjson",
    )


def is_fhir(name: str) -> bool:
    """By its name."""
    return name.lower().removesuffix(".gz").endswith(SUFFIXES) or name.lower().endswith(".zip")


def is_lines(name: str) -> bool:
    """A resource a line, by its name."""
    return name.lower().removesuffix(".gz").endswith(LINES)


def recognised(source: Path) -> list[Path]:
    """The file, or the files below the folder, that may hold FHIR; hidden ones are passed over."""
    found = sorted(source.rglob("*")) if source.is_dir() else [source]
    return [
        file
        for file in found
        if is_fhir(file.name)
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(source).parts)
    ]


def opened(file: Path, start: int = 0, stop: int | None = None) -> Iterator[Opened]:
    """What a file holds: itself, what is in its gzip, or the members of its archive.

    Args:
        file: by its name plain, ``.gz`` or ``.zip``.
        start: first byte of a plain file.
        stop: byte after the last one.

    Raises:
        FileUnreadable: an archive is damaged; while chunks are read, also a file.
    """
    kind = file.suffix.lower()
    try:
        if kind == ".zip":
            yield from _members(file)
        elif kind == ".gz":
            with gzip.open(file, "rb") as stream:
                yield Opened(str(file), is_lines(file.name), _chunks(stream, str(file), _Guard(file)))
        else:
            with file.open("rb") as stream:
                stream.seek(start)
                name = f"{file} from byte {start}" if start else str(file)
                yield Opened(name, is_lines(file.name), _range(stream, start, stop))
    except READ_ERRORS as error:
        raise damaged(str(file), error) from error


def _members(file: Path) -> Iterator[Opened]:
    guard = _Guard(file)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            hidden = any(part.startswith((".", "__MACOSX")) for part in member.filename.split("/"))
            if not member.is_dir() and not hidden and member.filename.lower().endswith(SUFFIXES):
                name = f"{file}: {member.filename}"
                with archive.open(member) as stream:
                    yield Opened(name, is_lines(member.filename), _chunks(stream, name, guard))


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Guard:
    """Counts what comes out of a packed file."""

    def __init__(self, file: Path) -> None:
        self._file, self._size = file, file.stat().st_size
        self._come = 0

    def add(self, size: int) -> None:
        """So much more has come out.

        Raises:
            FileUnreadable: that is too much for its size.
        """
        self._come += size
        refuse_grown(str(self._file), self._come, self._size, MOST)


def _chunks(stream: _Stream, name: str, guard: _Guard) -> Iterator[bytes]:
    while True:
        try:
            chunk = stream.read(CHUNK)
        except READ_ERRORS as error:
            raise damaged(name, error) from error
        if not chunk:
            return
        guard.add(len(chunk))
        yield chunk


def _range(stream: _Stream, start: int, stop: int | None) -> Iterator[bytes]:
    left = None if stop is None else stop - start
    while chunk := stream.read(CHUNK if left is None else min(CHUNK, left)):
        left = None if left is None else left - len(chunk)
        yield chunk


def lines_of(one: Opened) -> Iterator[list[bytes]]:
    """Lines, without what ends them, some at a time; a byte order mark is dropped.

    Raises:
        FileUnreadable: a line is longer than `LONGEST`.
    """
    pieces: list[bytes] = []
    first, held = True, 0
    for chunk in one.chunks:
        if first:
            chunk, first = chunk.removeprefix(BOM), False
        lines = chunk.split(b"\n")
        if len(lines) > 1:
            lines[0] = b"".join((*pieces, lines[0]))
            pieces, held = [], 0
        held += len(lines[-1])
        if held > LONGEST:
            raise too_long(one.name)
        pieces.append(lines.pop())
        yield lines
    yield [b"".join(pieces)]


def whole_of(one: Opened) -> bytes:
    """All bytes of a document; a byte order mark is dropped.

    Raises:
        FileUnreadable: it is longer than `LONGEST`.
    """
    pieces: list[bytes] = []
    held = 0
    for chunk in one.chunks:
        held += len(chunk)
        if held > LONGEST:
            raise too_long(one.name)
        pieces.append(chunk)
    return b"".join(pieces).removeprefix(BOM)


def first_type(file: Path) -> str:
    """resourceType of the first line of a file of lines; "" where it cannot be told (reading it will tell why)."""
    for one in opened(file):
        try:
            found = orjson.loads(next(one.chunks, b"").removeprefix(BOM).split(b"\n")[0])
        except (FileUnreadable, orjson.JSONDecodeError):
            return ""
        return str(found.get("resourceType", "")) if isinstance(found, dict) else ""
    return ""
