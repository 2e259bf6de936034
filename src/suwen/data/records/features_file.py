"""What `Features` have learned, as JSON: every number comes back as it was, to the last bit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.files import write_json
from suwen.data.records.units.spelling import alike

KIND, VERSION = "suwen record features", 1
TYPES = ("int64", "float64", "float32")
"""Of the columns of statistics."""

NAMED = 5
"""Codes that an error names."""


class Fitted(NamedTuple):
    """What is kept.

    Attributes:
        parameters: those of `Features`, without the store and the number of threads.
        statistics: `Features.statistics_`.
        groups: `Features.groups_`.
        units: `Features.units_`.
    """

    parameters: dict[str, Any]
    statistics: pd.DataFrame
    groups: dict[str, str]
    units: dict[str, str]


def write_fitted(path: Path, fitted: Fitted) -> None:
    """Write it, atomically."""
    table = fitted.statistics
    write_json(
        path,
        {
            "kind": KIND,
            "version": VERSION,
            "parameters": {name: _plain(value) for name, value in fitted.parameters.items()},
            "codes": [str(code) for code in table.index],
            "statistics": {
                str(name): {"type": str(table[name].dtype), "values": [_written(each) for each in table[name].tolist()]}
                for name in table.columns
            },
            "groups": fitted.groups,
            "units": fitted.units,
        },
    )


def read_fitted(path: Path) -> Fitted:
    """Read it.

    Raises:
        FileUnreadable: there is no such file, or it is no JSON.
        DataError: it is another file, is incomplete, or was written by a newer suwen.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileUnreadable(
            f"{path}: {error}", why="it is not there, or damaged", fix="Features.save again"
        ) from error
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise DataError(f"{path} holds no features", why=f"its kind is not {KIND!r}", fix="a file of Features.save")
    version = found.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise DataError(
            f"{path} is of version {version}", why=f"this suwen reads up to {VERSION}", fix="pip install -U suwen"
        )
    try:
        columns = {
            name: np.array([_read(each) for each in column["values"]], TYPES[TYPES.index(column["type"])])
            for name, column in found["statistics"].items()
        }
        table = pd.DataFrame(columns, index=pd.Index(found["codes"], name="code"))
        names = set(table.index)
        fitted = Fitted(dict(found["parameters"]), table, dict(found["groups"]), dict(found["units"]))
        if set(fitted.groups.values()) != names or len(names) != len(table):
            raise ValueError("codes and groups name different things")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: {error}", why="it is not as it was written", fix="Features.save again") from error
    return fitted


def refuse_other_units(fitted: Mapping[str, str], here: Mapping[str, str], where: str) -> None:
    """Refuse a store whose numbers are in other units than those that were learned from.

    Raises:
        DataError: a code has another unit; which, and which it had.
    """
    other = [code for code, unit in fitted.items() if code in here and alike(here[code]) != alike(unit)]
    if other:
        told = "; ".join(f"{code} is in {here[code]}, and was in {fitted[code]}" for code in other[:NAMED])
        raise DataError(
            f"{len(other)} codes of {where} are in another unit: {told}",
            why="a value would be taken for another, and nobody would notice",
            fix="build_columns(store, conversions=standard_units(store)), as for the store that was fitted on",
        )


def _plain(value: Any) -> Any:
    """A parameter as JSON has it: tuples and arrays are lists."""
    if isinstance(value, Mapping):
        return {str(code): str(name) for code, name in value.items()}
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _written(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _read(value: float | str) -> float:
    if isinstance(value, str) and value not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value!r} is no number")
    return float(value) if isinstance(value, str) else value
