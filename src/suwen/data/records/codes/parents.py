"""Codes that say themselves what they belong to: those of ICD and ATC are longer the more precise they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from suwen.data.records.events import END, START

ROLES = frozenset({"CONDITION", "DIAGNOSIS", "IMMUNIZATION", "MEDICATION", "OBSERVATION", "PROCEDURE"})
"""What mappings of tables write before a code that the patient has, gets or is measured: with it and without it the
same is meant. Other prefixes (``FAMILY``, ``ALLERGY``, ``REASON`` …) change the meaning."""

SYSTEMS = {
    "ICD9": "ICD9CM",
    "ICD9PROC": "ICD9PCS",
    "UMLSCUI": "UMLS",
    "MSH": "MESH",
    "NCIT": "NCI",
    "ORDO": "ORPHA",
    "ORPHANET": "ORPHA",
}
"""Further spellings of vocabularies, in OMOP and in cross-references of OBO files, without hyphens and underscores."""

VERSIONED = {
    ("DIAGNOSIS", "ICD", "9"): "ICD9CM",
    ("DIAGNOSIS", "ICD", "10"): "ICD10CM",
    ("PROCEDURE", "ICD", "9"): "ICD9PCS",
    ("PROCEDURE", "ICD", "10"): "ICD10PCS",
}
"""The four that MIMIC has as ``DIAGNOSIS//ICD//9//25000`` in MEDS (https://github.com/Medical-Event-Data-Standard/MIMIC_IV_MEDS)."""

Key = tuple[str, str]
"""A vocabulary and a code of it, however both are spelled."""


class Spelled(NamedTuple):
    """A code, taken apart: ``DIAGNOSIS//ICD9CM//25000`` is ``("DIAGNOSIS//ICD9CM//", "ICD9CM", "25000")``."""

    before: str
    system: str
    code: str


@dataclass(frozen=True)
class Scheme:
    """How codes of some vocabularies become shorter.

    Attributes:
        systems: the vocabularies.
        shape: of their codes, without the dot.
        lengths: characters, without the dot, of codes at each level.
        dot: after how many characters the dot stands; None where there is none.
        source: that says so.
    """

    systems: frozenset[str]
    shape: re.Pattern[str]
    lengths: tuple[int, ...]
    dot: int | None
    source: str


def _scheme(systems: str, shape: str, lengths: tuple[int, ...], dot: int | None, source: str) -> Scheme:
    return Scheme(frozenset(systems.split()), re.compile(shape), lengths, dot, source)


SCHEMES = (
    _scheme(
        "ICD10CM",
        r"[A-Z]\d[0-9A-Z]{1,5}",
        (3, 4, 5, 6, 7),
        3,
        "ICD-10-CM Official Guidelines for Coding and Reporting, FY 2024, I.A.2: categories of 3 characters, "
        "subcategories of 4 or 5, codes of up to 7. A placeholder X stays, so that some of those between have no name.",
    ),
    _scheme(
        "ICD10 ICD10CN ICD10GM",
        r"[A-Z]\d\d\d{0,3}",
        (3, 4, 5, 6),
        3,
        "WHO, ICD-10 volume 2: instruction manual, 2.4: categories of 3 characters, subcategories of 4; national "
        "modifications add further ones (China, GB/T 14396-2016: 6)",
    ),
    _scheme(
        "ICD9CM",
        r"(\d{3}|V\d\d)\d{0,2}",
        (3, 4, 5),
        3,
        "ICD-9-CM Official Guidelines for Coding and Reporting, 2011, I.B.3: 3 digits, then a fourth and a fifth",
    ),
    _scheme(
        "ICD9CM",
        r"E\d{3}\d?",
        (4, 5),
        4,
        "ICD-9-CM, supplementary classification of external causes: E and 3 digits, and a fourth",
    ),
    _scheme("ICD9PCS", r"\d\d\d{0,2}", (2, 3, 4), 2, "ICD-9-CM volume 3: 2 digits, a third and a fourth"),
    _scheme(
        "ICD10PCS",
        r"[0-9A-HJ-NP-Z]{1,7}",
        (1, 2, 3, 7),
        None,
        "ICD-10-PCS Official Guidelines for Coding and Reporting, 2024, A2, A9: section, body system and operation "
        "name the table, in which the other four stand",
    ),
    _scheme(
        "ATC",
        r"[A-Z](\d\d([A-Z]([A-Z](\d\d)?)?)?)?",
        (1, 3, 4, 5, 7),
        None,
        "WHO Collaborating Centre for Drug Statistics Methodology, https://www.whocc.no/atc/structure_and_principles/",
    ),
)
"""The first whose systems and shape fit is used."""


