from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import FileUnreadable
from suwen.data.records import packed as packed_files
from suwen.data.records.hl7 import files as hl7_files
from suwen.data.records.hl7.files import NOT_ASCII, TOO_LONG, WRONG_BYTES, WRONG_NAME, Bytes, texts
from suwen.data.records.hl7.message import NO_HEADER, NO_SEPARATORS, NULL, NotAMessage, Separators
from suwen.data.records.hl7.times import Times, moment

USUAL = Separators()
MSH = "MSH|^~\\&|LAB|A|EHR|B|20240102030405||ORU^R01^ORU_R01|7|P|2.5.1"
MARKS = "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def separators() -> st.SearchStrategy[Separators]:
    return st.permutations(MARKS).map(lambda marks: Separators(*marks[:5]))


def read(data: bytes, size: int = 1 << 20) -> tuple[list[str], list[tuple[str, int]]]:
    """Texts of the messages, and what was refused, of bytes that come a few at a time."""
    refused: list[tuple[str, int]] = []
    stream = io.BytesIO(data)
    found = texts(lambda _: stream.read(size), lambda reason, number, record: refused.append((reason, number)))
    return [text for _, text in found], refused


def test_separators_are_those_of_the_header() -> None:
    separators = Separators.of("MSH#*!?$#LAB#A#EHR#B#2024##ADT*A01#7")
    assert separators == Separators("#", "*", "!", "?", "$")
    assert separators.parts("17***A*MR") == ["17", "", "", "A", "MR"] and separators.encoding == "*!?$"


def test_a_backslash_that_was_escaped_twice_is_one() -> None:
    assert Separators.of("MSH|^~\\\\&|LAB") == USUAL


def test_a_fifth_character_is_that_of_truncation() -> None:
    assert Separators.of("MSH|^~\\&#|LAB") == USUAL


@pytest.mark.parametrize(
    "header", ["MSHA^~\\&A", "MSH|^^\\&|", "MSH|^|", "MSH||", "MSH", "MSH|^~\\a|", "MSH|^~ &|", "MSH|^|~"]
)
def test_other_separators_are_refused(header: str) -> None:
    with pytest.raises(NotAMessage, match=NO_SEPARATORS):
        Separators.of(header)


def test_a_message_begins_with_its_header() -> None:
    with pytest.raises(NotAMessage, match=NO_HEADER):
        Separators.of("PID|1||17")


def test_deleted_is_not_the_same_as_absent() -> None:
    assert USUAL.value("") is None
    assert USUAL.value('""') is NULL
    assert USUAL.value('"') == '"'
    assert USUAL.first('""^A') == USUAL.first("") == ""


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\F\b", "a|b"),
        (r"\S\\R\\T\\E\F\E\ ", "^~&\\F\\ "),
        (r"mild\.br\severe\.sp2\end", "mild\nsevere\n\nend"),
        (r"\X0D0A\x\XC3A9\y", "\r\nxéy"),
        (r"\XC3A9\ \XE4B8AD\ ", "é 中 "),
        (r"\XFF\ ", r"\XFF\ "),
        (r"\H\bold\N\ \Zmine\ \.in+4\ ", r"\H\bold\N\ \Zmine\ \.in+4\ "),
        ("C:\\no end", "C:\\no end"),
    ],
)
def test_escapes_mean_what_the_standard_says_and_others_stay(raw: str, text: str) -> None:
    assert USUAL.unescaped(raw) == text


@given(st.text(), separators())
def test_what_is_escaped_can_be_unescaped(text: str, marks: Separators) -> None:
    raw = marks.escaped(text)
    assert marks.unescaped(raw) == text
    assert not set(raw) & {marks.field, marks.component, marks.repetition, marks.subcomponent, "\r", "\n"}


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
FIELDS = st.lists(st.lists(WORDS, min_size=1, max_size=3), max_size=5)


def written(segment: list[list[str]], marks: Separators) -> str:
    """A segment of fields, of each its components as plain text; of a header the separators after its name."""
    (name, *encoding), *fields = segment
    texts = [marks.component.join(map(marks.escaped, field)) for field in fields]
    return marks.field.join([name, *encoding, *texts]) + "\r"


@given(FIELDS, st.lists(FIELDS, max_size=4), separators())
def test_a_message_that_is_built_is_read_back(
    header: list[list[str]], others: list[list[list[str]]], marks: Separators
) -> None:
    segments = [[["MSH", marks.encoding], *header], *[[["ZZ1"], *fields] for fields in others]]
    text = "".join(written(segment, marks) for segment in segments)
    ((text,), refused) = read(text.encode())
    assert not refused
    lines = [line for line in text.split("\r") if line]
    rows = [line.split(marks.field) for line in lines]
    assert Separators.of(lines[0]) == marks and rows[0][:2] == ["MSH", marks.encoding]
    found = [[list(map(marks.unescaped, marks.parts(field))) for field in row] for row in rows]
    assert [found[0][0], *found[0][2:]] == [["MSH"], *header]
    assert found[1:] == segments[1:]


