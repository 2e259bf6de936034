"""How tables become events, told in YAML: a `Mapping` a source, a `Table` a kind of file, an `Event` a kind of event.

    name: my hospital
    tables:
      - files: labs_*.csv.gz
        subject: patient
        time: {column: taken, format: "%d.%m.%Y %H:%M"}
        available: reported
        events:
          - {code: "LAB//{test}", value: result, or_text: true, unit: "{unit}"}

Where only a column makes sense (subject, encounter, time, value …) its name stands as it is. Everything that is text
(code, text, unit, description) is a *template*: ``{column}`` stands for what the column holds, ``{column|none}`` for it
or, where it is empty, *none*. ``{lookup.column}`` is the column of a lookup. There is no other syntax, and no code.
Columns are found as they are written, else in small or capital letters. The third, where it has no name, is
``column 3``; ``row number`` is which row it is.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from suwen.core.errors import DataError
from suwen.data.records.tables.mapping_text import read_text, refusal

SHIPPED = Path(__file__).parents[1] / "importers" / "mappings"

MISSING = ("", "NaN", "nan", "NULL", "null", "\\N")
"""What is nothing, unless a mapping says otherwise. NA is not among them: it is sodium to some."""

ROW = "row number"
"""A column that every table has: which row of its file it is, from 1."""

UNITS = {"years": 365.25 * 86400, "days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
"""Seconds."""


class Piece(NamedTuple):
    """Of a template: a text, or a column with what stands for it where it is empty (None: nothing does)."""

    text: str
    column: str = ""
    default: str | None = None


@lru_cache(maxsize=4096)
def pieces(template: str) -> tuple[Piece, ...]:
    """A template, taken apart.

    Raises:
        ValueError: a brace has no partner, or there is nothing between two.
    """
    found = []
    for number, text in enumerate(re.split(r"\{([^{}]*)\}", template)):
        if number % 2 == 0:
            if "{" in text or "}" in text:
                raise ValueError(f"{template!r} has a brace without a partner; write {{column}}")
            found += [Piece(text)] if text else []
            continue
        column, bar, default = text.partition("|")
        if not column.strip():
            raise ValueError(f"{template!r} names no column between its braces")
        found.append(Piece("", column.strip(), default if bar else None))
    return tuple(found)


def columns_in(template: str) -> list[str]:
    """Columns of a template."""
    return [piece.column for piece in pieces(template) if piece.column]


def _checked(template: str) -> str:
    pieces(template)
    return template


def _listed(value: Any) -> Any:
    """One thing stands for a list of one."""
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _by_column(value: Any) -> Any:
    return {key: _listed(each) for key, each in value.items()} if isinstance(value, dict) else value


def _times(value: Any) -> Any:
    return [{"column": each} if isinstance(each, str) else each for each in _listed(value) if each != ""]


def _units(value: Any) -> Any:
    return dict.fromkeys(value, "") if isinstance(value, list) else value


class Strict(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Time(Strict):
    """When: a column of times, a column of numbers since some time, or one fixed time."""

    column: str = Field(default="", description="with the time, or with the number")
    format: str = Field(default="", description="as in strptime, such as %d.%m.%Y; ISO 8601 unless given")
    unit: Literal["", "years", "days", "hours", "minutes", "seconds", "hours:minutes"] = Field(
        default="", description="of the number; a Parquet column of durations needs none"
    )
    since: str = Field(default="", description="where the number counts from: 2000-01-01, or {column}")
    at: str = Field(default="", description="the one time of all, instead of a column")
    end_of_day: bool = Field(default=False, description="the last moment of that day, for dates without a clock time")
    sign: Literal["", "+", "-"] = Field(default="", description="only numbers of this sign, taken without it")
    plus_hours: float = Field(default=0.0, allow_inf_nan=False, description="that much later")

    @model_validator(mode="after")
    def _whole(self) -> Time:
        if bool(self.column) == bool(self.at):
            raise ValueError("a time has either column: or at:")
        if self.unit and not self.since:
            raise ValueError(f"{self.column} counts {self.unit}, and it is not said since when; add since: 2000-01-01")
        if self.sign and not self.unit:
            raise ValueError("sign: is for numbers, which have a unit:")
        if self.format and self.since:
            raise ValueError("format: is for times, since: for numbers; one of the two")
        for name, said in (("at", self.at), ("since", self.since)):
            if said and not said.startswith("{"):
                instant(said, name)
        if self.since.startswith("{") and not (len(pieces(self.since)) == 1 and columns_in(self.since)):
            raise ValueError(f"since: {self.since} is more than one column")
        if self.format:
            _refuse_format(self.format)
        return self

    def columns(self) -> list[str]:
        """Those it needs."""
        return [*([self.column] if self.column else []), *(columns_in(self.since) if self.since else [])]


def instant(text: str, name: str) -> datetime:
    """A time as written in a mapping.

    Raises:
        ValueError: it is none.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{name}: {text} is no time; write 2000-01-31 or 2000-01-31T08:00:00") from error


