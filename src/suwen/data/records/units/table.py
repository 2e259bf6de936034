"""The table of units, ``table.yaml``, or a user's: what of a store's numbers is converted, and to what.

    columns = build_columns(store, conversions=standard_units(store))
    columns.units.odd()      # what still differs

Factors are worked out as exact fractions, and rounded once. What does not stand in the table is never converted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.codes.parents import Key, key_of
from suwen.data.records.columns import Columns
from suwen.data.records.fhir.observations import HIGH, LOW
from suwen.data.records.store import RecordStore
from suwen.data.records.units.rows import Analyte, Rows, Unit, read_rows
from suwen.data.records.units.spelling import alike
from suwen.data.records.units.units import Conversion, Units, UnitTable

SHIPPED = Path(__file__).with_name("table.yaml")
LINKS = (
    ("mass concentration", "amount concentration", "molar_mass", -1),
    ("mass ratio", "mass per amount", "molar_mass", 1),
    ("amount concentration", "equivalent concentration", "valence", 1),
)
"""One quantity becomes another by multiplying with a power of what is known of an analyte: g/L are mol/L by dividing by
g/mol, g/g of creatinine are g/mol of it by multiplying, mol/L are equivalents by the valence."""


Each = TypeVar("Each")


class Line(NamedTuple):
    """``value * factor + offset``."""

    factor: Fraction
    offset: Fraction

    def then(self, other: Line) -> Line:
        """First this, then that."""
        return Line(self.factor * other.factor, self.offset * other.factor + other.offset)

    @property
    def back(self) -> Line:
        """What undoes it."""
        return Line(1 / self.factor, -self.offset / self.factor)


SAME = Line(Fraction(1), Fraction(0))


class StandardUnits:
    """Units and analytes, and what becomes of what.

    Args:
        rows: tables; where two speak of one code or one unit, the first counts.

    Raises:
        DataError: one table has a code, or a unit, twice.
    """

    def __init__(self, *rows: Rows) -> None:
        self.rows = rows
        self.units: dict[str, Unit] = {}
        self._analytes: dict[Key, Analyte] = {}
        for table in rows:
            self.units = {each.unit: each for each in _once(table.units, lambda unit: [unit.unit])} | self.units
            named = _once(table.analytes, lambda analyte: map(_key, _codes(analyte)))
            fresh = {_key(code): analyte for analyte in named for code in _codes(analyte)}
            self._analytes = fresh | self._analytes

    def analyte(self, code: str) -> Analyte | None:
        """What a code measures, in whatever spelling of `key_of`; None where no row says so."""
        return self._analytes.get(_key(code))

    def conversion(self, analyte: Analyte, unit: str, to: str | None = None) -> Conversion | None:
        """What makes of values of an analyte those in another unit.

        A spelling that may be two units (``G/L``: grams or giga) is the one that can be converted for this analyte.

        Args:
            analyte: see `analyte`.
            unit: as it is spelled.
            to: a unit of the table, or in any spelling; the unit of the analyte unless given.

        Returns:
            None where the units, or a way from one to the other, are not known, or there are two that differ.
        """
        target = to or analyte.unit
        ends = self._ways(analyte, target)
        found = {line.then(end.back) for line in self._ways(analyte, unit) for end in ends}
        if len(found) != 1:
            return None
        line = found.pop()
        return Conversion(target, float(line.factor), float(line.offset))

    def _ways(self, analyte: Analyte, unit: str) -> set[Line]:
        """All that may make of a unit the unit of the analyte."""
        if alike(unit) == alike(analyte.unit):
            return {SAME}
        for equation in analyte.equations:
            if alike(equation.from_) == alike(unit):
                return {Line(equation.factor, equation.offset)}
        ends = self._meant(analyte.unit)
        starts = self._meant(unit)
        found = set()
        for start in starts:
            known = self._reached(analyte, start)
            found |= {known[end.of].then(_to_base(end).back) for end in ends if end.of in known}
            for equation in analyte.equations:
                for middle in self._meant(equation.from_):
                    if middle.of in known:
                        line = known[middle.of].then(_to_base(middle).back)
                        found.add(line.then(Line(equation.factor, equation.offset)))
        return found

    def _reached(self, analyte: Analyte, unit: Unit) -> dict[str, Line]:
        """Quantity → what makes of values in a unit those in the base unit of that quantity."""
        found = {unit.of: _to_base(unit)}
        for _ in LINKS:
            for one, other, name, power in LINKS:
                by: Fraction | None = getattr(analyte, name)
                if by is None:
                    continue
                link = Line(by**power, Fraction(0))
                if one in found and other not in found:
                    found[other] = found[one].then(link)
                elif other in found and one not in found:
                    found[one] = found[other].then(link.back)
        return found

    def _meant(self, unit: str) -> list[Unit]:
        return self._spelled.get(alike(unit), [])

    @cached_property
    def _spelled(self) -> dict[str, list[Unit]]:
        found: dict[str, list[Unit]] = {}
        for unit in self.units.values():
            for spelling in dict.fromkeys(map(alike, (unit.unit, *unit.also))):
                found.setdefault(spelling, []).append(unit)
        return found


def _to_base(unit: Unit) -> Line:
    return Line(unit.size, unit.zero)


def _codes(analyte: Analyte) -> list[str]:
    return [*(f"LOINC//{code}" for code in analyte.loinc), *analyte.codes]


def _key(code: str) -> Key:
    return key_of(code) or ("", code)


def _once(rows: list[Each], names: Callable[[Each], Iterable[Key | str]]) -> list[Each]:
    """The rows, none of which has a name of another.

    Raises:
        DataError: one has.
    """
    seen: set[Key | str] = set()
    for row in rows:
        for name in names(row):
            if name in seen:
                told = name if isinstance(name, str) else "//".join(filter(None, name))
                raise DataError(
                    f"{told} is there twice", why="which of the two rows is meant is not known", fix="remove one"
                )
            seen.add(name)
    return rows


@lru_cache(maxsize=1)
def shipped_units() -> StandardUnits:
    """The table that comes with suwen."""
    return StandardUnits(read_rows(SHIPPED))


def load_unit_table(path: Path | str) -> StandardUnits:
    """A user's table, before the one that comes with suwen: where both speak of a code or a unit, the user's counts.

    YAML (``.yaml``, ``.yml``) has ``units:`` and ``analytes:`` as ``table.yaml`` has, whose units it may use. CSV
    has a row for each code and unit, columns ``code``, ``unit``, ``to``, ``factor``, ``offset``, ``source``:

        LAB//50931,mmol/L,mg/dL,18.0156,,PubChem CID 5793

    Raises:
        DataError: it is neither, something in it is no such row, or a code has two units to convert to; the line is
            said.
        FileUnreadable: it cannot be read, or is not UTF-8.
    """
    return StandardUnits(read_rows(Path(path)), *shipped_units().rows)


def standard_units(
    of: RecordStore | Path | str | Columns | Mapping[str, Mapping[str, int]],
    *,
    table: StandardUnits | None = None,
    codes: Mapping[str, str] | None = None,
) -> UnitTable:
    """Conversions of what is measured in a store to one unit a code, for ``build_columns(store, conversions=…)``.

    A code is converted if the table knows it, or one of the codes right above it in the store's
    ``metadata/codes.parquet``, and only from units that the table knows. The unit is that of the table, not the
    commonest of the store, so that a model finds the same in another. What remains is told by ``columns.units.odd()``.

    Beware of events that name no unit (`without_unit`): they stay as they are, whatever others of their code become.

    Args:
        of: a store, of which codes and units are read first; or the units that were counted (`Columns` that were built
            without conversions, or their `Units`).
        table: see `load_unit_table`; the one that comes with suwen unless given.
        codes: code → a code that the table knows, as ``{"LAB//50931": "LOINC//2345-7"}``.

    Raises:
        DataError: no store; or a code is said to be one that the table does not know.
        FileUnreadable: a shard is damaged.
    """
    rules = table or shipped_units()
    units, above = _seen(of)
    for code, other in (codes or {}).items():
        if rules.analyte(other) is None:
            raise DataError(
                f"{code}: {other}", why="the table has no such code", fix="LOINC//2345-7, or add it yourself"
            )
    found: dict[tuple[str, str], Conversion] = {}
    for code, of_code in units.items():
        analyte = _analyte(rules, code, codes or {}, above.get(code, ()))
        if analyte is None:
            continue
        for unit in of_code:
            to = rules.conversion(analyte, unit)
            if to is not None and (unit, 1.0, 0.0) != to:
                found[code, unit] = to
    return found


def _seen(of: Any) -> tuple[Mapping[str, Mapping[str, int]], dict[str, list[str]]]:
    """The units of each code, and the codes above it."""
    if isinstance(of, Columns):
        return of.units, {}
    if isinstance(of, Mapping):
        return of, {}
    store = of if isinstance(of, RecordStore) else RecordStore(of)
    return units_in(store), _parents(store)


def _analyte(rules: StandardUnits, code: str, codes: Mapping[str, str], above: Iterable[str]) -> Analyte | None:
    """What a code measures; None where nothing says so, or two of the codes above it are different things."""
    if code in codes:
        return rules.analyte(codes[code])
    own = rules.analyte(code.removesuffix(LOW).removesuffix(HIGH))
    others = {each.analyte: each for parent in above if (each := rules.analyte(parent)) is not None}
    return own or (next(iter(others.values())) if len(others) == 1 else None)


def _parents(store: RecordStore) -> dict[str, list[str]]:
    table = store.codes
    if "parent_codes" not in table.column_names:
        return {}
    rows = zip(table["code"].to_pylist(), table["parent_codes"].to_pylist(), strict=True)
    return {code: [each for each in above if each] for code, above in rows if above}


def units_in(store: RecordStore) -> Units:
    """The units of the numbers of each code, counted without building columns.

    Raises:
        FileUnreadable: a shard is damaged.
    """
    found = Units()
    for code, unit, events in _pairs(store):
        if unit is not None:
            of_code = found.setdefault(code, {})
            of_code[unit] = of_code.get(unit, 0) + events
    return found


def without_unit(store: RecordStore) -> dict[str, int]:
    """Code → events with a number that name no unit, of codes of which others do: no conversion reaches them.

    Raises:
        FileUnreadable: a shard is damaged.
    """
    named: set[str] = set()
    found: Counter[str] = Counter()
    for code, unit, events in _pairs(store):
        if unit is None:
            found[code] += events
        else:
            named.add(code)
    return {code: events for code, events in found.most_common() if code in named}


def _pairs(store: RecordStore) -> Iterator[tuple[str, str | None, int]]:
    """Code, unit and number of events; shard by shard. Of those that name no unit only events with a number."""
    names = ["code", "unit", "numeric_value"]
    for shard in store.shards:
        try:
            if not set(names) <= set(pq.read_schema(shard).names):
                continue
            table = pq.read_table(shard, columns=names, read_dictionary=names[:2]).unify_dictionaries()
        except (OSError, pa.ArrowInvalid) as error:
            raise FileUnreadable(
                f"{shard}: {error}", why="the file is damaged", fix="import its source again"
            ) from error
        said = table.filter(pc.or_(table["unit"].is_valid(), table["numeric_value"].is_valid()))
        counts = said.group_by(names[:2]).aggregate([([], "count_all")]).select([*names[:2], "count_all"])
        yield from ((row["code"], row["unit"], row["count_all"]) for row in counts.to_pylist())
