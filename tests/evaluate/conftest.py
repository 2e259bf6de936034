"""Made-up outcomes for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from suwen.evaluate.outcome import Outcome

MakeOutcome = Callable[..., Outcome]


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
