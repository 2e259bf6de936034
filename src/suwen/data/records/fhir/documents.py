"""FHIR R4 DiagnosticReport and DocumentReference as events with text."""

from __future__ import annotations

from collections.abc import Iterable

from suwen.data.records.fhir.draft import NOTHING, Draft, Row, at
from suwen.data.records.fhir.values import Json, attachment_text, words


def report(resource: Json, row: Row, draft: Draft) -> None:
    """The report with its conclusion and its text; further texts are further events of its code."""
    subject, time = draft.patient(resource, row.patient), draft.first_time(resource, row.when, last=True)
    code = draft.code(resource.get(row.code))
    if code is None:
        raise draft.refusal("no code")
    if time is None:
        raise draft.refusal("no time")
    where = draft.encounter(resource.get("encounter"))
    known = draft.first_time(resource, row.known)
    conclusion = resource.get("conclusion")
    texts: list[str | None] = [words(conclusion)] if conclusion else []
    texts += _texts(resource.get("presentedForm") or (), draft)
    for text in texts or (None,):
        draft.add(subject, time, code, (None, text, None), known, where)
    for concept in resource.get("conclusionCode") or ():
        if concluded := draft.code(concept):
            draft.add(subject, time, draft.prefixed("CONCLUSION//", concluded), NOTHING, known, where)


def document(resource: Json, row: Row, draft: Draft) -> None:
    """A note: its type, with the text of each attachment.

    Where it has no date it is of the end of what it tells of; while that goes on, it has no time: a letter of discharge
    is not known at admission.
    """
    subject = draft.patient(resource, row.patient)
    context = resource.get("context") or {}
    time = draft.first_time(resource, row.when)
    time = time if time is not None else draft.time((context.get("period") or {}).get("end"))
    code = draft.code(resource.get(row.code))
    if code is None:
        raise draft.refusal("no code")
    if time is None:
        raise draft.refusal("no time")
    where = draft.encounter(at(context, ("encounter",)))
    texts = _texts([each.get("attachment") or {} for each in resource.get("content") or ()], draft)
    for text in texts or (None,):
        draft.add(subject, time, code, (None, text, None), None, where)


def _texts(attachments: Iterable[Json], draft: Draft) -> list[str]:
    """Texts of attachments, or of the Binaries of the same bundle that their URLs name."""
    found: list[str] = []
    for attachment in attachments:
        binary = draft.scope.resource(attachment["url"]) if attachment.get("url") else None
        held = binary if binary and binary.get("resourceType") == "Binary" else attachment
        text, reason = attachment_text(held)
        if text is None:
            draft.issue(str(reason))
        else:
            found.append(text)
    return found
