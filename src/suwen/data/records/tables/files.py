"""Tables wherever they lie, in folders, .gz or .zip, CSV or Parquet, as batches of columns in bounded memory."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.events import BATCH
from suwen.data.records.packed import refuse_grown
from suwen.data.records.tables.mapping import Files, pieces
from suwen.data.records.tables.sheets import guarded

ENDINGS = (".csv", ".tsv", ".psv", ".txt", ".parquet")
BLOCK = 8 * 2**20
"""Bytes of a CSV that are read at a time; no row may be longer."""

HEAD = 2**16
"""Bytes in which a header is looked for."""

BROKEN = (pa.ArrowException, OSError, EOFError, zipfile.BadZipFile, UnicodeError, LookupError, NotImplementedError)

OnBadRow = Callable[[str, str], None]
"""Told the file and the text of a row with too few or too many fields."""


@dataclass(frozen=True)
class Entry:
    """A file, or a member of a zip.

    Attributes:
        file: on the disk.
        member: of it, if it is a zip.
        size: bytes as they lie there.
    """

    file: Path
    member: str = ""
    size: int = 0

    @cached_property
    def path(self) -> str:
        """Absolute, a zip as a folder, without .gz."""
        whole = _absolute(self.file) + (f"/{self.member}" if self.member else "")
        return whole[:-3] if whole.lower().endswith(".gz") else whole

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.file.name}/{self.member}" if self.member else self.file.name

    @property
    def table(self) -> str:
        """``LABEVENTS`` of ``hosp/LABEVENTS.csv.gz``."""
        return PurePosixPath(self.path).stem


@lru_cache(maxsize=4096)
def _absolute(file: Path) -> str:
    return file.absolute().as_posix()


def entries_in(source: Path) -> list[Entry]:
    """Every table in a folder and below, or the file itself; members of zips in the order of their names.

    Raises:
        DataError: there is no such folder.
        FileUnreadable: a zip is damaged.
    """
    if not source.exists():
        raise DataError(f"{source} is not there", why="no such file or folder", fix="check the path")
    files = [source] if source.is_file() else sorted(file for file in source.rglob("*") if file.is_file())
    found: list[Entry] = []
    for file in files:
        if file.suffix.lower() == ".zip":
            found += [Entry(file, info.filename, info.compress_size) for info in _members(file)]
        else:
            found.append(Entry(file, "", file.stat().st_size))
    return [entry for entry in found if PurePosixPath(entry.path).suffix.lower() in ENDINGS]


def _members(file: Path) -> list[zipfile.ZipInfo]:
    with _opened_zip(file) as opened:
        infos = [info for info in opened.infolist() if not info.is_dir()]
    # what macOS packs beside every file
    infos = [info for info in infos if not info.filename.startswith("__MACOSX/")]
    return sorted(infos, key=lambda info: info.filename)


def _opened_zip(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        raise FileUnreadable(f"{file}: {error}", why="the zip is cut short or damaged", fix="fetch it again") from error


def matches(entry: Entry, globs: Sequence[str]) -> bool:
    """Whether a file is named by one: from its end, so ``hosp/labevents.csv`` is named by ``labevents.csv`` too."""
    path = PurePosixPath(entry.path.lower())
    return any(path.match(glob.lower().removesuffix(".gz")) for glob in globs)


def from_path(pattern: str, entry: Entry) -> dict[str, str]:
    """Columns out of the end of a path: ``{hospital}/p{subject}.psv``.

    Raises:
        DataError: the path is another.
    """
    if not pattern:
        return {}
    steps = [
        f"(?P<g{number}>[^/]+)" if piece.column else re.escape(piece.text)
        for number, piece in enumerate(pieces(pattern))
    ]
    found = re.search("(?:^|/)" + "".join(steps) + "$", entry.path)
    if not found:
        raise DataError(
            f"{entry.name} is not named as {pattern}",
            why="the mapping takes columns from it",
            fix="change path: or files:",
        )
    return {piece.column: found[f"g{number}"] for number, piece in enumerate(pieces(pattern)) if piece.column}


class Shelf:
    """Opens entries; a zip stays open between its members, as its list is read each time that it is opened."""

    def __init__(self) -> None:
        self._zips: dict[Path, zipfile.ZipFile] = {}

    def __enter__(self) -> Shelf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in self._zips.values():
            opened.close()
        self._zips.clear()

    @contextmanager
    def open(self, entry: Entry) -> Iterator[IO[bytes] | pa.NativeFile]:
        """Its bytes, unpacked.

        Raises:
            FileUnreadable: it is damaged, or what is read from it cannot be understood.
        """
        try:
            with self._raw(entry) as raw:
                packed = (entry.member or entry.file.name).lower().endswith(".gz")
                yield guarded(raw, self._size(entry), entry.name) if packed else raw
        except FileUnreadable:
            raise
        except BROKEN as error:
            raise FileUnreadable(
                f"{entry.name}: {error}",
                why="the file is cut short, damaged, of another encoding, or no table",
                fix="export it again, or say encoding: and separator: in the mapping",
            ) from error

    def block(self, entry: Entry) -> int:
        """Bytes to read at a time: Arrow makes room for so many, which takes long for thousands of small files."""
        if not entry.member or entry.member.lower().endswith(".gz"):
            return BLOCK
        return min(BLOCK, max(HEAD, self._zips[entry.file].getinfo(entry.member).file_size + 1))

    def _size(self, entry: Entry) -> int:
        """Bytes of it, as they are before they are unpacked from gzip."""
        return self._zips[entry.file].getinfo(entry.member).file_size if entry.member else entry.file.stat().st_size

    def _raw(self, entry: Entry) -> IO[bytes]:
        if not entry.member:
            return entry.file.open("rb")
        if entry.file not in self._zips:
            self._zips[entry.file] = _opened_zip(entry.file)
        inside = self._zips[entry.file].getinfo(entry.member)  # no more than it says is read of it
        refuse_grown(entry.name, inside.file_size, inside.compress_size)
        return self._zips[entry.file].open(entry.member)


def header_of(shelf: Shelf, entry: Entry, files: Files) -> list[str]:
    """Names of its columns; one without a name is ``column 3``, a second ``x`` is ``x (2)``.

    Raises:
        FileUnreadable: it has no header, or is damaged.
    """
    if _is_parquet(entry):
        with shelf.open(entry) as opened:
            return list(pq.ParquetFile(_seekable(opened, entry)).schema_arrow.names)
    if files.header:
        return list(files.header)
    with shelf.open(entry) as opened:
        text = io.TextIOWrapper(io.BytesIO(opened.read(HEAD)), _encoding(files), errors="replace", newline="")
        names = next(
            csv.reader(text, delimiter=files.separator, quoting=csv.QUOTE_MINIMAL if files.quoted else csv.QUOTE_NONE),
            [],
        )
    if not names:
        raise FileUnreadable(
            f"{entry.name} is empty",
            why="a table has at least a line of column names",
            fix="delete it, or say header: in the mapping",
        )
    return _told_apart(names)


def _told_apart(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    found = []
    for number, name in enumerate(names):
        name = name.strip() or f"column {number + 1}"
        seen[name] += 1
        found.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return found


def placed(names: Sequence[str], wanted: Sequence[str], optional: Sequence[str], entry: Entry) -> dict[str, str]:
    """Wanted column → its name in the file, for those that are there.

    Raises:
        DataError: a column is not there; the file and its columns are named.
    """
    small: dict[str, list[str]] = {}
    for name in names:
        small.setdefault(name.lower(), []).append(name)
    found: dict[str, str] = {}
    for name in wanted:
        near = [name] if name in names else small.get(name.lower(), [])
        if len(near) == 1:
            found[name] = near[0]
        elif name not in optional:
            raise DataError(
                f"{entry.name} has no column {name}",
                why=f"its columns are {', '.join(names)}",
                fix="correct the mapping, or say optional: for a column that only some versions have",
            )
    return found


def batches(
    shelf: Shelf, entry: Entry, files: Files, wanted: Sequence[str], optional: Sequence[str], on_bad_row: OnBadRow
) -> Iterator[pa.RecordBatch]:
    """The wanted columns of a file, by the names wanted: text of CSV, whatever Parquet holds; null where there is none.

    Raises:
        DataError: a column is not there.
        FileUnreadable: the file is damaged.
    """
    names = header_of(shelf, entry, files)
    there = placed(names, wanted, optional, entry)
    # without any column the number of rows would be lost
    read = list(dict.fromkeys(there.values())) or names[:1]
    with shelf.open(entry) as opened:
        if _is_parquet(entry):
            made = _parquet(opened, entry, read)
        else:
            made = _csv(opened, files, names, read, shelf.block(entry), partial(on_bad_row, entry.name))
        for batch in made:
            arrays = [
                batch.column(there[name]) if name in there else pa.nulls(len(batch), pa.string()) for name in wanted
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=list(wanted)) if wanted else batch.select(read)


def _csv(
    opened: IO[bytes] | pa.NativeFile,
    files: Files,
    names: list[str],
    read: list[str],
    block: int,
    bad_row: Callable[[str], None],
) -> Iterator[pa.RecordBatch]:
    def skipped(row: pv.InvalidRow) -> str:
        bad_row(row.text)
        return "skip"

    reader = pv.open_csv(
        opened,
        read_options=pv.ReadOptions(
            use_threads=False,
            block_size=block,
            column_names=names,
            skip_rows=0 if files.header else 1,
            encoding=files.encoding,
        ),
        parse_options=pv.ParseOptions(
            delimiter=files.separator,
            quote_char='"' if files.quoted else False,
            newlines_in_values=files.quoted,
            invalid_row_handler=skipped,
        ),
        convert_options=pv.ConvertOptions(
            include_columns=read,
            column_types=dict.fromkeys(read, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            null_values=[""],
        ),
    )
    yield from (batch for batch in reader if len(batch))


def _parquet(opened: IO[bytes] | pa.NativeFile, entry: Entry, read: list[str]) -> Iterator[pa.RecordBatch]:
    for batch in pq.ParquetFile(_seekable(opened, entry)).iter_batches(BATCH, columns=read, use_threads=False):
        yield batch.select(read)


def _seekable(opened: IO[bytes] | pa.NativeFile, entry: Entry) -> IO[bytes]:
    """Parquet is read from its end: out of a zip all of it has to be in memory."""
    return opened if not entry.member else io.BytesIO(opened.read())


def _is_parquet(entry: Entry) -> bool:
    return entry.path.lower().endswith(".parquet")


def _encoding(files: Files) -> str:
    return "utf-8-sig" if files.encoding.lower().replace("-", "") == "utf8" else files.encoding


def rows_in(shelf: Shelf, entry: Entry) -> int:
    """Rows of a table that is not mapped: of a text its lines without the first."""
    with shelf.open(entry) as opened:
        if _is_parquet(entry):
            return int(pq.ParquetFile(_seekable(opened, entry)).metadata.num_rows)
        lines, last = 0, b"\n"
        while block := opened.read(BLOCK):
            lines, last = lines + block.count(b"\n"), block[-1:]
        return max(0, lines + (last != b"\n") - 1)
