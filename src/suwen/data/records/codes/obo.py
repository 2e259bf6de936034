"""Terms of an OBO file, read line by line (OBO 1.4, http://owlcollab.github.io/oboformat/doc/GO.format.obo-1_4.html).

What is read: ``id``, ``name``, ``alt_id``, ``xref``, ``is_a``, ``is_obsolete`` and ``replaced_by`` of ``[Term]``. What
relates terms otherwise (``relationship``, ``intersection_of``) is not *is a*, and is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

SHORT = {"n": "\n", "t": "\t", "W": " "}
"""What a letter after a backslash stands for; any other character stands for itself."""


@dataclass
class Term:
    """One ``[Term]``, its values without escapes, comments and trailing modifiers.

    Attributes:
        line: where it begins, from 1.
        ids: ``id``; more than one is an error of the file.
        names: ``name``, likewise.
    """

    line: int
    ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    xrefs: list[str] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)
    replaced_by: list[str] = field(default_factory=list)
    obsolete: bool = False


WORDS = {
    "id": "ids",
    "alt_id": "alternatives",
    "xref": "xrefs",
    "is_a": "parents",
    "replaced_by": "replaced_by",
}
"""Tags whose value is one word."""


def terms(lines: Iterable[str]) -> Iterator[Term]:
    """The terms of a file, in its order."""
    term: Term | None = None
    for number, line in _joined(lines):
        if line.startswith("["):
            if term is not None:
                yield term
            term = Term(number) if line.rstrip() == "[Term]" else None
            continue
        tag, colon, value = line.partition(":")
        if term is None or not colon:
            continue
        if tag in WORDS and (word := _word(value)):
            getattr(term, WORDS[tag]).append(word)
        elif tag == "name":
            term.names.append(_text(value))
        elif tag == "is_obsolete":
            term.obsolete = _word(value) == "true"
    if term is not None:
        yield term


def _joined(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; one that ends in a backslash goes on in the next."""
    held, begun = "", 0
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r\n")
        begun = begun if held else number
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held += line[:-1]
            continue
        yield begun, held + line
        held = ""
    if held:
        yield begun, held


def _word(value: str) -> str:
    """The first word of a value: what comes after it is a description, a modifier or a comment."""
    found = _plain(value.strip()).split()
    return found[0] if found and not found[0].startswith(("!", "{")) else ""


def _text(value: str) -> str:
    """A value up to its comment, or its trailing modifiers."""
    whole = re.sub(r"\s*\{[^{}]*=[^{}]*\}\s*$", "", re.split(r"(?<!\\)\s!\s", value, maxsplit=1)[0])
    return " ".join(_plain(whole).split())


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: SHORT.get(found[1], found[1]), value)
