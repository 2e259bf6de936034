"""``explain``: what an answer rests on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.core.dataset import bound
from suwen.core.errors import DataError, NameUnknown, RecipeError
from suwen.core.explanation import Explanation, Method, Share
from suwen.core.model import Model
from suwen.core.prediction import Prediction
from suwen.core.recipe import parse_set
from suwen.core.registry import EXPLANATIONS, READERS
from suwen.core.run import load
from suwen.core.sample import Sample
from suwen.core.task import load_object
from suwen.explanation.bars import draw_bars
from suwen.explanation.compare import affordable, compare, elements_of, telling
from suwen.explanation.faithfulness import measure
from suwen.explanation.methods import method_of
from suwen.explanation.neighbours import Examples, make_examples, neighbours
from suwen.explanation.overlay import draw
from suwen.explanation.region import region_of
from suwen.verbs.predict import predict

MOST_EXAMPLES = 2000
"""Examples looked at; of a larger folder, so many evenly spread."""

COMPARED = 6
"""Inputs on which methods are compared."""


def explain(
    run: Model | str | Path,
    source: Any,
    *,
    method: str | None = None,
    label: str | None = None,
    set: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
    examples: str | Path | None = None,
    faithfulness: bool = True,
    out: str | Path | None = None,
) -> Explanation:
    """Attribute one answer to the parts of its input, and measure whether the model uses what is shown.

    Args:
        run: a Model or the folder of a Run.
        source: a file, or pixels ``(H, W)`` or ``(H, W, C)``.
        method: a row of ``suwen.explanations``. ``"best"``: the one that measured best on this Run when it was
            fine-tuned, or on `examples` where given. ``"all"``: every one that fits. Unless given the best one, and
            where none was measured the task's own.
        label: the label to explain; the answer given (or the most probable one) unless named.
        set: settings of the method, ``"samples=200"``. ``suwen explanations`` names the methods.
        samples: the same as ``samples=…`` in `set`.
        seed: of what the method and the measures draw.
        examples: a folder of inputs like those of the training: the nearest ones of another answer are shown,
            ``counterfactual`` compares with them, and ``best`` is measured on them. A Run keeps no training inputs.
        faithfulness: measure deletion, insertion and infidelity of the map, and a random map's beside.
        out: a PNG to write: the input, the input under each heat map, and the nearest example of another answer.

    Returns:
        The Explanation; with ``"all"`` the one that measured best on this input, with the `others`.

    Raises:
        NameUnknown: no such method, setting or label.
        RecipeError: a method that does not fit the encoder, an impossible setting, or no stored ``best``.
        DataError: the input is not finite, or there is no example of another answer.
    """
    model = run if isinstance(run, Model) else load(run)
    known = None if examples is None else read_examples(model, examples)
    asked = Asked(model, source, label, known, seed)
    settings = parse_set(set) | ({} if samples is None else {"samples": samples})
    if method == "all":
        found, *others = asked.by_all(settings, faithfulness)
        found.others = others
    else:
        found = asked.by(method_of(method_named(model, method, known, seed)), settings, faithfulness)
    if out is not None:
        (draw_bars if found.ranked else draw)([found, *found.others], Path(out))
    return found


Ask = Callable[[Model, Any, str | None], tuple[Model, Prediction, str, np.ndarray]]
"""(model, input, label or None) → a model with logits ``(B, K)``, the answer, the label explained, and its pixels."""


def ask_label(model: Model, source: Any, label: str | None) -> tuple[Model, Prediction, str, np.ndarray]:
    """The whole input, and the answer given or the label named.

    Raises:
        NameUnknown: there is no such label.
    """
    (answer,) = predict(model, source)
    label = label or (model.head.labels[0] if len(model.head.labels) == 1 else _label_of(answer))
    if label not in model.head.labels:
        raise NameUnknown("label", label, model.head.labels)
    return model, answer, label, model.preprocess(source)


def ask_row(model: Model, source: Any, label: str | None) -> tuple[Model, Prediction, str, np.ndarray]:
    """The one row of a table, ``FILE:ROW`` of several, or column → value; of yes or no the positive label is explained.

    Raises:
        DataError: there are several rows.
        NameUnknown: there is no such label.
    """
    answers = predict(model, source)
    if len(answers) != 1:
        raise DataError(
            f"{source} has {len(answers)} rows",
            why="one answer at a time is explained",
            fix=f"suwen explain RUN {source}:2   (FILE:ROW, as a spreadsheet numbers rows)",
        )
    (answer,) = answers
    labels, head = model.head.labels, model.head
    if label is None:
        label = labels[getattr(head, "positive", -1)] if len(labels) == 2 else _label_of(answer)
    if label not in labels:
        raise NameUnknown("label", label, labels)
    values = source if isinstance(source, Mapping) else first_sample(model, source).source
    return model, answer, label, model.preprocess(values)


def first_sample(model: Model, source: Any) -> Sample:
    """The first Sample of a source, as the model's reader finds it."""
    samples = bound(READERS[model.task.reader], model.preprocess.model_dump()).read(source, labelled=False)
    return samples[0]


