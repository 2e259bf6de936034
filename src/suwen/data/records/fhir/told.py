"""One event in full as an extension of FHIR, and back: ``{"url": EVENT, "extension": [{"url": "code", …}, …]}``.

Inner extensions are ``code``, ``time``, ``number``, ``text``, ``available``, ``unit``, ``encounter``; what an event
does not have is not there. FHIR has no empty text: ``empty`` names those that are.
"""

from __future__ import annotations

import math
from typing import Any

from suwen.data.records.fhir.names import EVENT, decode_code, encode_code
from suwen.data.records.fhir.values import Json, instant, number, words

Told = tuple[Any, ...]
"""time (microseconds), code, number, text, available (microseconds), unit, encounter."""

_INFINITE = {"Infinity": math.inf, "-Infinity": -math.inf}
_WORDS = {value: word for word, value in _INFINITE.items()}
_INT64 = range(-(1 << 63), 1 << 63)


def tell(
    code: str,
    time: str | None,
    value: float | None,
    text: str | None,
    available: str | None,
    unit: str | None,
    encounter: int | None,
) -> Json:
    """The extension of an event.

    Args:
        code: of it.
        time, available: instants as FHIR writes them.
        value: may be infinite, not NaN.
        text, unit: may be empty.
        encounter: encounter_id.
    """
    parts: list[Json] = [{"url": "code", "valueCode": encode_code(code)}]
    if time is not None:
        parts.append({"url": "time", "valueDateTime": time})
    if value is not None:
        said = {"valueDecimal": value} if math.isfinite(value) else {"valueString": _WORDS[value]}
        parts.append({"url": "number", **said})
    for name, written in (("text", text), ("unit", unit)):
        if written:
            parts.append({"url": name, "valueString": written})
        elif written is not None:
            parts.append({"url": "empty", "valueCode": name})
    if available is not None:
        parts.append({"url": "available", "valueDateTime": available})
    if encounter is not None:
        parts.append({"url": "encounter", "valueString": str(encounter)})
    return {"url": EVENT, "extension": parts}


def told(extension: Json) -> Told:
    """The event of an extension.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    parts = {each["url"]: each for each in extension["extension"]}
    blank = {each["valueCode"] for each in extension["extension"] if each["url"] == "empty"}
    text, unit = ("" if name in blank else _said(parts, name) for name in ("text", "unit"))
    return (
        _time(parts, "time"),
        decode_code(words(parts["code"]["valueCode"])),
        _number(parts.get("number")),
        text,
        _time(parts, "available"),
        unit,
        _encounter(_said(parts, "encounter")),
    )


def _said(parts: dict[str, Json], name: str) -> str | None:
    return words(parts[name]["valueString"]) if name in parts else None


def _time(parts: dict[str, Json], name: str) -> int | None:
    if name not in parts:
        return None
    found = instant(parts[name]["valueDateTime"])
    if found is None:
        raise ValueError(f"{name} of an event is no instant")
    return found


def _number(part: Json | None) -> float | None:
    if part is None:
        return None
    found = _INFINITE[part["valueString"]] if "valueString" in part else number(part["valueDecimal"])
    if found is None:
        raise ValueError("the number of an event is none that float32 holds")
    return found


def _encounter(text: str | None) -> int | None:
    if text is None:
        return None
    if (found := int(text)) not in _INT64:
        raise ValueError(f"encounter {text} is no int64")
    return found
