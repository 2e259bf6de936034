"""``python -m benchmarks drive``, ``membranes`` and ``volumes``: drawing, beside baselines and published figures."""

from __future__ import annotations

import csv
import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import suwen
from benchmarks.results import RESULTS, ROOT, Result, Stopwatch, Verdict
from suwen.core.errors import DataError
from suwen.core.files import write_json
from suwen.core.recipe import read_recipe
from suwen.core.run import Run
from suwen.data.readers.masks import read_masks
from suwen.verbs.finetune import full_recipe

RECIPES = Path(__file__).resolve().parent / "recipes"
SHARED = ROOT.parent / "shared" / "data"
RUNS = ROOT / "runs"

QUICK = (
    *("training.steps=null", "training.epochs=1", "training.patches=2"),
    *("evaluation.resamples=20", "evaluation.views=[]"),
)

DRIVE_DICE, DRIVE_SECONDS = 0.81, 45 * 60.0
MEMBRANES_DICE = 0.93
ORGAN_DICE, LESION_DICE, VOLUMES_SECONDS = 0.95, 0.80, 30 * 60.0

BESIDE_DRIVE = (
    "on the official test images: second human 0.788 (bob.ip.binseg 1.1.1), U-Net 0.816, R2U-Net 0.817 "
    "(Sci Rep 2023, s41598-023-50141-0, table 2)"
)
SHOWN = ("dice", "dice_pooled", "hd95", "surface_dice", "pixel_sensitivity", "pixel_precision")


@dataclass(frozen=True)
class Part:
    """One training and its figures.

    Attributes:
        name: of the fold or the seed.
        seconds: from reading the data to the written report; None where it was interrupted or read.
        metrics: ``metrics.json``.
    """

    name: str
    seconds: float | None
    metrics: dict[str, Any]

    def value(self, metric: str, label: str | None = None) -> float:
        """A figure on test; NaN where it is not defined, as the precision of what was never drawn."""
        test = self.metrics["splits"]["test"]
        return _number(test if label is None else test["labels"][label], metric)

    def baseline(self, name: str, metric: str) -> float:
        """A baseline's figure on test."""
        return _number(self.metrics["baselines"][name]["test"], metric)


def _number(split: dict[str, Any], metric: str) -> float:
    value = split["metrics"][metric]["value"]
    return math.nan if value is None else float(value)


def _trained(name: str, data: Path, recipe: Path, changes: Sequence[str], folder: Path, seed: int = 0) -> Part:
    """A finished Run is read, an unfinished one gone on with."""
    run, clock = Run(folder / name), folder / f"{name}.seconds.json"
    if not (run.config.is_file() and run.metrics.is_file()):
        resumed, began = run.checkpoints.is_dir(), time.monotonic()
        suwen.finetune(data=data, recipe=recipe, set=changes, seed=seed, out=run.path)
        write_json(clock, {"seconds": None if resumed else round(time.monotonic() - began, 1)})
    seconds = json.loads(clock.read_text(encoding="utf-8"))["seconds"] if clock.is_file() else None
    return Part(name, seconds, json.loads(run.metrics.read_text(encoding="utf-8")))


def write_splits(source: Path, out: Path, test: Sequence[int], val: Sequence[int]) -> Path:
    """A manifest of the images below `source`, in order of their numbers, with these of them in test and in val.

    Raises:
        DataError: there are no images there.
    """
    if not source.is_dir():
        raise DataError(f"{source} is not there", why="the benchmark needs it", fix="--data PATH; see CONTRIBUTING.md")
    samples = sorted(read_masks(source), key=lambda sample: _place(sample.id))
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "mask", "region", "split"])
        for place, sample in enumerate(samples):
            split = "test" if place in test else "val" if place in val else "train"
            region = sample.target.region
            files = (sample.source, sample.target.whole, region)
            writer.writerow([*("" if each is None else Path(each).resolve() for each in files), split])
    return out


def _place(id: str) -> int:
    return int("".join(letter for letter in Path(id).stem.split("_")[0] if letter.isdigit()) or 0)


def drive(
    data: Annotated[Path, typer.Option(help="Folder with images/, 1st_manual/ and mask/.")] = SHARED
    / "drive"
    / "training",
    recipe: Annotated[Path, typer.Option(help="Settings of the fine-tuning.")] = RECIPES / "drive.yaml",
    folds: Annotated[int, typer.Option(help="How many of the four folds.", min=1, max=4)] = 4,
    runs: Annotated[Path, typer.Option(help="Folder of the Runs; finished ones are read.")] = RUNS / "drive",
    quick: Annotated[bool, typer.Option("--quick", help="One fold, one epoch; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of drive.json.")] = RESULTS,
) -> None:
    """Retinal vessels, four folds over the 20 training images; Dice inside the field of view."""
    watch, found = Stopwatch(), []
    folder = runs / "quick" if quick else runs
    for fold in range(1 if quick else folds):
        test = list(range(fold, 20, 4))
        rest = [place for place in range(20) if place not in test]
        manifest = write_splits(data, folder / f"fold-{fold}.csv", test, rest[fold::7][:2])
        found.append(_trained(f"fold-{fold}", manifest, recipe, QUICK if quick else (), folder))
    dice = [part.value("dice") for part in found]
    verdicts = [
        Verdict(
            what=f"DRIVE vessels, Dice in the field of view, mean of {len(found)} folds by image",
            value=_mean(dice),
            reach=f"≥ {DRIVE_DICE}",
            met=statistics.mean(dice) >= DRIVE_DICE,
            beside=BESIDE_DRIVE,
        ),
        _time("DRIVE, all folds from data to report", found, DRIVE_SECONDS),
    ]
    _finish(watch, "drive", recipe, found, verdicts, results, quick, ["thresholds are those of validation images"])


