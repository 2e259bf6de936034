"""DICOM headers are read once, and only of files that may be DICOM."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from suwen.data.readers import headers
from suwen.data.readers.headers import read_headers


def test_headers_are_read_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = Path(str(get_testdata_file("MR_small.dcm"))).read_bytes()
    files = ["IM1", "a.png", "b.DCM"]
    for file in files:
        (tmp_path / file).write_bytes(film)
    first = read_headers(files, tmp_path, cache=cache)
    assert {row: found["subject"] for row, found in first.items()} == {0: "4MR1", 2: "4MR1"}
    monkeypatch.setattr(headers, "read_header", lambda path: pytest.fail(f"{path} was read again"))
    assert read_headers(files, tmp_path, cache=cache) == first