def ask_region(model: Model, source: Any, label: str | None) -> tuple[Model, Prediction, str, np.ndarray]:
    """The window around what was drawn of a label; see `region_of`."""
    (answer,) = predict(model, source)
    found = region_of(model, source, label)
    return found.model, answer, found.label, found.pixels


class Asked:
    """One input and the label of it that is to be explained."""

    def __init__(self, model: Model, source: Any, label: str | None, examples: Examples | None, seed: int) -> None:
        self.examples, self.seed = examples, seed
        source = Path(source) if isinstance(source, str) else source
        asked: Ask = load_object(model.task.asks)
        self.model, self.answer, self.label, self.pixels = asked(model, source, label)
        self.inputs = torch.from_numpy(self.pixels[None])
        self.number: Tensor = torch.tensor([model.head.labels.index(self.label)])

    def by(self, row: Method, settings: dict[str, Any], faithfulness: bool) -> Explanation:
        """The Explanation of one method."""
        given = dict(settings)
        own = row.defaults()
        if "seed" in own:
            given.setdefault("seed", self.seed)
        if row.needs_examples:
            given["examples"] = self.examples
        began = time.perf_counter()
        heat: np.ndarray = row(self.model, self.inputs, self.number, **given)[0].numpy()
        found = Explanation(
            method=row.name,
            label=self.label,
            attribution=heat,
            inputs=self.pixels,
            prediction=self.answer,
            signed=row.signed,
            meaning=row.meaning,
            settings={name: value for name, value in row.complete(given).items() if name != "examples"},
            seconds=time.perf_counter() - began,
        )
        if (columns := getattr(self.model.preprocess, "columns", ())) and heat.ndim == 1:
            found.ranked = ranked(columns, self.pixels, heat)
            found.points = row.additive and found.settings.get("unit") == "points"
        if faithfulness:
            found.faithfulness |= measure(self.model, self.inputs, self.number, heat, seed=self.seed)
        if self.examples is not None:
            found.examples = neighbours(self.model, self.inputs[0], self.number[0], self.examples)
        return found

    def by_all(self, settings: dict[str, Any], faithfulness: bool) -> list[Explanation]:
        """Those of every method that fits this model, with the settings that each has; the best one first."""
        known = (method_of(name) for name in EXPLANATIONS.names())
        rows = [row for row in known if row.fits(self.model.task.reader)]
        every = {name for row in rows for name in row.defaults()}
        for name in settings:
            if name not in every:
                raise NameUnknown("setting", name, every, fix="suwen explanations")
        found: list[Explanation] = []
        refused: list[RecipeError] = []
        for row in rows:
            if row.needs_examples and self.examples is None:
                continue
            mine = {name: value for name, value in settings.items() if name in row.defaults()}
            try:
                found.append(self.by(row, mine, faithfulness))
            except RecipeError as error:
                refused.append(error)
        if not found:
            raise refused[0]
        return sorted(found, key=lambda one: -(one.faithfulness.get("gain") or 0.0))


