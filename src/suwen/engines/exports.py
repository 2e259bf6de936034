"""`Exports`: the exported files of a Run, each with a record of what it was made from."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from suwen.core.errors import RunError
from suwen.core.files import write_json
from suwen.core.run import Run, digest_of
from suwen.engines.table import ENGINES

FORMAT = 1

TIMING = "timing.json"
"""Beside the records: how fast each engine was on this machine."""


class Exports:
    """The folder ``RUN/engines``: ``NAME.json``, and the files it names.

    The record is written last and names its files by their content, so an export that is interrupted at any moment
    leaves the one before it whole.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.folder = run, run.engines

    def names(self) -> list[str]:
        """Of the exports that are there, stale, damaged or not."""
        return sorted(path.stem for path in self.folder.glob("*.json") if path.name != TIMING)

    def record(self, name: str) -> dict[str, Any]:
        """What was written about an export.

        Raises:
            RunError: it is not there, damaged, or made from other weights than the Run has now.
        """
        again = f"suwen export {self.run.path} {ENGINES[name].option if name in ENGINES else '--to onnx'}"
        path = self.folder / f"{name}.json"
        if not path.is_file():
            there = ", ".join(self.names()) or "none"
            raise RunError(f"{self.run.path} has no export {name!r}", why=f"exports that are there: {there}", fix=again)
        record = read_json(path, fix=again)
        if missing := [key for key in ("file", "files", "source") if not record.get(key)]:
            raise RunError(f"{path} lacks {', '.join(missing)}", why="it is truncated or edited", fix=again)
        if record.get("format") not in range(1, FORMAT + 1):
            raise RunError(
                f"{path} has format {record.get('format')!r}; this suwen reads up to {FORMAT}",
                why="it was written by another version",
                fix=f"pip install --upgrade suwen; or {again}",
            )
        if record["source"] != self.run.source_digest():
            raise RunError(
                f"{path} was made from other weights or settings than {self.run.path} has now",
                why="its answers would be another model's",
                fix=again,
            )
        for file, digest in record["files"].items():
            target = self.folder / file
            if not target.is_file() or digest_of(target) != digest:
                raise RunError(
                    f"{target} is missing or not the file that {path.name} describes",
                    why="answers from a damaged file look like answers",
                    fix=again,
                )
        return record

    def file(self, name: str) -> Path:
        """The file to open, checked as by `record`."""
        return self.folder / str(self.record(name)["file"])

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder on the same disk to make files in; whatever is left in it is thrown away."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".making-", dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(self, name: str, made: Path, facts: dict[str, Any]) -> dict[str, Any]:
        """Take a made file, and those beside it of the same stem, as the export `name` in place of an earlier one."""
        mark = digest_of(made)[:12]
        kept: dict[str, str] = {}
        for part in sorted(made.parent.glob(f"{made.stem}.*")):
            target = self.folder / f"{name}-{mark}{part.suffix}"
            digest = digest_of(part)
            part.replace(target)
            kept[target.name] = digest
        record = {
            "format": FORMAT,
            "name": name,
            "file": f"{name}-{mark}{made.suffix}",
            "files": kept,
            "source": self.run.source_digest(),
            **facts,
        }
        write_json(self.folder / f"{name}.json", record)
        self._tidy(name, kept)
        return record

    def size(self, name: str) -> int:
        """Bytes of an export's files."""
        return sum((self.folder / file).stat().st_size for file in self.record(name)["files"])

    def _tidy(self, name: str, kept: dict[str, str]) -> None:
        """Drop what was made under this name and is no longer named: earlier exports, and interrupted ones."""
        ours = re.compile(rf"{re.escape(name)}-[0-9a-f]{{12}}\.\w+")
        for path in self.folder.iterdir():
            if ours.fullmatch(path.name) and path.name not in kept:
                path.unlink()


def read_json(path: Path, *, fix: str) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        RunError: it is not one.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path} is not JSON ({error})", why="it is truncated or edited", fix=fix) from error
    if not isinstance(content, dict):
        raise RunError(f"{path} holds a {type(content).__name__}, no record", why="it was edited", fix=fix)
    return content
