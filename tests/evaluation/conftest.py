"""Made-up outcomes for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from suwen.evaluation.content import ReportContent
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.summarise import summarise
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.threshold import choose_threshold

MakeOutcome = Callable[..., Outcome]
SPLITS = ("val", "test")


@pytest.fixture(scope="session")
def make_outcome() -> MakeOutcome:
    """`make_outcome(n, classes, multi_label, signal, images_each, seed, decimals)`: answers better than chance."""

    def make(
        n: int = 120,
        classes: int = 2,
        *,
        multi_label: bool = False,
        signal: float = 1.5,
        images_each: int = 1,
        seed: int = 0,
        decimals: int | None = None,
    ) -> Outcome:
        rng = np.random.default_rng(seed)
        if multi_label:
            target = (rng.random((n, classes)) < 0.3).astype(np.uint8)
            probabilities = expit(rng.normal(size=(n, classes)) + signal * (target - 0.5))
        else:
            target = rng.integers(0, classes, n)
            logits = rng.normal(size=(n, classes))
            logits[np.arange(n), target] += signal
            probabilities = softmax(logits, axis=1)
        if decimals is not None and not multi_label and classes == 2:
            second = probabilities[:, 1].round(decimals)
            probabilities = np.stack([1 - second, second], axis=1)
        return Outcome(
            ids=np.array([f"image-{row}" for row in range(n)]),
            subjects=np.array([f"subject-{row // images_each}" for row in range(n)]),
            target=target,
            probabilities=probabilities,
            labels=tuple(f"class-{label}" for label in range(classes)),
            metadata=pd.DataFrame(
                {
                    "sex": np.array(["F", "M"])[(np.arange(n) // images_each) % 2],
                    "age": 20 + (np.arange(n) // images_each) % 60,
                }
            ),
        )

    return make


@pytest.fixture(scope="session")
def make_content(make_outcome: MakeOutcome) -> Callable[..., ReportContent]:
    """`make_content(kind, **changes)`: a small but whole report; kind is ``binary``, ``classes`` or ``labels``."""

    def make(
        kind: str = "binary", *, model_signal: float = 3.0, baseline_signal: float = 0.5, **changes: Any
    ) -> ReportContent:
        settings: dict[str, Any] = {"classes": 2 if kind == "binary" else 3, "multi_label": kind == "labels"}
        model = {
            split: make_outcome(120, signal=model_signal, seed=seed, **settings) for seed, split in enumerate(SPLITS)
        }
        weaker = {
            split: make_outcome(120, signal=baseline_signal, seed=seed, **settings) for seed, split in enumerate(SPLITS)
        }
        weaker = {
            split: replace(model[split], probabilities=outcome.probabilities) for split, outcome in weaker.items()
        }
        given: dict[str, Any] = {
            "title": "chest",
            "task": "image-classification",
            "model": "chest@3f2a",
            "metrics": {
                "seed": 0,
                "splits": _figures(model, by=["sex"]),
                "baselines": {"logistic-pixels": _figures(weaker)},
                "training": {"seconds": 12.5, "device": "cpu"},
                "data": {"fingerprint": "sha256:9f", "counts": {"train": {"class-0": 10, "class-1": 12}}},
            },
            "outcomes": model,
            "baselines": {"logistic-pixels": weaker},
            "history": [
                {"epoch": 1, "train_loss": 0.9, "val_loss": 0.8, "val_auroc": 0.7},
                {"epoch": 2, "train_loss": 0.5, "val_loss": 0.6, "val_auroc": 0.8},
            ],
            "recipe_yaml": "task: image-classification\n",
            "versions": {"suwen": "0.1.0"},
        }
        return ReportContent(**{**given, **changes})

    return make


def _figures(outcomes: dict[str, Outcome], by: Sequence[str] = ()) -> dict[str, Any]:
    threshold = choose_threshold(outcomes["val"])
    return {split: summarise(one, threshold=threshold, by=by, resamples=60) for split, one in outcomes.items()}


MakeSurvival = Callable[..., SurvivalOutcome]


@pytest.fixture(scope="session")
def make_survival() -> MakeSurvival:
    """`make_survival(n, causes, signal, ties, seed)`: exponential times, true incidences said of a noisy log hazard."""

    def make(
        n: int = 150, causes: int = 1, *, signal: float = 1.0, ties: bool = True, seed: int = 0, follow_up: float = 12.0
    ) -> SurvivalOutcome:
        rng = np.random.default_rng(seed)
        score = rng.normal(size=(n, causes)).round(1 if ties else 9)
        rate = 0.08 * np.exp(score)
        times = rng.exponential(1 / rate)
        censored = rng.uniform(0, 2 * follow_up, n)
        first = times.min(axis=1)
        time = np.minimum(np.minimum(first, censored), follow_up)
        event = np.where((first <= censored) & (first <= follow_up), times.argmin(axis=1) + 1, 0)
        grid = np.linspace(0.25, follow_up, 48)
        said = 0.08 * np.exp(signal * score)
        total = said.sum(axis=1)[:, None, None]
        return SurvivalOutcome(
            ids=np.arange(n).astype(str),
            subjects=np.arange(n).astype(str),
            time=np.ceil(time * 4) / 4 if ties else time,
            event=event,
            incidence=said[:, :, None] / total * -np.expm1(-total * grid),
            grid=grid,
            horizons=np.array([3.0, 6.0, 9.0]),
            labels=tuple(f"cause {number}" for number in range(1, causes + 1)),
            metadata=pd.DataFrame({"site": rng.choice(["north", "south"], n)}),
        )

    return make
