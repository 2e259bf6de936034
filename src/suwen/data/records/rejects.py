"""What could not be mapped: counted by reason; the first of each reason are kept."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

KEPT = 1000
"""Rejected records of each reason that are kept; the others are only counted."""

LONGEST = 4000
"""Characters kept of a record; of one that has more, ``cut`` says so."""


class Rejects:
    """Counts by reason, and the first records of each.

    A reason is a short sentence of a fixed set, such as ``"resource type not mapped: Device"``: what varies from record
    to record belongs into `where` and `record`.

    Attributes:
        counts: reason → how many.
        kept: ``{"reason", "where", "record"}``, and ``"cut": True`` where the record goes on.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.kept: list[dict[str, Any]] = []

    def add(self, reason: str, where: str, record: Any = None, count: int = 1) -> None:
        """Count records that were not mapped.

        Args:
            reason: why.
            where: file and place in it, as ``"bundle.json, entry 12"``.
            record: what was seen, kept for `KEPT` of each reason, up to `LONGEST` characters.
            count: how many.
        """
        if self.counts[reason] < KEPT and record is not None:
            text = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False, default=str)
            cut = {"cut": True} if len(text) > LONGEST else {}
            self.kept.append({"reason": reason, "where": where, "record": text[:LONGEST], **cut})
        self.counts[reason] += count

    def lines(self) -> str:
        """What was kept as NDJSON."""
        return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in self.kept)
