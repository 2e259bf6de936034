"""``predict``: answers for files, folders and globs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from suwen.core.dataset import bound
from suwen.core.errors import FileUnreadable, RecipeError
from suwen.core.model import Model
from suwen.core.prediction import Prediction
from suwen.core.registry import READERS
from suwen.core.run import Run, load
from suwen.core.sample import Sample
from suwen.core.task import load_object
from suwen.engines.choose import choose_engine

BATCH = 64

Deliver = Callable[[Any], Sequence[Path]]
"""What an answer rests on → the files that were written of it."""

Asker = Callable[[Model, list[Sample], bool, Deliver | None], Iterable[Prediction]]
"""(model, some samples, whether bad ones become answers that abstain, what writes files) → an answer each, in order."""


def predict(
    run: Model | str | Path,
    *inputs: Any,
    skip_bad: bool = False,
    device: str = "cpu",
    engine: str = "auto",
    out: str | Path | None = None,
    write: Sequence[str] = (),
) -> list[Prediction]:
    """Answer for each input, in order.

    Args:
        run: a Model or the folder of a Run.
        inputs: files, folders, globs, ``.npz`` sets, manifests, or pixel arrays ``(H, W)`` or ``(H, W, C)``;
            of a table files, ``FILE:ROW``, or rows as column → value.
        skip_bad: an unreadable file becomes a Prediction that abstains and says why, instead of an error.
        device: ``"cpu"``, ``"cuda"`` …
        engine: what runs the network: ``"auto"`` is the fastest of those that ``suwen export`` kept in the Run; or
            ``"torch"``, ``"frozen"``, ``"compiled"``, ``"onnx"``, ``"onnx-int8"``, ``"openvino"``. Each Prediction
            says which it was. A Model in memory keeps the one it has unless another is named.
        out: a folder for masks and what else is written of them, each file named after its input.
        write: which files: ``"mask"`` (PNG or NIfTI; the default), ``"uncertainty"``,
            ``"contours"`` (JSON), ``"dicom-seg"``, ``"fhir"``.

    Raises:
        RecipeError: `out` for a task whose answers are no masks.
        FileUnreadable: an input cannot be decoded and `skip_bad` is off.
        RunError: the export of the engine named is missing, damaged, or of other weights.
    """
    options: dict[str, Any] = {"skip_bad": skip_bad, "device": device, "engine": engine, "out": out, "write": write}
    return list(predict_each(run, *inputs, **options))


def predict_each(
    run: Model | str | Path,
    *inputs: Any,
    skip_bad: bool = False,
    device: str = "cpu",
    engine: str = "auto",
    out: str | Path | None = None,
    write: Sequence[str] = (),
) -> Iterator[Prediction]:
    """As `predict`, one after the other, so that a large folder needs little memory."""
    model = run if isinstance(run, Model) else load(run, device=device)
    read = [_samples(model, each) for each in inputs]
    if engine != "auto" or not isinstance(run, Model):
        folder = None if isinstance(run, Model) else Run(run)
        chosen = choose_engine(model, folder, engine, batch=min(BATCH, sum(map(len, read))))
        # a Model that was handed over stays as it is
        model = replace(model, engine=chosen)
    samples = chain.from_iterable(read)
    ask: Asker = load_object(model.task.asker)
    deliver = None if out is None else _writing(model, Path(out), tuple(write) or ("mask",))
    while some := list(islice(samples, BATCH)):
        yield from ask(model, some, skip_bad, deliver)


def _writing(model: Model, folder: Path, names: tuple[str, ...]) -> Deliver:
    """What writes the files of a finding.

    Raises:
        RecipeError: the task's answers are no masks.
    """
    if model.head.config["name"] != "segment":
        raise RecipeError(
            f"--out for {model.task.name}", why="its answers are words and numbers", fix="--json, or --csv FILE"
        )
    from suwen.clinic.masks.outputs import Writer

    folder.mkdir(parents=True, exist_ok=True)
    return Writer(folder, names)


def _samples(model: Model, source: Any) -> Sequence[Sample]:
    if isinstance(source, np.ndarray):
        return [Sample(id="array", source=source, target=None, subject="array")]
    if isinstance(source, Mapping):
        return [Sample(id="row", source=cast(Any, source), target=None, subject="row")]
    reader = bound(READERS[model.task.probe or model.task.reader], model.preprocess.model_dump())
    return reader.read(source, labelled=False)


def answer_together(
    model: Model, samples: list[Sample], skip_bad: bool, deliver: Deliver | None = None
) -> list[Prediction]:
    """Answers for inputs that all become one size: one batch."""
    began = time.perf_counter()
    decoded: list[Any] = []
    for sample in samples:
        try:
            decoded.append(model.preprocess(sample.source))
        except FileUnreadable as error:
            if not skip_bad:
                raise
            decoded.append(error)
    good = [pixels for pixels in decoded if not isinstance(pixels, FileUnreadable)]
    answers = iter(model.answer(torch.from_numpy(np.stack(good))) if good else [])
    found = [refused(item) if isinstance(item, FileUnreadable) else next(answers) for item in decoded]
    seconds = (time.perf_counter() - began) / len(samples)
    for sample, answer in zip(samples, found, strict=True):
        answer.input, answer.task, answer.model, answer.seconds = sample.id, model.task.name, model.name, seconds
        answer.engine = "torch" if model.engine is None else model.engine.name
    return found


def refused(error: FileUnreadable) -> Prediction:
    """What is said of an input that cannot be read."""
    return Prediction(answer=None, probabilities={}, abstain=True, reason=f"unreadable: {error.seen}; {error.why}")
