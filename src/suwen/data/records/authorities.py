"""Who gave a subject its number: two hospitals may give the same one to different people.

A subject's number is made of the patient's alone, and so two people of one number become one. That cannot be told from
one part of a source; here parts are compared with one another, and with what was imported before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from suwen.core.files import atomic_path
from suwen.data.records.rejects import KEPT

TWO_AUTHORITIES = "a patient number from two authorities (taken as one patient)"

AUTHORITIES = Path("metadata") / "authorities.parquet"
"""In a store: who gave each number first, where that is known."""

LAID = "authorities.parquet"
"""Of a part that is read."""

SCHEMA = pa.schema([pa.field("subject_id", pa.int64(), nullable=False), pa.field("authority", pa.string())])


def lay_authorities(folder: Path, authorities: Mapping[int, str]) -> None:
    """Write what a part says, subject → authority, into its folder."""
    if authorities:
        columns = [pa.array(list(authorities), pa.int64()), pa.array(list(authorities.values()), pa.string())]
        pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), folder / LAID)


def compare_authorities(out: Path, folders: Mapping[str, Path], notes: Mapping[str, dict[str, Any]]) -> None:
    """Count numbers that another part, or an earlier import, has from another authority, and remember who gave which.

    Args:
        out: the store.
        folders: part → where `lay_authorities` wrote.
        notes: part → its note, whose ``rejected`` and ``kept`` get `TWO_AUTHORITIES`.
    """
    known = pq.read_table(out / AUTHORITIES) if (out / AUTHORITIES).is_file() else SCHEMA.empty_table()
    before = len(known)
    for key, folder in folders.items():
        if not (folder / LAID).is_file():
            continue
        table = pq.read_table(folder / LAID)
        place = pc.index_in(table["subject_id"], value_set=known["subject_id"].combine_chunks())
        first = known["authority"].take(place)
        differs = pc.not_equal(first, table["authority"]).fill_null(False)
        _tell(notes[key], table.append_column("first", first).filter(differs))
        known = pa.concat_tables([known, table.filter(pc.is_null(place))])
    if len(known) > before:
        with atomic_path(out / AUTHORITIES) as temporary:
            pq.write_table(known.combine_chunks(), temporary, compression="zstd")


def _tell(note: dict[str, Any], clashes: pa.Table) -> None:
    if not len(clashes):
        return
    note["rejected"][TWO_AUTHORITIES] = note["rejected"].get(TWO_AUTHORITIES, 0) + len(clashes)
    for row in clashes.slice(0, KEPT).to_pylist():
        record = f"{row['subject_id']}: {row['first']}, {row['authority']}"
        note["kept"].append({"reason": TWO_AUTHORITIES, "where": note["part"], "record": record})
