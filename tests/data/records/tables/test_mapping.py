from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import DataError
from suwen.data.records.events import number_of
from suwen.data.records.tables.mapping import (
    MISSING,
    SHIPPED,
    Mapping,
    Time,
    columns_in,
    mapping_of,
    pieces,
    read_mapping,
    shipped,
)
from suwen.data.records.tables.rows import NO_SUBJECT, NOTHING, Rows
from suwen.data.records.tables.times import formatted, moments

LABS = """
name: labs
tables:
  - files: labs.csv
    subject: patient
    time: taken
    events:
      - {code: "LAB//{test}", value: result, unit: "{unit}"}
"""


def refused(text: str) -> DataError:
    with pytest.raises(DataError) as error:
        mapping_of(text, "labs.yaml")
    return error.value


def rows_of(columns: dict[str, list[str | None]], table: str) -> Rows:
    mapping = mapping_of(f"name: t\ntables:\n  - {{files: t.csv, {table}}}")
    batch = pa.RecordBatch.from_pydict({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return Rows(batch, mapping.tables[0], mapping.missing)


def events_of(rows: Rows) -> list[dict[str, object]]:
    found = [table for rule in rows.table.rules() for table in rows.events(rule, {})]
    return [row for table in found for row in table.to_pylist()]


def test_every_mapping_that_comes_with_suwen_says_where_its_columns_are_and_on_what_it_was_tested() -> None:
    assert shipped() == ["mimic3", "mimic4", "nhanes1", "physionet2012", "pima", "sepsis2019", "synthea", "yaib"]
    for name in shipped():
        mapping = read_mapping(SHIPPED / f"{name}.yaml")
        assert mapping.documented and mapping.tested and mapping.summary


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_one() -> None:
    error = refused(LABS.replace("unit:", "unti:"))
    assert "labs.yaml, line 8" in error.seen and "unti" in error.why and error.fix == "did you mean unit?"


def test_a_key_that_is_there_twice_is_refused_with_both_lines() -> None:
    error = refused(LABS.replace("    time: taken\n", "    time: taken\n    subject: other\n"))
    assert "line 7" in error.seen and "subject is there twice" in error.seen and "line 5" in error.fix


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("taken", '{column: taken, format: "%H:%M"}', "the format '%H:%M' does not say the year"),
        ("taken", "{column: taken, format: day}", "the format 'day' does not say the year"),
        ("taken", "{column: taken, unit: hours}", "it is not said since when"),
        ("taken", "{column: taken, unit: hours, since: 2000-13-01}", "2000-13-01 is no time"),
        ("taken", "{format: '%Y'}", "either column: or at:"),
        ('"LAB//{test}"', '"LAB//{test"', "a brace without a partner"),
        ('"LAB//{test}"', '"LAB//{}"', "names no column"),
        ("    time: taken\n", "", "has no time"),
        ("    time: taken\n", "    time: taken\n    join: {items: test}\n", "items is no lookup"),
        ("value: result", "value: result, melt: [a]", "melt: already says"),
        ("value: result", "value: result, or_text: perhaps", "valid boolean"),
        ("    subject: patient\n", "", "subject is missing"),
    ],
)
def test_what_cannot_be_is_refused_and_said(old: str, new: str, said: str) -> None:
    error = refused(LABS.replace(old, new, 1))
    assert said in str(error) and "labs.yaml, line" in error.seen


def test_a_column_that_a_lookup_does_not_have_is_refused_with_those_that_it_has() -> None:
    text = LABS.replace("tables:", "lookups:\n  items: {files: i.csv, key: test, columns: label}\ntables:")
    text = text.replace("    time: taken\n", "    time: taken\n    join: {items: test}\n")
    error = refused(text.replace('unit: "{unit}"', 'description: "{items.lable}"'))
    assert "items.lable: the lookup items has label" in error.seen


def test_no_yaml_is_refused_with_the_line() -> None:
    assert "line 3" in refused("name: x\ntables:\n  - {files: [a, b}\n").seen


def test_yaml_makes_no_objects_and_takes_words_as_they_are_written() -> None:
    mapping = mapping_of(LABS.replace("subject: patient", "subject: NO\n    missing: {result: [-1, NO, 00:30, 007]}"))
    assert mapping.tables[0].subject == "NO" and mapping.tables[0].missing["result"] == ("-1", "NO", "00:30", "007")
    tagged = mapping_of(
        LABS.replace("subject: patient", 'subject: !!python/object/apply:os.system ["true"]').replace(
            '["true"]', "true"
        )
    )
    assert tagged.tables[0].subject == "true"


