from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from suwen.data.records.tables.zones import MIXED, SEVERAL, Zones


@pytest.mark.parametrize(
    ("values", "several", "told"),
    [
        (["2020-01-01 10:00+09"], False, []),
        (["2020-01-01 10:00+09", "2020-01-01 10:00+09:00", "2020-01-01"], False, []),
        (["2020-03-01 10:00+01", "2020-04-01 10:00+02"], True, [SEVERAL]),
        (["2020-03-01 10:00+01", "2020-04-01 10:00"], False, [MIXED]),
        (["2020-03-01 10:00+01", "2020-04-01 10:00", "2020-04-01T10:00:00Z"], True, [SEVERAL, MIXED]),
        (["2020-04-01 10:00", "2020-04-01T10:00:00Z"], False, [MIXED]),
    ],
)
def test_a_column_is_looked_at_once_and_as_a_whole(values: list[str], several: bool, told: list[str]) -> None:
    scanned: list[str] = []
    said: list[str] = []

    def scan(name: str) -> Iterator[pa.Array]:
        scanned.append(name)
        yield from (pa.array([each, None]) for each in values)

    zones = Zones(scan, lambda reason, name: said.append(reason))
    assert [zones.several("taken"), zones.several("taken")] == [several, several]
    assert scanned == ["taken"] and said == told
