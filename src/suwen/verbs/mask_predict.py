"""Masks for Samples of any size."""

from __future__ import annotations

import time
from collections.abc import Iterator

from suwen.core.errors import FileUnreadable
from suwen.core.model import Model
from suwen.core.prediction import Prediction
from suwen.core.sample import Sample
from suwen.data.case import DensePreprocess
from suwen.heads.draw import Drawn, draw
from suwen.verbs.predict import refused


def answer_each(model: Model, samples: list[Sample], skip_bad: bool) -> Iterator[Prediction]:
    """One after the other, so that one image is in memory at a time."""
    for sample in samples:
        began = time.perf_counter()
        try:
            answer = said_of(model, mask_of(model, sample))
        except FileUnreadable as error:
            if not skip_bad:
                raise
            answer = refused(error)
        answer.input, answer.task, answer.model = sample.id, model.task.name, model.name
        answer.engine = "torch" if model.engine is None else model.engine.name
        answer.seconds = time.perf_counter() - began
        yield answer


def mask_of(model: Model, sample: Sample) -> Drawn:
    """The mask of one sample, at the size of its file."""
    preprocess: DensePreprocess = model.preprocess  # type: ignore[assignment]
    opened = preprocess.open(sample.source)
    return draw(model, preprocess.prepare(opened), opened.grid)


def said_of(model: Model, drawn: Drawn) -> Prediction:
    """What a mask says, and whether its image is one that the model can judge."""
    answer: Prediction = model.head.said(drawn.codes)  # type: ignore[attr-defined]
    if model.domain is not None:
        limit, distance = float(model.domain.limit[0]), float(model.domain.distance(drawn.pooled[None])[0])
        if distance > limit:
            answer.answer, answer.abstain = None, True
            answer.reason = f"unlike the training data (distance {distance:.1f}, limit {limit:.1f})"
    return answer
