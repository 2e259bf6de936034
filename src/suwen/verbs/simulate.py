"""``simulate``: the virtual hospital."""

from __future__ import annotations

from suwen.simulate.hospital import simulate as simulate
