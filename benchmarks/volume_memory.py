"""``python -m benchmarks volume-memory``: a 1024 × 1024 × 600 volume, drawn in another process, and its memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import nibabel
import numpy as np
import typer

import suwen
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict

SHAPE = (1024, 1024, 600)
MOST = 3.0
"""GiB; what must be reached."""

SPACING = (3.0, 3.0, 4.0)
"""Of the model, mm."""

CASES = {"mapped": (".nii", 2.0), "compressed": (".nii.gz", 2.0), "full resolution": (".nii", 1.0)}
"""Name → how the volume is stored, and how many of its voxels lie along one of the network's."""

MODEL = (
    "training.steps=null",
    "training.epochs=1",
    "encoder.options={widths: [4, 8]}",
    "head.options={channels: 4}",
    "inputs.patch=[64, 64, 48]",
    f"inputs.spacing={list(SPACING)}",
    "inputs.overlap=0.25",
    "evaluation.resamples=20",
    "data.train=0.6",
    "data.val=0.2",
    "data.test=0.2",
)
"""A small network: memory does not depend on its weights."""

PROGRAM = """
import resource, sys
from suwen.verbs.predict import predict
(answer,) = predict(sys.argv[1], sys.argv[2], out=sys.argv[3])
print(len(answer.files), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def volume_memory(
    quick: Annotated[bool, typer.Option("--quick", help="A volume of 96 x 96 x 64; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of volume-memory.json.")] = RESULTS,
) -> None:
    """Draw five labels on a volume of 629 million voxels: its file, the mask and everything between in memory."""
    shape = (96, 96, 64) if quick else SHAPE
    watch, rows, verdicts, figures = Stopwatch(), [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        suwen.simulate(patients=40, seed=3, out=place / "hospital", wards=["volumes"], scans=6, progress=False)
        data = place / "hospital" / "volumes"
        suwen.finetune("volume-segmentation", data, set=MODEL, out=place / "run", quiet=True)
        for name, (ending, finer) in CASES.items():
            volume = write_volume(place / f"volume{ending}", shape, finer)
            began = time.monotonic()
            said = subprocess.run(
                [sys.executable, "-c", PROGRAM, str(place / "run"), str(volume), str(place / "masks")],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds = time.monotonic() - began
            peak = int(said.stdout.split()[1]) / 2**30
            volume.unlink()
            figures[name] = {"peak_gib": peak, "seconds": seconds}
            grid = " x ".join(str(round(side / finer)) for side in shape)
            rows.append([name, " x ".join(map(str, shape)), grid, f"{peak:.2f}", f"{seconds:.0f}"])
            verdicts.append(
                Verdict(
                    what=f"most memory while a volume of {' x '.join(map(str, shape))} is drawn, {name}",
                    value=f"{peak:.2f} GiB",
                    reach=f"≤ {MOST:g} GiB",
                    met=peak <= MOST,
                )
            )
    result = Result(
        name="volume-memory",
        settings={"shape": list(shape), "model": list(MODEL)},
        columns=["volume", "voxels", "the network sees", "peak (GiB)", "seconds"],
        rows=rows,
        verdicts=verdicts,
        figures=figures,
        notes=["peak: the largest resident set of the whole process, pages of mapped files with it"],
        quick=quick,
    )
    watch.finish(result, results)


def write_volume(path: Path, shape: tuple[int, ...], finer: float) -> Path:
    """int16 values like those of CT, in layers that differ."""
    across = np.hypot(*np.meshgrid(*(np.linspace(-1, 1, side) for side in shape[:2]), indexing="ij"))
    layer = np.where(across < 0.4, -850, np.where(across < 0.8, 40, -1000)).astype(np.int16)
    voxels = np.empty(shape, np.int16, order="F")
    for number in range(shape[2]):
        voxels[:, :, number] = layer + number % 50
    affine = np.diag([*(step / finer for step in SPACING), 1.0])
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path
