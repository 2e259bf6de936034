from __future__ import annotations

import pytest

from suwen.core.errors import RecipeError
from suwen.data.records.cohorts.entry import Entry
from suwen.data.records.tables.mapping_text import read_text

WRITTEN = Entry.whole(read_text("a: {b: True, c: 1.5, d: null, e: None, f: NO}\ng: [1]\n", "task.yaml"))


def test_texts_stay_as_they_are_written() -> None:
    inner = WRITTEN.get("a")
    assert inner.get("b").flag() is True and inner.get("c").number() == 1.5
    assert inner.get("d").nothing and inner.get("e").nothing and inner.get("absent").nothing
    assert inner.get("f").text() == "NO"
    assert inner.get("absent").flag(False) is False and inner.get("d").number() is None
    assert [key for key, _ in inner.items()] == list("bcdef") and list(inner.get("d").items()) == []


@pytest.mark.parametrize("ask", ["flag", "number", "text"])
def test_what_is_something_else_is_refused_with_its_line(ask: str) -> None:
    with pytest.raises(RecipeError, match=r"task.yaml, line 2, g: g is \['1'\]"):
        getattr(WRITTEN.get("g"), ask)()


def test_unknown_keys_are_named_and_known_ones_told() -> None:
    with pytest.raises(RecipeError, match=r"line 1, a.b: the key 'b' is not supported in a test(.|\n)*supported: c, d"):
        WRITTEN.get("a").keys_in(("c", "d"), "in a test")
    with pytest.raises(RecipeError, match="here stand keys"):
        WRITTEN.get("g").keys_in(None, "")
