"""Events → FHIR R4 JSON, from which `importers.fhir` makes the equal events again.

A file of NDJSON for each type of resource, as a FHIR Bulk Data export has them
(http://hl7.org/fhir/uv/bulkdata/export.html), or a Bundle for each patient. `fhir_export_places` says which resource
tells an event, `fhir_names` what is suwen's own in them. What codes mean is in CodeSystem. Events of one time may come
back in another order. NaN becomes null.

Limits: times are written as UTC, as the importer reads them; two subjects with an encounter of one number have two
Encounters of one id; what a store does not know (who ordered, performed, verified it) is not said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import orjson
import pyarrow as pa

from suwen.core.files import atomic_folder
from suwen.data.records.exporting import Exported, refuse_full, whole_subjects
from suwen.data.records.fhir.export_codes import Concepts
from suwen.data.records.fhir.export_people import Made, encounters, patients
from suwen.data.records.fhir.export_places import ENCOUNTER, KINDS, FhirChunk, place
from suwen.data.records.fhir.export_resources import Said, resources
from suwen.data.records.fhir.names import id_of

BASE = "https://suwen.invalid/fhir/"
"""Before the addresses of resources in a Bundle, which have to have one: a server that is none (RFC 2606)."""

CODE_SYSTEM = "CodeSystem"


def export_fhir(
    tables: Iterable[pa.Table], out: Path, codes: pa.Table | None = None, *, bundles: bool = False
) -> Exported:
    """Write events as FHIR R4.

    Args:
        tables: of `suwen.data.records.events.SCHEMA`, all events of a subject one after another, by time.
        out: folder, new or empty.
        codes: what is known of codes, as `suwen.data.records.store.RecordStore.codes` has it.
        bundles: a Bundle of type collection for each patient instead of NDJSON.

    Raises:
        DataError: the folder holds other files; a time is outside of the years 1 to 9999; subjects lie apart.
        SuwenError: the disk is full.
    """
    refuse_full(out)
    concepts = Concepts(codes)
    ids: Counter[str] = Counter()
    events = subjects = 0
    with atomic_folder(out) as folder, ExitStack() as stack:
        files: _Files = _Bundles(folder) if bundles else _Lines(folder, stack)
        if system := concepts.system():
            files.write_codes(orjson.dumps(system))
        for chunk in map(FhirChunk, whole_subjects(tables)):
            events += len(chunk.events)
            subjects += _write(chunk, concepts, ids, files)
        rows = dict(files.rows)
    return Exported(events, subjects, rows)


class _Files(Protocol):
    """Where resources go."""

    rows: Counter[str]

    def write_codes(self, line: bytes) -> None: ...

    def write(self, made: dict[str, list[Made]], subjects: np.ndarray) -> None: ...


class _Lines:
    """A file a type, a resource a line."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.rows: Counter[str] = Counter()
        self._folder, self._stack = folder, stack
        self._files: dict[str, BinaryIO] = {}

    def write_codes(self, line: bytes) -> None:
        """What codes mean."""
        self._add(CODE_SYSTEM, [line])

    def write(self, made: dict[str, list[Made]], subjects: np.ndarray) -> None:
        """Resources of some subjects, by type."""
        for kind, several in made.items():
            for _, _, lines in several:
                self._add(kind, lines)

    def _add(self, kind: str, lines: list[bytes]) -> None:
        if not lines:
            return
        if kind not in self._files:
            self._files[kind] = self._stack.enter_context((self._folder / f"{kind}.ndjson").open("wb"))
        self._files[kind].write(b"\n".join([*lines, b""]))
        self.rows[kind] += len(lines)


class _Bundles:
    """A Bundle a patient."""

    def __init__(self, folder: Path) -> None:
        self.rows: Counter[str] = Counter()
        self._folder = folder

    def write_codes(self, line: bytes) -> None:
        """What codes mean."""
        (self._folder / f"{CODE_SYSTEM}.json").write_bytes(line)
        self.rows[CODE_SYSTEM] += 1

    def write(self, made: dict[str, list[Made]], subjects: np.ndarray) -> None:
        """Resources of some subjects, by type."""
        entries: dict[int, list[bytes]] = {subject: [] for subject in subjects.tolist()}
        for kind, several in made.items():
            for ids, whose, lines in several:
                self.rows += Counter({kind: len(lines)})
                for name, subject, line in zip(ids, whose.tolist(), lines, strict=True):
                    address = f"{BASE}{kind}/{name}".encode()
                    entries[subject].append(b'{"fullUrl":"%b","resource":%b}' % (address, line))
        for subject, several_entries in entries.items():
            text = b'{"resourceType":"Bundle","type":"collection","entry":[\n%b\n]}\n' % b",\n".join(several_entries)
            (self._folder / f"Patient-{id_of(subject)}.json").write_bytes(text)


def _write(chunk: FhirChunk, concepts: Concepts, ids: Counter[str], files: _Files) -> int:
    """All resources of a chunk; how many subjects it has."""
    subjects = chunk.subjects
    placed, said = place(chunk), Said(chunk, concepts)
    made: dict[str, list[Made]] = {"Patient": [patients(chunk, placed, said, subjects)]}
    made["Encounter"] = [encounters(chunk, placed, said)]
    for number, kind in enumerate(KINDS):
        rows = np.flatnonzero(placed.kind == number)
        if not len(rows):
            continue
        events = placed.event[rows]
        names = [str(ids[kind] + row + 1) for row in range(len(rows))]
        ids[kind] += len(rows)
        if number == ENCOUNTER:
            whose = zip(names, placed.own[rows].tolist(), chunk.encounter[events].tolist(), strict=True)
            names = [id_of(encounter) if own else f"part-{name}" for name, own, encounter in whose]
        made.setdefault(kind, []).append((names, chunk.subject[events], resources(kind, names, placed, rows, said)))
    files.write(made, subjects)
    return len(subjects)
