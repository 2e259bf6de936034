"""What the README shows works as shown, and both languages show the same."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_both_languages_show_the_same_code() -> None:
    assert blocks(ENGLISH, r"\w*") == blocks(CHINESE, r"\w*")


def test_links_and_pictures_exist() -> None:
    for page in (ENGLISH, CHINESE):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (ROOT / target).exists(), f"{page.name} points at {target}"


@pytest.mark.slow
def test_the_commands_and_the_python_run_as_shown(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for line in "".join(blocks(ENGLISH, "bash")).splitlines():
        program, *words = shlex.split(line)
        assert program == "suwen"
        said = subprocess.run([sys.executable, "-m", "suwen", *words], cwd=tmp_path, capture_output=True, text=True)
        assert said.returncode == 0, f"{line}\n{said.stdout}\n{said.stderr}"
    for made in ("runs/films/report.html", "why.png", "report/report.html", "report/metrics.json"):
        assert (tmp_path / made).is_file(), made
    for program in blocks(ENGLISH, "python"):
        said = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
