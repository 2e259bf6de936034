"""Answers about records: what was known of a subject at a time, asked of a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.errors import FileUnreadable
from suwen.core.model import Model
from suwen.core.prediction import Prediction
from suwen.core.sample import Sample
from suwen.data.records.asked import RecordSamples, open_columns, reasons_against, sequences_at
from suwen.data.records.questions import Question
from suwen.verbs.predict import refused

MOST_UNKNOWN = 0.5
"""Share of the tokens of one history that training never saw from which no answer is given."""


def answer_records(
    model: Model, samples: list[Sample], skip_bad: bool, deliver: Callable[[Any], Sequence[Path]] | None = None
) -> list[Prediction]:
    """An answer a sample, each a subject and a time of one store.

    Whoever has died by then, of whom nothing was known or nothing but what has no time, gets no answer: an error, or
    with `skip_bad` one that abstains and says why. Whoever's codes training mostly never saw gets one that abstains.

    Raises:
        FileUnreadable: the first of those.
    """
    began = time.perf_counter()
    found = _together(samples)
    reasons = reasons_against(found)
    good, bad = np.flatnonzero(reasons == ""), np.flatnonzero(reasons != "")
    if len(bad) and not skip_bad:
        raise _refusal(samples[bad[0]], reasons[bad[0]])
    answers: list[Prediction] = [
        refused(_refusal(sample, reason)) for sample, reason in zip(samples, reasons, strict=True)
    ]
    if len(good):
        tokens: Any = model.preprocess
        inputs = sequences_at(found.some(good), tokens).take(np.arange(len(good)))
        for place, answer, unknown in zip(good.tolist(), model.answer(inputs), _unknown(inputs), strict=True):
            answers[place] = _unless_foreign(answer, unknown)
    seconds = (time.perf_counter() - began) / len(samples)
    for sample, answer in zip(samples, answers, strict=True):
        answer.input, answer.task, answer.model, answer.seconds = sample.id, model.task.name, model.name, seconds
    return answers


def _together(samples: list[Sample]) -> RecordSamples:
    store = Path(samples[0].metadata["store"])
    pairs = np.stack([np.asarray(sample.source) for sample in samples])
    return RecordSamples(
        question=Question(store=store),
        columns=open_columns(store),
        subject_ids=pairs[:, 0],
        times=pairs[:, 1],
        targets=np.full(len(samples), None, object),
    )


def _refusal(sample: Sample, reason: str) -> FileUnreadable:
    return FileUnreadable(
        f"{sample.id}",
        why=reason or "nothing",
        fix="ask about somebody whose record has begun and not ended, or pass --skip-bad for an answer that abstains",
    )


def _unknown(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """float64 (B,): the share of unknown tokens of each sequence."""
    starts = inputs["offsets"][:-1].astype(np.int64)
    return np.add.reduceat((inputs["codes"] == 0).astype(np.float64), starts) / np.diff(inputs["offsets"])


def _unless_foreign(answer: Prediction, unknown: float) -> Prediction:
    if unknown > MOST_UNKNOWN:
        answer.answer, answer.abstain = None, True
        answer.reason = f"{unknown:.0%} of what is known has codes that training never saw"
    return answer