NAMES = st.text("abcXYZ0129 _-.|€中", min_size=1, max_size=8).filter(
    lambda name: name.strip() == name and "|" not in name
)
TEXTS = st.text("abc/:-_ 中", max_size=6)


@given(st.lists(st.tuples(TEXTS, NAMES, st.none() | TEXTS), max_size=4), TEXTS)
def test_a_template_is_its_texts_and_columns_in_order(steps: list[tuple[str, str, str | None]], tail: str) -> None:
    template = (
        "".join(f"{text}{{{name}{'' if default is None else '|' + default}}}" for text, name, default in steps) + tail
    )
    assert columns_in(template) == [name for _, name, _ in steps]
    assert (
        "".join(piece.text or "#" for piece in pieces(template)) == "".join(f"{text}#" for text, _, _ in steps) + tail
    )
    assert [piece.default for piece in pieces(template) if piece.column] == [default for _, _, default in steps]


VALUES = st.none() | st.sampled_from(["", " ", "-1", "-1.0", "0", "7", "x", "NA", "NaN", " 7 ", "1e2", "中"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=12), st.booleans())
def test_events_are_those_of_reading_row_by_row(cells: list[tuple[str | None, ...]], or_text: bool) -> None:
    rows = rows_of(
        {"who": [row[0] for row in cells], "test": [row[1] for row in cells], "result": [row[2] for row in cells]},
        "subject: who, time: {at: 2000-01-01}, missing: {result: [-1]}, "
        f'events: [{{code: "L//{{test|none}}", value: result, or_text: {str(or_text).lower()}}}]',
    )
    wanted, rejected = [], 0
    for row in cells:
        who, test, result = (None if cell is None or cell.strip() in MISSING else cell.strip() for cell in row)
        result = None if result in ("-1", "-1.0") else result
        number = None if result in (None, "NA") else float(result) if result not in ("x", "中") else None
        text = result if result in ("x", "中") else None
        if who is None or (text is not None and not or_text):
            rejected += 1
        else:
            wanted.append((number_of(who), f"L//{test or 'none'}", number, text))
    found = events_of(rows)
    assert [(row["subject_id"], row["code"], row["numeric_value"], row["text_value"]) for row in found] == wanted
    assert sum(len(where) for _, where in rows.refusals()) == rejected and len(wanted) + rejected == len(cells)


@given(st.lists(st.lists(st.sampled_from(["", "1", "2.5"]), min_size=3, max_size=3), min_size=1, max_size=8))
def test_melted_columns_are_an_event_each_with_their_unit(cells: list[list[str]]) -> None:
    rows = rows_of(
        {name: [row[place] for row in cells] for place, name in enumerate(["hr", "bp sys", "ph"])}
        | {"who": ["3"] * len(cells)},
        'subject: who, events: [{code: "V//{column}", static: true, melt: {hr: /min, bp sys: mm, ph: ""}}]',
    )
    found = {(row["code"], row["unit"], row["numeric_value"]) for row in events_of(rows)}
    units = {"hr": "/min", "bp sys": "mm", "ph": None}
    columns = dict(zip(units, zip(*cells, strict=True), strict=True))
    assert found == {(f"V//{name}", units[name], float(cell)) for name in units for cell in columns[name] if cell}
    empty = sum(not any(row) for row in cells)
    assert [(reason, len(where)) for reason, where in rows.refusals()] == ([(NOTHING, empty)] if empty else [])


def test_conditions_are_columns_that_are_something_or_empty() -> None:
    rows = rows_of(
        {"who": ["1", "2", "3", "4"], "a": ["x", "y", "", "x"], "b": ["", "", "", "1"]},
        "subject: who, reject: [{when: {b: 1}, reason: an error}], "
        'events: [{code: X, static: true, when: {a: [x, ""]}}, '
        "{code: Y, static: true, needs: a, unless: {a: x}}]",
    )
    assert [(row["subject_id"], row["code"]) for row in events_of(rows)] == [(1, "X"), (3, "X"), (2, "Y")]
    assert [(reason, where.tolist()) for reason, where in rows.refusals()] == [("an error", [3])]


def test_a_row_that_gave_something_is_only_a_part_refused() -> None:
    rows = rows_of(
        {"who": ["1", "2", ""], "hr": ["70", "seventy", "1"], "born": ["1990-01-01", "1990-01-01", "1990-01-01"]},
        "subject: who, events: [{code: BORN, time: born}, {code: HR, value: hr, time: born}]",
    )
    assert len(events_of(rows)) == 3
    assert {reason: where.tolist() for reason, where in rows.refusals()} == {
        NO_SUBJECT: [2],
        "part of a row: not a number: hr": [1],
    }


