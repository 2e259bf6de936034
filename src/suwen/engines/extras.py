"""Optional packages, asked for where they are needed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from suwen.core.errors import ExtraMissing


def need(feature: str, extra: str, module: str) -> Any:
    """A module of an extra.

    Raises:
        ExtraMissing: it is not installed.
    """
    if find_spec(module) is None:
        raise ExtraMissing(feature, extra)
    return import_module(module)
