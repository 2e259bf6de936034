"""Which code of a store means which concept: tables that come with suwen, a user's, and LOINC by itself.

- {code: FiO2, is: inspired oxygen, unit: "1"}     # events that name no unit are fractions
- {code: GENDER//F, is: female, value: 1}          # the code itself is the value
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from suwen.core.errors import DataError, FileUnreadable, NameUnknown
from suwen.data.records.columns import Columns
from suwen.data.records.derived.concepts import CONCEPTS
from suwen.data.records.tables.mapping_text import read_text, refusal

FOLDER = Path(__file__).with_name("meanings")
BIRTH = "MEDS_BIRTH"
"""The event that says when somebody was born, in MEDS; age is counted from its time."""


class Meaning(BaseModel):
    """What one code means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(min_length=1, description="as the store has it")
    concept: str = Field(alias="is", description="a concept's name")
    unit: str | None = Field(default=None, description="of events that name none; the concept's unless given")
    value: float | None = Field(default=None, description="of an event that has no number of its own")


class Meanings(BaseModel):
    """A table of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="where the codes and their units are documented")
    codes: list[Meaning] = Field(min_length=1)


def meanings_of(columns: Columns, table: str | Path | Mapping[str, str] | None = None) -> dict[str, Meaning]:
    """Code → what it means, of the codes that the store has; those of a table, then LOINC's, by themselves.

    Args:
        columns: of the store.
        table: the name of one that comes with suwen (``physionet2012``, ``yaib``), a YAML file of the same form, or
            code → concept.

    Raises:
        DataError: a table is not in order.
        NameUnknown: no such table, or a concept that there is not.
        FileUnreadable: the file cannot be read.
    """
    found = {
        code: Meaning.model_validate({"code": code, "is": concept.name})
        for concept in CONCEPTS.values()
        for code in (f"LOINC//{each}" for each in concept.loinc)
    }
    found[BIRTH] = Meaning.model_validate({"code": BIRTH, "is": "age"})
    if isinstance(table, Mapping):
        found |= {code: Meaning.model_validate({"code": code, "is": name}) for code, name in table.items()}
    elif table is not None:
        found |= {row.code: row for row in read_meanings(_file(table)).codes}
    for meaning in found.values():
        if meaning.concept not in CONCEPTS:
            raise NameUnknown("concept", meaning.concept, CONCEPTS, fix="see suwen.data.records.derived.concepts")
    return {code: meaning for code, meaning in found.items() if code in columns.numbers}


def read_meanings(file: Path) -> Meanings:
    """The table of a file.

    Raises:
        DataError: it is no such table; the line is said.
        FileUnreadable: it is not there, or not UTF-8.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"{file}: {error}", why="it is not there, or not UTF-8", fix="save it as UTF-8") from error
    written = read_text(text, file.name)
    try:
        table = Meanings.model_validate(written.data)
    except ValidationError as error:
        raise refusal(written, error, Meanings, fix="see those in suwen.data.records.derived.meanings") from error
    codes = [row.code for row in table.codes]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise DataError(
            f"{file.name}: {twice[0]} is there twice", why="which of the two is meant is not known", fix="remove one"
        )
    return table


def _file(table: str | Path) -> Path:
    """A shipped table by name, else a file."""
    shipped = {file.stem: file for file in FOLDER.glob("*.yaml")}
    if str(table) in shipped:
        return shipped[str(table)]
    if Path(table).suffix.lower() in (".yaml", ".yml"):
        return Path(table)
    raise NameUnknown("table of meanings", str(table), shipped, fix="or a .yaml file of your own")
