"""FHIR R4 Patient, Encounter and FamilyMemberHistory as events."""

from __future__ import annotations

from collections.abc import Iterator

from suwen.data.records.dates import at_last
from suwen.data.records.events import BIRTH, DEATH, END, START
from suwen.data.records.fhir.draft import Draft, Row
from suwen.data.records.fhir.names import VISIT_CODE, decode_code, extensions
from suwen.data.records.fhir.references import numbered
from suwen.data.records.fhir.values import WRITTEN, Json, words, words_code

RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
"""US Core extensions of race and ethnicity begin so (http://hl7.org/fhir/us/core)."""

BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"


def patient(resource: Json, row: Row, draft: Draft) -> None:
    """Birth, death, and what has no time: gender, race, ethnicity, marital status, languages.

    A death without a date is an event without a time.
    """
    name = draft.scope.id_of(resource)
    if name is None:
        raise draft.refusal("no id")
    subject = numbered(name)
    draft.numbered_by(subject, draft.scope.server(resource))
    born = resource.get("birthDate")
    exact = [
        each.get("valueDateTime")
        for each in (resource.get("_birthDate") or {}).get("extension") or ()
        if each.get("url") == BIRTH_TIME
    ]
    birth = draft.time(exact[0] if exact else born)
    if not draft.told(resource.get("_birthDate"), subject) and birth is not None:
        # not `add`: it is no news at the end of its day
        draft.rows.append((subject, birth, BIRTH, None, None, None, None, None))
    if not draft.told(resource.get("_deceasedDateTime"), subject):
        _death(resource, subject, draft)
    told = draft.told(resource.get("_gender"), subject)
    for code in _traits({**resource, "gender": None} if told else resource, draft):
        draft.add(subject, None, code)


def _death(resource: Json, subject: int, draft: Draft) -> None:
    death = draft.time(resource.get("deceasedDateTime"))
    if death is not None:
        draft.add(subject, at_last(death), DEATH)  # until then the patient may have been alive
    elif resource.get("deceasedBoolean") is True or resource.get("deceasedDateTime"):
        draft.issue("death without a date")  # an event without a time is known from the first day on: it would leak


def _traits(resource: Json, draft: Draft) -> Iterator[str]:
    if gender := resource.get("gender"):
        yield f"GENDER//{words(gender)}"
    if marital := _bare(resource.get("maritalStatus"), "MARITAL_STATUS//", draft):
        yield marital
    for each in resource.get("communication") or ():
        if language := _bare(each.get("language"), "LANGUAGE//", draft):
            yield language
    for extension in resource.get("extension") or ():
        url = str(extension.get("url"))
        if url in (RACE + "race", RACE + "ethnicity"):
            prefix = url.removeprefix(RACE).upper() + "//"
            inner = extension.get("extension") or ()
            groups = [each["valueCoding"] for each in inner if each.get("url") == "ombCategory"]
            texts = [{"text": each.get("valueString")} for each in inner if each.get("url") == "text"]
            for concept in [{"coding": [group]} for group in groups] or texts:
                if trait := _bare(concept, prefix, draft):
                    yield trait


def _bare(concept: Json | None, prefix: str, draft: Draft) -> str | None:
    """The prefix and the first code, or the words: FHIR fixes the system of these."""
    for coding in (concept or {}).get("coding") or ():
        if code := coding.get("code"):
            draft.describe(prefix + str(code), coding.get("display"))
            return prefix + str(code)
    text = (concept or {}).get("text")
    return prefix + words_code(words(text)).removeprefix(WRITTEN) if text else None


def encounter(resource: Json, row: Row, draft: Draft) -> None:
    """``VISIT//CLASS//START`` and ``//END``, types and reasons at its start, where it led to at its end."""
    subject = draft.patient(resource, row.patient)
    name = draft.scope.id_of(resource)
    own = numbered(name) if name is not None else None
    period = resource.get("period") or {}
    start, end = draft.time(period.get("start")), draft.time(period.get("end"))
    if start is None and end is None:
        raise draft.refusal("no time")
    end = draft.over(start, end)
    kind = (resource.get("class") or {}).get("code")
    whole = f"VISIT//{words(kind)}" if kind else "VISIT"
    for own_code in extensions(resource.get("class"), VISIT_CODE):
        whole = decode_code(words(own_code["valueCode"]))
    for moment in (START, END):
        draft.describe(whole + moment, (resource.get("class") or {}).get("display"))
    stay = resource.get("hospitalization") or {}
    first = start if start is not None else end
    if start is not None:
        draft.add(subject, start, whole + START, encounter=own)
    for concept in resource.get("type") or ():
        _role(concept, "", subject, first, own, draft)
    for concept in resource.get("reasonCode") or ():
        _role(concept, "REASON//", subject, first, own, draft)
    _role(stay.get("admitSource"), "ADMISSION//", subject, first, own, draft)
    if end is not None:
        draft.add(subject, end, whole + END, encounter=own)
        _role(stay.get("dischargeDisposition"), "DISCHARGE//", subject, end, own, draft)


def _role(concept: Json | None, prefix: str, subject: int, time: int | None, own: int | None, draft: Draft) -> None:
    if code := draft.code(concept):
        draft.add(subject, time, draft.prefixed(prefix, code), encounter=own)


def family(resource: Json, row: Row, draft: Draft) -> None:
    """``FAMILY//RELATIONSHIP//SYSTEM//CODE`` for each condition of a relative; the number is the age at its onset."""
    subject = draft.patient(resource, row.patient)
    time = draft.first_time(resource, row.when)
    if time is None:
        raise draft.refusal("no time")
    relative = draft.code(resource.get("relationship"))
    prefix = f"FAMILY//{relative.split('//', 1)[1] if relative else 'RELATIVE'}//"
    for condition in resource.get("condition") or ():
        code = draft.code(condition.get("code"))
        if code:
            draft.add(subject, time, draft.prefixed(prefix, code), draft.quantity(condition.get("onsetAge")))
        else:
            draft.issue("condition without a code")
