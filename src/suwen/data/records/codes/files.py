"""Files of codes and what is above them → a `Hierarchy`: OBO and CSV, as they are or in ``.gz``."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, cast

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.codes.hierarchy import Hierarchy, Range
from suwen.data.records.codes.obo import Term, terms
from suwen.data.records.codes.parents import Key, key, system_of
from suwen.data.records.quality import Finding

ABSENT, TWICE, TAKEN, NAMELESS, CODELESS = (
    "codes above others that are no term",
    "codes with two names, of which the first is kept",
    "alternative ids that are terms of their own",
    "terms without an id",
    "rows without a code",
)


class _Findings(dict[str, Finding]):
    def add(self, name: str, example: str) -> None:
        self.setdefault(name, Finding(name, False)).add(1, example)


def load_hierarchy(path: Path | str, *, prefix: str | None = None) -> Hierarchy:
    """Read codes, their names and the codes above them.

    OBO (``.obo``, `suwen.data.records.codes.obo`): ``DOID:1612`` becomes ``DOID//1612``. An alternative id stands below
    the term it belongs to, a term that was retired below the one that replaced it, so that old records are found. Its
    cross-references say which codes of other vocabularies mean the same (`Hierarchy.named_by`); those to a range of
    ICD, ``ICD9CM:460-519.99``, which categories it is about. How close a cross-reference is (its ``source``) is not
    looked at.

    CSV (``.csv``, ``.tsv``, with commas, semicolons or tabs, UTF-8): columns ``code`` and ``parent``, and
    ``description`` if there is one; a row for each code above a code, and nothing in ``parent`` for those at the top.

    Args:
        path: the file.
        prefix: the vocabulary: ``DOID`` makes ``DOID//1612`` of ``DOID:1612``, and of ``1612`` in a CSV. Codes of a CSV
            that have ``//`` stay as they are. Unless given, that of the OBO file; none in a CSV.

    Raises:
        DataError: there is nothing in it, there is a cycle, or it is of another format.
        FileUnreadable: it cannot be read, is cut short, or is not UTF-8; the line is said.
    """
    file = Path(path)
    name = file.name.lower().removesuffix(".gz")
    read = next((read for ending, read in READERS.items() if name.endswith(ending)), None)
    if read is None:
        raise DataError(
            f"{file}: a hierarchy in a file of this kind cannot be read",
            why=f"known are {', '.join(READERS)}, and each with .gz",
            fix="OWL becomes OBO with: robot convert --input FILE.owl --output FILE.obo",
        )
    return read(file, prefix)


def _obo(file: Path, prefix: str | None) -> Hierarchy:
    found = _Findings()
    known: dict[str, Term] = {}
    for term in terms(_lines(file)):
        if not term.ids:
            found.add(NAMELESS, f"line {term.line}")
            continue
        name = term.ids[0]
        if name not in known:
            known[name] = term
            continue
        if known[name].names[:1] != term.names[:1]:
            found.add(TWICE, f"{name}, line {term.line}")
        known[name].parents += term.parents
        known[name].xrefs += term.xrefs
    if not known:
        raise DataError(f"{file} holds no [Term]", why="it is empty, or no OBO file", fix="look at its first lines")
    code = _coder(file, prefix, known)
    parents: dict[str, list[str]] = {}
    for name, term in known.items():
        above = term.replaced_by if term.obsolete else term.parents
        for each in above:
            if each not in known:
                found.add(ABSENT, f"{each}, above {name}")
        parents[code(name)] = [code(each) for each in above]
    descriptions = {code(name): term.names[0] for name, term in known.items() if term.names}
    _alternatives(known, code, parents, descriptions, found)
    named_by, ranges = _xrefs(known, code)
    return Hierarchy(
        parents={name: tuple(above) for name, above in parents.items()},
        descriptions=descriptions,
        named_by=named_by,
        ranges=ranges,
        findings=tuple(found.values()),
    )


def _alternatives(
    known: Mapping[str, Term],
    code: Callable[[str], str],
    parents: dict[str, list[str]],
    descriptions: dict[str, str],
    found: _Findings,
) -> None:
    """Put alternative ids below the terms they belong to."""
    for name, term in known.items():
        for other in term.alternatives:
            stub = known.get(other)
            if stub is not None and not stub.obsolete:
                found.add(TAKEN, f"{other}, of {name}")
                continue
            above = parents.setdefault(code(other), [])
            above += [] if code(name) in above else [code(name)]
            if term.names:
                descriptions.setdefault(code(other), term.names[0])


def _xrefs(
    known: Mapping[str, Term], code: Callable[[str], str]
) -> tuple[dict[Key, tuple[str, ...]], tuple[Range, ...]]:
    named_by: dict[Key, list[str]] = {}
    ranges = []
    for name, term in known.items():
        for xref in () if term.obsolete else term.xrefs:
            space, colon, local = xref.partition(":")
            if not colon or not local:
                continue
            first, dash, last = local.partition("-")
            if dash and system_of(space).startswith("ICD"):
                low, high = (key(space, each.partition(".")[0]) for each in (first, last))
                ranges.append(Range(low[0], low[1], high[1], code(name)))
            elif code(name) not in (terms_of := named_by.setdefault(key(space, local), [])):
                terms_of.append(code(name))
    return {each: tuple(terms_of) for each, terms_of in named_by.items()}, tuple(ranges)


def _coder(file: Path, prefix: str | None, known: Mapping[str, Term]) -> Callable[[str], str]:
    """What makes a code of an id.

    Raises:
        DataError: a prefix for ids of several vocabularies, which might then meet.
    """
    spaces = sorted({name.partition(":")[0] for name in known if ":" in name})
    if prefix is not None and len(spaces) > 1:
        raise DataError(
            f"{file} has ids of {', '.join(spaces[:5])}{' …' if len(spaces) > 5 else ''}",
            why=f"with {prefix}// before all of them two might become one",
            fix="leave the prefix out: each keeps its own",
        )

    def code(name: str) -> str:
        space, colon, local = name.partition(":")
        if not colon:
            return f"{prefix}//{name}" if prefix else name
        return f"{prefix or space}//{local}"

    return code


def _csv(file: Path, prefix: str | None) -> Hierarchy:
    found = _Findings()
    parents: dict[str, list[str]] = {}
    descriptions: dict[str, str] = {}
    for number, row in _rows(file):
        code, above, text = (" ".join((row.get(name) or "").split()) for name in ("code", "parent", "description"))
        if not code:
            found.add(CODELESS, f"line {number}")
            continue
        code, above = (
            each if not each or prefix is None or "//" in each else f"{prefix}//{each}" for each in (code, above)
        )
        parents.setdefault(code, []).extend([above] if above else [])
        if text and descriptions.setdefault(code, text) != text:
            found.add(TWICE, f"{code}, line {number}")
    if not parents:
        raise DataError(f"{file} has no row", why="a hierarchy has at least one code", fix="code,parent,description")
    return Hierarchy(
        parents={code: tuple(above) for code, above in parents.items()},
        descriptions=descriptions,
        findings=tuple(found.values()),
    )


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    lines = _lines(file)
    header = next(lines, "")
    delimiter = max(",\t;", key=header.count)
    names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    lacking = [name for name in ("code", "parent") if name not in names]
    if lacking:
        raise DataError(
            f"{file} has no column {' and no column '.join(lacking)}; it has {', '.join(names) or 'nothing'}",
            why="each row says which code is right above a code",
            fix="give it a first line: code,parent,description",
        )
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num + 1, dict(zip(names, row, strict=False))
    except csv.Error as error:
        raise FileUnreadable(
            f"{file}, line {reader.line_num + 1}: {error}", why="it is no CSV", fix="export it again"
        ) from error


READERS: Mapping[str, Callable[[Path, str | None], Hierarchy]] = {".obo": _obo, ".csv": _csv, ".tsv": _csv}
"""Ending → what reads it."""


def _lines(file: Path) -> Iterator[str]:
    """The lines of a UTF-8 file.

    Raises:
        FileUnreadable: it cannot be read, is cut short, or is not UTF-8.
    """
    number = 0
    unpacked = cast("Callable[..., IO[bytes]]", gzip.open if file.suffix.lower() == ".gz" else open)
    try:
        with unpacked(file, "rb") as opened:
            for number, raw in enumerate(opened, 1):
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise FileUnreadable(
            f"{file}, line {number}: byte {error.object[error.start]:#04x} is not UTF-8",
            why="names would be read wrongly",
            fix=f"iconv -f latin1 -t utf-8 {file.name}, or of whatever encoding it is (gb18030 …)",
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise FileUnreadable(f"{file}: {error}", why="it is not there, or cut short", fix="get it again") from error
