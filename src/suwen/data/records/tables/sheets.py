"""Tables in files, CSV, CSV.GZ and Parquet, as batches of columns, in bounded memory.

Columns of CSV come as bytes, whatever they hold: `casts` makes of them what they should be, so that one bad value
costs one row and not the file.
"""

from __future__ import annotations

import csv
import io
import mmap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from suwen.core.errors import FileUnreadable
from suwen.data.records.events import BATCH
from suwen.data.records.packed import refuse_grown
from suwen.data.records.pieces import ends_of_pieces

ENDINGS = (".csv", ".csv.gz", ".parquet")
BLOCK = 8 * 2**20
"""Bytes of a CSV that are read at a time; no row may be longer."""

PIECE = 128 * 2**20
"""Bytes of a CSV that are read as one part."""

NULLS = ["", "NULL", "\\N"]
"""Unquoted, this is nothing. Quoted, it is text."""

BROKEN_ROW = "too few or too many fields"

OnBadRow = Callable[[str], None]


def stem(file: Path) -> str:
    """``DRUG_ERA.csv.gz`` → ``drug_era``; empty where the file is of no known format."""
    name = file.name.lower()
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), "")


def columns_of(file: Path) -> dict[str, str]:
    """Name in small letters → name as the file has it.

    Raises:
        FileUnreadable: there is no header, or it names a column twice.
    """
    if file.suffix.lower() == ".parquet":
        with _parquet(file) as opened:
            names = list(opened.schema_arrow.names)
    else:
        names = next(csv.reader([_first_line(file)], delimiter=_delimiter(file)), [])
    found: dict[str, str] = {}
    for name in names:
        if name.strip().lower() in found:
            raise FileUnreadable(
                f"{file} has the column {name.strip()} twice",
                why="which of the two is meant is not known",
                fix="rename or remove one",
            )
        found[name.strip().lower()] = name
    return found


def pieces(file: Path, size: int = PIECE) -> list[tuple[int, int]]:
    """First byte, and byte after the last one, of pieces of whole rows, that can be read by themselves.

    Only a plain CSV without any quotation mark is cut: between two of these a line may end within a row.
    """
    whole = file.stat().st_size
    if file.suffix.lower() != ".csv" or whole <= size or _has_quotes(file):
        return [(0, whole)]
    ends = ends_of_pieces(file, size)
    return list(zip([0, *ends], ends, strict=False))


def _has_quotes(file: Path) -> bool:
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return mapped.find(b'"') >= 0


