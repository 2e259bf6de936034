"""Codes and units of events as FHIR has them: codings that the importer reads as the equal code, UCUM, a CodeSystem."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson
import pyarrow as pa

from suwen.data.records.fhir.names import CODES, encode_code, is_code
from suwen.data.records.fhir.values import SYSTEMS, UCUM, WRITTEN, Json, code_of, words_code

LOWER = {uri: uri for uri in SYSTEMS}
LOWER |= {
    "http://www.cms.gov/medicare/coding/icd10": "http://www.cms.gov/Medicare/Coding/ICD10",
    "http://www.cms.gov/medicare/coding/hcpcsreleasecodesets": (
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
    ),
    "http://terminology.hl7.org/codesystem/icd-o-3": "http://terminology.hl7.org/CodeSystem/icd-o-3",
}
"""URIs as they are written (http://hl7.org/fhir/R4/terminologies-systems.html), by those of `SYSTEMS`."""

URIS: dict[str, str] = {}
"""Short name → URI of its system, the first that `SYSTEMS` has."""
for _uri, _name in SYSTEMS.items():
    URIS.setdefault(_name, LOWER[_uri])

VOCABULARIES = {name.lower(): name for name in URIS} | {"icd9proc": "ICD9PCS", "cpt4": "CPT"}
"""What others call them, as OHDSI its vocabularies, in small letters → short name."""

DOTS = {"ICD9CM": 3, "ICD10CM": 3, "ICD10": 3, "ICD9PCS": 2}
"""Characters before the dot that belongs into codes of these, and that databases leave out; four in ICD-9's ``E``."""

_UNITS = (
    "% 1 s min h d wk mo a ms /min /h /d /uL /L /[HPF] /[LPF] "
    "kg g mg ug ng pg kg/m2 cm mm um m2 L dL mL uL fL "
    "g/dL g/L g/mL mg/dL mg/L mg/mL ug/dL ug/L ug/mL ng/dL ng/L ng/mL pg/mL pg/dL mg/g mg/mmol ug/mg ug/g "
    "mol mmol umol nmol mol/L mmol/L umol/L nmol/L pmol/L mmol/mol mmol/kg meq meq/L mosm/kg mosm/L "
    "U U/L U/mL kU/L mU/L [iU] [iU]/L [iU]/mL k[iU]/L m[iU]/L m[iU]/mL u[iU]/mL "
    "10*3/uL 10*6/uL 10*9/L 10*12/L 10*3 10*6 10*9 "
    "mm[Hg] cm[H2O] kPa Pa bar mm/h cm/s m/s Cel [degF] "
    "mL/min mL/h L/min L/h mL/kg mL/kg/h mL/min/{1.73_m2} mL/min/1.73.m2 "
    "mg/kg ug/kg mg/h ug/h mg/min ug/min ug/kg/min mg/kg/h ug/kg/h [iU]/h U/h mg/d g/d mg/(24.h) g/(24.h) mL/(24.h) "
    "kcal kcal/d kJ Hz kHz mV mA [in_i] [ft_i] [lb_av] [oz_av] [drp] "
    "{score} {count} {ratio} {INR} {#} {titer} {index} {copies}/mL {cells}/uL"
)
UNITS = frozenset(_UNITS.split())
"""Units that are codes of UCUM as they stand; no others are said to be (https://ucum.org, and HL7's table of example
codes for electronic messaging). Left out is what hospitals write for something else, as ``K/uL`` for thousands."""


class Concepts:
    """CodeableConcepts of codes.

    Args:
        codes: what is known of them, as `suwen.data.records.store.RecordStore.codes` has it.
    """

    def __init__(self, codes: pa.Table | None) -> None:
        rows = codes.to_pylist() if codes is not None else []
        self.descriptions: dict[str, str] = {row["code"]: row["description"] for row in rows if row["description"]}
        self.parents: dict[str, list[str]] = {row["code"]: row["parent_codes"] for row in rows if row["parent_codes"]}
        self._made: dict[tuple[str, bool], orjson.Fragment] = {}
        self._answers: dict[str, tuple[orjson.Fragment, orjson.Fragment] | None] = {}

    def concept(self, code: str, *, within: bool = False) -> orjson.Fragment:
        """The CodeableConcept of a code, which is read as this code.

        Args:
            code: of an event.
            within: the code names another system's inside, and means it: ``DIAGNOSIS//ICD9CM//4019``.
        """
        found = self._made.get((code, within))
        if found is None:
            found = orjson.Fragment(orjson.dumps(self._concept(code, within)))
            self._made[code, within] = found
        return found

    def _concept(self, code: str, within: bool) -> Json:
        said = self.descriptions.get(code)
        if coding := standard(code):
            return {"coding": [described(coding, said)]}
        words = code.removeprefix(WRITTEN)
        if not said and words and code.startswith(WRITTEN) and words_code(words) == code:
            return {"text": words}
        also = meant(code, within)
        return {"coding": [described({"system": CODES, "code": encode_code(code)}, said), *([also] if also else [])]}

    def answer(self, code: str) -> tuple[orjson.Fragment, orjson.Fragment] | None:
        """The concepts of a question and of its answer, as in ``LOINC//72166-2//SNOMED//266919005``, if it is both."""
        if code not in self._answers:
            question, answer = _halves(code)
            asked = question in self.parents.get(code, ()) and standard(question) and standard(answer)
            self._answers[code] = (self.concept(question), self.concept(answer)) if asked else None
        return self._answers[code]

    def system(self) -> Json | None:
        """A CodeSystem of all codes of which something is known."""
        concepts = [self._entry(code) for code in sorted({*self.descriptions, *self.parents})]
        if not concepts:
            return None
        return {
            "resourceType": "CodeSystem",
            "id": "codes",
            "url": CODES,
            "status": "active",
            "content": "fragment",
            "caseSensitive": True,
            "property": [
                {"code": "parent", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"},
            ],
            "concept": concepts,
        }

    def _entry(self, code: str) -> Json:
        entry = described({"code": encode_code(code)}, self.descriptions.get(code))
        above = [{"code": "parent", "valueCode": encode_code(each)} for each in self.parents.get(code, ())]
        return entry | {"property": above} if above else entry


def described(coding: Json, said: str | None) -> Json:
    """With its display."""
    return coding | {"display": said} if said else coding


@lru_cache(maxsize=1 << 18)
def standard(code: str) -> dict[str, str] | None:
    """The Coding of ``SYSTEM//CODE`` of a system that FHIR knows, if it is read as the same code; else None."""
    name, _, rest = code.partition("//")
    if name not in URIS or "//" in rest or not is_code(rest) or _dotted(name, rest) != rest:
        return None
    found = code_of(URIS[name], rest)
    return {"system": URIS[name], "code": rest} if found is not None and found[1] == code else None


def meant(code: str, within: bool) -> dict[str, str] | None:
    """The Coding that a code of another kind means, as ``RxNorm//161`` or ``DIAGNOSIS//ICD9CM//4019``; else None."""
    parts = code.split("//")
    name = VOCABULARIES.get(parts[-2].lower()) if len(parts) == 2 or (within and len(parts) > 2) else None
    rest = _dotted(name, parts[-1]) if name else ""
    return {"system": URIS[name], "code": rest} if name and is_code(rest) else None


def _dotted(name: str, rest: str) -> str:
    place = DOTS.get(name, 0) + (name == "ICD9CM" and rest[:1] == "E")
    return rest if not place or "." in rest or len(rest) <= place else f"{rest[:place]}.{rest[place:]}"


def _halves(code: str) -> tuple[str, str]:
    """A question and its answer, where the third part is a system."""
    parts = code.split("//")
    if len(parts) != 4 or parts[2] not in URIS:
        return "", ""
    return "//".join(parts[:2]), "//".join(parts[2:])


def quantities(values: list[float], units: list[str | None], signs: list[str | None]) -> Iterator[dict[str, Any]]:
    """Quantities of numbers, which are finite.

    Args:
        values: decimals.
        units: as the events have them; empty ones are left out.
        signs: comparators.
    """
    for value, unit, sign in zip(values, units, signs, strict=True):
        found: dict[str, Any] = {"value": value}
        if sign:
            found["comparator"] = sign
        if unit:
            found["unit"] = unit
            if unit in UNITS:
                found["system"], found["code"] = UCUM, unit
        yield found
