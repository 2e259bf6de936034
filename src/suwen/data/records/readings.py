"""Which files a store was made of, and what was in them: what is imported again is known again, or refused.

``metadata/read.parquet`` has a row for each file that a part read, with a digest of its bytes but not its name. A file
that was only touched, moved into another group, or to which lines were added since, takes the place of what it was. One
that says something else than before is refused: the events that it no longer has would stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.files import atomic_path
from suwen.data.records.source import Part

READ = Path("metadata") / "read.parquet"
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("file", pa.string()),
        pa.field("start", pa.int64()),
        pa.field("stop", pa.int64()),
        pa.field("beside", pa.bool_()),
        pa.field("rules", pa.string()),
        pa.field("digest", pa.string()),
    ]
)
BLOCK = 1 << 20
ENDS = (b"\n", b"\r")


class Reading(NamedTuple):
    """Bytes of a file that a part read.

    Attributes:
        file: digest of the format and the path.
        start, stop: first byte, and the one after the last.
        beside: whether it was only looked up in.
        rules: by which it was read, see `Part.rules`.
        digest: of the bytes.
    """

    file: str
    start: int
    stop: int
    beside: bool
    rules: str
    digest: str


def readings_of(kind: str, part: Part) -> list[Reading]:
    """What a part reads, now."""
    own = len(_own(part))
    found = []
    for number, file in enumerate(part.files):
        span = part.span if number == 0 and part.span is not None else (0, file.stat().st_size)
        found.append(Reading(_name(kind, file), *span, number >= own, part.rules, _digest(file, *span)))
    return found


def load_readings(store: Path, keys: Collection[str]) -> pa.Table:
    """Those of imports of these keys; none where the store is older than they are.

    Raises:
        FileUnreadable: the file is damaged.
    """
    if not (store / READ).is_file():
        return SCHEMA.empty_table()
    try:
        found = pq.read_table(store / READ, schema=SCHEMA)
    except (OSError, pa.ArrowException) as error:
        raise FileUnreadable(
            f"{store / READ}: {error}", why="the file is damaged", fix="import everything into a new folder"
        ) from error
    return found.filter(pc.is_in(found["key"], value_set=pa.array([*keys], pa.string())))


def write_readings(store: Path, known: pa.Table, notes: Mapping[str, dict[str, Any]]) -> None:
    """Add those of the notes of parts. What they replace is left out by the next import: an import that is killed after
    this has to find it again."""
    rows = [{"key": key, **Reading(*each)._asdict()} for key, note in notes.items() for each in note.get("read", ())]
    with atomic_path(store / READ) as temporary:
        pq.write_table(pa.concat_tables([known, pa.Table.from_pylist(rows, SCHEMA)]), temporary, compression="zstd")


def replaced(known: pa.Table, kind: str, parts: Mapping[str, Part], fresh: Collection[str], out: Path) -> set[str]:
    """Keys of earlier imports of which everything is in parts that are read now, under other keys.

    Args:
        known: what the store was made of.
        kind: the format.
        parts: key → part, of the source.
        fresh: keys of those that are read now.
        out: the store, for the error.

    Raises:
        DataError: a file is not as it was when it was imported, or is read by other rules.
    """
    if not len(known):
        return set()
    now = {_name(kind, file): file for key in fresh for file in parts[key].files}
    own = {_name(kind, file): parts[key] for key in fresh for file in _own(parts[key])}
    earlier = known.filter(pc.invert(pc.is_in(known["key"], value_set=pa.array([*parts], pa.string()))))
    same = pc.and_(pc.is_in(earlier["file"], value_set=pa.array([*own], pa.string())), pc.invert(earlier["beside"]))
    keys = earlier["key"].filter(same).unique()
    covered = dict.fromkeys(keys.to_pylist(), True)
    for row in earlier.filter(pc.is_in(earlier["key"], value_set=keys)).to_pylist():
        key, reading = row.pop("key"), Reading(**row)
        if reading.file in own and not reading.beside and reading.rules != own[reading.file].rules:
            raise _refused(f"{now[reading.file]} was imported into {out} by another mapping", kind)
        if reading.file in now and not _says_the_same(now[reading.file], reading):
            raise _refused(f"{now[reading.file]} was imported into {out} in another version", kind)
        covered[key] &= reading.beside or reading.file in own
    return {key for key, whole in covered.items() if whole}


def _says_the_same(file: Path, before: Reading) -> bool:
    """Whether all that was read of it is still there; of what is read line by line, more may have come."""
    size = file.stat().st_size
    if size < before.stop or _digest(file, before.start, before.stop) != before.digest:
        return False
    return size == before.stop or (not before.beside and _ends_a_line(file, before.stop))


def _ends_a_line(file: Path, stop: int) -> bool:
    with file.open("rb") as stream:
        stream.seek(max(0, stop - 1))
        return stream.read(1) in ENDS


def _refused(seen: str, kind: str) -> DataError:
    return DataError(
        seen,
        why="the events that only that one has would stay in the store, beside those that correct them",
        fix=f"suwen records import SOURCE --from {kind} --out NEW   makes a store of what the source says now",
    )


def _digest(file: Path, start: int, stop: int) -> str:
    state = file.stat()
    return _digested(file, start, stop, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _digested(file: Path, start: int, stop: int, *_: int) -> str:
    """SHA-1, the quickest where the processor has it; remembered, as many parts look things up in one file."""
    found = hashlib.sha1(usedforsecurity=False)
    with file.open("rb") as stream:
        stream.seek(start)
        while block := stream.read(min(BLOCK, stop - stream.tell())):
            found.update(block)
    return found.hexdigest()


def _own(part: Part) -> Sequence[Path]:
    return part.files[: len(part.files) - part.beside]


def _name(kind: str, file: Path) -> str:
    text = f"{kind} {_resolved(file.absolute().parent) / file.name}"
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=12).hexdigest()


@lru_cache(maxsize=1024)
def _resolved(folder: Path) -> Path:
    """Once for all of its files, of which there may be millions."""
    return folder.resolve()