def spelled(code: str) -> Spelled | None:
    """Take a code apart into what stands before it, its vocabulary and itself; None where it is of no vocabulary.

    ``ICD10CM//E11.9``, the same after one of `ROLES`, and ``ICD10CM/E11.9``, as parents are written in MEDS.
    """
    parts = code.split("//") if "//" in code else code.split("/", 1)
    systems = parts[:-1]
    if tuple(systems) in VERSIONED:
        system = VERSIONED[tuple(systems)]  # type: ignore[index]
    elif len(systems) == 1 or (len(systems) == 2 and systems[0] in ROLES):
        system = system_of(systems[-1])
    else:
        return None
    bare = parts[-1]
    return Spelled(code[: len(code) - len(bare)], system, bare) if system and bare else None


def system_of(name: str) -> str:
    """One spelling of a vocabulary: ``ICD10CM`` of ``ICD-10-CM``, ``SNOMED`` of ``SNOMEDCT_US_2016_03_01``."""
    plain = re.sub(r"[-_ ]", "", name).upper()
    return "SNOMED" if plain.startswith("SNOMED") else SYSTEMS.get(plain, plain)


def key_of(code: str) -> Key | None:
    """What a code is, whatever its spelling: ``("ICD9CM", "25000")`` of ``DIAGNOSIS//ICD9//250.00``."""
    found = spelled(code)
    return None if found is None else key(found.system, found.code)


def key(system: str, code: str) -> Key:
    """The same of a vocabulary and a code. Dots of ICD are left out, as hospitals do."""
    name, plain = system_of(system), code.strip().upper()
    return name, plain.replace(".", "") if name.startswith("ICD") else plain


def built_in_parents(code: str) -> tuple[str, ...]:
    """The code right above one of ICD or ATC, spelled as it is; none above the topmost, or of another vocabulary.

    ``ICD10CM//E11.65`` → ``ICD10CM//E11.6`` → ``ICD10CM//E11``; ``DIAGNOSIS//ICD9CM//25001`` → ``…//2500`` →
    ``…//250``; ``ATC//A10BA02`` → ``A10BA`` → ``A10B`` → ``A10`` → ``A``. Above the start and the end of something,
    ``CODE//START`` and ``CODE//END``, is ``CODE``. Sources are in `SCHEMES`.
    """
    for ending in (START, END):
        if code.endswith(ending) and code != ending:
            return (code.removesuffix(ending),)
    found = spelled(code)
    if found is None:
        return ()
    bare = found.code.replace(".", "")
    scheme = next(
        (each for each in SCHEMES if found.system in each.systems and each.shape.fullmatch(bare.upper())), None
    )
    if scheme is None or found.code not in (bare, _dotted(bare, scheme.dot)):
        return ()
    length = max((each for each in scheme.lengths if each < len(bare)), default=0)
    if not length:
        return ()
    above = bare[:length]
    return (found.before + (_dotted(above, scheme.dot) if "." in found.code else above),)


def category_of(code: str) -> Key | None:
    """The key of a code of ICD that has no `built_in_parents`: a category, as ``E11`` or ``250``."""
    found = spelled(code)
    if found is None or not found.system.startswith("ICD") or built_in_parents(code):
        return None
    return key(found.system, found.code)


def _dotted(bare: str, dot: int | None) -> str:
    return bare if dot is None or len(bare) <= dot else f"{bare[:dot]}.{bare[dot:]}"