def test_intervals_begin_and_end_and_one_that_ends_before_it_begins_only_begins() -> None:
    rows = rows_of(
        {"who": ["1"] * 3, "a": ["2000-01-02"] * 3, "b": ["2000-01-03", "", "2000-01-01"], "n": ["5", "5", "5"]},
        "subject: who, time: a, events: [{code: X, end: b, end_value: n}]",
    )
    found = [(row["code"], row["time"], row["numeric_value"]) for row in events_of(rows)]
    assert found == [("X//START", datetime(2000, 1, 2), None)] * 3 + [("X//END", datetime(2000, 1, 3), 5)]
    assert [reason for reason, _ in rows.refusals()] == ["part of a row: ends before it begins"]


def test_an_event_is_never_available_before_it_happens_and_an_unreadable_available_time_is_not_taken_for_now() -> None:
    rows = rows_of(
        {"who": ["1"] * 4, "a": ["2000-01-02"] * 4, "k": ["2000-01-01", "2000-01-05", "", "soon"]},
        "subject: who, time: a, available: k, events: [{code: X}]",
    )
    assert [row["available_time"] for row in events_of(rows)] == [None, datetime(2000, 1, 5), None]
    assert {reason: where.tolist() for reason, where in rows.refusals()} == {"time does not parse: k": [3]}


def test_a_time_format_that_no_value_follows_is_an_error_that_shows_one() -> None:
    rows = rows_of(
        {"who": ["1"] * 12, "a": ["2000-01-02"] * 12},
        'subject: who, time: {column: a, format: "%d.%m.%Y"}, events: [{code: X}]',
    )
    with pytest.raises(DataError, match=r"a has '2000-01-02', which is not %d\.%m\.%Y"):
        events_of(rows)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))
def test_formats_are_read_as_strptime_reads_them(time: datetime) -> None:
    for given_ in ("%d.%m.%Y %H:%M", "%Y%m%d", "%m/%d/%Y"):
        text = time.strftime(given_)
        assert formatted(pa.array([text]), given_)[0].as_py() == datetime.strptime(text, given_)


def test_days_that_the_calendar_does_not_have_are_no_times() -> None:
    found = formatted(pa.array(["31.02.2000", "29.02.2000", "1.2.2000", "29.02.1999", None, "x"]), "%d.%m.%Y")
    assert found.to_pylist() == [None, datetime(2000, 2, 29), datetime(2000, 2, 1), None, None, None]


@given(st.floats(-1e6, 1e6, allow_nan=False))
def test_hours_count_from_the_beginning(hours: float) -> None:
    rows = rows_of({"who": ["1"], "h": [repr(hours)]}, "subject: who, events: [{code: X, static: true}]")
    found = moments(rows, (Time(column="h", unit="hours", since="2000-01-01"),)).values[0].as_py()
    assert abs(found - (datetime(2000, 1, 1) + timedelta(hours=hours))) <= timedelta(microseconds=2)


def test_clocks_that_go_on_after_a_day_a_sign_and_the_end_of_a_day() -> None:
    columns = {"c": ["47:30", "00:07", "7:99"], "y": ["1", "-2", "-0.0"], "d": ["2000-01-02", "", "x"]}
    rows = rows_of({"who": ["1"] * 3, **columns}, "subject: who, events: [{code: X, static: true}]")
    clock = moments(rows, (Time(column="c", unit="hours:minutes", since="2000-01-01"),))
    assert clock.values.to_pylist() == [datetime(2000, 1, 2, 23, 30), datetime(2000, 1, 1, 0, 7), None]
    assert clock.bad["c"].tolist() == [False, False, True]
    minus = moments(rows, (Time(column="y", unit="days", since="2000-01-01", sign="-"),))
    assert minus.values.to_pylist() == [None, datetime(2000, 1, 3), datetime(2000, 1, 1)] and not minus.bad
    day = moments(rows, (Time(column="d", end_of_day=True), Time(at="1999-01-01")))
    assert day.values.to_pylist() == [
        datetime(2000, 1, 2, 23, 59, 59, 999999),
        datetime(1999, 1, 1),
        datetime(1999, 1, 1),
    ]


def test_a_mapping_changes_its_digest_with_anything_in_it() -> None:
    one, other = mapping_of(LABS), mapping_of(LABS.replace("result", "value"))
    assert isinstance(one, Mapping) and one.digest == mapping_of(LABS).digest != other.digest


def test_the_example_in_the_documentation_is_a_mapping() -> None:
    from suwen.data.records.tables import mapping as module

    text = (module.__doc__ or "").split("\n\n")[1]
    assert mapping_of("\n".join(line[4:] for line in text.splitlines())).tables[0].separator == ","