def batches(
    file: Path,
    wanted: Sequence[str],
    on_bad_row: OnBadRow,
    *,
    quoted: bool = True,
    piece: tuple[int, int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Columns by their names in small letters; those that the file lacks are null.

    Args:
        file: to read.
        wanted: columns.
        on_bad_row: told the text of each row of a CSV that has too few or too many fields; it is left out.
        quoted: whether quotation marks enclose fields of a table with tabs. In those of https://athena.ohdsi.org they
            do not, and are in names. In a table with commas they always do.
        piece: one of `pieces`; the whole file unless given.

    Raises:
        FileUnreadable: the file is damaged, or is a gzip bomb.
    """
    there = columns_of(file)
    known = [name for name in wanted if name in there]
    columns = [there[name] for name in known]
    try:
        if file.suffix.lower() == ".parquet":
            found = _parquet_batches(file, columns)
        else:
            found = _csv_batches(file, columns, on_bad_row, quoted, piece, list(there.values()))
        for batch in found:
            place = {name: number for number, name in enumerate(known)}
            arrays = [batch.column(place[name]) if name in place else pa.nulls(len(batch)) for name in wanted]
            yield pa.RecordBatch.from_arrays(arrays, names=list(wanted))
    except (pa.ArrowException, OSError, EOFError) as error:
        raise FileUnreadable(
            f"{file}: {error}", why="the file is cut short, damaged or of another format", fix="export it again"
        ) from error


def require(file: Path, choices: Sequence[Sequence[str]]) -> None:
    """Refuse a file that has none of the columns of a choice.

    Raises:
        FileUnreadable: a column is missing; it, and those that are there, are named.
    """
    there = columns_of(file)
    for names in choices:
        if not any(name in there for name in names):
            raise FileUnreadable(
                f"{file} has no column {' or '.join(names)}; it has {', '.join(there) or 'none'}",
                why=f"a table {stem(file).upper()} of OMOP CDM 5.3 or 5.4 has it, and its rows mean nothing without it",
                fix="rename the column, or export the table again with its header",
            )


def _csv_batches(
    file: Path,
    names: list[str],
    on_bad_row: OnBadRow,
    quoted: bool,
    piece: tuple[int, int] | None,
    header: list[str],
) -> Iterator[pa.RecordBatch]:
    def skipped(row: pv.InvalidRow) -> str:
        on_bad_row(row.text)
        return "skip"

    delimiter = _delimiter(file)
    quote = '"' if quoted or delimiter == "," else False
    parse = pv.ParseOptions(
        delimiter=delimiter,
        quote_char=quote,
        newlines_in_values=bool(quote),
        invalid_row_handler=skipped,
    )
    convert = pv.ConvertOptions(
        include_columns=names,
        column_types=dict.fromkeys(names, pa.binary()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=NULLS,
    )
    later = header if piece is not None and piece[0] > 0 else None
    with _opened(file, piece) as stream:
        reader = pv.open_csv(
            stream,
            read_options=pv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=later),
            parse_options=parse,
            convert_options=convert,
        )
        yield from (batch for batch in reader if len(batch))


def _parquet_batches(file: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    with _parquet(file) as opened:
        for batch in opened.iter_batches(BATCH, columns=names, use_threads=False):
            yield batch.select(names)


def _parquet(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise FileUnreadable(
            f"{file}: {error}", why="it is no Parquet file, or is cut short", fix="export it again"
        ) from error


def _delimiter(file: Path) -> str:
    line = _first_line(file)
    return "\t" if line.count("\t") > line.count(",") else ","


def _first_line(file: Path) -> str:
    try:
        with _opened(file) as stream:
            head = stream.read(2**16)
        line: str = bytes(head).partition(b"\n")[0].decode("utf-8-sig").rstrip("\r")
    except (UnicodeDecodeError, OSError, pa.ArrowException, EOFError) as error:
        raise FileUnreadable(
            f"{file}: its first line cannot be read: {error}",
            why="the names of the columns stand there, in UTF-8",
            fix="convert it: iconv -f latin1 -t utf-8, or export it again",
        ) from error
    if not line.strip():
        raise FileUnreadable(
            f"{file} is empty", why="a table has at least a line of column names", fix="delete it, or export it again"
        )
    return line


def _opened(file: Path, piece: tuple[int, int] | None = None) -> pa.NativeFile:
    if file.suffix.lower() == ".gz":
        return guarded(pa.OSFile(str(file)), file.stat().st_size, str(file))
    whole = pa.OSFile(str(file))
    if piece is None or piece == (0, whole.size()):
        return whole
    return pa.PythonFile(_Piece(whole, *piece), mode="r")


class _Piece(io.RawIOBase):
    """Bytes `start` to `stop` of a file."""

    def __init__(self, whole: pa.NativeFile, start: int, stop: int) -> None:
        self._whole, self._left = whole, stop - start
        whole.seek(start)

    def readable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._whole.close()
        super().close()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        given = bytes(self._whole.read(self._left if size < 0 else min(size, self._left)))
        self._left -= len(given)
        return given


def guarded(packed: pa.NativeFile | IO[bytes], size: int, name: str) -> pa.NativeFile:
    """What a gzip file has in it, which may not grow without end.

    Args:
        packed: its bytes.
        size: how many they are.
        name: of the file.
    """
    return pa.PythonFile(_Guarded(packed, size, name), mode="r")


class _Guarded(io.RawIOBase):
    """A gzip file that may not grow without end."""

    def __init__(self, packed: pa.NativeFile | IO[bytes], size: int, name: str) -> None:
        self._name, self._size, self._given = name, size, 0
        self._stream = pa.CompressedInputStream(packed, "gzip")

    def readable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()
        super().close()

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            FileUnreadable: there are suspiciously many.
        """
        given = bytes(self._stream.read(size if size >= 0 else None))
        self._given += len(given)
        refuse_grown(self._name, self._given, self._size)
        return given
