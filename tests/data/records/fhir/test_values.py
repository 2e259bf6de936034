from __future__ import annotations

import base64
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suwen.data.records.dates import last_of
from suwen.data.records.fhir.values import (
    attachment_text,
    code_of,
    instant,
    number,
    system_name,
    unit_of,
    words_code,
)

EPOCH = datetime(1970, 1, 1)


def of(*fields: int) -> int:
    """Microseconds since 1970 of a naive datetime, by datetime's own arithmetic."""
    return (datetime(*fields) - EPOCH) // timedelta(microseconds=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013", of(2013, 1, 1)),
        ("2013-06", of(2013, 6, 1)),
        ("2013-06-22", of(2013, 6, 22)),
        ("2013-06-22T00:54:07Z", of(2013, 6, 22, 0, 54, 7)),
        ("2013-06-22T00:54:07.084+00:00", of(2013, 6, 22, 0, 54, 7, 84_000)),
        ("2013-06-22T00:54:07.1234567-05:00", of(2013, 6, 22, 5, 54, 7, 123_456)),
        ("2013-06-22T00:54:07+14:00", of(2013, 6, 21, 10, 54, 7)),
        ("2013-06-22T00:54:07", of(2013, 6, 22, 0, 54, 7)),
        ("2016-12-31T23:59:60Z", of(2017, 1, 1)),
        ("1900-01-01", of(1900, 1, 1)),
        ("2999-12-31", of(2999, 12, 31)),
        ("0001-01-01", of(1, 1, 1)),
        ("2012-02-29", of(2012, 2, 29)),
    ],
)
def test_a_time_is_naive_utc_and_a_partial_one_its_first_instant(text: str, expected: int) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "0000", "13", "2013-13", "2013-02-29", "2013-6-1", "20130622", "2013-W01-1", "2013-06-22T24:00:00Z",
        "2013-06-22T12:60:00Z", "2013-06-22T12:00:61Z", "2013-06-22T12:00:00+15:00", "2013-06-22T12:00:00+10:75",
        "2013-06-22 12:00:00", "2013-06-22T12:00:00z", " 2013", "2013\n", "٢٠١٣", "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-01:00", "22/06/2013", "yesterday",
    ],
)  # fmt: skip
def test_what_is_no_fhir_date_is_none(text: str) -> None:
    assert instant(text) is None


zones = st.one_of(st.none(), st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=zones))  # type: ignore[arg-type]
def test_any_time_is_what_datetime_makes_of_it(time: datetime) -> None:
    read = datetime.fromisoformat(time.isoformat())
    naive = read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read
    assert instant(time.isoformat()) == (naive - EPOCH) // timedelta(microseconds=1)


@given(st.dates())
def test_a_date_is_its_midnight_and_a_month_its_first(day: object) -> None:
    text = str(day)
    midnight = datetime.fromisoformat(text)
    assert instant(text) == (midnight - EPOCH) // timedelta(microseconds=1)
    assert instant(text[:7]) == (midnight.replace(day=1) - EPOCH) // timedelta(microseconds=1)
    assert instant(text[:4]) == (midnight.replace(day=1, month=1) - EPOCH) // timedelta(microseconds=1)