def ranked(columns: Sequence[Any], values: np.ndarray, amounts: np.ndarray) -> list[Share]:
    """What each column of a row does, the largest first."""
    order = np.argsort(-np.abs(amounts), kind="stable").tolist()
    return [
        Share(column=columns[at].name, value=columns[at].cell(float(values[at])), amount=float(amounts[at]))
        for at in order
    ]


def method_named(model: Model, method: str | None, examples: Examples | None = None, seed: int = 0) -> str:
    """The row meant: the best one, or the one named; where neither is known, the task's own.

    Raises:
        RecipeError: the task has none, or nothing was measured that could be best.
    """
    if method is None:
        if (shown := method_to_show(model)) is None:
            raise RecipeError(f"task {model.task.name} names no explanation", fix="--method NAME")
        return shown
    if method != "best":
        return method
    if examples is not None:
        inputs = torch.from_numpy(examples.inputs)
        measured = compare_some(model, inputs, torch.from_numpy(examples.answers), seed=seed)
    else:
        measured = model.card.get("explanations") or {}
    if measured.get("best") is None:
        raise RecipeError(
            "no method measured best on this model",
            why="its fine-tuning compared none (explanation.examples=0, older suwen), or nothing moved its answers",
            fix="--examples FOLDER with inputs like those of the training measures it now; or --method NAME",
        )
    return str(measured["best"])


def method_to_show(model: Model) -> str | None:
    """The method that measured best on this model, else that of its head, else the task's own."""
    best: str | None = (model.card.get("explanations") or {}).get("best")
    if best is not None:
        return best
    # of a table's linear model and of its trees another method is exact
    own: str | None = getattr(model.head, "explanation", None) if hasattr(model.encoder, "design") else None
    return own or model.task.explanation


def compare_some(
    model: Model,
    inputs: Tensor,
    labels: Tensor,
    *,
    methods: Sequence[str] | None = None,
    examples: int = COMPARED,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare methods on the inputs whose answers rest most clearly on something; see `suwen.explanation.compare`.

    Args:
        inputs: ``(N, …)``, to choose from.
        labels: ``(N,)``: the answers.
        methods: None for every one that fits and is affordable.
        examples: how many inputs to measure on.
        seed: of what is drawn.
    """
    rows = telling(model, inputs, labels, examples) if len(inputs) else np.zeros(0, np.int64)
    if not len(rows):
        return {"examples": 0, "best": None, "beats_random": False, "methods": {}, "random": {}, "skipped": {}}
    names, left_out = affordable(methods, elements_of(model, inputs), len(rows), model.task.reader)
    measured = compare(model, inputs[rows], labels[rows], methods=names, seed=seed)
    measured["skipped"] = left_out | measured["skipped"]
    return measured


def read_examples(model: Model, source: str | Path) -> Examples:
    """The examples below a folder, as the model sees them.

    Raises:
        DataError: there are none.
    """
    samples = bound(READERS[model.task.reader], model.preprocess.model_dump()).read(source, labelled=False)
    if not samples:
        raise DataError(f"{source} holds no example", why="nothing to compare with", fix="--examples FOLDER")
    rows = np.unique(np.linspace(0, len(samples) - 1, min(len(samples), MOST_EXAMPLES)).round().astype(int))
    chosen = [samples[row] for row in rows]
    pixels = np.stack([model.preprocess(sample.source) for sample in chosen])
    return make_examples(model, pixels, tuple(sample.id for sample in chosen))


def _label_of(answer: Prediction) -> str:
    if isinstance(answer.answer, str):
        return answer.answer
    return max(answer.probabilities, key=answer.probabilities.__getitem__)
