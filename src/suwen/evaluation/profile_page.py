"""The page of a profile: its numbers as sentences, tables and figures, in the look of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from suwen.evaluation.profile_figures import (
    ROWS,
    at_least,
    commonest_figure,
    density_figure,
    histogram_figure,
    measured_figure,
    pyramid_figure,
    years_figure,
)
from suwen.evaluation.profile_notes import what_to_know
from suwen.evaluation.profile_text import SAY, YEAR, aged, counted, lasted, more_than, percent
from suwen.evaluation.report import write_page
from suwen.evaluation.section import Drawing, Page, Section, drawn
from suwen.evaluation.tables import Cell, Table
from suwen.evaluation.words import Words

Numbers = Mapping[str, Any]

QUANTILES = ("p5", "p25", "p50", "p75", "p95")


def write_profile(path: Path, numbers: Numbers, say: Words = SAY) -> None:
    """Write the page of `suwen.data.records.profile.numbers.numbers_of` as one HTML file, whole or not at all."""
    write_page(path, profile_page(numbers, say))


def profile_page(numbers: Numbers, say: Words = SAY) -> Page:
    """The page, with figures drawn and sentences written; it holds nothing but what stands in the numbers."""
    sections = [
        what_to_know(numbers, say),
        _people(numbers, say),
        _when(numbers, say),
        _kinds(numbers, say),
        _commonest(numbers, say),
        _measured(numbers, say),
        _units(numbers, say),
        _stays(numbers, say),
        _delays(numbers, say),
        _groups(numbers, say),
        _origin(numbers, say),
        _reading(say),
    ]
    return Page(
        title=str(numbers["name"]),
        subtitle=say["subtitle"].format(fingerprint=numbers["fingerprint"][:12]),
        leaks=(),
        notes=_notes(numbers, say),
        simulated=bool(numbers["simulated"]),
        verdict=_lead(numbers, say),
        standing="",
        tiles=_tiles(numbers, say),
        sections=[section for section in sections if section is not None],
    )


def _notes(numbers: Numbers, say: Words) -> list[str]:
    smallest = numbers["smallest"]
    small = say["note_small"].format(smallest=smallest, most=smallest - 1) if smallest > 1 else say["note_all"]
    return [small] if numbers["origin"]["by_suwen"] else [small, say["note_foreign"]]


def _lead(numbers: Numbers, say: Words) -> str:
    people, calendar = numbers["people"], numbers["calendar"]
    span = ""
    if calendar["first_year"] is not None:
        span = say["lead_span"].format(first=calendar["first_year"], last=calendar["last_year"])
    said = [
        say["lead"].format(
            subjects=counted(numbers["subjects"], say),
            events=counted(numbers["events"], say),
            codes=counted(numbers["codes"], say),
            span=span,
        )
    ]
    if isinstance(numbers["subjects"], str):
        said.append(say["lead_few"].format(smallest=numbers["smallest"]))
    if people["events"]:
        said.append(say["lead_events"].format(median=counted(round(people["events"]["p50"]), say)))
    if people["followed"]:
        median = lasted(people["followed"]["p50"] * YEAR, say)
        said.append(say["lead_followed"].format(median=median, person_years=_whole(people["person_years"], say)))
    if people["deaths"]:
        said.append(say["lead_deaths"].format(deaths=counted(people["deaths"], say)))
    return " ".join(said)


def _whole(number: float | None, say: Words) -> str:
    return counted(None if number is None else round(number) if number >= 10 else number, say)


def _tiles(numbers: Numbers, say: Words) -> list[tuple[str, Cell]]:
    people, calendar = numbers["people"], numbers["calendar"]
    subjects = counted(numbers["subjects"], say)
    described = say["tile_described"].format(described=counted(numbers["described"], say))
    years, events, female = calendar["first_year"], people["events"], people["sex"]["female"]
    tiles = [
        (say["tile_subjects"], Cell(subjects)),
        (say["tile_events"], Cell(counted(numbers["events"], say))),
        (say["tile_codes"], Cell(counted(numbers["codes"], say), described)),
    ]
    if years is not None:
        tiles.append((say["tile_years"], Cell(f"{years}–{calendar['last_year']}", say["tile_years_detail"])))
    if events:
        tiles.append((say["tile_each"], _middle([round(events[name]) for name in ("p25", "p50", "p75")], counted, say)))
    if people["age"]:
        tiles.append((say["tile_age"], _middle([people["age"][name] for name in ("p25", "p50", "p75")], _aged, say)))
    if female:
        share = _share(female, numbers["subjects"])
        of = say["of_subjects"].format(subjects=subjects)
        tiles.append((say["tile_female"], Cell(share or counted(female, say), f"{counted(female, say)} {of}")))
    if people["deaths"]:
        of = say["of_subjects"].format(subjects=subjects)
        tiles.append((say["tile_deaths"], Cell(counted(people["deaths"], say), of)))
    if people["followed"]:
        together = say["tile_person_years"].format(person_years=_whole(people["person_years"], say))
        tiles.append((say["tile_followed"], Cell(lasted(people["followed"]["p50"] * YEAR, say), together)))
    return tiles


def _middle(values: Sequence[Any], written: Any, say: Words) -> Cell:
    low, middle, high = (written(value, say) for value in values)
    return Cell(middle, say["median_and_quartiles"].format(low=low, high=high))


def _aged(age: float, _: Words) -> str:
    return aged(age)


def _share(count: Any, whole: Any) -> str:
    """The share as text; above a bound where all but a few have it; nothing where it is not shown."""
    if isinstance(count, str) and count.startswith(">") and isinstance(whole, int):
        return more_than((at_least(count) - 1) / whole)
    return percent(count / whole) if isinstance(count, int) and isinstance(whole, int) and whole else ""


def _table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[Table]:
    """The table, none where it has no rows."""
    return [Table(caption, columns, rows)] if rows else []


def _people(numbers: Numbers, say: Words) -> Section:
    people = numbers["people"]
    rows = [
        [Cell(say[sex.replace(" ", "_")]), Cell(counted(count, say)), Cell(_share(count, numbers["subjects"]))]
        for sex, count in people["sex"].items()
        if count
    ]
    tables = _table(say["sex_caption"], [say["sex"], say["subjects"], say["share"]], rows)
    tables += _quantiles(people, say)
    pairs = ((pyramid_figure(people, say), "pyramid_caption"), (histogram_figure(people, say), "histogram_caption"))
    drawings = drawn(*((svg, say[caption]) for svg, caption in pairs))
    return Section("people", say["people"], [say["people_text"]], tables=tables, drawings=drawings)


def _quantiles(people: Numbers, say: Words) -> list[Table]:
    written = (("events", lambda count: counted(round(count), say)), ("age", aged), ("followed", _followed))
    rows = [
        [Cell(say[f"quantiles_{what}"]), *(Cell(write(people[what][name]), strong=name == "p50") for name in QUANTILES)]
        for what, write in written
        if people[what]
    ]
    return _table(say["quantiles_caption"], [say["what"], *(say[name] for name in QUANTILES)], rows)


def _followed(years: float) -> str:
    return lasted(years * YEAR)


def _when(numbers: Numbers, say: Words) -> Section | None:
    calendar = numbers["calendar"]
    drawings = drawn(
        (years_figure(calendar, say), say["years_caption"]), (density_figure(calendar, say), say["density_caption"])
    )
    if not drawings:
        return None
    together = [say["when_together"].format(width=calendar["width"])] if calendar["width"] > 1 else []
    return Section("when", say["when"], [say["when_text"], *together], drawings=drawings)


def _kinds(numbers: Numbers, say: Words) -> Section | None:
    rows = [
        [
            Cell(row["name"], row["kind"] if row["kind"] != row["name"] else ""),
            Cell(counted(row["events"], say)),
            Cell(counted(row["codes"], say)),
            Cell(counted(row["subjects"], say), _share(row["subjects"], numbers["subjects"])),
            Cell(counted(row["values"], say)),
        ]
        for row in numbers["kinds"]
    ]
    titles = [say[name] for name in ("kind", "events", "codes", "subjects", "values")]
    tables = _table(say["kinds_caption"], titles, rows)
    return Section("kinds", say["kinds"], tables=tables) if tables else None


def _code(row: Numbers) -> Cell:
    """A code by its description, with the code below."""
    return Cell(row["description"] or row["code"], row["code"] if row["description"] else "")


def _two(
    rows: Sequence[Numbers], caption: str, figure: Callable[[Sequence[Numbers]], str | None], say: Words
) -> list[Drawing]:
    """The first rows, in two figures beside each other where there are enough for that."""
    some = rows[: 2 * ROWS]
    half = len(some) if len(some) < ROWS else (len(some) + 1) // 2
    return drawn((figure(some[:half]), caption), (figure(some[half:]), say["continued"]))


def _commonest(numbers: Numbers, say: Words) -> Section | None:
    rows = numbers["commonest"]
    if not rows:
        return None
    caption = say["commonest_caption"].format(count=min(len(rows), 2 * ROWS))
    drawings = _two(rows, caption, lambda part: commonest_figure(part, numbers["subjects"], say), say)
    cells = [
        [
            _code(row),
            Cell(counted(row["subjects"], say), _share(row["subjects"], numbers["subjects"])),
            Cell(counted(row["events"], say)),
        ]
        for row in rows
    ]
    titles = [say["code"], say["subjects"], say["events"]]
    tables = _table(say["commonest_table"].format(count=len(rows)), titles, cells)
    return Section(
        "commonest", say["commonest"], [say["commonest_text"]], tables=tables, drawings=drawings, folded=True
    )


def _measured(numbers: Numbers, say: Words) -> Section | None:
    rows = numbers["measured"]
    if not rows:
        return None
    drawings = _two(rows, say["measured_caption"], lambda part: measured_figure(part, say), say)
    cells = [
        [
            _code(row),
            Cell(counted(row["values"], say), say["of_subjects"].format(subjects=counted(row["subjects"], say))),
            _unit(row, say),
            *(Cell(counted(row["spread"][name], say), strong=name == "p50") for name in ("p5", "p50", "p95")),
            Cell(counted(row["far"], say)),
        ]
        for row in rows
    ]
    titles = [say[name] for name in ("code", "values", "unit", "p5", "p50", "p95", "far")]
    tables = _table(say["measured_table"].format(count=len(rows)), titles, cells)
    return Section("measured", say["measured"], [say["measured_text"]], tables=tables, drawings=drawings, folded=True)


def _unit(row: Numbers, say: Words) -> Cell:
    asides = [
        say[name].format(count=counted(row[name], say)) for name in ("other_units", "no_unit") if row[name] not in (0,)
    ]
    return Cell(row["unit"] or (say["none"] if row["no_unit"] == row["values"] else say["hidden"]), ", ".join(asides))


def _units(numbers: Numbers, say: Words) -> Section | None:
    rows = [
        [
            _code(row),
            Cell(row["usual"], say["usual_events"].format(events=counted(row["usual_events"], say))),
            Cell(row["unit"], say["usual_events"].format(events=counted(row["events"], say))),
        ]
        for row in numbers["units"]["odd"]
    ]
    tables = _table(say["units_caption"], [say["code"], say["usual"], say["other_unit"]], rows)
    return Section("units", say["units"], [say["units_text"]], tables=tables) if tables else None


def _stays(numbers: Numbers, say: Words) -> Section | None:
    rows = [
        [
            Cell(row["description"] or row["stay"], row["stay"] if row["description"] else ""),
            Cell(counted(row["begun"], say)),
            Cell(counted(row["subjects"], say), _share(row["subjects"], numbers["subjects"])),
            _length(row["days"], say),
            Cell(counted(row["never_ended"], say)),
            Cell(counted(row["never_begun"], say)),
        ]
        for row in numbers["stays"]
    ]
    titles = [say[name] for name in ("stay", "begun", "subjects", "length", "never_ended", "never_begun")]
    tables = _table(say["stays_caption"], titles, rows)
    return Section("stays", say["stays"], [say["stays_text"]], tables=tables) if tables else None


def _length(days: Mapping[str, float] | None, say: Words) -> Cell:
    """The median length, with what lies around it."""
    if days is None:
        return Cell("")
    around = say["length_detail"].format(low=lasted(days["p5"], say), high=lasted(days["p95"], say))
    return Cell(lasted(days["p50"], say), around)


def _delays(numbers: Numbers, say: Words) -> Section | None:
    delays = numbers["delays"]
    if not delays["told"] or not delays["days"]:
        return None
    text = say["delays_text"].format(
        later=counted(delays["later"], say),
        events=counted(numbers["events"], say),
        median=lasted(delays["days"]["p50"], say),
    )
    rows = [
        [
            Cell(row["name"], row["kind"] if row["kind"] != row["name"] else ""),
            Cell(counted(row["later"], say), _share(row["later"], row["events"])),
            _length(row["days"], say),
        ]
        for row in delays["kinds"]
    ]
    tables = _table(say["delays_caption"], [say["kind"], say["later"], say["delay"]], rows)
    return Section("delays", say["delays"], [text], tables=tables)


def _groups(numbers: Numbers, say: Words) -> Section | None:
    groups = numbers["groups"]
    if not groups:
        return None
    subjects, told = numbers["subjects"], numbers["people"]
    cells: dict[str, Callable[[Numbers], Cell]] = {
        "group": lambda row: Cell(row["group"]),
        "subjects": lambda row: Cell(counted(row["subjects"], say), _share(row["subjects"], subjects)),
        "female": lambda row: Cell(counted(row["female"], say), _share(row["female"], row["subjects"])),
        "median_age": lambda row: Cell(aged(row["age"])),
        "median_events": lambda row: Cell("" if row["events"] is None else counted(round(row["events"]), say)),
        "median_followed": lambda row: Cell("" if row["followed"] is None else _followed(row["followed"])),
        "deaths": lambda row: Cell(counted(row["deaths"], say), _share(row["deaths"], row["subjects"])),
    }
    if not told["deaths"]:
        del cells["deaths"]
    if groups["by"] == "sex" or not told["sex"]["female"]:
        del cells["female"]
    rows = [[cell(row) for cell in cells.values()] for row in groups["rows"]]
    tables = _table(say["groups_caption"], [say[name].capitalize() for name in cells], rows)
    text = say["groups_text"].format(smallest=numbers["smallest"])
    return Section("groups", say["groups"].format(by=groups["by"]), [text], tables=tables)


def _origin(numbers: Numbers, say: Words) -> Section:
    origin = numbers["origin"]
    if not origin["by_suwen"]:
        return Section("origin", say["origin"], [say["origin_unknown"]])
    imports = [
        [Cell(row["from"]), Cell(counted(row["parts"], say)), Cell(counted(row["events"], say))]
        for row in origin["imports"]
    ]
    rejected = [[Cell(reason), Cell(counted(count, say))] for reason, count in origin["rejected"].items()]
    tables = [
        *_table(say["imports_caption"], [say["from"], say["parts"], say["events"]], imports),
        *_table(say["rejected_caption"], [say["reason"], say["records"]], rejected),
    ]
    read = [row["events"] for row in origin["imports"]]
    sentences = [] if rejected else [say["rejected_none"]]
    if origin["repeated"] is not None and all(isinstance(count, int) for count in read):
        repeated = counted(origin["repeated"], say)
        sentences.insert(0, say["origin_text"].format(events=counted(sum(read), say), repeated=repeated))
    return Section("origin", say["origin"], sentences, tables=tables)


def _reading(say: Words) -> Section:
    terms = ("small", "age", "followed", "deaths", "odd", "far", "known")
    rows = [[Cell(say[f"reading_{term}"]), Cell(say[f"reading_{term}_text"])] for term in terms]
    tables = _table(say["reading_caption"], [say["term"], say["meaning"]], rows)
    return Section("reading", say["reading"], tables=tables, folded=True)
