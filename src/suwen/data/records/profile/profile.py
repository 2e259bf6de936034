"""What is in a store, in numbers: who, when, what kinds of events, how measured, how complete.

All numbers are exact unless said otherwise, and computed from the columns beside the store in a few linear passes; of
the Parquet files only the footers are read, for the events with text. What of them may be shown is decided afterwards,
see `suwen.data.records.profile.numbers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from suwen.data.records.columns import Columns, build_columns
from suwen.data.records.profile.code_tallies import ByCode, ByKind, by_code, by_kind
from suwen.data.records.profile.groups import Groups, groups_of
from suwen.data.records.profile.origin import Origin, origin_of
from suwen.data.records.profile.people import Calendar, People, people_of
from suwen.data.records.profile.stays import Stays, stays_of
from suwen.data.records.store import RecordStore

REPEATED = "events that repeat code, time and value of the one before"


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """All of it.

    Attributes:
        odd: what cannot be, or had better be known → how many, with the names that `check_store` has.
    """

    columns: Columns
    people: People
    calendar: Calendar
    by_kind: ByKind
    by_code: ByCode
    stays: Stays
    origin: Origin
    groups: Groups | None
    odd: dict[str, int]


def profile(store: Path | str, *, by: str | None = None, now: datetime | None = None, few: int = 1) -> Profile:
    """Look at a store, or at any MEDS 0.4 folder.

    Args:
        store: the folder.
        by: what makes groups: ``sex``, ``age``, what codes begin with (``RACE``), or a code (those who have it, and
            those who do not).
        now: events after it are in the future.
        few: years are put together until fewer than a tenth of the events are in years with fewer subjects than that.

    Raises:
        DataError: no store, or one that is not in order.
        FileUnreadable: a file is damaged.
        NameUnknown: nothing of that name to group by.
    """
    opened = RecordStore(store)
    columns = build_columns(store)
    people, calendar, odd = people_of(columns, now or datetime.now(UTC))
    kinds = by_kind(columns, calendar, few)
    odd["codes with more than one unit"] = sum(len(units) > 1 for units in columns.units.values())
    odd[REPEATED] = kinds.repeated
    return Profile(
        columns=columns,
        people=people,
        calendar=calendar,
        by_kind=kinds,
        by_code=by_code(columns),
        stays=stays_of(columns),
        origin=origin_of(opened, len(columns)),
        groups=None if by is None else groups_of(columns, people, by),
        odd={name: count for name, count in odd.items() if count},
    )
