"""`Exports`: the exported files of a Run, each with a record of what it was made from."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from suwen.core.errors import RunError
from suwen.core.files import write_json
from suwen.core.run import Run, digest_of

FORMAT = 1


class Exports:
    """The folder ``RUN/engines``: ``NAME.json``, and the files it names.

    The record is written last and names its files by their content, so an export that is interrupted at any moment
    leaves the one before it whole.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.folder = run, run.engines

    def names(self) -> list[str]:
        """Of the exports that are there, stale or not."""
        return sorted(path.stem for path in self.folder.glob("*.json") if "file" in read_json(path))

    def record(self, name: str) -> dict[str, Any]:
        """What was written about an export.

        Raises:
            RunError: it is not there, damaged, or made from other weights than the Run has now.
        """
        again = f"suwen export {self.run.path} --to {name.partition('-')[0]}"
        path = self.folder / f"{name}.json"
        record = read_json(path)
        if "file" not in record:
            there = ", ".join(self.names()) or "none"
            raise RunError(f"{self.run.path} has no export {name!r}", why=f"exports that are there: {there}", fix=again)
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
        self._tidy()
        return record

    def size(self, name: str) -> int:
        """Bytes of an export's files."""
        return sum((self.folder / file).stat().st_size for file in read_json(self.folder / f"{name}.json")["files"])

    def _tidy(self) -> None:
        """Drop the files that no record names: of earlier exports, and of interrupted ones."""
        named = {file for path in self.folder.glob("*.json") for file in read_json(path).get("files", {})}
        for path in self.folder.iterdir():
            if path.is_file() and path.suffix != ".json" and path.name not in named:
                path.unlink()


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty where there is none."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(
            f"{path} is not JSON ({error})", why="it is truncated or edited", fix=f"delete {path.parent}, export again"
        ) from error
    return content if isinstance(content, dict) else {}
