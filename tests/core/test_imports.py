"""Listing things must be instant, so the contract imports no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

CORE = """
import importlib, pkgutil, sys, suwen, suwen.core
names = [found.name for found in pkgutil.walk_packages(suwen.core.__path__, "suwen.core.")]
assert len(names) > 10, names
for name in names:
    importlib.import_module(name)
"""
COMMAND = """
import sys
from suwen.cli.main import app
try:
    app({arguments!r})
except SystemExit as left:
    assert not left.code, left.code
"""
CHECK = """
heavy = {"torch", "timm", "torchvision", "sklearn", "pandas", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "script",
    [CORE, *(COMMAND.format(arguments=arguments) for arguments in (["--help"], ["tasks"], ["encoders"]))],
    ids=["core", "help", "tasks", "encoders"],
)
def test_nothing_heavy_is_imported(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script + CHECK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
