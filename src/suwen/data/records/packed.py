"""Files that are packed, and may be made to fill a machine when they are unpacked."""

from __future__ import annotations

from suwen.core.errors import FileUnreadable

RATIO = 200
"""A packed file may become so many times as large. Deflate reaches 1032 (RFC 1951) with nothing but repetition; health
records come to 5 to 50."""

UNSUSPECTED = 2**30
"""Bytes to which any file may grow."""


def refuse_grown(name: str, given: int, packed: int, unsuspected: int | None = None) -> None:
    """Turn away what is made to fill a machine.

    Args:
        name: of the file.
        given: bytes that have come, or will come, out of it.
        packed: bytes out of which they came.
        unsuspected: bytes that are no matter; `UNSUSPECTED` unless given.

    Raises:
        FileUnreadable: so many bytes out of so few.
    """
    if given > (UNSUSPECTED if unsuspected is None else unsuspected) and given > RATIO * packed:
        raise FileUnreadable(
            f"{name}: {packed:,} bytes become {given:,}, or more",
            why=f"what is packed to less than 1/{RATIO} is a bomb, or has nothing but repetition in it",
            fix="unpack it yourself, if you trust it, and import what was in it",
        )
