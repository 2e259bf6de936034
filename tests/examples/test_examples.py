"""Every example runs as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert '"answer"' in said.stdout or "'answer'" in said.stdout
