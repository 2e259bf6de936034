"""Files of HL7 v2 messages: one after another, in bounded memory, plain or gzip, with or without MLLP and batches.

A message begins with a line that begins with MSH, and goes on to the next. Lines end with CR, LF or both.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from suwen.core.errors import FileUnreadable
from suwen.data.records.hl7.message import ENVELOPE, NO_HEADER
from suwen.data.records.packed import refuse_grown
from suwen.data.records.rejects import LONGEST as KEPT_OF

CHUNK = 1 << 20
LONGEST = 64 * 2**20
"""Bytes of a message; a longer one is refused: it would have to be held."""

TOO_LONG = f"message longer than {LONGEST >> 20} MiB"
WRONG_BYTES = "bytes that are not of the encoding of MSH-18 (UTF-8 where it names none)"
WRONG_NAME = "encoding of MSH-18 not known"
CUT_OFF = "a result cut off at the end of the file"
NOT_ASCII = "bytes beyond ASCII where MSH-18 says ASCII (read as UTF-8, else as ISO 8859-1)"

STATUS = 11
"""OBX-11: what a result has to say, unless its OBR does."""

_START = b"\rMSH"
_ENDS = bytes.maketrans(b"\n\x0b\x1c", b"\r\r\r")
"""LF, and the bytes around a message in MLLP (HL7 Transport Specification MLLP, release 1): 0x0B … 0x1C 0x0D."""

CODECS = {
    "": "utf-8",
    "ASCII": "ascii",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/3": "iso8859-3",
    "8859/4": "iso8859-4",
    "8859/5": "iso8859-5",
    "8859/6": "iso8859-6",
    "8859/7": "iso8859-7",
    "8859/8": "iso8859-8",
    "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
    "ISO IR6": "ascii",
    "ISO IR14": "iso2022_jp_2",
    "ISO IR87": "iso2022_jp_2",
    "ISO IR159": "iso2022_jp_2",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5hkscs",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    # not of the table, but met
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "GB2312": "gb18030",
    "ISO-8859-1": "iso8859-1",
    "ISO8859-1": "iso8859-1",
    "WINDOWS-1252": "cp1252",
}
"""MSH-18 (HL7 table 0211) → codec of Python, each strict."""


class Refuse(Protocol):
    """Told of what is not handed on: why, the number of the message before it, and what it was."""

    def __call__(self, reason: str, number: int, record: str) -> None:
        """Once for each."""


def texts(stream: Callable[[int], bytes], refuse: Refuse) -> Iterator[tuple[int, str]]:
    """Numbers, from 1, and texts of the messages of a file, segments ended by CR; empty lines may be among them.

    An OBX at the end of the file that no segment end follows, and that has no status (OBX-11), is cut off, and with it
    perhaps its value (``13`` of ``13.5``): it is not handed on. Elsewhere an OBX may be as short as that.

    Args:
        stream: the next so many bytes.
        refuse: told of what is no message, or cannot be decoded.

    Raises:
        FileUnreadable: what `stream` raises.
    """
    number, cut = 0, b""
    for block, last in _blocks(stream):
        if block is None:
            refuse(TOO_LONG, number, "")
            continue
        if last:
            block, cut = _without_cut(block)
        head, *messages = _split(block)
        _look_at_head(head, number, refuse)
        for message in messages:
            number += 1
            text = message if isinstance(message, str) else _decoded(message, number, refuse)
            if text is not None:
                yield number, "MSH" + text
    if cut:
        refuse(CUT_OFF, number, cut.decode("utf-8", "backslashreplace"))


def _without_cut(block: bytes) -> tuple[bytes, bytes]:
    """The end of a file, and the result that is cut off there, if any."""
    begin = block.rfind(b"\r") + 1
    line = block[begin:]
    # the field separator is whatever follows the name
    if line.startswith(b"OBX") and line.count(line[3:4] or b"|") < STATUS:
        return block[:begin], line
    return block, b""


def _blocks(stream: Callable[[int], bytes]) -> Iterator[tuple[bytes | None, bool]]:
    """Bytes of whole messages, line ends made CR, and whether they are the last; None for a message longer than
    `LONGEST`."""
    held, first, dropping = b"\r", True, False
    while chunk := stream(CHUNK):
        if first:
            chunk, first = chunk.removeprefix(codecs.BOM_UTF8), False
        if any(byte in chunk for byte in (b"\n", b"\x0b", b"\x1c")):
            chunk = chunk.translate(_ENDS)
        since = max(0, len(held) - len(_START))
        held += chunk
        cut = held.rfind(_START, since)
        if cut > 0 or (cut == 0 and dropping):
            begin = held.find(_START) if dropping else 0
            if begin < cut:
                yield held[begin:cut], False
            held, dropping = held[cut:], False
        elif len(held) > LONGEST:
            if not dropping:
                yield None, False
            held, dropping = held[-len(_START) :], True
    if not dropping:
        yield held, True


def _split(block: bytes) -> list[str] | list[bytes]:
    """What is before the first message, and each without its ``MSH``: text where all is plain ASCII."""
    if block.isascii() and b"\x1b" not in block:
        return block.decode("ascii").split("\rMSH")
    return block.split(_START)


def _look_at_head(head: str | bytes, number: int, refuse: Refuse) -> None:
    text = head if isinstance(head, str) else head.decode("utf-8", "backslashreplace")
    lines = [line for line in text.split("\r") if line.strip() and line[:3] not in ENVELOPE]
    if lines:
        refuse(NO_HEADER, number, "\r".join(lines))


def _encoding(message: bytes) -> str:
    """MSH-18: the first it names, or the Japanese one that escape sequences lead to (it has ASCII in it)."""
    fields = message.split(b"\r", 1)[0].split(message[:1] or b"|")
    if len(fields) < 18:
        return ""
    names = fields[17].decode("latin-1").upper().split(fields[1][1:2].decode("latin-1") or "~")
    return next((name for name in names if name.startswith("ISO IR")), names[0]).strip()


def _decoded(message: bytes, number: int, refuse: Refuse) -> str | None:
    """Strictly: no byte is ever replaced."""
    name = CODECS.get(_encoding(message))
    record = "MSH" + message[: 4 * KEPT_OF].decode("utf-8", "backslashreplace")
    if name is None:
        refuse(WRONG_NAME, number, record)
        return None
    try:
        if name != "ascii":
            return message.decode(name)
        if message.isascii():
            return message.decode("ascii")
        refuse(NOT_ASCII, number, record)
    except UnicodeDecodeError:
        refuse(WRONG_BYTES, number, record)
        return None
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        return message.decode("iso8859-1")


class Bytes:
    """The bytes of a file, of a ``.gz`` expanded; closed after a ``with``.

    Raises:
        FileUnreadable: damaged gzip, an expansion beyond all measure, UTF-16, or what the system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.given = path, 0
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise FileUnreadable(f"{path}: {error.strerror}", why="it cannot be opened", fix="look at it") from error
        packed = self._file.read(2) == b"\x1f\x8b"
        self._file.seek(0)
        self._source: gzip.GzipFile | BinaryIO = gzip.GzipFile(fileobj=self._file, mode="rb") if packed else self._file
        self._packed = packed

    def __enter__(self) -> Bytes:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        try:
            found = self._source.read(size)
        except (EOFError, OSError, zlib.error) as error:
            raise FileUnreadable(
                f"{self.path}: {error}",
                why=f"after {self.given:,} bytes no more can be read, and messages may be lacking",
                fix="copy it again from where it comes from",
            ) from error
        if not self.given and found.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise FileUnreadable(
                f"{self.path} is UTF-16",
                why="messages are read as bytes in which separators are single ones",
                fix=f"iconv -f UTF-16 -t UTF-8 {self.path.name}",
            )
        self.given += len(found)
        if self._packed:
            refuse_grown(str(self.path), self.given, self._file.tell())
        return found