def naive(path: Path) -> list[list[str]]:
    """Fields of each segment of a file, read a character at a time, without anything of suwen."""
    separator, rows, field = "", [[""]], 0
    text = path.read_bytes().decode()
    for at, character in enumerate(text):
        if at == 3:
            separator = character
        if character in "\r\n":
            rows.append([""])
            field = 0
        elif character == separator:
            rows[-1].append("")
            field += 1
        else:
            rows[-1][field] += character
    return [row for row in rows if row != [""]]


def test_real_messages_read_as_an_independent_reader_reads_them(shared_data: Path) -> None:
    files = sorted((shared_data / "hl7v2").glob("*.hl7"))
    assert len(files) == 60
    for path in files:
        ((text,), refused) = read(path.read_bytes())
        assert not refused
        separators = Separators.of(text)
        rows = [line.split(separators.field) for line in text.split("\r") if line]
        assert rows == naive(path), path.name
        code = re.search(r"\d\d_([A-Z]+)_", path.name)
        assert code is not None
        assert separators.parts(rows[0][8])[0] == code[1]


TWO = [MSH + "\rPID|1||17\r", MSH.replace("|7|", "|8|") + "\rPID|1||18\r"]


def lines(found: list[str]) -> list[list[str]]:
    return [[line for line in text.split("\r") if line] for text in found]


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text,
        lambda text: text.replace("\r", "\n"),
        lambda text: text.replace("\r", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.removesuffix("\r"),
        lambda text: "\r\n\r\n" + text + "\n\n",
        lambda text: "".join(f"\x0b{each}\x1c\r" for each in TWO),
        lambda text: "".join(f"\x0b{each.removesuffix(chr(13))}\x1c\r\n" for each in TWO),
    ],
)
def test_ends_of_segments_and_frames_do_not_matter(write: Callable[[str], str]) -> None:
    found, refused = read(write("".join(TWO)).encode())
    assert lines(found) == lines(TWO)
    assert not refused


@given(st.integers(1, 40), st.sampled_from(["\r", "\n", "\r\n"]), st.lists(st.sampled_from(TWO), max_size=4))
@settings(max_examples=50)
def test_where_the_reading_is_cut_does_not_matter(size: int, end: str, messages: list[str]) -> None:
    data = "".join(messages).replace("\r", end).encode()
    assert [lines(read(data, size)[0]), read(data, size)[1]] == [lines(messages), []]


def test_what_comes_before_the_first_header_is_counted_and_the_rest_read() -> None:
    found, refused = read(("PID|1||9\rOBX|1\r" + TWO[0]).encode())
    assert lines(found) == lines(TWO[:1])
    assert refused == [(NO_HEADER, 0)]
    assert read(b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + TWO[0].encode())[1] == []
    assert read(b"") == ([], [])


def encoded(name: str, words: bytes) -> bytes:
    return (MSH + "|" * 6 + name).encode() + b"\rPID|1||17||" + words + b"\r"


@pytest.mark.parametrize(
    ("name", "words", "text"),
    [
        ("", "é 中".encode(), "é 中"),
        ("UNICODE UTF-8", "é 中".encode(), "é 中"),
        ("8859/1", b"M\xfcller", "Müller"),
        ("8859/2", b"\xb1", "ą"),
        # characters whose second byte is that of a vertical bar, of a backslash
        ("GB 18030-2000", b"\x81\x7c", b"\x81\x7c".decode("gb18030")),
        ("BIG-5", b"\xb3\x5c", "許"),
        ("~ISO IR87", "山田".encode("iso2022_jp"), "山田"),
    ],
)
def test_characters_are_those_of_msh_18(name: str, words: bytes, text: str) -> None:
    (found,), refused = read(encoded(name, words))
    assert found.split("\r")[1] == "PID|1||17||" + text
    assert not refused


@pytest.mark.parametrize(
    ("name", "words", "reason", "kept"),
    [
        ("", b"M\xfcller", WRONG_BYTES, 1),
        ("UNICODE UTF-8", b"M\xfcller", WRONG_BYTES, 1),
        ("KLINGON", b"M\xfcller", WRONG_NAME, 1),
        ("ASCII", b"M\xfcller", NOT_ASCII, 2),
        ("ASCII", "Müller".encode(), NOT_ASCII, 2),
    ],
)
def test_bytes_of_another_encoding_are_counted_and_never_replaced(
    name: str, words: bytes, reason: str, kept: int
) -> None:
    found, refused = read(encoded(name, words) + TWO[0].encode())
    assert refused == [(reason, 1)]
    assert len(found) == kept
    assert "\ufffd" not in "".join(found)
    assert kept == 1 or "Müller" in found[0]


