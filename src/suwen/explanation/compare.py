"""Which method explains this model best, measured on some inputs, with random maps beside."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.core.registry import EXPLANATIONS
from suwen.explanation.ask import batch_of, probabilities
from suwen.explanation.faithfulness import STEPS, Gauge, infidelity, measure_random, refuse_foreign
from suwen.explanation.methods import method_of
from suwen.explanation.parts import parts_of
from suwen.explanation.random_maps import WIDTHS
from suwen.explanation.sanity import LIMIT, sanity

EACH = 1
"""Random maps of each kind, for each input."""

SANE = 1
"""Inputs on which the sanity check is done: it costs a method's whole price again."""

LEAST = 64 * 64
"""Elements of the smallest input that is counted by its size: what is smaller is hardly faster."""

EFFORT = 6_000 * LEAST
"""Forward passes times elements that a comparison may cost: a few seconds for films of 64 px on two cores."""

MOVES = 0.1
"""An input takes part when taking everything away lowers the probability of its answer by at least this much. Where
nothing moves the answer (a normal film stays normal), removals measure nothing."""

RESAMPLES = 2000


def compare(model: Model, inputs: Any, labels: Tensor, *, methods: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Measure methods on some inputs, each at its default settings.

    Args:
        model: any encoder–head pair whose reader has `Parts`.
        inputs: ``(B, …)``.
        labels: ``(B,)`` what is explained of each, mostly the answer.
        methods: names of rows; those that do not fit the model are left out, and the reason is noted.
        seed: of random maps, removals, shuffled weights and resamples.

    Returns:
        JSON-able: ``{"examples", "best", "beats_random", "methods": {NAME: figures}, "random": figures and "kind",
        "skipped": {NAME: reason}}``. Figures are means over the inputs (see `suwen.explanation.faithfulness`);
        ``gain`` and ``over_random`` come with a 95 % interval over them. ``best`` has the highest gain among the
        methods that pass the sanity check; ``beats_random`` says whether its interval over the best kind of random
        map lies above 0.
    """
    gauges = [Gauge.of(model, x, label) for x, label in zip(parts_of(model).read(inputs), labels, strict=True)]
    removals = [gauge.removals(seed=seed + row) for row, gauge in enumerate(gauges)]
    chance = [
        measure_random(gauge, removed, seed=seed + row, each=EACH)
        for row, (gauge, removed) in enumerate(zip(gauges, removals, strict=True))
    ]
    kind = max(WIDTHS, key=lambda name: float(np.mean([figures[name]["gain"] for figures in chance])))
    beside = [figures[kind] for figures in chance]
    found: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for name in methods:
        method, began = method_of(name), time.perf_counter()
        try:
            maps = method(model, inputs, labels).numpy()
        except RecipeError as error:
            skipped[name] = error.seen
            continue
        seconds = (time.perf_counter() - began) / len(gauges)
        for one in maps:
            refuse_foreign(one)
        mine = [
            gauge.areas(one) | {"infidelity": infidelity(one, removed)}
            for gauge, one, removed in zip(gauges, maps, removals, strict=True)
        ]
        found[name] = {
            **_means(mine),
            "gain": mean_interval([row["gain"] for row in mine], seed=seed),
            "over_random": mean_interval(
                [row["gain"] - other["gain"] for row, other in zip(mine, beside, strict=True)], seed=seed
            ),
            "sanity": sanity(model, method, inputs[:SANE], labels[:SANE], maps[:SANE], seed=seed),
            "seconds_each": round(seconds, 4),
        }
    sane = [name for name, figures in found.items() if figures["sanity"] <= LIMIT]
    best = max(sane, key=lambda name: found[name]["gain"]["value"], default=None)
    return {
        "examples": len(gauges),
        "best": best,
        "beats_random": best is not None and found[best]["over_random"]["low"] > 0,
        "methods": found,
        "random": {**_means(beside), "gain": mean_interval([row["gain"] for row in beside], seed=seed), "kind": kind},
        "skipped": skipped,
    }


def affordable(
    names: Iterable[str] | None, elements: int, examples: int, reader: str = ""
) -> tuple[list[str], dict[str, str]]:
    """The methods to compare, cheapest first, while they stay within `EFFORT`; and why the others are left out.

    Args:
        names: those asked for, all of which are taken; None for every registered one that needs nothing more.
        elements: of one input.
        examples: inputs to measure on.
        reader: of the inputs; methods of other kinds of input do not come into question.
    """
    if names is not None:
        return list(names), {}
    known = (method_of(name) for name in EXPLANATIONS.names())
    rows = sorted((row for row in known if row.fits(reader)), key=lambda row: (row.passes, row.name))
    spent = examples * (2 * STEPS * EACH * len(WIDTHS))
    taken: list[str] = []
    skipped: dict[str, str] = {}
    for row in rows:
        if row.needs_examples:
            skipped[row.name] = "it needs examples, which a Run does not keep"
            continue
        spent += examples * (row.passes + 2 * STEPS) + min(SANE, examples) * row.passes
        if spent * max(elements, LEAST) > EFFORT and taken:
            skipped[row.name] = (
                f"its {row.passes} passes an input take too long to be compared unasked; "
                f"--set explanation.methods=[{row.name}, …] does"
            )
        else:
            taken.append(row.name)
    return taken, skipped


def telling(model: Model, inputs: Any, labels: Tensor, most: int) -> np.ndarray:
    """Rows of inputs whose answer falls when everything is taken away, those that fall most first, labels in turn."""
    parts = parts_of(model)
    read = parts.read(inputs)
    batch = batch_of(parts.shape(read[0]))
    empty = torch.stack([parts.baseline(x, parts.REMOVED) for x in read])
    fall = (probabilities(model, read, labels, batch=batch) - probabilities(model, empty, labels, batch=batch)).numpy()
    order = np.argsort(-fall, kind="stable")
    order = order[fall[order] >= MOVES]
    asked = labels.numpy()[order]
    turn = np.zeros(len(order), np.int64)
    for label in np.unique(asked):
        turn[asked == label] = np.arange((asked == label).sum())
    return order[np.argsort(turn, kind="stable")][:most]


def mean_interval(values: Sequence[float], *, seed: int = 0) -> dict[str, float]:
    """The mean with its 95 % percentile bootstrap interval over inputs (Efron & Tibshirani 1993, section 13.3)."""
    drawn = np.asarray(values, np.float64)
    rows = np.random.default_rng(seed).integers(len(drawn), size=(RESAMPLES, len(drawn)))
    low, high = np.percentile(drawn[rows].mean(1), [2.5, 97.5])
    return {"value": float(drawn.mean()), "low": float(low), "high": float(high)}


def elements_of(model: Model, inputs: Any) -> int:
    """How many elements one of these inputs has."""
    parts = parts_of(model)
    return math.prod(parts.shape(parts.read(inputs[:1])[0]))


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
