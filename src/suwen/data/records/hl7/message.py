r"""HL7 v2 messages as text: separators, segments, fields and what is inside them, escapes.

A message is lines of fields (HL7 v2.5.1, chapter 2). Nothing is split before it is asked for, and nothing is unescaped
that holds no escape character.

    separators = Separators.of("MSH|^~\\&|LAB|…|ORU^R01|…")
    separators.parts("17^^^A^MR")                       # ["17", "", "", "A", "MR"]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache

END_OF_SEGMENT = "\r"
HEADERS = ("MSH", "FHS", "BHS")
"""Segments whose second field names the separators: of a message, a file, a batch."""

ENVELOPE = frozenset({"FHS", "BHS", "BTS", "FTS"})
"""Segments around messages (HL7 v2.5.1, chapter 2, batch protocol)."""


class NotAMessage(Exception):
    """Text cannot be read as a message.

    Args:
        reason: why, in the words of `suwen.data.records.rejects.Rejects`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Null(Enum):
    """What ``""`` means: the field is to be deleted at the receiver. An empty field says nothing at all."""

    NULL = '""'


NULL = Null.NULL
DELETE = NULL.value

NO_HEADER = "segments without MSH"
NO_SEPARATORS = "separators of MSH-1 and MSH-2 not usable"
_BREAKS = re.compile(r"\.(?:br|sp\+?(\d{0,3}))", re.IGNORECASE)
_HEX = re.compile(r"[Xx]((?:[0-9A-Fa-f]{2})+)")


@dataclass(frozen=True)
class Separators:
    """The characters between things. Of another header they may be others: `of` reads them, nobody assumes them.

    Attributes:
        field, component, repetition, escape, subcomponent: one character each; empty where a header names none.
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @staticmethod
    def of(header: str) -> Separators:
        """What the first line of a message says.

        Raises:
            NotAMessage: it is no header, or names letters, digits, spaces, or a character twice.
        """
        if header[:3] not in HEADERS:
            raise NotAMessage(NO_HEADER)
        field = header[3:4]
        return _separators(field, header[4:].split(field, 1)[0] if field else "")

    @property
    def encoding(self) -> str:
        """Field 2 of a header."""
        return self.component + self.repetition + self.escape + self.subcomponent

    def repeats(self, field: str) -> list[str]:
        """The repetitions of a field."""
        return field.split(self.repetition) if self.repetition else [field]

    def parts(self, field: str) -> list[str]:
        """The components of one repetition."""
        return field.split(self.component)

    def subparts(self, component: str) -> list[str]:
        """The subcomponents of a component."""
        return component.split(self.subcomponent) if self.subcomponent else [component]

    def value(self, raw: str) -> str | Null | None:
        """What a field, component or subcomponent without further parts says: text, `NULL`, or None: nothing."""
        if not raw:
            return None
        return NULL if raw == DELETE else self.unescaped(raw)

    def first(self, raw: str) -> str:
        """What the first subcomponent of the first component of the first repetition says, without spaces around it;
        empty where it says nothing, or `NULL`."""
        if not raw or raw == DELETE:
            return ""
        for separator in (self.repetition, self.component, self.subcomponent):
            if separator and separator in raw:
                raw = raw.partition(separator)[0]
        return "" if raw == DELETE else self.unescaped(raw).strip()

    def unescaped(self, raw: str) -> str:
        r"""Text with separators for ``\F\ \S\ \T\ \R\ \E\``, bytes for ``\Xhh..\`` (UTF-8), line breaks for ``\.br\``.

        Other escapes stay as they are (HL7 v2.5.1, chapter 2, escape sequences).
        """
        if not self.escape or self.escape not in raw:
            return raw
        return self._escapes.sub(self._meaning, raw)

    def escaped(self, text: str) -> str:
        """Text as it may stand in a field: `unescaped` gives it back.

        Raises:
            ValueError: it holds separators, and there is no escape character.
        """
        if not self.escape:
            if set(text) & {self.field, self.component, self.repetition, self.subcomponent, "\r", "\n"}:
                raise ValueError(f"{text!r} cannot be written without an escape character")
            return text
        return text.translate(self._written)

    @cached_property
    def _escapes(self) -> re.Pattern[str]:
        mark = re.escape(self.escape)
        return re.compile(f"{mark}([^{mark}]*){mark}")

    @cached_property
    def _letters(self) -> dict[str, str]:
        characters = (self.field, self.component, self.repetition, self.escape, self.subcomponent)
        return {letter: character for letter, character in zip("FSRET", characters, strict=True) if character}

    @cached_property
    def _written(self) -> dict[int, str]:
        table = {ord(character): letter for letter, character in self._letters.items()}
        table |= {ord("\r"): "X0D", ord("\n"): "X0A"}
        # what ends a segment, or a frame, in a file
        table |= {code: f"X{code:02X}" for code in (0x0B, 0x1C)}
        return {code: f"{self.escape}{name}{self.escape}" for code, name in table.items()}

    def _meaning(self, match: re.Match[str]) -> str:
        body = match[1]
        if body in self._letters:
            return self._letters[body]
        if hexadecimal := _HEX.fullmatch(body):
            try:
                return bytes.fromhex(hexadecimal[1]).decode("utf-8")
            except UnicodeDecodeError:
                return match[0]
        if breaks := _BREAKS.fullmatch(body):
            return "\n" * max(1, int(breaks[1] or 1))
        return match[0]


@lru_cache(maxsize=256)
def _separators(field: str, encoding: str) -> Separators:
    # MSH-2 written by a program that escaped its backslash twice: ^~\\&
    named = re.sub(r"\\+", r"\\", encoding)
    # a fifth character is that of truncation (HL7 v2.7)
    four = named[:4]
    distinct = len({field, *named}) == 1 + len(named)
    if not field or not 2 <= len(named) <= 5 or not distinct or not all(map(_separates, field + named)):
        raise NotAMessage(NO_SEPARATORS)
    component, repetition, escape, subcomponent = (*four, "", "", "", "")[:4]
    return Separators(field, component, repetition, escape, subcomponent)


def _separates(character: str) -> bool:
    return character.isascii() and character.isprintable() and not character.isalnum() and character not in ' "'
