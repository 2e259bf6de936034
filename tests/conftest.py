"""Fixtures every room shares."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real public data, kept beside the checkout (see CONTRIBUTING.md); tests skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data not found at {SHARED}: see CONTRIBUTING.md, 'Real data'")
    return SHARED
