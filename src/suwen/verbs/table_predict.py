"""Answers to rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

from suwen.core.model import Model
from suwen.core.prediction import Prediction
from suwen.core.sample import Sample
from suwen.verbs.predict import Deliver, answer_together


def answer_rows(
    model: Model, samples: Sequence[Sample], skip_bad: bool, deliver: Deliver | None = None
) -> list[Prediction]:
    """One batch. A row in which every value is missing, or one lies absurdly far out, gets no answer and the reason;
    one with a level that training did not have gets its answer with a note.

    Raises:
        DataError: the rows lack columns that the model was trained on.
    """
    answers = answer_together(model, list(samples), skip_bad, deliver)
    preprocess = model.preprocess
    for sample, answer in zip(samples, answers, strict=True):
        values = preprocess(sample.source)
        if refused := preprocess.refused(values):  # type: ignore[attr-defined]
            answer.answer, answer.abstain, answer.reason = None, True, refused
        elif unknown := preprocess.unknown_levels(values):  # type: ignore[attr-defined]
            note = f"training has no row with this {' or '.join(unknown)}, which counts as unknown"
            answer.reason = f"{answer.reason}; {note}" if answer.reason else note
    return answers
