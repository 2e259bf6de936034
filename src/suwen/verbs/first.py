"""A Run that starts from another one's: what is kept of it, and how that one's site fares before and after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.errors import LeakError, RecipeError
from suwen.core.model import Model
from suwen.core.recipe import Recipe, make_recipe, read_recipe
from suwen.core.registry import READERS
from suwen.core.run import Run
from suwen.core.sample import Sample
from suwen.core.task import Task
from suwen.evaluation.intervals import bootstrap, bootstrap_difference
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.summarise import as_json
from suwen.learn.fisher import Importance, fisher, load_fisher, save_fisher, some_rows
from suwen.learn.keep import KEEP, keeping
from suwen.verbs.judge import outcome_of
from suwen.verbs.seen import digests_of, short_digests, used_by

FAMILY = "run:"


@dataclass
class First:
    """The Run that another one starts from, and its data where they are given.

    Attributes:
        run, model: as its folder holds them.
        recipe: of the new Run.
        own: the recipe it was trained with, its source being ``first.data``: the split is the one it was trained on.
    """

    run: Run
    model: Model
    recipe: Recipe
    own: Recipe

    def samples(self) -> list[Sample]:
        """Of its data, each with the split that it had when this Run was trained."""
        assert self.recipe.first.data is not None
        reader, data = READERS[self.model.task.reader], self.own.data
        found = reader.read(self.recipe.first.data)
        split: list[Sample] = reader.split(
            found,
            seed=self.own.seed if data.seed is None else data.seed,
            fractions=(data.train, data.val, data.test),
        )
        return split

    def rehearsed(self) -> list[Sample]:
        """Training samples of the first site to learn from again; of ``first.share`` of its subjects."""
        samples = [sample for sample in self.samples() if sample.split == "train"]
        subjects = sorted({sample.subject for sample in samples})
        count = max(1, round(self.recipe.first.share * len(subjects)))
        kept = set(np.random.default_rng(self.recipe.seed).permutation(subjects)[:count].tolist())
        # the name of an image in the first site's data may be that of another image here
        return [
            replace(
                sample,
                id=f"{self.recipe.first.data}: {sample.id}",
                subject=f"{self.recipe.first.data}: {sample.id}" if sample.subject == sample.id else sample.subject,
            )
            for sample in samples
            if sample.subject in kept
        ]

    def dataset(self, model: Model) -> Dataset:
        """Its data as `model` sees them; rows are in the same order whichever model looks."""
        reader, data = READERS[self.model.task.reader], self.recipe.data
        found: Dataset = reader.build(
            self.samples(),
            model.preprocess,
            seed=self.own.seed,
            labels=self.model.head.labels,
            fractions=None,
            skip_bad=data.skip_bad,
        )
        return found

    def importance(self) -> Importance:
        """The Fisher information: stored in the Run, or computed from its training data.

        Raises:
            RecipeError: it is not stored, and the data are not given.
        """
        weights = self.model.name.partition("@")[2]
        if self.run.fisher.is_file():
            return load_fisher(self.run.fisher, weights=weights)
        if self.recipe.first.data is None:
            raise RecipeError(
                f"--keep ewc, and {self.run.fisher} is not there",
                why="the Fisher information comes from the first site's data, or was stored there with its Run",
                fix="--also FIRST_SITES_DATA; or there: suwen finetune … --set evaluation.fisher=512",
            )
        dataset = self.dataset(self.model)
        rows = some_rows(dataset.where("train"), self.recipe.first.samples, self.recipe.seed)
        return fisher(self.model, dataset, rows)

    def before_and_after(self, model: Model, resamples: int) -> dict[str, Any]:
        """``metrics.json``'s ``first``: the first site's test figures by both models, and the paired change.

        ``refused`` is the share of these images that each model gives no answer to, as unlike its training data.
        """
        (then, refused_then), (now, refused_now) = (self._judged(each) for each in (self.model, model))
        names = self.model.head.metrics
        thresholds = self.model.calibration.threshold, model.calibration.threshold
        seed = self.recipe.seed
        found: dict[str, Any] = as_json(
            {
                "model": self.model.name,
                "data": self.recipe.first.data,
                "keep": self.recipe.first.keep,
                "n": len(then),
                "subjects": len(np.unique(then.subjects)),
                "before": bootstrap(then, names, thresholds[0], resamples=resamples, seed=seed),
                "after": bootstrap(now, names, thresholds[1], resamples=resamples, seed=seed),
                "change": bootstrap_difference(
                    now, then, names, (thresholds[1], thresholds[0]), resamples=resamples, seed=seed
                ),
                "refused": {"before": refused_then, "after": refused_now},
            }
        )
        return found

    def _judged(self, model: Model) -> tuple[Outcome, float]:
        dataset = self.dataset(model)
        rows = dataset.where("test")
        logits, features = model.infer(dataset, rows)
        foreign = 0.0 if model.domain is None else (model.domain.distance(features) > model.domain.limit[0]).mean()
        return outcome_of(model, dataset, rows, logits), float(foreign)

    def refuse_leaks(self, dataset: Dataset) -> None:
        """Its test images must not have trained it, nor be trained on now.

        Raises:
            LeakError: some are.
            RecipeError: its data have no test split, or its labels are others than the new data's.
        """
        theirs = self.dataset(self.model)
        test = theirs.where("test")
        if not len(test) or tuple(dataset.labels) != tuple(self.model.head.labels):
            raise RecipeError(
                f"{self.recipe.first.data}: {len(test)} test images, labels {', '.join(self.model.head.labels)}; "
                f"the new data have {', '.join(dataset.labels)}",
                why="figures before and after need test images, and the same labels in both models",
                fix="drop --also, or give data with the same labels and a test split",
            )
        if self.recipe.data.allow_leak:
            return
        train = dataset.where("train")
        used = np.union1d(used_by(self.run), digests_of(dataset, train))
        digests = getattr(theirs, "digests", None)
        again = np.zeros(len(test), bool) if digests is None else np.isin(short_digests(digests[test]), used)
        # an image that is a subject of its own says nothing about who it shows
        people = theirs.subjects[test] != theirs.ids[test]
        again |= people & np.isin(theirs.subjects[test], dataset.subjects[train])
        if again.any():
            raise LeakError(
                f"{int(again.sum())} of {len(test)} test images of {self.recipe.first.data}, or the people they show, "
                f"are trained on: {', '.join(str(name) for name in theirs.ids[test[again]][:5])}",
                why="the first site's figures would look too good",
                fix=f"the data that {self.run.path} was trained on, unchanged; where two sites number other people "
                "alike, put the site before the subject",
            )


def first_of(recipe: Recipe) -> First | None:
    """The Run that this recipe starts from and keeps, or compares itself with; None where it asks for neither.

    Raises:
        RecipeError: something is to be kept, and the encoder is not a Run's; or rehearsal without data.
    """
    asked = recipe.first
    if asked.keep is None and asked.data is None:
        return None
    if not recipe.encoder.name.startswith(FAMILY):
        raise RecipeError(
            f"--keep or --also with the encoder {recipe.encoder.name}",
            why="what is kept is what another Run learned",
            fix="--encoder run:FIRST_RUN",
        )
    if asked.keep is not None and KEEP[asked.keep].rehearse and asked.data is None:
        raise RecipeError(
            f"--keep {asked.keep} without the first site's data",
            why="its training images are to be learned from again",
            fix="--also DATA; where they cannot go, --keep l2sp or --keep ewc",
        )
    run = Run(recipe.encoder.name.removeprefix(FAMILY))
    own = make_recipe(read_recipe(run.recipe)) if run.recipe.is_file() else recipe
    return First(run, run.load(), recipe, own)


def keeping_task(task: Task, first: First | None, head_labels: tuple[str, ...]) -> Task:
    """The task that trains without forgetting, or the task itself where nothing is kept.

    Raises:
        RecipeError: the first site's images are to be rehearsed, and have other labels.
    """
    if first is None or first.recipe.first.keep is None:
        return task
    row = KEEP[first.recipe.first.keep]
    if row.rehearse and tuple(first.model.head.labels) != head_labels:
        raise RecipeError(
            f"rehearsal of {', '.join(first.model.head.labels)} among {', '.join(head_labels)}",
            why="both sites' images answer one question",
            fix="--keep l2sp, or the same labels in both",
        )
    return keeping(task, first.model, first.importance() if row.importance else None)


def write_fisher(run: Run, model: Model, dataset: Dataset, recipe: Recipe) -> None:
    """Store the Fisher information of the training data in the Run, if the recipe asks for it."""
    if not recipe.evaluation.fisher:
        run.fisher.unlink(missing_ok=True)
        return
    rows = some_rows(dataset.where("train"), recipe.evaluation.fisher, recipe.seed)
    save_fisher(run.fisher, fisher(model, dataset, rows), samples=len(rows), weights=model.name.partition("@")[2])
