"""``simulate``: the virtual hospital."""

from __future__ import annotations

from suwen.simulation.hospital import simulate as simulate
