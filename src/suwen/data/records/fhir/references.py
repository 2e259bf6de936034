"""Who and what FHIR resources refer to.

A reference is a key in its bundle (``urn:uuid:…``, or an absolute URL), a relative one (``Patient/12``, which needs no
looking up), a contained resource (``#p1``), an identifier, or a search (``Patient?identifier=system|value``): FHIR R4
``references.html`` and ``bundle.html#references``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote

from suwen.data.records.events import number_of
from suwen.data.records.fhir.names import negative_number
from suwen.data.records.fhir.values import Json

REMEMBERED = 1 << 17
"""References that are remembered in one scope: a file of NDJSON may have any number."""

_RELATIVE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([^/?#|\s]+)(?:/_history/[^/]+)?(?:#.*)?")
_SEARCH = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)\?identifier=([^&]+)")


_OF_SERVER = re.compile(r"https?://(.+)/Patient/[^/?#|\s]+(?:/_history/[^/]+)?(?:#.*)?", re.IGNORECASE)


class BrokenReference(ValueError):
    """A reference leads nowhere."""


class OtherSubject(ValueError):
    """The subject is a group, a device, a place …: its type is the message."""


@lru_cache(maxsize=1 << 16)
def numbered(name: str) -> int:
    """`number_of`, or the negative number that an export wrote; remembered: the same few names come again and again."""
    found = negative_number(name)
    return number_of(name) if found is None else found


@lru_cache(maxsize=1 << 16)
def typed_id(reference: str) -> tuple[str, str] | None:
    """Type and id of ``Patient/12``, ``https://hospital.org/fhir/Patient/12``, either with ``/_history/3``."""
    match = _RELATIVE.fullmatch(reference)
    return (match[1], match[2]) if match else None


@lru_cache(maxsize=1 << 12)
def server_of(reference: str) -> str:
    """``a.org/fhir`` of ``https://a.org/fhir/Patient/1``; empty of a reference that names no server, or no patient."""
    match = _OF_SERVER.fullmatch(reference)
    return match[1].rstrip("/").lower() if match else ""


class Scope:
    """Resources that can refer to one another: those of a bundle; of a file of single ones, those known beforehand.

    Args:
        entries: ``(fullUrl or None, resource)``.

    Attributes:
        patients: subject_id by reference, of those looked up lately.
        encounters: encounter_id likewise.
    """

    def __init__(self, entries: Iterable[tuple[str | None, Json]] = ()) -> None:
        self._by_key: dict[str, Json] = {}
        self.patients: dict[str | None, int] = {}
        self.encounters: dict[str | None, int | None] = {}
        self._identifiers: dict[tuple[str, str], str] | None = None
        self._named: dict[int, str] = {}
        self._servers: dict[int, str] = {}
        for url, resource in entries:
            if url and isinstance(url, str):
                self._by_key.setdefault(url, resource)
                if server := server_of(url):
                    self._servers[id(resource)] = server
                if resource.get("id") in (None, ""):
                    self._named[id(resource)] = url.rsplit(":" if url.startswith("urn:") else "/", 1)[-1]
            if name := resource.get("id"):
                self._by_key.setdefault(f"{resource.get('resourceType')}/{name}", resource)

    def id_of(self, resource: Json) -> str | None:
        """The id of a resource, else the end of its fullUrl: what it is known by elsewhere."""
        found = resource.get("id")
        return str(found) if found not in (None, "") else self._named.get(id(resource))

    def server(self, patient: Json) -> str:
        """The server that the fullUrl of a Patient names; empty where it names none."""
        return self._servers.get(id(patient), "")

    def resource(self, reference: str, container: Json | None = None) -> Json | None:
        """What a reference leads to, if it is here; of ``#id`` in what the resource contains."""
        if reference.startswith("#"):
            inside = (container or {}).get("contained") or ()
            return next((each for each in inside if each.get("id") == reference[1:]), None)
        found = self._by_key.get(reference)
        if found is None and (at := typed_id(reference)):
            found = self._by_key.get(f"{at[0]}/{at[1]}")
        return found

    def patient(self, reference: Json, container: Json) -> int:
        """subject_id of a reference to a patient.

        Raises:
            BrokenReference: it cannot be resolved.
            OtherSubject: it is no patient.
        """
        text = reference.get("reference")
        found = numbered(self._patient_id(text, reference, container))
        if text and text[0] != "#":
            if len(self.patients) >= REMEMBERED:
                self.patients.clear()
            self.patients[text] = found
        return found

    def _patient_id(self, text: str | None, reference: Json, container: Json) -> str:
        if not text:
            if reference.get("type") not in (None, "Patient"):
                raise OtherSubject(reference["type"])
            return self._identified(reference.get("identifier") or {})
        if text[0] == "#":
            return self._contained(text, container)
        if search := _SEARCH.fullmatch(text):
            system, _, value = unquote(search[2]).rpartition("|")
            return self._identified({"system": system, "value": value}, search[1])
        kind, name = self._target(text)
        if kind != "Patient":
            raise OtherSubject(kind)
        return name

    def _target(self, text: str) -> tuple[str, str]:
        """Type and id of what a key of the bundle, or a relative or an absolute URL, leads to."""
        resource = self._by_key.get(text)
        if resource is not None:
            name = self.id_of(resource)
            if name is not None:
                return str(resource.get("resourceType")), name
        at = typed_id(text)
        if at is None:
            raise BrokenReference(text)
        return at

    def _contained(self, text: str, container: Json) -> str:
        """A contained patient is whom its identifier names; without one, nobody else than of this resource."""
        patient = self.resource(text, container)
        if patient is None:
            raise BrokenReference(text)
        if patient.get("resourceType") != "Patient":
            raise OtherSubject(str(patient.get("resourceType")))
        for identifier in patient.get("identifier") or ():
            if value := identifier.get("value"):
                key = (str(identifier.get("system") or ""), str(value))
                return self._known_identifiers().get(key) or "|".join(key)
        return f"{container.get('resourceType')}/{self.id_of(container)}{text}"

    def _identified(self, identifier: Json, kind: str = "Patient") -> str:
        if kind != "Patient":
            raise OtherSubject(kind)
        key = (str(identifier.get("system") or ""), str(identifier.get("value") or ""))
        found = self._known_identifiers().get(key)
        if found is None:
            raise BrokenReference("|".join(key))
        return found

    def _known_identifiers(self) -> dict[tuple[str, str], str]:
        """(system, value) → id of the patients here; made when it is first asked for."""
        if self._identifiers is None:
            self._identifiers = {}
            for resource in self._by_key.values():
                name = self.id_of(resource) if resource.get("resourceType") == "Patient" else None
                for each in (resource.get("identifier") or ()) if name is not None else ():
                    key = (str(each.get("system") or ""), str(each.get("value") or ""))
                    self._identifiers.setdefault(key, str(name))
        return self._identifiers

    def encounter(self, reference: Json | None) -> int | None:
        """encounter_id of a reference to an encounter; None if there is none, or it is no encounter.

        Raises:
            BrokenReference: it cannot be resolved.
        """
        text = reference.get("reference") if reference else None
        if not text:
            return None
        if text not in self.encounters:
            if len(self.encounters) >= REMEMBERED:
                self.encounters.clear()
            kind, name = self._target(text)
            self.encounters[text] = numbered(name) if kind == "Encounter" else None
        return self.encounters[text]