def test_a_message_too_long_to_hold_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hl7_files, "LONGEST", 2000)
    long = MSH + "\rOBX|1|TX|||" + "word " * 5000 + "\r"
    found, refused = read((TWO[0] + long + TWO[1]).encode(), 100)
    assert lines(found) == lines(TWO)
    assert [reason for reason, _ in refused] == [TOO_LONG]


def test_a_large_file_is_never_held_whole() -> None:
    message, many = TWO[0].encode(), 300_000
    chunks = iter([message * 10_000] * (many // 10_000))
    longest = count = 0
    for block, _last in hl7_files._blocks(lambda _: next(chunks, b"")):
        assert block is not None
        longest, count = max(longest, len(block)), count + block.count(b"MSH|")
    assert count == many
    assert longest <= len(message) * 10_001 + 1


def whole(path: Path) -> bytes:
    with Bytes(path) as stream:
        return b"".join(iter(lambda: stream.read(1 << 16), b""))


def test_gzip_is_expanded_and_damage_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    data = "".join(TWO * 1000).encode()
    path = tmp_path / "feed.hl7.gz"
    path.write_bytes(gzip.compress(data) + gzip.compress(data))
    assert whole(path) == data + data
    path.write_bytes(gzip.compress(data)[:-20])
    with pytest.raises(FileUnreadable, match=r"feed\.hl7\.gz"):
        whole(path)


def test_a_gzip_file_that_grows_beyond_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_files, "UNSUSPECTED", 1 << 20)
    path = tmp_path / "bomb.hl7.gz"
    path.write_bytes(gzip.compress(b"\0" * (1 << 24)))
    with pytest.raises(FileUnreadable, match=r"bomb\.hl7\.gz: .* bytes become"):
        whole(path)


def test_utf_16_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "wide.hl7"
    path.write_bytes(TWO[0].encode("utf-16"))
    with pytest.raises(FileUnreadable, match="iconv"):
        whole(path)


def seconds(text: str, zone: int | None = None) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=moment(text, zone))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1987", datetime(1987, 1, 1)),
        ("198706", datetime(1987, 6, 1)),
        ("19870622", datetime(1987, 6, 22)),
        ("1987062213", datetime(1987, 6, 22, 13)),
        ("198706221305", datetime(1987, 6, 22, 13, 5)),
        ("19870622130559", datetime(1987, 6, 22, 13, 5, 59)),
        ("19870622130559.5", datetime(1987, 6, 22, 13, 5, 59, 500_000)),
        ("19870622130559.123456789", datetime(1987, 6, 22, 13, 5, 59, 123_456)),
        ("20160106165800070+0000", datetime(2016, 1, 6, 16, 58, 0, 70_000)),
        ("20160701123030-0700", datetime(2016, 7, 1, 19, 30, 30)),
        ("201607012330+0545", datetime(2016, 7, 1, 17, 45)),
        ("20160701-0700", datetime(2016, 7, 1)),
        ("20161231235960", datetime(2017, 1, 1)),
    ],
)
def test_times_of_any_precision(text: str, expected: datetime) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "0000",
        "19870631",
        "1987062224",
        "198706221360",
        "2016-01-06",
        "198",
        "19870",
        "２０１６",
        "20160701123030+9900",
        "S1",
    ],
)
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(ValueError):
        moment(text)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-12 * 60, 14 * 60))
def test_offsets_are_those_of_the_standard_library(time: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    sign, away = "-" if minutes < 0 else "+", abs(minutes)
    text = f"{time.year:04}{time:%m%d%H%M%S.%f}"
    utc = time.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
    assert seconds(f"{text}{sign}{away // 60:02}{away % 60:02}") == utc
    assert seconds(text, minutes) == utc
    assert seconds(text) == time


def test_a_date_is_never_moved_and_a_time_of_day_by_its_own_zone_first() -> None:
    unreadable: list[str] = []
    times = Times("^", -7 * 60, unreadable.append)
    assert times["19870622"] == moment("19870622")
    assert times["198706221300"] == moment("198706222000")
    assert times["198706221300+0000"] == moment("198706221300")
    assert times["19870622^D"] == moment("19870622")
    assert [times[""], times['""'], times["never"], times["never"]] == [None] * 4
    assert unreadable == ["never", "never"]
    assert (times.local, times.zoned) == (0, 2)
