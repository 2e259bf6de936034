"""Coded fields of HL7 v2 (CE, CWE, CNE, IS) as codes of events.

``LOINC//718-7`` where the coding system is a known one, ``HL7//SYSTEM//CODE`` where it is another, ``HL7//OBX-3//CODE``
where the field names none and so is its own system, ``TEXT//words`` where there are words only.
"""

from __future__ import annotations

from collections.abc import Mapping

from suwen.data.records.hl7.message import Separators
from suwen.data.records.source import Described

SYSTEMS: Mapping[str, str] = {
    "LN": "LOINC",
    "LOINC": "LOINC",
    "SCT": "SNOMED",
    "SNOMED-CT": "SNOMED",
    "RXNORM": "RXNORM",
    "CVX": "CVX",
    "I10C": "ICD10CM",
    "I10CM": "ICD10CM",
    "ICD-10-CM": "ICD10CM",
    "ICD10CM": "ICD10CM",
    "I10": "ICD10",
    "ICD10": "ICD10",
    "ICD-10": "ICD10",
    "I9C": "ICD9CM",
    "I9CDX": "ICD9CM",
    "I9": "ICD9CM",
    "ICD9": "ICD9CM",
    "ICD-9": "ICD9CM",
    "ICD-9-CM": "ICD9CM",
    "I10P": "ICD10PCS",
    "ICD10PCS": "ICD10PCS",
    "I9CP": "ICD9PCS",
    "C4": "CPT",
    "CPT": "CPT",
    "CPT4": "CPT",
    "HCPCS": "HCPCS",
    "HPC": "HCPCS",
    "NDC": "NDC",
    "ATC": "ATC",
    "WC": "ATC",
    "UNII": "UNII",
    "MVX": "MVX",
    "UCUM": "UCUM",
    "CDCREC": "CDCREC",
    # SNOMED International, version 3, whose codes are others than those of SNOMED CT
    "SNM3": "SNOMED3",
}
"""Coding system (HL7 table 0396, and spellings met beside it) → short name, as `fhir_values` has them. Of several
codings of one thing, that whose system comes first here is the code."""

RANKS = {name: rank for rank, name in enumerate(dict.fromkeys(SYSTEMS.values()))}
OTHER = len(RANKS)
TRIPLES = (0, 3, 9)
"""Where code, words and system begin: the coding, the alternate, the second alternate (CWE, HL7 v2.7)."""

WRITTEN = "TEXT//"
"""Before the words of what has no code."""

LONGEST_WORDS = 200
HELD = 1 << 16
DESCRIBED = 1 << 18
"""Codes that are described, at most: local codes can be without end."""


class Codes(dict[str, "str | None"]):
    """Raw fields → their code, each taken apart once; None where there is neither code nor words.

    Args:
        separators: of the message.
        field: as ``OBX-3``: the system of codes that name none.
        described: gets the words of codes.
        prefix: before the code, for what is not simply so of the patient: ``ALLERGY//``.
        bare: leave the system out: for fields that have one meaning, as sex and race.
    """

    def __init__(
        self, separators: Separators, field: str, described: Described, prefix: str = "", *, bare: bool = False
    ) -> None:
        super().__init__()
        self.separators, self.field, self.described = separators, field, described
        self.prefix, self.bare = prefix, bare

    def __missing__(self, raw: str) -> str | None:
        if len(self) > HELD:
            self.clear()
        self[raw] = found = self.read(raw)
        return found

    def read(self, raw: str, system: str = "", words: str = "") -> str | None:
        """The code of a field's first repetition.

        Args:
            raw: the field.
            system: of a code that names none.
            words: where the field has none.
        """
        parts = self.separators.parts(self.separators.repeats(raw)[0])
        texts = [*map(self.separators.first, parts)] + [""] * 12
        words = next((texts[at] for at in (1, 4, 10, 8) if texts[at]), words)
        codings = [(texts[at], texts[at + 2] or system, texts[at + 1]) for at in TRIPLES if texts[at]]
        if not codings:
            return f"{self.prefix}{WRITTEN}{' '.join(words.split())[:LONGEST_WORDS]}" if words else None
        code, of, said = min(codings, key=_rank)
        code = " ".join(code.split())
        name = SYSTEMS.get(of.upper()) or f"HL7//{of or self.field}"
        found = self.prefix + (code if self.bare else f"{name}//{code}")
        if (said or words) and len(self.described.descriptions) < DESCRIBED:
            self.described.descriptions.setdefault(found, said or words)
        return found


def _rank(coding: tuple[str, str, str]) -> int:
    return RANKS.get(SYSTEMS.get(coding[1].upper(), ""), OTHER)
