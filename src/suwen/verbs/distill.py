"""``distill``: a small model learns from a large one's Run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from suwen.core.model import Model
from suwen.core.recipe import make_recipe, parse_set, read_recipe
from suwen.core.registry import TASKS
from suwen.core.run import Run
from suwen.core.task import Task
from suwen.verbs.finetune import Finetuning, full_recipe, given
from suwen.verbs.folder import refuse_finished
from suwen.verbs.sources import split_seed

TAKEN_OVER = ("task", "data", "head", "augment", "evaluation")
"""Groups of the teacher's recipe that are the student's too. How it is trained is the task's own: what suits a large
pretrained encoder does not suit a small new one."""


def distill(
    run: str | Path,
    data: str | Path | None = None,
    *,
    encoder: str | None = None,
    weights: str | None = None,
    temperature: float | None = None,
    alpha: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    precision: str | None = None,
    seed: int | None = None,
    set: Sequence[str] = (),
    out: str | Path | None = None,
    log: Sequence[str] = (),
    skip_bad: bool = False,
    allow_leak: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> Model:
    """Train a smaller model on labels and on what the model of a Run says, and leave a Run of its own.

    It reads what the teacher reads and has its labels; on the teacher's own data it is also split alike. Its report
    sets it beside the teacher. Any Run that ``finetune`` can start from a recipe can be told its teacher in the same
    way: ``--set teacher.run=RUN``.

    Args:
        run: folder of the teacher's Run.
        data: labelled data; the teacher's own unless given.
        encoder: of the student, ``"timm:resnet10t"``; the task's own unless given.
        weights: pretrained weights of the student's encoder; random ones unless given.
        temperature: T, by which both soften their answers.
        alpha: share of the teacher in the loss, 0 to 1; the labels have the rest.
        epochs, batch_size, learning_rate, precision, seed, set, out, log, skip_bad, allow_leak, overwrite, quiet: as
            for ``finetune``; `out` is ``RUN-student`` unless given.

    Returns:
        The calibrated student.

    Raises:
        RecipeError: other labels or other inputs than the teacher's, or an impossible setting.
        LeakError: test images that trained or chose the teacher.
        SuwenError: as of ``finetune``.
    """
    teacher = Run(run)
    asked = {
        "data": {"skip_bad": skip_bad or None, "allow_leak": allow_leak or None},
        "encoder": {"name": encoder, "weights": weights},
        "training": {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "precision": precision,
        },
        "teacher": {"run": str(run), "temperature": temperature, "alpha": alpha},
        "seed": seed,
    }
    settings = full_recipe(from_teacher(teacher, data), given(asked), parse_set(set))
    student = Run(out or teacher.path.with_name(f"{teacher.path.resolve().name}-student"))
    refuse_finished(student, overwrite)
    return Finetuning(settings, student, Console(quiet=quiet, highlight=False), tuple(log), overwrite).run_it()


def from_teacher(teacher: Run, data: str | Path | None) -> dict[str, Any]:
    """What of a recipe comes from the teacher: the question, the inputs, and its data with their split."""
    model, kept = teacher.load(), make_recipe(read_recipe(teacher.recipe))
    nested = {name: value for name, value in kept.model_dump(mode="json").items() if name in TAKEN_OVER}
    task: Task = TASKS[kept.task]
    if kept.head.name not in (None, task.head):
        nested.pop("head")
    nested["inputs"] = model.preprocess.model_dump()
    nested["data"] |= {"labels": list(model.head.labels), "seed": split_seed(kept)}
    if data is not None:
        nested["data"] |= {"source": str(data), "more": [], "seed": None}
    return nested
