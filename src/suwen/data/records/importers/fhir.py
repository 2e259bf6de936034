"""FHIR R4 JSON to events: Bundles, single resources, NDJSON of a bulk export; as they are, in ``.gz`` or in ``.zip``.

A patient's number is that of `number_of` of the patient's id, an encounter's likewise. NDJSON is streamed; of anything
else one file is in memory at a time. Where one id comes twice, both are events: what is the same twice is kept once by
the store. What `suwen.data.records.fhir.export` writes gives the equal events again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from suwen.core.errors import DataError
from suwen.data.records.events import BATCH
from suwen.data.records.fhir.draft import MIXED, Draft, NotAnEvent
from suwen.data.records.fhir.files import (
    LINES,
    Opened,
    damaged,
    first_type,
    is_lines,
    lines_of,
    opened,
    recognised,
    whole_of,
)
from suwen.data.records.fhir.references import Scope
from suwen.data.records.fhir.resources import READ, map_resource
from suwen.data.records.fhir.values import Json
from suwen.data.records.pieces import GROUP, ends_of_pieces, name_of_group
from suwen.data.records.rejects import KEPT, Rejects
from suwen.data.records.source import Described, Part

PIECE = 256 * 2**20
"""Bytes of an NDJSON file that are read as one part."""

MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading a resource raises whose fields have other types than FHIR gives them."""

IN_PART = "in part: "
"""Begins the reasons for what was lost of a resource that gave events."""

_TYPE = re.compile(r"[A-Z][A-Za-z]{0,63}")
_DRUG = "Medication"


@dataclass
class Tally:
    """Resources by type: those that were read and those that gave nothing, which together are all.

    A Bundle is not counted itself, unless it is empty.
    """

    mapped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)


class FhirImporter:
    """FHIR R4 JSON."""

    summary = "FHIR R4 JSON: bundles, resources, NDJSON of a bulk export; also in .gz and .zip"

    def parts(self, source: Path) -> Sequence[Part]:
        """Small files in groups, large NDJSON in pieces, archives whole.

        Raises:
            DataError: no file has a name as FHIR JSON has.
        """
        root = source if source.is_dir() else source.parent
        # what codes mean is taken from where it is said first
        files = sorted(recognised(source), key=lambda file: not file.name.startswith("CodeSystem."))
        if not files:
            raise DataError(
                f"{source} holds no FHIR",
                why="files are looked for whose names end with .json, .ndjson, .jsonl (also with .gz), or .zip",
                fix="give the file or the folder of the bundles or of the bulk export",
            )
        drugs = [file for file in files if is_lines(file.name) and first_type(file) == _DRUG]
        parts: list[Part] = []
        group: list[Path] = []
        for file in files:
            if not is_lines(file.name) and file.suffix.lower() != ".zip":
                if group and sum(each.stat().st_size for each in (*group, file)) > GROUP:
                    parts.append(_group(group, root))
                    group = []
                group.append(file)
            else:
                parts += _pieces(file, root, drugs)
        return [*parts, *([_group(group, root)] if group else [])]

    def read(
        self, part: Part, rejects: Rejects, described: Described, tally: Tally | None = None
    ) -> Iterator[pa.Table]:
        """Batches of events; what is not mapped is counted.

        Args:
            part: of `parts`.
            rejects: takes what could not be mapped, by reason.
            described: takes what codes mean.
            tally: counts resources.

        Raises:
            FileUnreadable: a file is cut short, is not UTF-8, is no JSON, or expands beyond measure.
        """
        count = int(part.options.get("medications", 0))
        own, others = part.files[: len(part.files) - count], part.files[len(part.files) - count :]
        reading = _Reading(rejects, described, Tally() if tally is None else tally)
        for file in own:
            for one in opened(file, part.options.get("start", 0), part.options.get("stop")):
                yield from reading.lines(one, others) if one.lines else reading.document(one)
        if reading.draft.rows:
            yield reading.draft.taken()
        if reading.draft.mixed:
            rejects.add(IN_PART + MIXED, part.name)


def _group(files: Sequence[Path], root: Path) -> Part:
    return Part(name_of_group(files, root), tuple(files), sum(file.stat().st_size for file in files))


def _pieces(file: Path, root: Path, medications: Sequence[Path]) -> list[Part]:
    """Parts of an NDJSON file or of an archive.

    Medication requests of a bulk export name drugs that lie in a file of their own: these parts read that file too.
    """
    name = file.relative_to(root).as_posix()
    kind = first_type(file) if medications and is_lines(file.name) else ""
    others = tuple(medications) if kind.startswith(_DRUG) and kind != _DRUG else ()
    extra = {"medications": len(others)} if others else {}
    if not file.name.lower().endswith(LINES) or file.stat().st_size <= PIECE:
        return [Part(name, (file, *others), file.stat().st_size, extra, beside=len(others))]
    ends = ends_of_pieces(file, PIECE)
    return [
        Part(
            f"{name}#{number}",
            (file, *others),
            stop - start,
            {**extra, "start": start, "stop": stop},
            span=(start, stop),
            beside=len(others),
        )
        for number, (start, stop) in enumerate(zip([0, *ends], ends, strict=False))
    ]