def membranes(
    data: Annotated[Path, typer.Option(help="Folder with image/ and label/.")] = SHARED / "isbi_em",
    recipe: Annotated[Path, typer.Option(help="Settings of the fine-tuning.")] = RECIPES / "membranes.yaml",
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, … so many.", min=1)] = 3,
    runs: Annotated[Path, typer.Option(help="Folder of the Runs; finished ones are read.")] = RUNS / "membranes",
    quick: Annotated[bool, typer.Option("--quick", help="One seed, one epoch; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of membranes.json.")] = RESULTS,
) -> None:
    """Electron microscopy: 24 slices to learn from, the last 6 of the block to test on, the first 3 to choose on."""
    watch, folder = Stopwatch(), runs / "quick" if quick else runs
    manifest = write_splits(data, folder / "splits.csv", range(24, 30), range(3))
    found = [
        _trained(f"seed-{seed}", manifest, recipe, QUICK if quick else (), folder, seed)
        for seed in range(1 if quick else seeds)
    ]
    dice = [part.value("dice") for part in found]
    verdicts = [
        Verdict(
            what=f"ISBI-2012 EM, Dice of the insides of cells, mean of {len(found)} seeds",
            value=_mean(dice),
            reach=f"≥ {MEMBRANES_DICE}",
            met=statistics.mean(dice) >= MEMBRANES_DICE,
            beside=f"Otsu {found[0].baseline('otsu', 'dice'):.3f}, "
            f"inside everywhere {found[0].baseline('largest-class', 'dice'):.3f}",
        )
    ]
    _finish(watch, "membranes", recipe, found, verdicts, results, quick, ["slices are neighbours: test is one block"])


def volumes(
    recipe: Annotated[Path, typer.Option(help="Settings of the fine-tuning.")] = RECIPES / "volumes.yaml",
    runs: Annotated[Path, typer.Option(help="Folder of the hospital and the Run.")] = RUNS / "volumes",
    scans: Annotated[int, typer.Option(help="Simulated chest CT.", min=10)] = 50,
    quick: Annotated[bool, typer.Option("--quick", help="12 scans, one epoch; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of volumes.json.")] = RESULTS,
) -> None:
    """Simulated chest CT: 40 scans to learn from and choose on, 10 to test on."""
    watch, folder = Stopwatch(), runs / "quick" if quick else runs
    scans = 12 if quick else scans
    hospital = folder / "hospital"
    if not hospital.is_dir():
        suwen.simulate(patients=4 * scans, seed=11, out=hospital, wards=["volumes"], scans=scans)
    shares = ("data.train=0.68", "data.val=0.12", "data.test=0.2")
    part = _trained("run", hospital / "volumes", recipe, [*shares, *(QUICK if quick else ())], folder)
    labels = list(part.metrics["splits"]["test"]["labels"])
    organs = [part.value("dice", label) for label in labels[:-1]]
    lesion = part.value("dice", labels[-1])
    verdicts = [
        Verdict(
            what=f"simulated CT, Dice of the organs ({', '.join(labels[:-1])}), the lowest of them",
            value=f"{min(organs):.3f}",
            reach=f"≥ {ORGAN_DICE}",
            met=min(organs) >= ORGAN_DICE,
            beside=_baselines(part, labels[:-1]),
        ),
        Verdict(
            what=f"simulated CT, Dice of the lesion ({labels[-1]})",
            value=f"{lesion:.3f}",
            reach=f"≥ {LESION_DICE}",
            met=lesion >= LESION_DICE,
            beside=_baselines(part, labels[-1:]),
        ),
        _time("simulated CT, from data to report", [part], VOLUMES_SECONDS),
    ]
    _finish(watch, "volumes", recipe, [part], verdicts, results, quick, ["the patients do not exist"])


def _baselines(part: Part, labels: Sequence[str]) -> str:
    found = []
    for name, splits in part.metrics["baselines"].items():
        values = [splits["test"]["labels"][label]["metrics"]["dice"]["value"] or 0.0 for label in labels]
        found.append(f"{name} {min(values):.3f}")
    return ", ".join(found)


def _time(what: str, found: Sequence[Part], most: float) -> Verdict:
    seconds = [part.seconds for part in found]
    known = [each for each in seconds if each is not None]
    whole = len(known) == len(seconds)
    return Verdict(
        what=what,
        value=f"{sum(known) / 60:.1f} min" if whole else "interrupted",
        reach=f"≤ {most / 60:.0f} min",
        met=sum(known) <= most if whole else None,
    )


def _mean(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def _finish(
    watch: Stopwatch,
    name: str,
    recipe: Path,
    found: Sequence[Part],
    verdicts: list[Verdict],
    results: Path,
    quick: bool,
    notes: list[str],
) -> None:
    rows = []
    for part in found:
        for label in part.metrics["splits"]["test"]["labels"]:
            figures = [_text(part.value(metric, label)) for metric in SHOWN]
            rows.append([part.name, label, *figures, "–" if part.seconds is None else f"{part.seconds:.0f}"])
        rows += [
            [part.name, f"baseline: {each}", *(_text(part.baseline(each, metric)) for metric in SHOWN), ""]
            for each in part.metrics["baselines"]
        ]
    result = Result(
        name=name,
        settings={"recipe": full_recipe(read_recipe(recipe)).model_dump(mode="json")},
        columns=["", "label", *SHOWN, "seconds"],
        rows=rows,
        verdicts=verdicts,
        figures={part.name: {"seconds": part.seconds, "metrics": part.metrics["splits"]["test"]} for part in found},
        notes=[*notes, "seconds: from reading the data to the written report; '–' where a training was interrupted"],
        quick=quick,
    )
    watch.finish(result, results)


def _text(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"
