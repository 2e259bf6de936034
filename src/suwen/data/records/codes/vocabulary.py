"""What a store knows of its codes: descriptions, and the codes above them, from a hierarchy and from themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from suwen.core.files import atomic_path
from suwen.data.records.codes.files import load_hierarchy
from suwen.data.records.codes.hierarchy import Hierarchy, Range
from suwen.data.records.codes.parents import Key, built_in_parents, category_of, key_of, spelled
from suwen.data.records.events import END, START
from suwen.data.records.store import CODES, CODES_SCHEMA, RecordStore

__all__ = ["Added", "Hierarchy", "add_hierarchy", "hierarchy_of", "link", "load_hierarchy"]

UNSAID = "(none)"
"""The vocabulary of codes that name none."""


@dataclass(frozen=True)
class Added:
    """What came of `add_hierarchy`.

    Attributes:
        codes: how many occur in the store.
        found: of those, how many are in the hierarchy, or below a code of it.
        described: how many of them got a description now.
        linked: how many of them got a code above them now that they had not.
        added: codes that do not occur and had no row, put in so that all above a code is there.
        not_found: vocabulary → codes that are not in the hierarchy, the most first.
    """

    codes: int
    found: int
    described: int
    linked: int
    added: int
    not_found: dict[str, int]


def hierarchy_of(store: RecordStore | Path | str) -> Hierarchy:
    """The codes of a store and what is above them, as ``metadata/codes.parquet`` has it.

    Raises:
        DataError: no store, or codes that are above themselves.
    """
    table = (store if isinstance(store, RecordStore) else RecordStore(store)).codes
    rows = table.select([name for name in CODES_SCHEMA.names if name in table.column_names]).to_pylist()
    return Hierarchy(
        parents={row["code"]: tuple(each for each in row.get("parent_codes") or () if each) for row in rows},
        descriptions={row["code"]: row["description"] for row in rows if row.get("description")},
    )


def link(
    codes: Iterable[str],
    hierarchy: Hierarchy | None = None,
    *,
    known: Hierarchy | None = None,
    xrefs: bool = True,
    built_in: bool = True,
) -> Hierarchy:
    """Codes as they are spelled in a store, and all that is above them.

    Above a code are, in this order: what is known already; what the hierarchy has above it, or the same code in the
    spelling of the hierarchy (``DIAGNOSIS//ICD9CM//25000`` is ``ICD9CM//250.00``); the codes of the hierarchy whose
    cross-references name it, or, for a category of ICD that none names, the narrowest range it lies in; the shorter
    code of ICD or ATC (`built_in_parents`).

    Args:
        codes: to link.
        hierarchy: from a file; None for what codes say themselves.
        known: what is known already.
        xrefs: follow cross-references.
        built_in: shorten codes of ICD and ATC, and go from ``CODE//START`` to ``CODE``.

    Raises:
        DataError: codes would be above themselves.
    """
    of_key = _by_key(hierarchy) if hierarchy else {}
    parents: dict[str, tuple[str, ...]] = {}
    descriptions = dict(known.descriptions) if known else {}
    waiting = list(dict.fromkeys(codes))
    while waiting:
        code = waiting.pop()
        if code in parents:
            continue
        above = list(known.parents.get(code, ())) if known else []
        if hierarchy:
            above += _in_hierarchy(code, hierarchy, of_key, xrefs)
        above += built_in_parents(code) if built_in else ()
        parents[code] = tuple(dict.fromkeys(each for each in above if each != code))
        text = _described(code, hierarchy, of_key) if hierarchy else None
        if text:
            descriptions.setdefault(code, text)
        waiting += parents[code]
    return Hierarchy(
        parents=parents, descriptions={code: text for code, text in descriptions.items() if code in parents}
    )


def add_hierarchy(
    store: RecordStore | Path | str, hierarchy: Hierarchy | None = None, *, xrefs: bool = True, built_in: bool = True
) -> Added:
    """Put descriptions, and the codes above codes, into a store's ``metadata/codes.parquet``.

    What is there stays: a description is given where there is none, codes above a code come after those that it has.
    All that is above a code gets a row, so that chains are whole, even if it does not occur. Done again it changes
    nothing. Events are not touched.

    Args:
        store: to add to.
        hierarchy: see `load_hierarchy`; None for what codes of ICD and ATC say themselves.
        xrefs: see `link`.
        built_in: see `link`.

    Raises:
        DataError: no store, or codes would be above themselves; nothing is changed.
        FileUnreadable: a shard is damaged.
    """
    opened = store if isinstance(store, RecordStore) else RecordStore(store)
    known, codes = hierarchy_of(opened), _codes_in(opened)
    rows = {*opened.codes["code"].to_pylist(), *codes}
    found = link([*codes, *known], hierarchy, known=known, xrefs=xrefs, built_in=built_in)
    _write(opened, found)
    of_file = set(hierarchy or ())
    absent = [code for code in codes if code not in of_file and not of_file.intersection(found.ancestors(code))]
    systems = Counter(_vocabulary(code) for code in absent)
    return Added(
        codes=len(codes),
        found=len(codes) - len(absent),
        described=sum(code in found.descriptions and code not in known.descriptions for code in codes),
        linked=sum(set(found.parents[code]) != set(known.parents.get(code, ())) for code in codes),
        added=len(found) - len(rows),
        not_found=dict(sorted(systems.items(), key=lambda each: (-each[1], each[0]))),
    )


def _by_key(hierarchy: Hierarchy) -> dict[Key, str]:
    found: dict[Key, str] = {}
    for code in hierarchy:
        if (key := key_of(code)) is not None:
            found.setdefault(key, code)
    return found


def _in_hierarchy(code: str, hierarchy: Hierarchy, of_key: Mapping[Key, str], xrefs: bool) -> list[str]:
    """The codes of the hierarchy right above a code of a store."""
    if code in hierarchy:
        return list(hierarchy.parents[code])
    key = key_of(code)
    if key is None:
        return []
    found = [of_key[key]] if key in of_key else []
    if xrefs:
        found += hierarchy.named_by.get(key, ())
        category = category_of(code)
        if not found and category is not None:
            found += _narrowest(category, hierarchy.ranges)
    return found


def _narrowest(category: Key, ranges: Iterable[Range]) -> list[str]:
    """Terms of the narrowest of the ranges that hold a category: of two, one lies within the other, or both are one."""
    holding = [each for each in ranges if each.holds(category)]
    first = max((each.first for each in holding), default="")
    last = min((each.last for each in holding if each.first == first), default="")
    return list(dict.fromkeys(each.term for each in holding if (each.first, each.last) == (first, last)))


def _described(code: str, hierarchy: Hierarchy, of_key: Mapping[Key, str]) -> str | None:
    key = key_of(code)
    return hierarchy.descriptions.get(code) or hierarchy.descriptions.get(of_key.get(key, "") if key else "")


def _vocabulary(code: str) -> str:
    for ending in (START, END):
        code = code.removesuffix(ending)
    found = spelled(code)
    if found and found.system.startswith("ICD"):  # which may be spelled ICD//9
        return found.system
    return (found.before if found else code).rstrip("/").split("//")[-1 if found else 0] if "//" in code else UNSAID


def _codes_in(store: RecordStore) -> list[str]:
    """Codes of events."""
    found: dict[str, None] = {}
    for table in store.tables(["code"]):
        found.update(dict.fromkeys(table["code"].unique().to_pylist()))
    return list(found)


def _write(store: RecordStore, found: Hierarchy) -> None:
    """The rows of all codes, sorted, further columns as they were; nothing where nothing is new."""
    before = store.codes
    place = {code: row for row, code in enumerate(before["code"].to_pylist())}
    codes = sorted(found.parents)
    columns = {
        name: before[name].take(pa.array([place.get(code) for code in codes], pa.int64()))
        for name in before.column_names
    }
    columns["code"] = pa.array(codes, pa.string())
    columns["description"] = pa.array([found.descriptions.get(code) for code in codes], pa.string())
    columns["parent_codes"] = pa.array([list(found.parents[code]) for code in codes], pa.list_(pa.string()))
    table = pa.table(columns)
    if table.equals(before.combine_chunks()):
        return
    with atomic_path(store.path / CODES) as temporary:
        pq.write_table(table, temporary)
