"""What is read as one part: of a large file of lines a piece, of small files a group."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

GROUP = 32 * 2**20
"""Bytes of small files that are read as one part."""

CUTS = 4096
"""A group ends, besides, after one of so many files, told by its name: where files are added between others, the groups
after the next such file stay what they were, and are not read again."""


def ends_of_pieces(file: Path, size: int) -> list[int]:
    """Bytes after which a file of lines is cut into pieces of about this size, each of whole lines; its end last."""
    whole = file.stat().st_size
    ends = []
    with file.open("rb") as stream:
        place = size
        while place < whole:
            stream.seek(place)
            stream.readline()
            ends.append(stream.tell())
            place = ends[-1] + size
    return ends if ends and ends[-1] == whole else [*ends, whole]


def groups_of(files: Iterable[tuple[Path, int]]) -> Iterator[list[Path]]:
    """Files, with their sizes, in groups of up to `GROUP` bytes, in their order; a larger one by itself."""
    group: list[Path] = []
    held = 0
    for file, size in files:
        if group and held + size > GROUP:
            yield group
            group, held = [], 0
        group.append(file)
        held += size
        if zlib.crc32(file.name.encode(errors="surrogateescape")) % CUTS == 0:
            yield group
            group, held = [], 0
    if group:
        yield group


def name_of_group(files: Sequence[Path], root: Path) -> str:
    """``a.hl7`` or ``a.hl7 to z.hl7``, relative to the source."""
    first, last = (file.relative_to(root).as_posix() for file in (files[0], files[-1]))
    return first if len(files) == 1 else f"{first} to {last}"
