"""What `benchmarks.record_import` times, each in a process of its own."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.record_stages import Done, done, now
from suwen.core.registry import IMPORTERS
from suwen.data.records.building import import_records, uncollected
from suwen.data.records.importers.fhir import FhirImporter, Tally
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described


@dataclass(frozen=True)
class Source:
    """What one process is to read.

    Attributes:
        folder: where it lies.
        kind: a row of ``suwen.importers``.
        workers: processes of a whole import.
        most: files, or messages, that a rival reads at most.
    """

    folder: str
    kind: str
    workers: int
    most: int


def reading(source: Source) -> Done:
    """Source → batches of events in memory, in one process."""
    start = now()
    importer = IMPORTERS[source.kind]
    with uncollected():
        events = sum(
            len(table)
            for part in importer.parts(Path(source.folder))
            for table in importer.read(part, Rejects(), Described())
        )
    return done(start, start, events)


def fhir_reading(source: Source) -> Done:
    """The same of FHIR, counted in resources, mapped or not."""
    importer, tally, start = FhirImporter(), Tally(), now()
    with uncollected():
        for part in importer.parts(Path(source.folder)):
            for _ in importer.read(part, Rejects(), Described(), tally):
                pass
    return done(start, start, tally.mapped.total() + tally.rejected.total())


def whole(source: Source) -> Done:
    """Source → store, as ``suwen records import`` does it."""
    store = Path(source.folder).parent / "store"
    start = now()
    found = import_records(Path(source.folder), source.kind, store, workers=source.workers, progress=False)
    ended = done(start, start, found.events)
    shutil.rmtree(store)
    return ended


def fhir_objects(source: Source) -> Done:
    """Each file as a Bundle object of fhir.resources (R4B: it has no R4)."""
    from fhir.resources.R4B.bundle import Bundle

    start = now()
    with uncollected():
        resources = sum(len(Bundle.model_validate_json(data).entry or ()) for data in _files(source))
    return done(start, start, resources)


def hl7_objects(source: Source) -> Done:
    """Each message as an object of python-hl7."""
    import hl7

    start = now()
    count = sum(len(hl7.parse(text)) > 0 for text in _messages(source))
    return done(start, start, count)


def _files(source: Source) -> Iterator[bytes]:
    for file in sorted(Path(source.folder).glob("*.json"))[: source.most]:
        yield file.read_bytes()


def _messages(source: Source) -> Iterator[str]:
    file = sorted(Path(source.folder).glob("*.hl7"))[0]
    for each in file.read_text(encoding="ascii").split("MSH|")[1 : source.most + 1]:
        yield "MSH|" + each


STAGES: dict[str, Callable[[Source], Done]] = {
    "reading": reading,
    "fhir reading": fhir_reading,
    "whole": whole,
    "fhir.resources": fhir_objects,
    "python-hl7": hl7_objects,
}


def main(name: str, settings: str) -> None:
    """Run one, and print what it found as the last line."""
    asked: dict[str, Any] = json.loads(settings)
    print(json.dumps(asdict(STAGES[name](Source(**asked)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
