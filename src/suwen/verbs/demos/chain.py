"""``demo``: the whole chain on the virtual hospital, from films to a report."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
from rich.console import Console

from suwen.core.files import write_json
from suwen.core.run import Run
from suwen.simulation.hospital import simulate
from suwen.verbs.explain import explain
from suwen.verbs.finetune import finetune
from suwen.verbs.predict import predict

RECIPE = (
    "inputs.size=64",
    "encoder.options={stem: half}",
    "training.epochs=28",
    "training.batch_size=32",
    "training.learning_rate=2e-3",
    "evaluation.by=[sex, site, age]",
)
"""Settings of the demo, chosen for two cores and a few minutes."""


def chain(*, out: Path, patients: int, seed: int, quiet: bool) -> Path:
    """Simulate a hospital, fine-tune on its chest films, evaluate, explain one film; returns the Run's report."""
    began = time.monotonic()
    console, folder = Console(quiet=quiet, highlight=False), out
    console.print("[bold]1 simulate[/]   a hospital whose patients do not exist")
    place = folder / "hospital"
    hospital = simulate(patients=patients, seed=seed, size=64, out=place, wards=["films"], progress=not quiet)
    console.print("[bold]2 fine-tune and evaluate[/]   does the film show a nodule, an opacity, or neither?")
    run = Run(folder / "run")
    model = finetune(
        "image-classification",
        hospital / "films",
        set=RECIPE,
        seed=seed,
        out=run.path,
        overwrite=True,
        quiet=quiet,
    )
    console.print("[bold]3 predict and explain[/]   one film with a nodule")
    film = _film(hospital, "nodule")
    (answer,) = predict(model, film)
    explain(model, film, label="nodule", out=folder / "why.png")
    write_json(folder / "prediction.json", answer.to_json())
    said = ", ".join(f"{label} {p:.2f}" for label, p in answer.probabilities.items())
    console.print(f"{film.name}: {said}   → {folder / 'why.png'}")
    console.print(f"\nall done in {time.monotonic() - began:.0f} s\n")
    console.print(f"open    {run.report}")
    console.print("type    suwen finetune image-classification YOUR_FOLDER --out runs/mine")
    console.print("        with YOUR_FOLDER/CLASS/*.png (or .jpg, .tif, .dcm), a manifest.csv, or a MedMNIST .npz")
    return run.report


def _film(hospital: Path, label: str) -> Path:
    table = pd.read_csv(hospital / "films" / "manifest.csv")
    return hospital / "films" / str(table.loc[table["label"] == label, "path"].iloc[0])
