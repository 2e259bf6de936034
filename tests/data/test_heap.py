from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
from pathlib import Path
from suwen.data.heap import give_back

def resident():
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return next(int(words[1]) for words in lines if words[0] == "VmRSS:")

pieces = [bytes(1000 + number % 50) for number in range(100_000)]
kept = pieces[::997]
del pieces
before = resident()
give_back()
print(before - resident(), len(kept))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pieces_that_were_freed_among_some_that_are_kept_go_back_to_the_system() -> None:
    """100 MB of small pieces, a hundred of which stay: without it glibc holds all of them."""
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert int(said.split()[0]) > 50_000, "KiB"
