"""Large files of lines, read a piece at a time by several processes."""

from __future__ import annotations

from pathlib import Path


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
