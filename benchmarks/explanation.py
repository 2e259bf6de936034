"""``python -m benchmarks explanation``: how fast explanations are, and whether they point at the lesion."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor, nn

from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.encoder import build_encoder
from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.core.recipe import make_recipe, read_recipe
from suwen.core.registry import EXPLANATIONS, READERS
from suwen.core.run import Run, load
from suwen.data.preprocess import ImagePreprocess
from suwen.explanation.compare import mean_interval
from suwen.explanation.kernel_shap import kernel_shap
from suwen.explanation.lime import lime
from suwen.explanation.methods import method_of
from suwen.explanation.occlusion import occlusion
from suwen.explanation.random_maps import moved, random_maps
from suwen.explanation.truth import hit, overlap
from suwen.heads.classify import Classify
from suwen.simulation.hospital import simulate
from suwen.verbs.demos.chain import RECIPE
from suwen.verbs.finetune import finetune

SIDE = 64
SAMPLES = 500
WINDOW, STRIDE = 20, 2
"""529 windows of an image of 64 px: about as many as the samples of the others."""

FASTER, POINTS = 5.0, 0.80
"""What is to be reached: times as fast as one by one; share of lesions hit."""

SEED = 8
"""Of the hospital. The defaults of the methods were chosen on films of seed 7."""

CHANCE = 20
"""Places at which each map is put by chance."""


def explanation(
    patients: Annotated[int, typer.Option(help="Of the simulated hospital.")] = 2000,
    rounds: Annotated[int, typer.Option(help="Turns of each contestant of the speed part.", min=1)] = 5,
    films: Annotated[int, typer.Option(help="Most films with a lesion, in validation and in test each.", min=1)] = 80,
    runs: Annotated[Path | None, typer.Option(help="Folder to keep the hospital and the Run in, and to reuse.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A barely trained model, one round; shows that it works.")
    ] = False,
    results: Annotated[Path, typer.Option(help="Folder of explanation.json.")] = RESULTS,
) -> None:
    """Speed on one image of 64 px with 500 samples; hit rate and overlap on simulated films with a lesion."""
    if quick:
        patients, rounds, films = 60, 1, 4
    watch = Stopwatch()
    speeds = time_all(rounds)
    with tempfile.TemporaryDirectory() as scratch:
        truth = Truth(Path(runs or scratch), patients, films, quick)
        figures = truth.measure()
    result = Result(
        name="explanation",
        settings={"patients": patients, "rounds": rounds, "films": films, "samples": SAMPLES, "side": SIDE},
        columns=[
            "method",
            "faster than one by one",
            "val hit rate",
            "test hit rate",
            "by chance",
            "test IoU",
            "by chance ",
        ],
        rows=[_row(name, speeds, figures) for name in figures["methods"]],
        verdicts=[*(_speed_verdict(name, found) for name, found in speeds.items()), _truth_verdict(figures)],
        figures={"speed": speeds, "truth": figures},
        notes=_notes(figures),
        quick=quick,
    )
    watch.finish(result, results)


# Speed


class Logits(nn.Module):
    """Images → logits, as captum wants it."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.parts = model, nn.ModuleDict(model.parts())

    def forward(self, images: Tensor) -> Tensor:
        return self.model.logits(images)


def make_model() -> Model:
    """The task's default encoder at 64 px, with random weights: time does not depend on them."""
    torch.manual_seed(0)
    preprocess = ImagePreprocess(size=SIDE, channels=1)
    encoder = build_encoder(IMAGE_CLASSIFICATION.encoder, preprocess)
    head = Classify(encoder.width, ("normal", "nodule", "opacity"))
    model = Model(IMAGE_CLASSIFICATION, preprocess, encoder, head)
    for part in model.parts().values():
        part.eval()
    return model


def contestants(model: Model, image: Tensor) -> dict[str, dict[str, Callable[[], Tensor]]]:
    """Method → contestant → what is timed. ``batched`` and ``one by one`` evaluate the very same samples."""
    from captum.attr import KernelShap, Lime, Occlusion

    from suwen.explanation.image_parts import slic

    label, asked = torch.tensor([1]), Logits(model)
    segments = slic(image[0].float() / 255, 64)[None, None]
    pixels = image.float() / 255

    def both(method: Any, **settings: Any) -> dict[str, Callable[[], Tensor]]:
        return {
            "batched": lambda: method(model, image, label, baseline="black", **settings),
            "one by one": lambda: method(model, image, label, baseline="black", batch=1, **settings),
        }

    regressed = {"target": 1, "feature_mask": segments, "n_samples": SAMPLES}
    return {
        "lime": both(lime, samples=SAMPLES) | {"captum": lambda: Lime(asked).attribute(pixels, **regressed)},
        "kernel-shap": both(kernel_shap, samples=SAMPLES)
        | {"captum": lambda: KernelShap(asked).attribute(pixels, **regressed)},
        "occlusion": both(occlusion, window=WINDOW, stride=STRIDE)
        | {
            "captum": lambda: Occlusion(asked).attribute(
                pixels, (1, WINDOW, WINDOW), strides=(1, STRIDE, STRIDE), target=1
            )
        },
    }


