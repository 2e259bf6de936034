from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from suwen.data.ahead import ahead


def test_all_items_come_in_order() -> None:
    assert list(ahead(range(100))) == list(range(100)) and list(ahead([])) == []


def test_the_next_item_is_made_while_one_is_used() -> None:
    second = threading.Event()

    def made() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    found = ahead(made())
    assert next(found) == 1 and second.wait(10)


def test_what_making_raises_comes_after_the_items_before_it() -> None:
    def made() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    found = ahead(made())
    assert next(found) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(found)


def test_nothing_is_made_once_nobody_waits_for_it() -> None:
    seen: list[int] = []
    found = ahead(seen.append(number) or number for number in range(100))  # type: ignore[func-returns-value]
    next(found)
    found.close()
    assert len(seen) <= 2
