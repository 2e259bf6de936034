"""A place in a YAML text: what stands there, read as what it should be, or refused with its line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from suwen.core.errors import RecipeError
from suwen.data.records.tables.mapping_text import Place, Written

NOTHING = frozenset({"", "~", "null", "Null", "NULL", "None"})
"""How YAML, and ACES' files, write that there is none."""

FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class Entry:
    """What stands at a place.

    Attributes:
        written: the whole text.
        place: keys and positions that lead there.
        value: what stands there: dict, list, str, or None where nothing does.
    """

    written: Written
    place: Place
    value: Any

    @staticmethod
    def whole(written: Written) -> Entry:
        """The outermost one."""
        return Entry(written, (), written.data)

    def refused(self, seen: str, *, why: str, fix: str = "") -> RecipeError:
        """The error that says where something is wrong."""
        return RecipeError(f"{self.written.where(self.place)}: {seen}", why=why, fix=fix)

    @property
    def nothing(self) -> bool:
        """Whether nothing stands there."""
        return self.value is None or (isinstance(self.value, str) and self.value in NOTHING)

    def get(self, key: str) -> Entry:
        """What stands under a key; its value is None where the key is not there."""
        return Entry(self.written, (*self.place, key), self.value.get(key))

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Keys with what stands under them; none where nothing does."""
        if self.nothing:
            return
        self.keys_in(None, "")
        for key in self.value:
            yield key, self.get(key)

    def keys_in(self, known: Iterable[str] | None, what: str) -> None:
        """Refuse what has no keys, or other keys than these (None: any are fine).

        Raises:
            RecipeError: the first that is unknown, and what is known.
        """
        if not isinstance(self.value, dict):
            raise self.refused(
                f"{self.value!r}", why="here stand keys, each with a colon", fix="indent what belongs here"
            )
        allowed = None if known is None else tuple(known)
        for key in self.value:
            if allowed is not None and key not in allowed:
                raise self.get(key).refused(
                    f"the key {key!r} is not supported {what}",
                    why="what is not understood is never passed over: the cohort would be another one",
                    fix=f"supported: {', '.join(allowed)}",
                )

    def text(self) -> str:
        """A text.

        Raises:
            RecipeError: nothing, a list or keys stand there.
        """
        if self.nothing or not isinstance(self.value, str):
            raise self.refused(
                f"{self.place[-1]} is {self.value!r}", why="a text is needed", fix=f"{self.place[-1]}: TEXT"
            )
        return self.value

    def flag(self, default: bool | None = None) -> bool:
        """true or false.

        Raises:
            RecipeError: something else stands there, or nothing and there is no default.
        """
        if self.nothing and default is not None:
            return default
        found = FLAGS.get(str(self.value).lower())
        if found is None:
            raise self.refused(
                f"{self.place[-1]} is {self.value!r}", why="true or false is needed", fix=f"{self.place[-1]}: True"
            )
        return found

    def number(self) -> float | None:
        """A number, or None where nothing stands.

        Raises:
            RecipeError: it is no number.
        """
        if self.nothing:
            return None
        try:
            return float(self.value)
        except (TypeError, ValueError) as error:
            raise self.refused(f"{self.place[-1]} is {self.value!r}", why="a number is needed") from error
