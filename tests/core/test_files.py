from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from suwen.core.errors import SuwenError
from suwen.core.files import atomic_folder, atomic_path, write_json, write_text


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_in_safetensors(*_: Any, **__: Any) -> Any:
    raise SafetensorError(f"Error while serializing: I/O error: No space left on device (os error {errno.ENOSPC})")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.json"
    path.write_text('{"auroc": 0.9}')
    return path


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_makes_the_folders_it_needs_and_obeys_the_umask(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "素问\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_text(encoding="utf-8") == "素问\n"
    (tmp_path / "plain").touch()
    assert (tmp_path / "a" / "b" / "c.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert left_in(tmp_path / "a" / "b") == ["c.txt"]


@pytest.mark.parametrize("place", [(os, "fsync"), (Path, "replace"), (Path, "write_text"), (tempfile, "mkstemp")])
def test_when_the_disk_is_full_the_old_file_stays_and_the_error_says_what_to_do(
    old: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str]
) -> None:
    monkeypatch.setattr(*place, full)
    with pytest.raises(SuwenError, match="disk is full") as refused:
        write_text(old, "new")
    monkeypatch.undo()
    assert str(old) in refused.value.seen and str(old.parent) in refused.value.fix
    assert old.read_text() == '{"auroc": 0.9}'
    assert left_in(old.parent) == ["metrics.json"]


def test_safetensors_say_in_words_that_the_disk_is_full(old: Path) -> None:
    with pytest.raises(SuwenError, match="disk is full"), atomic_path(old):
        full_in_safetensors()
    assert old.read_text() == '{"auroc": 0.9}'


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "no"), SafetensorError("broken"), KeyboardInterrupt(), KeyError("x")]
)
def test_any_other_failure_passes_unchanged_and_the_old_file_stays(old: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, atomic_path(old) as temporary:
        temporary.write_text("half")
        raise error
    assert raised.value is error
    assert old.read_text() == '{"auroc": 0.9}' and left_in(old.parent) == ["metrics.json"]


def test_a_process_killed_while_it_writes_leaves_the_old_file(old: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from suwen.core.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half of the new')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", script, str(old)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert old.read_text() == '{"auroc": 0.9}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"deep": [1.0, float("nan")]}])
def test_json_never_holds_what_is_not_json(old: Path, value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(old, value)
    assert json.loads(old.read_text()) == {"auroc": 0.9}


def test_json_keeps_words_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"label": "肺炎"})
    assert "肺炎" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_a_folder_takes_its_place_when_all_of_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a.txt").write_text("a")
        assert not left_in(tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert left_in(tmp_path / "out") == ["a.txt"] and left_in(tmp_path) == ["out", "plain"]
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_nothing_is_left_of_a_folder_that_did_not_become_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="odd"), atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a.txt").write_text("a")
        raise ValueError("odd")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SuwenError, match="disk is full"), atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a.txt").write_text("a")
    assert left_in(tmp_path) == []
    monkeypatch.undo()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OSError, match="not empty"), atomic_folder(tmp_path / "out"):
        pass
    assert left_in(tmp_path / "out") == ["mine.txt"] and left_in(tmp_path) == ["out"]
