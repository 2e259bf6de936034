from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from suwen.data.records.events import number_of
from suwen.data.records.fhir.names import decode_code, encode_code, extensions, id_of, is_told
from suwen.data.records.fhir.references import numbered

CODE = re.compile(r"[^\s]+(\s[^\s]+)*")
"""http://hl7.org/fhir/R4/datatypes.html#code"""

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""http://hl7.org/fhir/R4/datatypes.html#id"""


@given(st.text(st.characters(codec="utf-8")))
@example("")
@example("%")
@example("a  b%20")
@example(" a\n")
def test_every_code_is_one_of_fhir_and_comes_back(code: str) -> None:
    assert CODE.fullmatch(encode_code(code)) and decode_code(encode_code(code)) == code


def test_ordinary_codes_stay_as_they_are() -> None:
    for code in ("ICD10CM//E11.9", "PRESCRIPTION//MAIN//Sodium Chloride", "肺炎", "a/b:c"):
        assert encode_code(code) == code


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_number_has_an_id_of_fhir_and_comes_back(number: int) -> None:
    assert ID.fullmatch(id_of(number)) and numbered(id_of(number)) == number


def test_ids_of_others_are_numbered_as_ever() -> None:
    for name in ("-7", "int64.7", "int64.-0", f"int64.{-(2**63) - 1}", "x", "7"):
        assert numbered(name) == number_of(name)


def test_whatever_a_resource_holds_where_extensions_and_tags_belong_is_passed_over() -> None:
    for odd in (None, 5, "x", [5, None, "x"], {"url": "x"}, [{"url": 5}]):
        assert extensions({"extension": odd}, "x") == [] and extensions(odd, "x") == []
        assert not is_told({"meta": odd}) and not is_told({"meta": {"tag": odd}})
