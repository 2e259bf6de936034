"""Small stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from suwen.data.records.columns import Columns, build_columns
from suwen.data.records.events import Events

Build = Callable[[Events], Columns]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Events, by subject and time → the columns of a store of them."""
    stores = iter(range(100))

    def built(events: Events) -> Columns:
        store = tmp_path / f"store-{next(stores)}"
        (store / "data").mkdir(parents=True)
        pq.write_table(events.taken(), store / "data" / "0.parquet")
        return build_columns(store)

    return built
