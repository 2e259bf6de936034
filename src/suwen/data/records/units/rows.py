"""The rows of a table of units, out of YAML or CSV, checked."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.tables.mapping import Strict
from suwen.data.records.tables.mapping_text import read_text, refusal

COLUMNS = ("code", "unit", "to", "factor")
"""That a CSV needs; ``offset`` and ``source`` may be there too."""

LARGEST = Fraction(10) ** 30


def _fraction(value: Any) -> Any:
    """A number as it is written: ``0.0254``, ``1e-3``, ``5/9``."""
    text = str(value).strip()
    if not re.fullmatch(r"[-+]?(\d{1,40}/\d{1,40}|\d{1,40}(\.\d{0,40})?([eE][-+]?\d{1,2})?)", text):
        raise ValueError(f"{text!r} is no number; write 0.0254, 1e-3 or 5/9")
    if re.search(r"/0+$", text):
        raise ValueError(f"{text} divides by 0")
    found = Fraction(text)
    if abs(found) > LARGEST or 0 < abs(found) < 1 / LARGEST:
        raise ValueError(f"{text} is beyond 1e30, or nearer to 0 than 1e-30")
    return found


def _positive(value: Any) -> Any:
    found = _fraction(value)
    if found <= 0:
        raise ValueError(f"{value} is not above 0")
    return found


Number = Annotated[Fraction, BeforeValidator(_fraction)]
Positive = Annotated[Fraction, BeforeValidator(_positive)]


class Row(Strict):
    """Unknown keys are errors; numbers are fractions."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Unit(Row):
    """A unit: ``value * size + zero`` is the value in the base unit of its quantity."""

    unit: str = Field(min_length=1, description="as UCUM writes it")
    of: str = Field(min_length=1, description="the quantity: units of one become each other")
    size: Positive = Field(description="of one of it, in the base unit of the quantity")
    zero: Number = Field(default=Fraction(0), description="where it counts from, in the base unit")
    also: list[str] = Field(default=[], description="other spellings")


class Equation(Row):
    """``value * factor + offset`` is the value in the unit of the analyte."""

    from_: str = Field(alias="from", min_length=1, description="unit")
    factor: Number
    offset: Number = Fraction(0)
    source: str = ""

    @model_validator(mode="after")
    def _turns_back(self) -> Equation:
        if not self.factor:
            raise ValueError("a factor of 0 makes all values the same")
        return self


class Analyte(Row):
    """What is measured, under some codes, and the unit to which its values are converted."""

    analyte: str = Field(min_length=1, description="its name")
    loinc: list[str] = Field(default=[], description="its codes in LOINC")
    codes: list[str] = Field(default=[], description="its codes as a store has them, such as LAB//50931")
    unit: str = Field(min_length=1, description="to which it is converted")
    molar_mass: Positive | None = Field(default=None, description="g/mol")
    valence: Positive | None = Field(default=None, description="equivalents a mol")
    equations: list[Equation] = Field(default=[], description="from other units to that one")
    source: str = ""

    @model_validator(mode="after")
    def _has_codes(self) -> Analyte:
        if not self.loinc and not self.codes:
            raise ValueError(f"{self.analyte} has no codes; add loinc: or codes:")
        return self


class Rows(Row):
    """A table of units."""

    units: list[Unit] = Field(default=[])
    analytes: list[Analyte] = Field(default=[])


def read_rows(file: Path) -> Rows:
    """The rows of a file.

    Raises:
        DataError: it is neither YAML nor CSV, or something in it is no such row; the line is said.
        FileUnreadable: it cannot be read, or is not UTF-8.
    """
    read = READERS.get(file.suffix.lower())
    if read is None:
        raise DataError(
            f"{file}: a table of units is {', '.join(READERS)}", why="its ending says which", fix="rename it"
        )
    return read(file)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"{file}: {error}", why="it is not there, or not UTF-8", fix="save it as UTF-8") from error


def _yaml(file: Path) -> Rows:
    written = read_text(_text(file), file.name)
    try:
        found = Rows.model_validate(written.data)
    except ValidationError as error:
        raise refusal(written, error, Rows, fix="see units/table.yaml in suwen.data.records") from error
    if not found.units and not found.analytes:
        raise DataError(f"{file} has no row", why="it converts nothing", fix="add units: or analytes:")
    return found


def _csv(file: Path) -> Rows:
    reader = csv.DictReader(_text(file).splitlines())
    lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if lacking:
        raise DataError(
            f"{file} has no column {', '.join(lacking)}",
            why="each row says what makes of values in a unit those in another",
            fix="give it a first line: code,unit,to,factor,offset,source",
        )
    found: dict[str, tuple[str, list[dict[str, str]]]] = {}
    for row in reader:
        where = f"{file.name}, line {reader.line_num}"
        code, unit, to, factor, offset, source = (
            (row.get(name) or "").strip() for name in (*COLUMNS, "offset", "source")
        )
        known, equations = found.setdefault(code, (to, []))
        if known != to:
            raise DataError(
                f"{where}: {code} becomes {to}, and {known} above",
                why="a code has one unit",
                fix=f"write {known} twice",
            )
        try:
            equation = {"from": unit, "factor": factor, "offset": offset or "0", "source": source}
            Analyte.model_validate({"analyte": code, "codes": [code], "unit": to, "equations": [equation]})
        except ValidationError as error:
            first = error.errors()[0]
            said = str(first.get("ctx", {}).get("error") or f"{first['loc'][-1]}: {first['msg']}")
            raise DataError(
                f"{where}: {said}", why="it is no conversion", fix="LAB//1,mmol/L,mg/dL,18.0156,,"
            ) from error
        equations.append(equation)
    analytes = [
        {"analyte": code, "codes": [code], "unit": to, "equations": equations}
        for code, (to, equations) in found.items()
    ]
    if not analytes:
        raise DataError(f"{file} has no row", why="it converts nothing", fix="code,unit,to,factor,offset,source")
    return Rows.model_validate({"analytes": analytes})


READERS: Mapping[str, Callable[[Path], Rows]] = {".yaml": _yaml, ".yml": _yaml, ".csv": _csv}
"""Ending → what reads it."""
