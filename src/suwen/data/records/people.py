"""What a store says of its subjects as people: when they were born and died, and their sex."""

from __future__ import annotations

import numpy as np

from suwen.data.records.columns import Columns
from suwen.data.records.events import BIRTH, DEATH, NOWHEN
from suwen.data.records.kernels import DAY, Store, compiled, store_of
from suwen.data.records.token_kernels import EVER

YEAR = 365.25
SEXES = ("GENDER//", "SEX//")
"""What codes of sex begin with."""


def deaths(columns: Columns, places: np.ndarray) -> np.ndarray:
    """int64 (n,): when each of these subjects died, `EVER` where no death is known."""
    return _times_of(columns, places, DEATH, EVER)


def ages_at(columns: Columns, places: np.ndarray, times: np.ndarray) -> np.ndarray:
    """float64 (n,): years, NaN where no birth is known."""
    born = _times_of(columns, places, BIRTH, NOWHEN)
    return np.where(born == NOWHEN, np.nan, (times - born.astype(np.float64)) / DAY / YEAR)


def sexes(columns: Columns, places: np.ndarray) -> dict[str, np.ndarray]:
    """``{"sex": object (n,)}``, as the first such code says, None where none is written; nothing where the store has no
    such codes."""
    wanted = np.array([code.upper().startswith(SEXES) for code in columns.vocabulary], bool)
    if not wanted.any():
        return {}
    events = _first(places, store_of(columns), wanted)
    codes = np.asarray(columns.codes)
    named = [columns.vocabulary[codes[event]].split("//", 1)[1] if event >= 0 else None for event in events.tolist()]
    return {"sex": np.array(named, object)}


def _times_of(columns: Columns, places: np.ndarray, code: str, otherwise: int) -> np.ndarray:
    """int64 (n,): when each of these subjects first has a code, `otherwise` where never, or at no time."""
    if code not in columns.numbers:
        return np.full(len(places), otherwise, np.int64)
    wanted = np.zeros(len(columns.vocabulary), bool)
    wanted[columns.numbers[code]] = True
    events = _first(places, store_of(columns), wanted)
    times = np.asarray(columns.times)[events]
    return np.where((events < 0) | (times == NOWHEN), otherwise, times)


@compiled
def _first(places: np.ndarray, store: Store, wanted: np.ndarray) -> np.ndarray:
    """int64 (n,): the first event of each subject whose code is wanted, -1 where there is none."""
    found = np.full(len(places), -1, np.int64)
    for row in range(len(places)):
        for event in range(store.offsets[places[row]], store.offsets[places[row] + 1]):
            if wanted[store.codes[event]]:
                found[row] = event
                break
    return found
