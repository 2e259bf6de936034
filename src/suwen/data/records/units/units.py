"""Units of the numbers of each code: counted, told where they differ, converted only by a table that is handed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

FEW = 1 << 22
"""Pairs of a code and a unit that are counted in an array; more are sorted."""


class Conversion(NamedTuple):
    """``value * factor + offset`` is the number in `unit`: ``Conversion("Cel", 5 / 9, -160 / 9)`` from Fahrenheit."""

    unit: str
    factor: float = 1.0
    offset: float = 0.0


UnitTable = Mapping[tuple[str, str], Conversion]
"""(code, unit) → what to do with its values."""


class OddUnit(NamedTuple):
    """Events of a code in another unit than its commonest."""

    code: str
    unit: str
    events: int
    usual: str


class Units(dict[str, dict[str, int]]):
    """Code → unit → events, after conversion. Events that name no unit are not counted."""

    def usual(self, code: str) -> str | None:
        """The commonest unit of a code, of equally common ones the first by name; None where none is named."""
        of_code = self.get(code)
        return min(of_code, key=lambda unit: (-of_code[unit], unit)) if of_code else None

    def odd(self) -> list[OddUnit]:
        """Codes with more than one unit, most events first: their values are not comparable as they stand."""
        found = [
            OddUnit(code, unit, events, usual)
            for code, of_code in self.items()
            if len(of_code) > 1 and (usual := self.usual(code)) is not None
            for unit, events in of_code.items()
            if unit != usual
        ]
        return sorted(found, key=lambda each: (-each.events, each.code, each.unit))

    def see(
        self, codes: np.ndarray, names: list[str], units: pa.DictionaryArray, values: np.ndarray, table: UnitTable
    ) -> np.ndarray:
        """Count the units of a batch, and convert what stands in the table.

        Args:
            codes: (n,) positions in `names`.
            names: of the codes.
            units: (n,) of the batch.
            values: float32 (n,).
            table: the conversions.

        Returns:
            The values, a copy where any was converted.
        """
        if units.null_count == len(units):
            return values
        of_units = [str(unit) for unit in units.dictionary.to_pylist()]
        places = np.asarray(units.indices.fill_null(-1)).astype(np.int64)
        pairs = np.where(places >= 0, codes.astype(np.int64) * len(of_units) + places, -1)
        for pair, events in _counted(pairs[pairs >= 0], len(names) * len(of_units)):
            code, unit = names[pair // len(of_units)], of_units[pair % len(of_units)]
            to = table.get((code, unit))
            if to is not None:
                values = np.where(pairs == pair, _converted(values, to), values)
                unit = to.unit
            of_code = self.setdefault(code, {})
            of_code[unit] = of_code.get(unit, 0) + events
        return values


def _converted(values: np.ndarray, to: Conversion) -> np.ndarray:
    return (values.astype(np.float64) * to.factor + to.offset).astype(np.float32)


def _counted(pairs: np.ndarray, most: int) -> list[tuple[int, int]]:
    if most <= FEW:
        counts = np.bincount(pairs, minlength=1)
        found = np.flatnonzero(counts)
        return list(zip(found.tolist(), counts[found].tolist(), strict=True))
    found, counts = np.unique(pairs, return_counts=True)
    return list(zip(found.tolist(), counts.tolist(), strict=True))
