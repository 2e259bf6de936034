"""Masks for Samples of any size."""

from __future__ import annotations

import time
from collections.abc import Iterator

from suwen.clinic.masks.finding import Finding
from suwen.core.errors import FileUnreadable
from suwen.core.model import Model
from suwen.core.prediction import Prediction
from suwen.core.sample import Sample
from suwen.data.case import DensePreprocess
from suwen.heads.draw import Drawn, draw
from suwen.verbs.predict import Deliver, refused


def answer_each(
    model: Model, samples: list[Sample], skip_bad: bool, deliver: Deliver | None = None
) -> Iterator[Prediction]:
    """One after the other, so that one image is in memory at a time."""
    preprocess: DensePreprocess = model.preprocess  # type: ignore[assignment]
    for sample in samples:
        began, found = time.perf_counter(), None
        try:
            opened = preprocess.open(sample.source)
            pixels, opened = preprocess.prepare(opened), opened.without_pixels()
            drawn = draw(model, pixels, opened.grid, uncertainty=getattr(deliver, "uncertainty", False), progress=True)
            answer = said_of(model, drawn)
            found = Finding(sample, opened, drawn, answer, preprocess.classes, preprocess.codebook)
        except FileUnreadable as error:
            if not skip_bad:
                raise
            answer = refused(error)
        answer.input, answer.task, answer.model = sample.id, model.task.name, model.name
        answer.engine = "torch" if model.engine is None else model.engine.name
        if found is not None and deliver is not None and not answer.abstain:
            answer.files = tuple(map(str, deliver(found)))
        answer.seconds = time.perf_counter() - began
        yield answer


def said_of(model: Model, drawn: Drawn) -> Prediction:
    """What a mask says, and whether its image is one that the model can judge."""
    answer: Prediction = model.head.said(drawn.codes, drawn.grid, model.calibration)  # type: ignore[attr-defined]
    for label, objects in drawn.objects.items():
        answer.answer[label]["count"] = int(objects.max(initial=0))
    if model.domain is not None:
        limit, distance = float(model.domain.limit[0]), float(model.domain.distance(drawn.pooled[None])[0])
        if distance > limit:
            answer.answer, answer.abstain = None, True
            answer.reason = f"unlike the training data (distance {distance:.1f}, limit {limit:.1f})"
    return answer
