from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import PurePosixPath

import pytest

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.task import load_object
from suwen.verbs.tasks import tasks


def test_an_object_is_found_by_module_and_name() -> None:
    assert load_object("pathlib:PurePosixPath") is PurePosixPath


def test_a_task_is_a_row_that_nobody_changes() -> None:
    with pytest.raises(FrozenInstanceError):
        IMAGE_CLASSIFICATION.metric = "accuracy"  # type: ignore[misc]


def test_every_registered_task_names_things_that_are_registered() -> None:
    from suwen.core.registry import EXPLANATIONS, HEADS, READERS

    for task in tasks():
        assert task.head in HEADS and task.reader in READERS
        assert task.explanation is None or task.explanation in EXPLANATIONS
        assert callable(load_object(task.module))
        assert task.augment is None or callable(load_object(task.augment))
