"""A student from a Run and its data, to a report that sets it beside its teacher."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import suwen
from suwen.core.errors import LeakError, RecipeError
from suwen.core.recipe import make_recipe, read_recipe
from suwen.core.run import Run
from suwen.verbs.teacher import Teacher, size_warning

SHORT = ("training.epochs=2", "training.batch_size=16", "evaluation.resamples=20", "explanation.examples=0")


@pytest.fixture(scope="module")
def student(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("students") / "student"
    options = ("encoder.options.channels=[8, 16, 24, 32]", *SHORT)
    suwen.distill(run, encoder="timm:resnet10t", temperature=2.0, alpha=0.5, set=options, out=out, quiet=True)
    return out


def metrics_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return found


def test_it_stands_beside_its_teacher_on_the_same_test_images(run: Path, films: Path, student: Path) -> None:
    found = metrics_of(student)["teacher"]
    own, theirs = metrics_of(student)["splits"]["test"], metrics_of(run)["splits"]["test"]
    assert found["n"] == own["n"] == theirs["n"] == 40 and found["model"] == suwen.load(run).name
    for name in ("accuracy", "accuracy_at_threshold", "auroc"):
        assert found["student"][name]["value"] == pytest.approx(own["metrics"][name]["value"])
        assert found["teacher"][name]["value"] == pytest.approx(theirs["metrics"][name]["value"])
        change = found["student"][name]["value"] - found["teacher"][name]["value"]
        assert found["change"][name]["value"] == pytest.approx(change)
    assert found["parameters"]["student"] == sum(
        each.numel() for part in suwen.load(student).parts().values() for each in part.parameters()
    )
    assert all(seconds > 0 for row in found["latency"].values() for seconds in row.values())
    page = (student / "report.html").read_text(encoding="utf-8")
    assert "Beside its teacher" in page and f"{found['parameters']['teacher']:,}" in page
    assert suwen.load(student).card["teacher"]["temperature"] == 2.0


def test_the_question_the_inputs_and_the_split_are_the_teachers(run: Path, student: Path) -> None:
    ours, theirs = (make_recipe(read_recipe(path / "recipe.yaml")) for path in (student, run))
    assert ours.teacher.run == str(run) and (ours.teacher.temperature, ours.teacher.alpha) == (2.0, 0.5)
    assert ours.inputs == theirs.inputs and ours.data.source == theirs.data.source
    assert ours.encoder.name == "timm:resnet10t" and ours.training.epochs == 2
    seen = [load_file(path / "seen.safetensors") for path in (student, run)]
    assert all(np.array_equal(seen[0][name], seen[1][name]) for name in ("val", "test"))


def test_its_recipe_trains_the_same_student_again(student: Path, tmp_path: Path) -> None:
    suwen.finetune(recipe=student / "recipe.yaml", out=tmp_path / "again", quiet=True)
    one, other = (load_file(path / "model.safetensors") for path in (student, tmp_path / "again"))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_what_the_teacher_was_trained_on_is_no_test_of_the_student(run: Path, films: Path, tmp_path: Path) -> None:
    for here, there in (("train", "test"), ("test", "train"), ("val", "val")):
        shutil.copytree(films / here, tmp_path / "swapped" / there)
    with pytest.raises(LeakError, match="80 of 80 images were used to train or choose"):
        suwen.distill(run, tmp_path / "swapped", set=SHORT, out=tmp_path / "out", quiet=True)


def test_the_teachers_training_images_count_as_seen_by_the_student(
    run: Path, films: Path, student: Path, tmp_path: Path
) -> None:
    mine, theirs = (load_file(path / "seen.safetensors")["digests"] for path in (student, run))
    assert np.isin(theirs, mine).all()
    with pytest.raises(LeakError):
        suwen.evaluate(student, films, split="train", quiet=True)


def test_other_labels_and_other_inputs_are_refused(run: Path, films: Path, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for here, there in (("clear", "empty"), ("disc", "round")):
            shutil.copytree(films / split / here, tmp_path / "data" / split / there)
    with pytest.raises(RecipeError, match="empty, round; the teacher"):
        suwen.finetune(
            "image-classification",
            tmp_path / "data",
            set=(*SHORT, f"teacher.run={run}"),
            size=32,
            out=tmp_path / "a",
            quiet=True,
        )
    with pytest.raises(RecipeError, match=r"inputs with size 28; the teacher .* reads size 32") as refused:
        suwen.distill(run, set=(*SHORT, "inputs.size=28"), out=tmp_path / "b", quiet=True)
    assert "--set inputs.size=32" in refused.value.fix


def test_a_student_that_is_not_smaller_is_warned_of(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert size_warning({"student": 9, "teacher": 10}) == ""
    assert "10" in size_warning({"student": 10, "teacher": 10})
    suwen.distill(run, encoder="timm:test_resnet", set=SHORT, out=tmp_path / "out")
    assert "distillation makes a smaller model" in " ".join(capsys.readouterr().out.split())
    assert "distillation makes a smaller model" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("mine", "said"), [(None, "not for sale"), ("my own", "my own")])
def test_what_the_teachers_licence_forbids_is_said_of_the_student(run: Path, mine: str | None, said: str) -> None:
    model = replace(suwen.load(run), card={"licence": "CC BY-NC 4.0", "licence_warning": "not for sale"})
    card = Teacher(Run(run), model, make_recipe({"task": "image-classification"})).signed({"licence_warning": mine})
    assert card["licence_warning"] == said and card["teacher"]["licence"] == "CC BY-NC 4.0"


def test_a_teacher_and_something_to_keep_exclude_each_other(run: Path, films: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"teacher\.run and first\.keep"):
        suwen.finetune(
            "image-classification",
            films,
            encoder=f"run:{run}",
            keep="l2sp",
            set=(*SHORT, f"teacher.run={run}"),
            out=tmp_path / "out",
            quiet=True,
        )


def test_an_objective_has_no_teacher(run: Path, films: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="an objective has no labels") as refused:
        suwen.pretrain("image-contrastive", films, set=(f"teacher.run={run}",), out=tmp_path / "out", quiet=True)
    assert "suwen distill" in refused.value.fix
