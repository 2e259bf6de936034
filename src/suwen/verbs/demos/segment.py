"""``demo segment``: organs and nodules drawn on simulated chest CT, from DICOM to files that other systems read."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
from rich.console import Console

from suwen.core.files import write_json
from suwen.core.run import Run
from suwen.simulation.hospital import simulate
from suwen.verbs.finetune import finetune
from suwen.verbs.predict import predict

RECIPE = (
    "data.train=0.7",
    "data.val=0.1",
    "data.test=0.2",
    "inputs.patch=[56, 56, 48]",
    "encoder.options={widths: [12, 24, 48]}",
    "head.options={channels: 12, largest: [heart, liver]}",
    "training.steps=240",
    "training.evaluate_every=10",
    "evaluation.resamples=500",
)
"""Settings of the demo, chosen for two cores and a few minutes."""

SCANS = 24


def segment(*, out: Path, patients: int, seed: int, quiet: bool) -> Path:
    """Simulate scans, fine-tune, judge, and draw one DICOM series; returns the Run's report."""
    began = time.monotonic()
    console, folder = Console(quiet=quiet, highlight=False), out
    console.print("[bold]1 simulate[/]   chest CT of patients who do not exist, as NIfTI and as DICOM series")
    place = folder / "hospital"
    hospital = simulate(patients=patients, seed=seed, out=place, wards=["volumes"], scans=SCANS, progress=not quiet)
    console.print(
        "[bold]2 fine-tune and evaluate[/]   where are the lungs, the heart, the liver, and is there a nodule?"
    )
    run = Run(folder / "run")
    data = hospital / "volumes"
    model = finetune("volume-segmentation", data, set=RECIPE, seed=seed, out=run.path, overwrite=True, quiet=quiet)
    console.print("[bold]3 draw[/]   one DICOM series, as it comes from the scanner")
    series = _series(hospital)
    files = folder / "drawn"
    (answer,) = predict(model, series, out=files, write=("mask", "dicom-seg", "contours", "fhir"))
    write_json(folder / "prediction.json", answer.to_json())
    for label, size in (answer.answer or {}).items():
        console.print(f"  {label:<8} {size['size']:>8.1f} {size['unit']}")
    console.print("  → " + "  ".join(str(Path(file).relative_to(folder)) for file in answer.files))
    console.print(f"\nall done in {time.monotonic() - began:.0f} s\n")
    console.print(f"open    {run.report}")
    console.print("type    suwen finetune volume-segmentation YOUR_FOLDER --out runs/mine")
    console.print("        with YOUR_FOLDER/images/* and YOUR_FOLDER/masks/*: NIfTI, or DICOM series and SEG")
    return run.report


def _series(hospital: Path) -> Path:
    """That of the first patient with a nodule."""
    truth = pd.read_csv(hospital / "truth" / "volumes.csv")
    subject = str(truth.loc[truth["size_mm"].notna(), "subject"].iloc[0])
    return hospital / "volumes" / "series" / subject
