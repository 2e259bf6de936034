"""One spelling for the many in which hospitals write a unit."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
TEN = re.compile(r"^[x*]?10(?:\*|\^|e|exp)?\(?\+?(\d{1,2})\)?(?=/|$)")
"""A power of ten: ``10*3``, ``10^3``, ``x10e3``, ``10 3`` …"""


@lru_cache(maxsize=1 << 14)
def alike(unit: str) -> str:
    """The same text for what differs in capital letters, blanks, kinds of µ, of × and of raised digits, in how a power
    of ten is written, or in remarks that have no number (``{cells}``).

    ``"X10E3/uL"``, ``"10^3 / µL"`` and ``"10³/μL"`` are ``"10*3/ul"``; ``"Beats/min"`` is ``"beats/min"``. Capital and
    small letters are alike although UCUM tells them apart: hospitals do not, and what `G/L` is (giga or grams) follows
    from what is measured.
    """
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+", lambda found: "^" + found[0].translate(RAISED), unit)
    text = unicodedata.normalize("NFKC", text).casefold().replace("μ", "u").replace("×", "x")
    text = re.sub(r"[\s_]+", "", text).strip(".").replace("**", "^").replace("·", ".").replace("⋅", ".")
    text = re.sub(r"\{[^{}\d]*\}", "", text)
    return re.sub(r"\^(?=[\d-])", "", TEN.sub(r"10*\1", text))