class _Reading:
    """One part being read."""

    def __init__(self, rejects: Rejects, described: Described, tally: Tally) -> None:
        self.draft = Draft(described)
        self._rejects, self._tally = rejects, tally

    def lines(self, one: Opened, medications: Iterable[Path]) -> Iterator[pa.Table]:
        """A resource, or a Bundle, a line."""
        known = (each for file in medications for other in opened(file) for _, each in _parsed(other))
        scope = self.draft.scope = Scope((None, each) for each in known if isinstance(each, dict))
        for number, resource in _parsed(one):
            if type(resource) is dict and resource.get("resourceType") == "Bundle":
                yield from self._bundle(resource, f"{one.name}, line {number}")
                self.draft.scope = scope
                continue
            self._take(resource, one.name, ", line ", number)
            if len(self.draft.rows) >= BATCH:
                yield self.draft.taken()

    def document(self, one: Opened) -> Iterator[pa.Table]:
        """One JSON value: a resource, a Bundle, or a list of such."""
        try:
            value = orjson.loads(whole_of(one))
        except orjson.JSONDecodeError as error:
            raise damaged(one.name, error) from error
        yield from self._any(value, one.name)

    def _any(self, value: Any, where: str) -> Iterator[pa.Table]:
        if isinstance(value, list):
            for number, each in enumerate(value):
                yield from self._any(each, f"{where}, item {number}")
        elif isinstance(value, dict) and value.get("resourceType") == "Bundle":
            yield from self._bundle(value, where)
        else:
            self.draft.scope = Scope()
            self._take(value, where)

    def _bundle(self, bundle: Json, where: str) -> Iterator[pa.Table]:
        """The entries of a Bundle of any type; a Bundle within it is a scope of its own."""
        entries = bundle.get("entry")
        if not isinstance(entries, list) or not entries:
            self._reject("Bundle", "bundle without entries", where, bundle)
            return
        found = [each if isinstance(each, dict) else {"resource": each} for each in entries]
        scope = Scope(
            (each.get("fullUrl"), each["resource"]) for each in found if isinstance(each.get("resource"), dict)
        )
        for number, entry in enumerate(found):
            resource = entry.get("resource")
            if isinstance(resource, dict) and resource.get("resourceType") == "Bundle":
                yield from self._bundle(resource, f"{where}, entry {number}")
                continue
            self.draft.scope = scope
            self._take(resource, where, ", entry ", number)
            if len(self.draft.rows) >= BATCH:
                yield self.draft.taken()

    def _take(self, resource: Any, where: str, place: str = "", number: int = 0) -> None:
        """Map one resource, or count why not; it lies in `where`, and there at `place` and `number`."""
        draft = self.draft
        kind: Any = resource.get("resourceType") if type(resource) is dict else None
        row = READ.get(kind) if type(kind) is str else None
        if row is None:
            self._reject(*_unmapped(kind, resource), f"{where}{place}{number}" if place else where, resource)
            return
        draft.kind, before = kind, len(draft.rows)
        try:
            map_resource(resource, row, draft)
            self._tally.mapped[kind] += 1
            if not draft.issues:
                return
            reason = None
        except NotAnEvent as error:
            # what was wrong with a part of it is why nothing is left
            reason = draft.issues[0] if draft.issues else str(error)
        except MALFORMED:
            del draft.rows[before:]
            reason = f"malformed: {kind}"
        at = f"{where}{place}{number}" if place else where
        if reason:
            self._reject(kind, reason, at, resource)
        else:
            for issue in draft.issues:
                self._note(IN_PART + issue, at, resource)
        draft.issues.clear()

    def _reject(self, kind: str, reason: str, where: str, resource: Any) -> None:
        self._tally.rejected[kind] += 1
        self._note(reason, where, resource)

    def _note(self, reason: str, where: str, resource: Any) -> None:
        kept = self._rejects.counts[reason] < KEPT
        self._rejects.add(reason, where, orjson.dumps(resource).decode() if kept else None)


def _unmapped(kind: Any, resource: Any) -> tuple[str, str]:
    """The type to count it by, and why it is not mapped."""
    if isinstance(kind, str) and _TYPE.fullmatch(kind):
        return kind, f"resource type not mapped: {kind}"
    return "", "no resource" if resource is None else "no resourceType"


def _parsed(one: Opened) -> Iterator[tuple[int, Any]]:
    """Lines as JSON values with their numbers, which count from 1; blank ones are passed over.

    Raises:
        FileUnreadable: a line is no JSON.
    """
    number = 0
    for lines in lines_of(one):
        for line in lines:
            number += 1
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                if not line.strip():
                    continue
                raise damaged(f"{one.name}, line {number}", error) from error
            yield number, value


FHIR = FhirImporter()
