"""The headers of many DICOM files, read once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suwen.data.contents import FileTable, stamp
from suwen.data.dicom import read_header
from suwen.data.progress import track

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima", ""})
"""Names under which DICOM files are looked for. Scanners write them without a suffix."""


def read_headers(names: Sequence[str], root: Path, *, cache: Path | None = None) -> dict[int, dict[str, Any]]:
    """Position → `read_header` of the DICOM files among `names`. Unchanged files are read only the first time."""
    candidates = [row for row, name in enumerate(names) if suffix(name) in DICOM_SUFFIXES]
    if not candidates:
        return {}
    headers: dict[int, dict[str, Any]] = {}
    with FileTable("headers", cache) as table:
        for row in track(candidates, "Reading DICOM headers", len(candidates)):
            file = root / names[row]
            known = table.get(file)
            when = stamp(file)
            header = read_header(file) if known is None else json.loads(known)
            if known is None:
                table.add(file, when, json.dumps(header).encode())
            if header:
                headers[row] = header
    return headers


def suffix(name: str) -> str:
    """The ending of a file name as `PurePath.suffix` has it, in lower case, without making a path."""
    last = name.rpartition("/")[2]
    dot = last.rfind(".")
    return last[dot:].lower() if 0 < dot < len(last) - 1 else ""