def time_all(rounds: int) -> dict[str, dict[str, Any]]:
    """Method → seconds of each contestant in each round, taken in turn; the largest difference of their maps."""
    model = make_model()
    image = torch.randint(0, 256, (1, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found: dict[str, dict[str, Any]] = {}
    for name, runners in contestants(model, image).items():
        seconds: dict[str, list[float]] = {who: [] for who in runners}
        maps: dict[str, Tensor] = {}
        runners["batched"]()  # not counted: the first call allocates and chooses kernels
        for turn in range(rounds):
            order = list(runners) if turn % 2 == 0 else list(reversed(runners))
            for who in order:
                began = time.perf_counter()
                maps[who] = runners[who]()
                seconds[who].append(time.perf_counter() - began)
        middle = {who: statistics.median(values) for who, values in seconds.items()}
        apart = float((maps["batched"] - maps["one by one"]).abs().max())
        found[name] = {
            "seconds": seconds,
            "faster": middle["one by one"] / middle["batched"],
            "than_captum": middle["captum"] / middle["batched"],
            "apart": apart,
            "peak": float(maps["batched"].abs().max()),
        }
        if name == "occlusion":
            found[name]["apart_from_captum"] = float((maps["batched"] - maps["captum"].float()[:, 0]).abs().max())
        typer.echo(f"{name}: {', '.join(f'{who} {value:.2f} s' for who, value in middle.items())}")
    return found


# Truth


@dataclass
class Truth:
    """Maps of a trained model against the lesions of simulated films.

    Attributes:
        folder: where the hospital and the Run are, or will be.
        patients: of the hospital.
        films: the most to look at in each split.
        quick: train barely.
    """

    folder: Path
    patients: int
    films: int
    quick: bool
    skipped: dict[str, str] = field(default_factory=dict)

    def measure(self) -> dict[str, Any]:
        """Each method's figures on validation and on test films that show a lesion and are called so."""
        run = self.train()
        model = load(run.path)
        methods = [name for name in EXPLANATIONS.names() if not method_of(name).needs_examples]
        films = {split: self.found_lesions(run, model, split) for split in ("val", "test")}
        figures: dict[str, Any] = {}
        for name in methods:
            try:
                figures[name] = {split: judge(model, name, *films[split]) for split in films}
            except RecipeError as error:
                self.skipped[name] = error.seen
                continue
            typer.echo(f"{name}: test hit rate {figures[name]['test']['hit']['value']:.3f}")
        best = max(figures, key=lambda name: figures[name]["val"]["hit"]["value"])
        return {
            "best": best,
            "methods": figures,
            "skipped": self.skipped,
            "measured_best": (model.card.get("explanations") or {}).get("best"),
            "films": {split: len(found[0]) for split, found in films.items()},
            "model": self.quality(run),
        }

    def train(self) -> Run:
        """The demo's hospital and recipe; both are kept where a folder is given."""
        hospital, run = self.folder / f"hospital-{self.patients}", Run(self.folder / f"run-{self.patients}")
        if not hospital.is_dir():
            simulate(patients=self.patients, seed=SEED, size=SIDE, out=hospital, wards=["films"], progress=False)
        if not run.metrics.is_file():
            less = ("training.epochs=1", "evaluation.resamples=50", "explanation.examples=0") if self.quick else ()
            finetune("image-classification", hospital / "films", set=(*RECIPE, *less), seed=7, out=run.path, quiet=True)
        return run

    def found_lesions(self, run: Run, model: Model, split: str) -> tuple[Tensor, Tensor, np.ndarray]:
        """Films ``(N, 1, H, W)`` of the split with a lesion that the model names, its label, and its mask."""
        recipe = make_recipe(read_recipe(run.recipe))
        reader, data = READERS[IMAGE_CLASSIFICATION.reader], recipe.data
        fractions = (data.train, data.val, data.test)
        samples = reader.read(data.source)
        dataset = reader.build(samples, model.preprocess, seed=recipe.seed, labels=data.labels, fractions=fractions)
        rows = dataset.where(split)
        targets = np.asarray(dataset.targets)[rows]
        answers = model.infer(dataset, rows)[0].argmax(1)
        lesion = targets != model.head.labels.index("normal")
        # a barely trained model may find none: then any lesion shows that the benchmark works
        wanted = lesion & (answers == targets) if (lesion & (answers == targets)).any() or not self.quick else lesion
        rows, labels = rows[wanted][: self.films], targets[wanted][: self.films]
        masks = [_mask(Path(data.source) / "masks" / Path(str(dataset.ids[row])).name) for row in rows]
        return torch.from_numpy(dataset.take(rows)), torch.from_numpy(labels.astype(np.int64)), np.stack(masks)

    def quality(self, run: Run) -> dict[str, Any]:
        """What the model itself reaches on the test split."""
        import json

        metrics = json.loads(run.metrics.read_text(encoding="utf-8"))["splits"]["test"]["metrics"]
        return {name: metrics[name]["value"] for name in ("auroc", "accuracy")}


def judge(model: Model, name: str, images: Tensor, labels: Tensor, masks: np.ndarray) -> dict[str, Any]:
    """Hit rate and overlap of one method, with those of its own maps at chance places and of smooth noise beside."""
    maps = method_of(name)(model, images, labels).numpy()
    rng = np.random.default_rng(0)
    smooth = random_maps(masks.shape[1:], seed=0, each=CHANCE)["smooth 1/8"]
    found: dict[str, Any] = {}
    for measure, of in (("hit", hit), ("iou", overlap)):
        mine = [of(one, mask) for one, mask in zip(maps, masks, strict=True)]
        chance = [
            np.mean([of(other, mask) for other in moved(one, rng, CHANCE)])
            for one, mask in zip(maps, masks, strict=True)
        ]
        noise = [np.mean([of(other, mask) for other in smooth]) for mask in masks]
        found[measure] = mean_interval(mine)
        found[f"{measure}_moved"], found[f"{measure}_noise"] = float(np.mean(chance)), float(np.mean(noise))
        found[f"{measure}_by_label"] = {
            str(model.head.labels[label]): float(np.mean(np.asarray(mine)[labels.numpy() == label]))
            for label in np.unique(labels.numpy())
        }
    return found


def _mask(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image) > 0


# Words


def _speed_verdict(name: str, found: dict[str, Any]) -> Verdict:
    middle = {who: statistics.median(values) for who, values in found["seconds"].items()}
    return Verdict(
        what=f"{name}, {SIDE} px, {SAMPLES} samples: speed against one sample at a time",
        value=f"{found['faster']:.1f}×",
        reach=f"≥ {FASTER:.0f}×",
        met=found["faster"] >= FASTER,
        beside=f"one by one {middle['one by one']:.2f} s, suwen {middle['batched']:.2f} s, "
        f"captum as it comes {middle['captum']:.2f} s; maps at most {found['apart']:.1e} apart",
    )


def _truth_verdict(figures: dict[str, Any]) -> Verdict:
    best = figures["methods"][figures["best"]]["test"]
    value, low, high = (best["hit"][key] for key in ("value", "low", "high"))
    return Verdict(
        what=f"lesions hit by {figures['best']}, chosen on validation films, on test films",
        value=f"{value:.3f} ({low:.3f}–{high:.3f})",
        reach=f"≥ {POINTS:.2f}",
        met=value >= POINTS,
        beside=f"the same maps at chance places {best['hit_moved']:.3f}, smooth noise {best['hit_noise']:.3f}; "
        f"IoU {best['iou']['value']:.3f}, at chance places {best['iou_moved']:.3f}",
    )


def _row(name: str, speeds: dict[str, dict[str, Any]], figures: dict[str, Any]) -> list[str]:
    val, test = (figures["methods"][name][split] for split in ("val", "test"))
    faster = f"{speeds[name]['faster']:.1f}×" if name in speeds else ""
    hits = [f"{val['hit']['value']:.3f}", f"{test['hit']['value']:.3f}", f"{test['hit_moved']:.3f}"]
    return [name, faster, *hits, f"{test['iou']['value']:.3f}", f"{test['iou_moved']:.3f}"]


def _notes(figures: dict[str, Any]) -> list[str]:
    by_label = figures["methods"][figures["best"]]["test"]["hit_by_label"]
    said = ", ".join(f"{label} {value:.3f}" for label, value in by_label.items())
    films, model = figures["films"], figures["model"]
    skipped = ", ".join(f"{name} ({why})" for name, why in figures["skipped"].items())
    return [
        f"{films['val']} validation and {films['test']} test films show a lesion that the model names; its test AUROC "
        f"is {model['auroc']:.3f}, accuracy {model['accuracy']:.3f}; hit rate by finding: {said}",
        "a hit: the highest point of the map lies in the lesion's mask or within 3 % of the side (2 px) of it; IoU: of "
        "the mask with as many of the highest pixels as the mask has",
        f"by chance: the method's own maps, shifted and mirrored by lot ({CHANCE} times each): same values, same "
        "smoothness",
        "when it was fine-tuned, without looking at any mask, the Run measured "
        f"{figures['measured_best']} best by insertion less deletion",
        *([f"not fitting this encoder: {skipped}"] if skipped else []),
    ]
