"""The next item made while the one before it is used."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """The same items, each made in a thread while the one before is used; what making one raises is raised in its
    place. Gains where making and using need no lock of the interpreter (decoding, writing)."""
    making, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, making, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, making, end)
            yield item  # type: ignore[misc]
