"""What FHIR R4 writes inside resources, as values of events: instants, codes, numbers with units, text.

References are to FHIR R4 (4.0.1, http://hl7.org/fhir/R4): ``datatypes.html`` and ``terminologies-systems.html``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from suwen.data.records.dates import partial_date
from suwen.data.records.fhir.names import CODES, decode_code

Json = dict[str, Any]

SYSTEMS: Mapping[str, str] = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RXNORM",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://id.who.int/icd/release/11/mms": "ICD11",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://www.cms.gov/medicare/coding/icd10": "ICD10PCS",
    "http://hl7.org/fhir/sid/icd-9-cm/procedure": "ICD9PCS",
    "http://www.ama-assn.org/go/cpt": "CPT",
    "http://www.cms.gov/medicare/coding/hcpcsreleasecodesets": "HCPCS",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://www.whocc.no/atc": "ATC",
    "http://fdasis.nlm.nih.gov": "UNII",
    "http://terminology.hl7.org/codesystem/icd-o-3": "ICDO3",
    "http://www.genenames.org": "HGNC",
    "http://www.ada.org/cdt": "CDT",
    "http://unitsofmeasure.org": "UCUM",
    "urn:oid:2.16.840.1.113883.6.238": "CDCREC",
    # the same systems by their OIDs, as converted CDA documents have them (HL7 OID registry)
    "urn:oid:2.16.840.1.113883.6.1": "LOINC",
    "urn:oid:2.16.840.1.113883.6.96": "SNOMED",
    "urn:oid:2.16.840.1.113883.6.88": "RXNORM",
    "urn:oid:2.16.840.1.113883.12.292": "CVX",
    "urn:oid:2.16.840.1.113883.6.90": "ICD10CM",
    "urn:oid:2.16.840.1.113883.6.3": "ICD10",
    "urn:oid:2.16.840.1.113883.6.103": "ICD9CM",
    "urn:oid:2.16.840.1.113883.6.4": "ICD10PCS",
    "urn:oid:2.16.840.1.113883.6.104": "ICD9PCS",
    "urn:oid:2.16.840.1.113883.6.12": "CPT",
    "urn:oid:2.16.840.1.113883.6.69": "NDC",
}
"""Code system URI, in lower case → short name. Of several codings of one concept the one whose system comes first here
is the code."""

UCUM = "http://unitsofmeasure.org"

LOCAL = "LOCAL"
"""The system of a coding that names none."""

WRITTEN = "TEXT//"
"""Before the words of a concept that has no coding."""

LONGEST_NAME = 200
"""Characters of such words that are kept in a code."""

_NAMES = list(dict.fromkeys(SYSTEMS.values()))
RANKS = {name: rank for rank, name in enumerate(_NAMES)}
UNKNOWN_RANK, OWN_RANK = len(_NAMES), -1

_DATETIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_OF_HL7 = re.compile(r"(?:.+\.)?hl7\.org")
_EPOCH = date(1970, 1, 1).toordinal()
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
FIRST, LAST = (date.min.toordinal() - _EPOCH) * _DAY, (date.max.toordinal() - _EPOCH + 1) * _DAY - 1
"""Microseconds since 1970 of the first and the last instant of the years 1 to 9999."""

FLOAT32_MAX = 3.4028235e38


class LocalTime(int):
    """Microseconds since 1970 of a time of day that does not say its offset, as FHIR wants it to."""


@lru_cache(maxsize=1 << 17)
def instant(text: str) -> int | None:
    """Microseconds since 1970 of a FHIR date, dateTime or instant; None if it is none.

    One rule: a value with an offset becomes UTC; one without stays as it stands (`LocalTime`); a partial one (``2013``,
    ``2013-06``, ``2013-06-22``) is a `PartialDate`. Digits beyond microseconds are dropped; second 60 is the next
    minute's first.
    """
    match = _DATETIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if hour is None:
        return _partial(year, month, day)
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    away = _offset(zone)
    if hours > 23 or minutes > 59 or seconds > 60 or away is None:
        return None
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    whole = ((days * 24 + hours) * 60 + minutes - away) * 60 + seconds
    found = whole * _SECOND + int((fraction or "")[:6].ljust(6, "0"))
    if not FIRST <= found <= LAST:
        return None
    return LocalTime(found) if zone is None else found


def _partial(year: str, month: str | None, day: str | None) -> int | None:
    try:
        return partial_date(int(year), int(month) if month else None, int(day) if day else None)
    except ValueError:
        return None


def _offset(zone: str | None) -> int | None:
    """Minutes east of UTC; None beyond the 14 hours that FHIR allows."""
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if minutes > 59 or hours * 60 + minutes > 14 * 60:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


@lru_cache(maxsize=4096)
def system_name(uri: str | None) -> str:
    """Short name of a code system: that of `SYSTEMS`, else its address, as ``a.org/labs`` of ``http://a.org/labs``.

    The labs of two hospitals stay apart, and neither becomes a known system. Of HL7's own systems, which have no
    namesakes, the last segment is enough: ``v3-ActCode``.
    """
    if not uri:
        return LOCAL
    text = uri.strip().rstrip("/")
    plain = text.lower().replace("https://", "http://", 1)
    if plain in SYSTEMS:
        return SYSTEMS[plain]
    if plain.startswith("http://snomed.info/sct/"):  # an edition of it, as http://snomed.info/sct/731000124108
        return "SNOMED"
    text = re.split(r"[?#|]", text)[0].rstrip("/")
    host, _, path = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://", "", text).partition("/")
    if not path:
        return (host.rsplit(":", 1)[-1] if host.startswith("urn:") else host) or LOCAL
    if _OF_HL7.fullmatch(host.lower()):
        return path.rsplit("/", 1)[-1]
    return f"{host.lower()}/{re.sub('/+', '/', path.lstrip('/'))}"


def code_of(system: str | None, code: Any) -> tuple[int, str] | None:
    """Rank of the system and ``SYSTEM//CODE`` of a Coding; None if it has no code.

    A code of `CODES` is the code of an event as it was, and goes before all others.
    """
    if code is None or code == "":
        return None
    if system == CODES:
        return OWN_RANK, decode_code(str(code))
    name = system_name(system)
    return RANKS.get(name, UNKNOWN_RANK), f"{name}//{str(code).strip()}"


def words_code(text: str) -> str:
    """The code of a concept that has only words."""
    return WRITTEN + " ".join(text.split())[:LONGEST_NAME]


def number(value: Any) -> float | None:
    """A finite number that float32 can hold; None for anything else (a string, a truth value, 1e300)."""
    if (type(value) is float or type(value) is int) and -FLOAT32_MAX <= value <= FLOAT32_MAX:
        return float(value)
    return None


def unit_of(quantity: Json) -> str | None:
    """The UCUM code of a quantity's unit, else the unit as it is written.

    Raises:
        TypeError: it is no text.
    """
    code, unit = quantity.get("code"), quantity.get("unit")
    if code and code != unit and (not unit or quantity.get("system") == UCUM):
        unit = code
    return unit if unit is None or type(unit) is str else words(unit)


def words(value: Any) -> str:
    """The value, which is text.

    Raises:
        TypeError: it is not.
    """
    if type(value) is not str:
        raise TypeError(f"{type(value).__name__} where text belongs")
    return value


def plain(value: float | int) -> str:
    """A number as short text: 5, 0.25."""
    return f"{value:.15g}"


COMPARATORS = ("<=", ">=", "<", ">")
"""http://hl7.org/fhir/R4/valueset-quantity-comparator.html"""


def is_comparator_of(text: str, value: float) -> str | None:
    """The comparator of a quantity whose text, as the importer reads it, is this; None where there is none."""
    sign = next((each for each in COMPARATORS if text.startswith(each)), "")
    return sign if sign and text == sign + plain(value) else None


TEXTUAL = ("text/", "application/xml", "application/json", "application/hl7-v3+xml", "application/fhir+")
"""Beginnings of content types whose bytes are text."""


def attachment_text(attachment: Json) -> tuple[str | None, str | None]:
    """The text of an Attachment (or a Binary), or why there is none: ``(text, None)`` or ``(None, reason)``."""
    kind = str(attachment.get("contentType") or "text/plain").strip().lower()
    data = attachment.get("data")
    if not data:
        return None, "attachment without data"
    if not kind.startswith(TEXTUAL):
        return None, "attachment that is no text"
    charset = re.search(r"charset\s*=\s*\"?([\w.:-]+)", kind)
    try:
        blob = base64.b64decode("".join(words(data).split()), validate=True)
        return blob.decode(charset[1] if charset else "utf-8"), None
    except (binascii.Error, LookupError, ValueError):
        return None, "attachment that cannot be decoded"
