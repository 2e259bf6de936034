"""``suwen records``."""

from __future__ import annotations

from typing import Annotated

import typer

from suwen.core.registry import IMPORTERS, VERBS

records = typer.Typer(help="Health records: any format in, one store (MEDS), looked at and told.", no_args_is_help=True)

Store = Annotated[str, typer.Argument(help="Folder of the store.")]


@records.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="File or folder to import.")],
    kind: Annotated[str, typer.Option("--from", help=f"Its format: {', '.join(IMPORTERS.names())}.")],
    out: Annotated[str, typer.Option(help="Folder of the store, made or added to.")] = "store",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    shards: Annotated[int | None, typer.Option(min=1, help="Files of a new store; as needed unless given.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Import records; run again it goes on where it was stopped, and changes nothing that is there already.

    Example:  suwen records import bundles/ --from fhir --out store/
    """
    found = VERBS["records"].import_(source, kind, out=out, workers=workers, shards=shards, quiet=json)
    if json:
        from dataclasses import asdict
        from json import dumps

        typer.echo(dumps(asdict(found), ensure_ascii=False))


@records.command()
def check(
    store: Store, json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False
) -> None:
    """Look at a store: whether it is MEDS, and what in it cannot be. Exits with 2 where something breaks it.

    Example:  suwen records check store/
    """
    found = VERBS["records"].check(store, quiet=json)
    if json:
        from dataclasses import asdict
        from json import dumps

        typer.echo(dumps([asdict(each) for each in found], ensure_ascii=False))


@records.command()
def timeline(
    store: Store,
    subject: Annotated[str, typer.Argument(help="Number of the subject, or the name that the source had.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object an event.")] = False,
) -> None:
    """What is known of one subject, event by event.

    Example:  suwen records timeline store/ 12
    """
    for event in VERBS["records"].timeline(store, subject):
        if json:
            from json import dumps

            typer.echo(dumps(event, ensure_ascii=False))
        else:
            value = " ".join(str(event[name]) for name in ("value", "unit") if name in event)
            text = event.get("text", "").replace("\n", " ")[:80]
            parts = (event.get("time", "-"), event["code"], event.get("description", ""), value, text)
            typer.echo("  ".join(part for part in parts if part))


@records.command()
def describe(
    store: Store,
    out: Annotated[str | None, typer.Option(help="The page; STORE/describe.html unless given.")] = None,
    by: Annotated[
        str | None, typer.Option(help="Groups to compare: sex, age, what codes begin with (RACE), or a code.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--show-all", help="Show counts below 11, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON; no page unless --out.")] = False,
) -> None:
    """Draw a profile of a cohort on one page: who, when, what, how measured, how complete. Nobody is named.

    Example:  suwen records describe store/ --by sex
    """
    if out is not None or not json:
        VERBS["records"].describe(store, out, by=by, show_all=show_all, quiet=json)
    if json:
        from json import dumps

        typer.echo(dumps(VERBS["records"].numbers(store, by=by, show_all=show_all), ensure_ascii=False))


@records.command()
def label(
    store: Store,
    cohort: Annotated[str, typer.Argument(help="YAML in the language of ACES.")],
    out: Annotated[str, typer.Option(help="Folder.")] = "labels",
    json: Annotated[bool, typer.Option("--json", help="Print numbers and funnel as JSON.")] = False,
) -> None:
    """Find a cohort and its labels: what is to be predicted of whom, when, and where everybody else was lost.

    Example:  suwen records label store/ examples/cohorts/readmission_30d.yaml --out labels/
    """
    found = VERBS["records"].label(store, cohort, out=out, quiet=json)
    if json:
        from json import dumps

        typer.echo(dumps(found.summary(), ensure_ascii=False))


@records.command()
def vocabulary(
    store: Store,
    file: Annotated[
        str | None, typer.Argument(help="Hierarchy: .obo, .csv or .tsv, also .gz; ICD and ATC need none.")
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="What codes of the file begin with in the store.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Say what codes mean and what is above them, so that features and cohorts can ask for all that is below a disease.

    Example:  suwen records vocabulary store/ doid.obo
    """
    added = VERBS["records"].vocabulary(store, file, prefix=prefix, quiet=json)
    if json:
        from dataclasses import asdict
        from json import dumps

        typer.echo(dumps(asdict(added), ensure_ascii=False))


@records.command()
def export(
    store: Store,
    to: Annotated[str, typer.Option(help="Format: fhir (NDJSON), fhir-bundles (a file a patient), or omop.")],
    out: Annotated[str, typer.Option(help="A new folder.")] = "export",
) -> None:
    """Write a store in another format, from which it can be imported again with equal events.

    Example:  suwen records export store/ --to fhir --out bulk/
    """
    VERBS["records"].export(store, to, out=out)
