"""Names of labels as codes that other systems know."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.sr.codedict import codes

OWN = "99SUWEN"
"""Coding scheme of labels that have no code of their own; private ones begin with 99 (PS3.16, section 8.2)."""


@dataclass(frozen=True)
class Code:
    """A concept.

    Attributes:
        value: as ``"10200004"``.
        scheme: ``"SCT"`` (SNOMED CT), or `OWN`.
        meaning: in words.
    """

    value: str
    scheme: str
    meaning: str


def code_of(label: str) -> Code:
    """The SNOMED CT concept of a label's name, where DICOM's dictionary (PS3.16, as pydicom holds it) has one of that
    very name; else a code of suwen's own with the label as its meaning. Nothing is guessed from similar names.
    """
    words = re.findall(r"[A-Za-z0-9]+", label)
    name = "".join(word.capitalize() for word in words)
    if name and name in dir(codes.SCT):
        found = getattr(codes.SCT, name)
        return Code(str(found.value), "SCT", str(found.meaning))
    return Code(re.sub(r"\W+", "_", label)[:16] or "LABEL", OWN, label[:64])