@given(st.dates())
def test_a_date_knows_its_last_instant(day: date) -> None:
    following = {7: date(day.year + day.month // 12, day.month % 12 + 1, 1), 4: date(day.year + 1, 1, 1)} if (
        day.year < 9999
    ) else {}  # fmt: skip
    if day < date.max:
        following[10] = day + timedelta(days=1)
    for size, after in following.items():
        found = instant(str(day)[:size])
        assert found is not None and last_of(found) == (after - EPOCH.date()) // timedelta(microseconds=1) - 1
    exact = instant(f"{day}T00:00:00Z")
    assert exact is not None and last_of(exact) == exact


@given(st.text())
def test_no_text_breaks_the_reading_of_dates(text: str) -> None:
    assert instant(text) is None or text[:4].isdecimal()


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("http://loinc.org", "LOINC"),
        ("https://loinc.org/", "LOINC"),
        ("http://snomed.info/sct", "SNOMED"),
        ("http://snomed.info/sct/731000124108/version/20230901", "SNOMED"),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", "RXNORM"),
        ("http://hl7.org/fhir/sid/cvx", "CVX"),
        ("http://hl7.org/fhir/sid/icd-10-cm", "ICD10CM"),
        ("http://hl7.org/fhir/sid/icd-9-cm", "ICD9CM"),
        ("http://unitsofmeasure.org", "UCUM"),
        ("urn:oid:2.16.840.1.113883.6.96", "SNOMED"),
        ("urn:oid:2.16.840.1.113883.6.238", "CDCREC"),
        ("urn:oid:1.2.3", "1.2.3"),
        (
            "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-d-labitems",
            "mimic.mit.edu/fhir/mimic/CodeSystem/mimic-d-labitems",
        ),
        ("http://acmelabs.org", "acmelabs.org"),
        ("http://x.org/codes?version=2", "x.org/codes"),
        ("http://a.org/labs", "a.org/labs"),  # two hospitals' labs are two systems
        ("https://B.org//labs/", "b.org/labs"),
        ("http://a.org/LOINC", "a.org/LOINC"),
        ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "v3-ActCode"),
        ("urn:oid:1.2.3.4", "1.2.3.4"),
        (None, "LOCAL"),
        ("", "LOCAL"),
    ],
)
def test_systems_have_short_names(uri: str | None, name: str) -> None:
    assert system_name(uri) == name


def test_known_systems_come_before_unknown_ones() -> None:
    ranks = [code_of(uri, "1") for uri in ("http://loinc.org", "http://snomed.info/sct", "http://x.org/own")]
    assert [each[1] for each in ranks if each] == ["LOINC//1", "SNOMED//1", "x.org/own//1"]
    assert [each[0] for each in ranks if each] == sorted(each[0] for each in ranks if each)
    assert code_of("http://loinc.org", None) is None
    assert code_of("http://loinc.org", "") is None


def test_words_become_a_code_of_one_line() -> None:
    assert words_code("Little  Pink\nPill") == "TEXT//Little Pink Pill"
    assert len(words_code("x" * 5000)) == len("TEXT//") + 200


@pytest.mark.parametrize("value", ["7", True, None, 1e39, -1e300, float("nan"), float("inf"), [1], 10**400])
def test_what_float32_cannot_hold_is_no_number(value: object) -> None:
    assert number(value) is None


def test_numbers_and_their_units() -> None:
    assert number(7) == 7.0
    assert isinstance(number(2**60), float)
    ucum = {"unit": "mmHg", "code": "mm[Hg]", "system": "http://unitsofmeasure.org"}
    assert unit_of(ucum) == "mm[Hg]"
    assert unit_of({**ucum, "system": "http://snomed.info/sct", "code": "259018001"}) == "mmHg"
    assert unit_of({"code": "mg"}) == "mg"
    assert unit_of({"value": 1}) is None


def test_attachments_are_decoded_or_said_why_not() -> None:
    coded = base64.b64encode("Überweisung".encode("latin-1")).decode()
    assert attachment_text({"contentType": "text/plain; charset=ISO-8859-1", "data": coded}) == ("Überweisung", None)
    assert attachment_text({"contentType": "text/plain", "data": "SGVs\nbG8="}) == ("Hello", None)
    assert attachment_text({"contentType": "text/plain", "data": coded})[1] == "attachment that cannot be decoded"
    assert attachment_text({"contentType": "text/plain", "data": "*"})[1] == "attachment that cannot be decoded"
    assert attachment_text({"contentType": "text/plain; charset=klingon", "data": "SGVs"})[0] is None
    assert attachment_text({"contentType": "text/plain", "data": ""})[1] == "attachment without data"
    assert attachment_text({"contentType": "application/pdf", "data": "SGVs"})[1] == "attachment that is no text"
    assert attachment_text({"url": "http://x.org/1"})[1] == "attachment without data"
