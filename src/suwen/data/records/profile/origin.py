"""Where a store comes from, as its metadata say: sources, what was not mapped, what codes mean, what has text."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from suwen.core.errors import FileUnreadable
from suwen.data.records.store import DATASET, RecordStore

MADE_UP = ("simulat", "synthea", "synthetic", "eunomia")
"""Words in the name of a data set whose patients do not exist: Synthea makes patients (Walonoski et al., JAMIA
2018;25(3):230-238), and Eunomia's were made by it (https://github.com/OHDSI/Eunomia)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """Where a store comes from.

    Attributes:
        name: of the data set.
        by_suwen: whether suwen wrote it, and knows of its imports.
        simulated: whether it is said that the patients are made up.
        imports: format → parts and events that were read.
        rejected: reason → records that were not mapped.
        repeated: events that were there already or twice in the sources, None where that is not known.
        descriptions: code → text.
        texts: events with text, None where the files do not say.
    """

    name: str
    by_suwen: bool
    simulated: bool
    imports: dict[str, tuple[int, int]]
    rejected: dict[str, int]
    repeated: int | None
    descriptions: dict[str, str]
    texts: int | None


def origin_of(store: RecordStore, events: int) -> Origin:
    """What is said of a store that has so many events.

    Raises:
        FileUnreadable: a file is damaged.
    """
    made, dataset = store.made, _dataset(store)
    imports: dict[str, tuple[int, int]] = {}
    rejected: Counter[str] = Counter()
    for each in made.get("imports", {}).values():
        parts, read = imports.get(each["from"], (0, 0))
        imports[each["from"]] = parts + 1, read + each["events"]
        rejected.update(each["rejected"])
    name = str(dataset.get("dataset_name") or store.path.resolve().name)
    return Origin(
        name=name,
        by_suwen="imports" in made,
        simulated=_made_up(store, name, made, dataset),
        imports=imports,
        rejected=dict(rejected.most_common()),
        repeated=max(0, sum(read for _, read in imports.values()) - events) if imports else None,
        descriptions=_descriptions(store),
        texts=_texts(store),
    )


def _dataset(store: RecordStore) -> dict[str, Any]:
    file = store.path / DATASET
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def _made_up(store: RecordStore, name: str, *said: dict[str, Any]) -> bool:
    """Whether the metadata say so, the name does, or the store lies in a virtual hospital, beside its truth."""
    hospital = (store.path.resolve().parent / "truth").is_dir()
    return hospital or any(each.get("simulated") for each in said) or any(word in name.lower() for word in MADE_UP)


def _descriptions(store: RecordStore) -> dict[str, str]:
    codes = store.codes
    if not {"code", "description"} <= set(codes.column_names):
        return {}
    pairs = zip(codes["code"].to_pylist(), codes["description"].to_pylist(), strict=True)
    return {code: " ".join(text.split()) for code, text in pairs if code and text and text.strip()}


def _texts(store: RecordStore) -> int | None:
    """Events with text, from the footers of the files; None where one does not say."""
    found = 0
    for shard in store.shards:
        try:
            footer = pq.read_metadata(shard)
        except (OSError, pa.ArrowInvalid) as error:
            raise FileUnreadable(f"{shard}: {error}", why="the file is damaged", fix="import it again") from error
        if "text_value" not in footer.schema.names:
            continue
        column = footer.schema.names.index("text_value")
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            said = group.column(column).statistics
            if said is None or not said.has_null_count:
                return None
            found += group.num_rows - said.null_count
    return found
