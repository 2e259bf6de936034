"""``demo``: suwen on the virtual hospital, no download. Each demo is a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from suwen.core.errors import NameUnknown
from suwen.verbs.demos.chain import chain
from suwen.verbs.demos.foundation import foundation
from suwen.verbs.demos.records import records
from suwen.verbs.demos.segment import segment


@dataclass(frozen=True, kw_only=True)
class Demo:
    """One row.

    Attributes:
        summary: one line.
        run: simulates, shows, and returns the report to open.
        patients: how many, unless told.
        out: folder, unless told.
    """

    summary: str
    run: Callable[..., Path]
    patients: int
    out: str


DEMOS: dict[str, Demo] = {
    "chain": Demo(
        summary="films with labels → fine-tune, evaluate, explain, report", run=chain, patients=1000, out="demo"
    ),
    "foundation": Demo(
        summary="pretrain without labels, adapt with 50, beside training from scratch; explain, export, time",
        run=foundation,
        patients=1500,
        out="demo-foundation",
    ),
    "segment": Demo(
        summary="organs and nodules on chest CT, from DICOM series to masks, SEG, contours and FHIR",
        run=segment,
        patients=120,
        out="demo-segment",
    ),
    "records": Demo(
        summary="health records from FHIR to predictions, beside the best that anybody could do",
        run=records,
        patients=1000,
        out="demo-records",
    ),
}


def demo(
    name: str = "chain",
    *,
    out: str | Path | None = None,
    patients: int | None = None,
    seed: int = 7,
    quiet: bool = False,
) -> Path:
    """Show what suwen does, on a hospital whose patients do not exist.

    Args:
        name: a row of `DEMOS`: ``"chain"``, ``"foundation"``, ``"segment"`` or ``"records"``.
        out: folder for the hospital and the Runs; the demo's own unless given.
        patients: how many to simulate.
        seed: of the hospital and of the Runs.
        quiet: print nothing.

    Returns:
        The report to open.

    Raises:
        NameUnknown: there is no such demo.
    """
    if name not in DEMOS:
        raise NameUnknown("demo", name, DEMOS, fix="suwen demo, suwen demo foundation, suwen demo segment …")
    row = DEMOS[name]
    return row.run(out=Path(out or row.out), patients=patients or row.patients, seed=seed, quiet=quiet)