def _refuse_format(given: str) -> None:
    example = datetime(2000, 12, 31, 23, 59, 58)
    shown = example.strftime(given)
    back = pc.strptime(pa.array([shown]), format=given, unit="s", error_is_null=True)
    if "%" not in given or back.null_count or back[0].as_py().year != example.year:
        raise ValueError(
            f"the format {given!r} does not say the year; of {example:%Y-%m-%d %H:%M:%S} it makes {shown!r}"
        )


Template = Annotated[str, AfterValidator(_checked)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Times = Annotated[tuple[Time, ...], BeforeValidator(_times)]
ByColumn = Annotated[dict[str, Texts], BeforeValidator(_by_column)]
UnitOf = Annotated[dict[str, str], BeforeValidator(_units)]


class Event(Strict):
    """One kind of event: made of each row that has what it needs."""

    code: Template = Field(
        min_length=1, description="{column} in it is also the melted column's name, where there is melt"
    )
    static: bool = Field(default=False, description="without a time: true of the subject always")
    once: bool = Field(default=False, description="static, and the same in row after row: kept once")
    time: Times = Field(default=(), description="the first that is there; the table's unless given")
    available: Times = Field(default=(), description="when it could be known, where later than its time")
    end: Times = Field(default=(), description="makes it an interval: CODE//START and CODE//END")
    value: Texts = Field(default=(), description="columns; the first that is a number is the value")
    or_text: bool = Field(default=False, description="what is no number is the text, and no error")
    text: Template = ""
    unit: Template = ""
    end_value: Texts = Field(default=(), description="what is known when it ends, such as the amount given")
    end_unit: Template = ""
    encounter: str | None = Field(default=None, description="the table's unless given")
    description: Template = Field(default="", description="of the code")
    melt: UnitOf = Field(default_factory=dict, description="columns → their unit: an event of each that is not empty")
    when: ByColumn = Field(
        default_factory=dict, description='only rows where a column is this, or one of these; "" is empty'
    )
    unless: ByColumn = Field(default_factory=dict, description="but not where a column is this")
    needs: Texts = Field(default=(), description="columns that must not be empty")

    @model_validator(mode="after")
    def _whole(self) -> Event:
        if self.static and (self.time or self.end or self.available):
            raise ValueError("a static event has no time, no end and no available")
        if self.once and not self.static:
            raise ValueError("once: is for static events")
        if self.melt and self.value:
            raise ValueError("melt: already says which columns the values are")
        if (self.end_value or self.end_unit) and not self.end:
            raise ValueError("end_value: without end:")
        if self.or_text and self.text:
            raise ValueError("or_text: and text: both say what the text is")
        return self

    def melted(self) -> list[Event]:
        """One for each column of `melt`; itself where there is none."""
        if not self.melt:
            return [self]
        return [
            self.model_copy(
                update={
                    "code": _put(self.code, column),
                    "description": _put(self.description, column),
                    "value": (column,),
                    "unit": unit or self.unit,
                    "needs": (*self.needs, column),
                    "melt": {},
                }
            )
            for column, unit in self.melt.items()
        ]


def _put(template: str, column: str) -> str:
    return template.replace("{column}", column)


class Refused(Strict):
    """Rows that are not to be taken, and why: they are counted under this reason."""

    when: ByColumn
    reason: str = Field(min_length=1)


class Files(Strict):
    """Which files, and how they are written."""

    files: Texts = Field(min_length=1, description="names with * and ?; .gz need not be written, a .zip is a folder")
    separator: str = Field(default=",", min_length=1, max_length=1)
    quoted: bool = Field(default=True, description="quotation marks enclose fields")
    header: tuple[str, ...] = Field(default=(), description="names of the columns, where the file has none")
    encoding: str = Field(default="utf-8", description="such as gb18030, latin-1")
    missing: ByColumn = Field(default_factory=dict, description="column → what is nothing in it; '*' is every column")


class Lookup(Files):
    """A small table whose columns are joined to those of others. Of several rows of one key the first counts."""

    key: Texts = Field(min_length=1)
    columns: Texts = Field(min_length=1)


class Table(Files):
    """One kind of file."""

    path: str = Field(default="", description="such as {hospital}/{subject}.psv: columns out of the file's path")
    subject: str = Field(min_length=1, description="a column, or a template")
    encounter: str = ""
    time: Times = ()
    available: Times = ()
    optional: Texts = Field(default=(), description="columns that some versions do not have: empty there")
    join: ByColumn = Field(default_factory=dict, description="lookup → the columns here that are its key")
    reject: tuple[Refused, ...] = ()
    events: tuple[Event, ...] = Field(min_length=1)

    def rules(self) -> list[Event]:
        """Its events, each melted column by itself, with what the table says for all."""
        found = [rule for event in self.events for rule in event.melted()]
        return [rule.model_copy(update=self._for_all(rule)) for rule in found]

    def _for_all(self, rule: Event) -> dict[str, Any]:
        if rule.static:
            return {"encounter": rule.encounter or ""}
        return {
            "time": rule.time or self.time,
            "available": rule.available or self.available,
            "encounter": self.encounter if rule.encounter is None else rule.encounter,
        }

    def columns(self) -> list[str]:
        """All that it needs of a file, each once: those of lookups and of the path are not in it."""
        names = [*_named(self.subject), *(key for keys in self.join.values() for key in keys)]
        names += [column for refused in self.reject for column in refused.when]
        names += [column for rule in self.rules() for column in needed(rule)]
        inside = {ROW, *columns_in(self.path)}
        return [name for name in dict.fromkeys(names) if name not in inside and not self.joined(name)]

    def joined(self, name: str) -> bool:
        """Whether a column is of a lookup."""
        return name.partition(".")[0] in self.join and "." in name

    @model_validator(mode="after")
    def _whole(self) -> Table:
        pieces(self.subject)
        pieces(self.path)
        for event in self.events:
            if not event.static and not (event.time or self.time):
                raise ValueError(f"{event.code} has no time: add time: to it or to the table, or static: true")
        return self


def needed(rule: Event) -> list[str]:
    """Columns of a rule."""
    names = [*rule.value, *rule.end_value, *rule.when, *rule.unless, *rule.needs]
    for template in (rule.code, rule.text, rule.unit, rule.end_unit, rule.description):
        names += columns_in(template)
    for times in (rule.time, rule.available, rule.end):
        names += [column for time in times for column in time.columns()]
    return [*names, *([rule.encounter] if rule.encounter else [])]


def _named(column: str) -> list[str]:
    return columns_in(column) if "{" in column else [column]


class Mapping(Strict):
    """A source: its tables, its lookups, and what of it is not mapped."""

    name: str = Field(min_length=1)
    summary: str = ""
    documented: str = Field(default="", description="where its columns are")
    tested: str = Field(default="", description="on what")
    folder: str = Field(default="", description="of the tables, from where the mapping lies")
    missing: tuple[str, ...] = MISSING
    lookups: dict[str, Lookup] = Field(default_factory=dict)
    tables: tuple[Table, ...] = Field(min_length=1, description="a file belongs to the first whose files: name it")
    unmapped: dict[str, str] = Field(default_factory=dict, description="files that are known and not mapped → why")

    @model_validator(mode="after")
    def _whole(self) -> Mapping:
        for table in self.tables:
            for name, keys in table.join.items():
                if name not in self.lookups:
                    raise ValueError(f"join: {name} is no lookup; there are {', '.join(self.lookups) or 'none'}")
                if len(keys) != len(self.lookups[name].key):
                    raise ValueError(f"the key of {name} is {', '.join(self.lookups[name].key)}, not {', '.join(keys)}")
            _refuse_lost_columns(table, self.lookups)
        return self

    @property
    def digest(self) -> str:
        """Changes with anything in it."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()


def _refuse_lost_columns(table: Table, lookups: dict[str, Lookup]) -> None:
    for rule in table.rules():
        for name in needed(rule):
            lookup, _, column = name.partition(".")
            if table.joined(name) and column not in lookups[lookup].columns:
                raise ValueError(f"{name}: the lookup {lookup} has {', '.join(lookups[lookup].columns)}")


def shipped() -> list[str]:
    """Names of the mappings that come with suwen."""
    return sorted(file.stem for file in SHIPPED.glob("*.yaml"))


def read_mapping(file: Path) -> Mapping:
    """A mapping.

    Raises:
        DataError: it is not there, no YAML, or says something that cannot be; line and key are said.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: {error}", why="a mapping is a text in UTF-8", fix=f"or one of suwen's: {', '.join(shipped())}"
        ) from error
    return mapping_of(text, file.name)


def mapping_of(text: str, name: str = "mapping") -> Mapping:
    """A mapping out of its text.

    Raises:
        DataError: as `read_mapping`.
    """
    written = read_text(text, name)
    try:
        return Mapping.model_validate(written.data)
    except ValidationError as error:
        raise refusal(written, error, Mapping) from error
