"""The headers of many DICOM files, read once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suwen.data.contents import FileTable, stamp
from suwen.data.dicom import read_header
from suwen.data.progress import track

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima", ""})
"""Names under which DICOM files are looked for. Scanners write them without a suffix."""


def read_headers(files: Sequence[Path], *, cache: Path | None = None) -> list[dict[str, Any]]:
    """`read_header` of each file, empty for files that are not DICOM. Unchanged files are read only the first time."""
    candidates = [file for file in files if file.suffix.lower() in DICOM_SUFFIXES]
    if not candidates:
        return [{} for _ in files]
    table = FileTable(candidates, "headers", cache)
    headers: dict[Path, dict[str, Any]] = {}
    for file in track(candidates, "Reading DICOM headers", len(candidates)):
        known = table.get(file)
        if known is None:
            when, known = stamp(file), read_header(file)
            table.add(file, when, known)
        headers[file] = known
    table.save()
    return [dict(headers.get(file, {})) for file in files]
