"""``python -m benchmarks record-import``: FHIR, OMOP and HL7 v2 into a store, beside the libraries that parse them."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from benchmarks.processes import run_process
from benchmarks.record_import_sources import bundles, messages, omop
from benchmarks.record_import_stages import Source
from benchmarks.record_stages import Done
from benchmarks.results import RESULTS, ROOT, Result, Stopwatch, Verdict
from suwen.data.records.importers.fhir import FHIR
from suwen.data.records.kernels import processors
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described

DATA = ROOT.parent / "shared" / "data"
TIMES, ROWS, MESSAGES = 10.0, 1e6, 5e4
"""To reach: how often faster than objects of fhir.resources, rows and messages a second."""

COPIES = {"fhir": 10, "omop": 200}
RESULTS_EACH, FILES, SUBJECTS = 5, 4, 5000
"""Of messages: results of each, files, subjects."""

RIVAL = {"fhir": 120, "hl7v2": 20_000}
"""Files and messages that rivals read: they are slow."""

ENOUGH = 1_000_000
"""Rows or messages below which what is fixed outweighs what grows, and nothing is judged."""


def record_import(
    fhir: Annotated[Path, typer.Option(help="Synthea's bundles.")] = DATA / "synthea_fhir",
    cdm: Annotated[Path, typer.Option("--omop", help="Tables of OMOP.")] = DATA / "eunomia_omop",
    count: Annotated[int, typer.Option("--messages", help="HL7 messages.", min=100)] = ENOUGH,
    workers: Annotated[int, typer.Option(help="Processes. [default: as many as processors]", min=0)] = 0,
    work: Annotated[Path | None, typer.Option(help="Where sources are put; a temporary folder unless given.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sources; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of record-import.json.")] = RESULTS,
) -> None:
    """Read and import real sources copied many times; the rivals only parse, ours makes events as well."""
    copies = dict.fromkeys(COPIES, 1) if quick else COPIES
    count, most = (2000, {"fhir": 2, "hl7v2": 200}) if quick else (count, RIVAL)
    watch, workers = Stopwatch(), workers or processors()
    folder = Path(tempfile.mkdtemp(dir=work, prefix="record-import-"))
    try:
        found = {
            "fhir": _fhir(fhir, folder, copies["fhir"], most["fhir"], workers),
            "omop": _omop(cdm, folder, copies["omop"], workers),
            "hl7v2": _hl7(folder, count, most["hl7v2"], workers),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = Result(
        name="record-import",
        settings={"copies": copies, "messages": count, "workers": workers, "results a message": RESULTS_EACH},
        columns=["source", "what", "processes", "resources, rows or messages", "seconds", "a second"],
        rows=[row for name, each in found.items() for row in _rows(name, each, workers)],
        verdicts=_verdicts(found, count, workers),
        figures=found,
        notes=[
            "reading: files to events in memory; import: to the store, as `suwen records import` does it, sorted, each "
            "event once",
            "of fhir.resources and python-hl7: files to objects, no events; fhir.resources has no R4, so R4B",
            f"a message: MSH, PID, PV1, OBR and {RESULTS_EACH} OBX, in {FILES} files",
        ],
        quick=quick,
    )
    watch.finish(result, results)


def run_stage(name: str, source: Source) -> Done:
    """One stage in a process of its own."""
    typer.echo(f"{source.kind}: {name}")
    path = os.pathsep.join(each for each in sys.path if each)
    command = [sys.executable, "-m", "benchmarks.record_import_stages", name, json.dumps(asdict(source))]
    return Done(**json.loads(run_process(command, environment={"PYTHONPATH": path}).output.splitlines()[-1]))


def _fhir(given: Path, folder: Path, copies: int, most: int, workers: int) -> dict[str, Any]:
    place = folder / "fhir" / "bundles"
    size = bundles(given, place, copies)
    source = Source(str(place), "fhir", workers, most)
    read, whole, rival = (run_stage(name, source) for name in ("fhir reading", "whole", "fhir.resources"))
    differing = differing_events(sorted(place.glob("*.json"))[: max(1, most // 20)], folder / "again")
    shutil.rmtree(place)
    return {
        "size": size,
        "differing": differing,
        **{name: asdict(each) for name, each in (("reading", read), ("import", whole), ("fhir.resources", rival))},
        "counts": {"reading": read.count, "import": read.count, "fhir.resources": rival.count},
    }


def differing_events(files: list[Path], folder: Path) -> int:
    """Events that are not the same when each bundle is read from its file, and from what fhir.resources wrote of it."""
    from fhir.resources.R4B.bundle import Bundle

    folder.mkdir(parents=True)
    for file in files:
        (folder / file.name).write_text(Bundle.model_validate_json(file.read_bytes()).model_dump_json())
    ours = [_events(file) for file in files]
    theirs = [_events(folder / file.name) for file in files]
    return sum(len(a ^ b) for a, b in zip(ours, theirs, strict=True))


def _events(file: Path) -> set[tuple[Any, ...]]:
    tables = [table for part in FHIR.parts(file) for table in FHIR.read(part, Rejects(), Described())]
    return {tuple(row.values()) for row in pa.concat_tables(tables).to_pylist()}


def _omop(given: Path, folder: Path, copies: int, workers: int) -> dict[str, Any]:
    place = folder / "omop" / "cdm"
    rows = omop(given, place, copies)
    source = Source(str(place), "omop", workers, 0)
    read, whole = run_stage("reading", source), run_stage("whole", source)
    size = sum(file.stat().st_size for file in place.iterdir())
    shutil.rmtree(place)
    return {"size": size, "reading": asdict(read), "import": asdict(whole), "counts": {"reading": rows, "import": rows}}


def _hl7(folder: Path, count: int, most: int, workers: int) -> dict[str, Any]:
    place = folder / "hl7" / "messages"
    size = sum(
        messages(place / f"{number}.hl7", count // FILES, RESULTS_EACH, SUBJECTS, seed=number)
        for number in range(FILES)
    )
    source = Source(str(place), "hl7v2", workers, most)
    read, whole, rival = (run_stage(name, source) for name in ("reading", "whole", "python-hl7"))
    shutil.rmtree(place)
    return {
        "size": size,
        **{name: asdict(each) for name, each in (("reading", read), ("import", whole), ("python-hl7", rival))},
        "counts": {"reading": count, "import": count, "python-hl7": rival.count},
    }


def speed(found: dict[str, Any], what: str) -> float:
    """Resources, rows or messages a second."""
    return float(found["counts"][what] / found[what]["seconds"])


def _rows(name: str, found: dict[str, Any], workers: int) -> list[list[str]]:
    return [
        [
            name,
            what,
            str(workers if what == "import" else 1),
            f"{count:,}",
            f"{found[what]['seconds']:.2f}",
            f"{speed(found, what):,.0f}",
        ]
        for what, count in found["counts"].items()
    ]


def _verdicts(found: dict[str, Any], count: int, workers: int) -> list[Verdict]:
    fhir, cdm, hl7 = found["fhir"], found["omop"], found["hl7v2"]
    times = speed(fhir, "reading") / speed(fhir, "fhir.resources")
    same = fhir["differing"] == 0
    return [
        Verdict(
            what="FHIR to events, against building objects of fhir.resources",
            value=f"{times:.1f}×, {speed(fhir, 'reading'):,.0f} resources/s" if same else "other events",
            reach=f"≥ {TIMES:g}×",
            met=times >= TIMES and same,
            beside=f"fhir.resources {speed(fhir, 'fhir.resources'):,.0f} resources/s, one process each",
        ),
        Verdict(
            what=f"OMOP to a store, {workers} processes",
            value=f"{speed(cdm, 'import') / 1e6:.2f} M rows/s",
            reach=f"≥ {ROWS / 1e6:g} M rows/s",
            met=speed(cdm, "import") >= ROWS if cdm["counts"]["import"] >= ENOUGH else None,
            beside=f"to events, one process, {speed(cdm, 'reading') / 1e6:.2f} M rows/s",
        ),
        Verdict(
            what=f"HL7 v2 to a store, {RESULTS_EACH} results a message, {workers} processes",
            value=f"{speed(hl7, 'import'):,.0f} messages/s",
            reach=f"≥ {MESSAGES:,.0f} messages/s",
            met=speed(hl7, "import") >= MESSAGES if count >= ENOUGH else None,
            beside=f"one process: events {speed(hl7, 'reading'):,.0f}/s, objects of python-hl7 "
            f"{speed(hl7, 'python-hl7'):,.0f}/s",
        ),
    ]
