from __future__ import annotations

from pathlib import Path
from typing import Any

from suwen.data.records.authorities import AUTHORITIES, TWO_AUTHORITIES, compare_authorities, lay_authorities
from suwen.data.records.rejects import KEPT


def compare(out: Path, **parts: dict[int, str]) -> dict[str, dict[str, Any]]:
    """Notes of parts, after they were compared."""
    for name, authorities in parts.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        lay_authorities(out / name, authorities)
    notes: dict[str, dict[str, Any]] = {name: {"part": name, "rejected": {"x": 1}, "kept": []} for name in parts}
    (out / "metadata").mkdir(exist_ok=True)
    compare_authorities(out, {name: out / name for name in parts}, notes)
    return notes


def test_numbers_of_two_authorities_are_counted_where_the_second_comes(tmp_path: Path) -> None:
    notes = compare(tmp_path, a={1: "A", 2: "A"}, b={2: "B", 3: "B"}, c={}, d={1: "A", 2: "B", 3: "C"})
    counts = {name: note["rejected"].get(TWO_AUTHORITIES, 0) for name, note in notes.items()}
    assert counts == {"a": 0, "b": 1, "c": 0, "d": 2}
    assert notes["b"]["kept"] == [{"reason": TWO_AUTHORITIES, "where": "b", "record": "2: A, B"}]


def test_what_was_imported_before_is_remembered(tmp_path: Path) -> None:
    compare(tmp_path, a={1: "A"})
    assert TWO_AUTHORITIES not in compare(tmp_path, again={1: "A"})["again"]["rejected"]
    assert compare(tmp_path, b={1: "B"})["b"]["rejected"] == {"x": 1, TWO_AUTHORITIES: 1}


def test_where_nobody_says_it_nothing_is_written(tmp_path: Path) -> None:
    compare(tmp_path, a={}, b={})
    assert not (tmp_path / AUTHORITIES).exists()


def test_all_are_counted_and_the_first_are_kept(tmp_path: Path) -> None:
    numbers = range(KEPT + 500)
    note = compare(tmp_path, a=dict.fromkeys(numbers, "A"), b=dict.fromkeys(numbers, "B"))["b"]
    assert note["rejected"][TWO_AUTHORITIES] == KEPT + 500 and len(note["kept"]) == KEPT
