"""What suwen adds to FHIR: names of its own, and how codes and numbers of events are written where FHIR has rules.

An export (`suwen.data.records.fhir.export`) writes these, `suwen.data.records.importers.fhir` reads them back; whoever
else reads the resources may pass over all of them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

CODES = "urn:suwen:codes"
"""A code system: codes of events as they are, ``SYSTEM//CODE``. Its CodeSystem has their descriptions and parents."""

EVENT = "urn:suwen:fhir:event"
"""An extension: one event in full, as `suwen.data.records.fhir.told` writes it. On a resource these are its events,
whatever else it says; on an element of Patient (birthDate, deceasedDateTime, gender) the event of that element."""

BEGINS = "urn:suwen:fhir:start"
"""An extension, true: the code of the event with which it begins is ``CODE//START``, and that with which it ends has no
available_time."""

VISIT_CODE = "urn:suwen:fhir:visit"
"""An extension of Encounter.class: the code of the visit, without ``//START`` and ``//END``."""

TOLD: dict[str, Any] = {"system": "urn:suwen:fhir", "code": "told"}
"""A tag: the resource is there for readers of FHIR, made from what others tell; no event of its own."""

_NEGATIVE = re.compile(r"int64\.(-[1-9]\d{0,18})")
"""Ids of subjects and encounters whose number is negative."""

_PLAIN = re.compile(r"[^\s%\x00-\x1f\x7f]+( [^\s%\x00-\x1f\x7f]+)*")
_EMPTY = "%"


@lru_cache(maxsize=1 << 18)
def encode_code(code: str) -> str:
    """A code of an event as a ``code`` of FHIR, which has single spaces, and these inside; all else becomes ``%XX``."""
    if _PLAIN.fullmatch(code):
        return code
    return quote(code, safe="/:") or _EMPTY


def decode_code(text: str) -> str:
    """What `encode_code` had.

    Raises:
        UnicodeDecodeError: it was not encoded so.
    """
    if "%" not in text:
        return text
    return "" if text == _EMPTY else unquote(text, errors="strict")


def is_code(text: str) -> bool:
    """Whether it can stand for itself as a ``code`` of FHIR (``[^\\s]+(\\s[^\\s]+)*``, datatypes.html#code)."""
    return _PLAIN.fullmatch(text) is not None


def id_of(number: int) -> str:
    """The id of the resource of a subject or an encounter: `suwen.data.records.events.number_of` and
    `negative_number` make the number of it again."""
    return str(number) if number >= 0 else f"int64.{number}"


def negative_number(name: str) -> int | None:
    """The number of an id that `id_of` made of a negative one; None for any other."""
    match = _NEGATIVE.fullmatch(name)
    found = int(match[1]) if match else None
    return found if found is not None and found >= -(1 << 63) else None


def extensions(holder: Any, url: str) -> list[dict[str, Any]]:
    """The extensions of this URL of a resource or an element; whatever is no extension is passed over."""
    found = holder.get("extension") if type(holder) is dict else None
    if type(found) is not list:
        return []
    return [each for each in found if type(each) is dict and each.get("url") == url]


def is_told(resource: dict[str, Any]) -> bool:
    """Whether others tell of it."""
    meta = resource.get("meta")
    tags = meta.get("tag") if type(meta) is dict else None
    return type(tags) is list and TOLD in tags
