"""``records``: health records of any format → one store, looked at and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from suwen.data.records.cohorts.labels import Labels

from suwen.core.errors import NameUnknown
from suwen.data.records.building import Imported, import_records
from suwen.data.records.codes.vocabulary import Added, Hierarchy, add_hierarchy, load_hierarchy
from suwen.data.records.columns import build_columns
from suwen.data.records.events import number_of
from suwen.data.records.fhir.export import export_fhir
from suwen.data.records.omop.export import export_omop
from suwen.data.records.quality import Finding, check_store, refuse_broken
from suwen.data.records.store import RecordStore


def import_(
    source: str | Path,
    kind: str,
    *,
    out: str | Path,
    workers: int = 1,
    shards: int | None = None,
    quiet: bool = False,
) -> Imported:
    """Import a source into a store (``suwen records import SOURCE --from KIND --out STORE``).

    Run again it goes on where it was stopped, and changes nothing that is there already. A source that was corrected
    since then is refused. What could not be mapped is counted by reason; the first thousand of each reason are kept in
    ``metadata/rejected.ndjson``, up to 4,000 characters of each. These are records of patients as they came: guard them
    as you guard the source.

    Args:
        source: file or folder.
        kind: a row of ``suwen.importers``: fhir, omop, hl7v2, meds …
        out: folder of the store, made or added to.
        workers: processes.
        shards: files of a new store; as its source needs unless given.
        quiet: print nothing.

    Raises:
        NameUnknown: no such format.
        DataError: nothing to import, a folder that is no store, another import at the same time, or a source that says
            something else than when it was imported.
        FileUnreadable: a file is damaged.
    """
    found = import_records(Path(source), kind, Path(out), workers=workers, shards=shards, progress=not quiet)
    if not quiet:
        _say_imported(found, out)
    return found


def check(store: str | Path, *, quiet: bool = False) -> list[Finding]:
    """Look at a store: whether it is MEDS, and what in it cannot be.

    Raises:
        DataError: it is no MEDS store; what breaks it, and where, is said.
        FileUnreadable: a shard is damaged.
    """
    found = check_store(RecordStore(store), progress=not quiet)
    if not quiet:
        _say_found(found)
    refuse_broken(found)
    return found


def timeline(store: str | Path, subject: int | str) -> Iterator[dict[str, Any]]:
    """What is known of one subject, event by event: time, code, description, value, unit, text, available_time.

    Args:
        store: the folder.
        subject: the number, or the name that the source had for them, as ``abc-1``.

    Raises:
        DataError: there is no such subject.
    """
    opened = RecordStore(store)
    texts = dict(zip(opened.codes["code"].to_pylist(), opened.codes["description"].to_pylist(), strict=True))
    for row in opened.subject(number_of(str(subject))).to_pylist():
        told = {
            "time": _told(row["time"]),
            "code": row["code"],
            "description": texts.get(row["code"]),
            "value": _shortest(row.get("numeric_value")),
            "unit": row.get("unit"),
            "text": row.get("text_value"),
            "available_time": _told(row.get("available_time")),
            "encounter": row.get("encounter_id"),
        }
        yield {name: value for name, value in told.items() if value is not None}


def _shortest(value: float | None) -> float | None:
    """The shortest decimal that is the same float32: 15.6, where its double would be 15.600000381469727."""
    return None if value is None else float(str(np.float32(value)))


def numbers(store: str | Path, *, by: str | None = None, show_all: bool = False) -> dict[str, Any]:
    """The numbers of a cohort that `describe` draws: JSON-able, small counts withheld.

    See `suwen.data.records.profile.numbers.numbers_of`; arguments and errors are those of `describe`.
    """
    # compiled kernels and drawings, which the other commands on records do not need, take a second to load
    from suwen.data.records.profile.disclosure import SMALLEST
    from suwen.data.records.profile.numbers import numbers_of
    from suwen.data.records.profile.profile import profile

    smallest = 1 if show_all else SMALLEST
    return numbers_of(profile(store, by=by, few=smallest), smallest=smallest)


def describe(
    store: str | Path,
    out: str | Path | None = None,
    *,
    by: str | None = None,
    show_all: bool = False,
    quiet: bool = False,
) -> Path:
    """Draw a profile of a cohort on one page (``suwen records describe STORE``): who, when, what, how complete.

    The page names no subject and quotes no text; counts of fewer than 11, exact ages above 89 and dates but years are
    withheld, unless all is to be shown.

    Args:
        store: folder of a store, or any MEDS 0.4 folder.
        out: the page; ``STORE/describe.html`` unless given.
        by: groups to compare: ``sex``, ``age``, what codes begin with (``RACE``), or a code: those who have it, and
            those who do not.
        show_all: show small counts, too. Ages and dates stay as they are.
        quiet: print nothing.

    Raises:
        DataError: no store, or one that is not in order.
        FileUnreadable: a file is damaged.
        NameUnknown: nothing of that name to group by.
    """
    from suwen.evaluation.profile_page import write_profile

    path = Path(store) / PROFILE if out is None else Path(out)
    found = numbers(store, by=by, show_all=show_all)
    write_profile(path, found)
    if not quiet:
        subjects, events = (f"{n:,}" if isinstance(n, int) else n for n in (found["subjects"], found["events"]))
        Console().print(f"{subjects} subjects with {events} events, described in {path}", highlight=False)
    return path


PROFILE = "describe.html"


def label(store: str | Path, cohort: str | Path, *, out: str | Path, quiet: bool = False) -> Labels:
    """Find a cohort and its labels (``suwen records label STORE COHORT.yaml --out labels/``).

    Writes ``labels.parquet`` as MEDS has labels, ``survival.parquet`` with times to the event, and ``cohort.json``:
    where everybody else was lost, how many labels are censored, in which units limits were compared (those of
    `suwen.data.records.units.table.standard_units`, where it has them), and of which store.

    Args:
        store: folder of a store, or any MEDS 0.4 folder.
        cohort: YAML in the language of ACES.
        out: folder.
        quiet: print nothing.

    Raises:
        DataError: nobody is in the cohort; where they were lost is said.
        RecipeError: the YAML says something that is not of the language, or a label that lies in what is seen.
    """
    from suwen.data.records.cohorts.config import read_cohort
    from suwen.data.records.cohorts.extract import extract
    from suwen.data.records.units.table import standard_units

    asked, console = read_cohort(cohort), Console(highlight=False, quiet=quiet)
    with console.status("Looking through the records (the first time, kernels are compiled: half a minute)"):
        found = extract(build_columns(store, conversions=standard_units(store)), asked)
    found.write(out)
    if not quiet:
        for line in found.lines():
            console.print(line, markup=False)
        console.print(f"written to {out}", markup=False)
    return found


def vocabulary(
    store: str | Path, file: str | Path | None = None, *, prefix: str | None = None, quiet: bool = False
) -> Added:
    """Say of the codes of a store what they mean and what is above them (``suwen records vocabulary STORE FILE``).

    What the store knows already stays. ICD and ATC codes get the codes spelled above them, also without a file.

    Args:
        store: folder of a store.
        file: a hierarchy, OBO (as the Disease Ontology), or CSV with the columns code, parent and description.
        prefix: what codes of the file begin with in the store.
        quiet: print nothing.

    Raises:
        DataError: no store; or a file that is no hierarchy, or has codes that are above themselves.
        FileUnreadable: the file is damaged.
    """
    hierarchy = None if file is None else load_hierarchy(Path(file), prefix=prefix)
    added = add_hierarchy(RecordStore(store), hierarchy)
    if not quiet:
        _say_added(added, hierarchy)
    return added


def export(store: str | Path, to: str, *, out: str | Path, quiet: bool = False) -> Path:
    """Write a store in another format, from which it can be imported again with equal events.

    Args:
        store: the folder.
        to: a row of `EXPORTS`.
        out: a new folder.
        quiet: print nothing.

    Raises:
        NameUnknown: no such format.
        DataError: the folder holds other files, or an event cannot be written in it.
    """
    if to not in EXPORTS:
        raise NameUnknown("format to export to", to, EXPORTS, fix=f"--to {next(iter(EXPORTS))}")
    opened = RecordStore(store)
    written = EXPORTS[to](opened.tables(), Path(out), opened.codes)
    if not quiet:
        console = Console(highlight=False)
        console.print(f"{written.events:,} events of {written.subjects:,} subjects written to {out}")
        console.print("  ".join(f"{name} {count:,}" for name, count in sorted(written.rows.items()) if count))
    return Path(out)


EXPORTS: dict[str, Callable[..., Any]] = {
    "fhir": export_fhir,
    "fhir-bundles": partial(export_fhir, bundles=True),
    "omop": export_omop,
}
"""Format → what writes tables of events, to a folder, with what is known of their codes."""


def _told(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(sep=" ")


def _say_imported(found: Imported, out: str | Path) -> None:
    console = Console()
    console.print(
        f"{found.events:,} events of {found.subjects:,} subjects in {out}: {found.parts} parts read now, "
        f"{found.known} known from before, {found.repeated:,} events were there already"
    )
    if found.rejected:
        table = Table("not mapped, because", "how many", title="metadata/rejected.ndjson", title_justify="left")
        for reason, count in found.rejected.items():
            table.add_row(reason, f"{count:,}")
        console.print(table)
    console.print(f"type    suwen records check {out}", highlight=False)


def _say_added(added: Added, hierarchy: Hierarchy | None) -> None:
    console = Console(highlight=False)
    console.print(
        f"{added.codes:,} codes: {added.found:,} found, {added.described:,} described now, {added.linked:,} put below "
        f"others now; {added.added:,} codes above them added"
    )
    if hierarchy is not None and added.not_found:
        table = Table("not in the file, of", "codes")
        for name, count in added.not_found.items():
            table.add_row(name, f"{count:,}")
        console.print(table)
    if hierarchy is not None and hierarchy.findings:
        _say_found(list(hierarchy.findings))


def _say_found(found: list[Finding]) -> None:
    console = Console()
    if not found:
        console.print("a MEDS store, and nothing in it that cannot be")
        return
    table = Table("found", "how many", "such as")
    for each in found:
        table.add_row(each.name, f"{each.count:,}", "\n".join(each.examples))
    console.print(table)
