"""Codes of an export as local concepts of OMOP: their numbers, and the rows of CONCEPT and CONCEPT_RELATIONSHIP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pyarrow as pa

from suwen.data.records.events import END, START
from suwen.data.records.omop.places import STANDARD
from suwen.data.records.omop.tables import BARE, EXTRA, FIRST_LOCAL, ONCE, OURS, TOLD

DOMAINS = {
    "visit_occurrence": "Visit",
    "condition_occurrence": "Condition",
    "drug_exposure": "Drug",
    "procedure_occurrence": "Procedure",
    "device_exposure": "Device",
    "measurement": "Measurement",
}
"""Of concepts; all others are observations."""


class Concepts:
    """Numbers of codes, given as they come.

    Args:
        codes: with descriptions and parents, or None.
    """

    def __init__(self, codes: pa.Table | None) -> None:
        rows = codes.to_pylist() if codes is not None else []
        self._known = {row["code"]: row for row in rows}
        self._numbers: dict[str, int] = {}
        self._domains: dict[str, str] = {}

    def number(self, code: str, table: str = "") -> int:
        """That of a code, in a domain as its first table has it."""
        standard = STANDARD.fullmatch(code)
        if standard:
            return int(standard[1])
        self._domains.setdefault(code, DOMAINS.get(table, "Observation"))
        return self._numbers.setdefault(code, FIRST_LOCAL + len(self._numbers))

    def tables(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Rows of CONCEPT and CONCEPT_RELATIONSHIP."""
        pairs = self._pairs()  # parents become concepts
        rows = [
            (TOLD, f"told in full in {EXTRA}", "Type Concept", "suwen", "Type Concept", "told"),
            (ONCE, "one point in time", "Type Concept", "suwen", "Type Concept", "once"),
        ]
        for code, number in self._numbers.items():
            vocabulary, _, rest = code.partition("//")
            if not vocabulary or not rest or vocabulary == BARE:
                vocabulary, rest = BARE, code
            rows.append((number, self._name(code), self._domains[code], vocabulary, OURS, rest))
        names = ("concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_class_id", "concept_code")
        yield "concept", _dated([dict(zip(names, row, strict=True)) for row in rows])
        relations = [
            {"concept_id_1": below, "concept_id_2": above, "relationship_id": "Is a"} for below, above in pairs
        ]
        yield "concept_relationship", _dated(relations)

    def _about(self, code: str) -> dict[str, Any]:
        return self._known.get(code) or self._known.get(code + START) or self._known.get(code + END) or {}

    def _name(self, code: str) -> str:
        return self._about(code).get("description") or code

    def _pairs(self) -> list[tuple[int, int]]:
        found = []
        waiting = list(self._numbers)
        while waiting:
            code = waiting.pop()
            for parent in self._about(code).get("parent_codes") or []:
                if not parent or parent == code:
                    continue
                if parent not in self._numbers and not STANDARD.fullmatch(parent):
                    waiting.append(parent)
                found.append((self.number(code), self.number(parent)))
        return found


def _dated(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    always = {"standard_concept": None, "valid_start_date": date(1970, 1, 1), "valid_end_date": date(2099, 12, 31)}
    return [{**row, **always, "invalid_reason": None} for row in rows]
