"""``query``: which of the unlabelled inputs to label next, and why."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from suwen.core.dataset import Dataset
from suwen.core.errors import DataError, NameUnknown, RecipeError
from suwen.core.model import Model
from suwen.core.recipe import Recipe, make_recipe, read_recipe
from suwen.core.registry import READERS, STRATEGIES
from suwen.core.run import Run, load
from suwen.core.sample import Sample
from suwen.data.duplicates import look_alikes
from suwen.learn.query.look import Seen, look
from suwen.learn.query.strategy import Choice, Facts, Places, Pool, Strategy
from suwen.learn.randomness import derive
from suwen.verbs.queried import Query, Wanted, keep_labels, write_query
from suwen.verbs.seen import read_seen, short_digests
from suwen.verbs.sources import build_dataset, split_seed

_DRAW = 6  # stream of randomness: what a strategy draws


def query(
    run: Model | str | Path,
    pool: str | Path,
    *,
    budget: int = 100,
    strategy: str = "entropy",
    per_subject: int | None = None,
    seed: int = 0,
    out: str | Path | None = "query",
    skip_bad: bool = False,
    device: str = "cpu",
    quiet: bool = False,
) -> Query:
    """Choose what to label next from an unlabelled pool.

    Left out, and counted: what the Run was trained, chosen or tested on, further images of people it is validated and
    tested on, and all but one of equal or nearly equal images. Set apart: what is unlike its training data.

    Args:
        run: a Model or the folder of a Run; only a folder knows what was seen.
        pool: a folder, glob, manifest or ``.npz``; labels in it are not looked at.
        budget: how many to choose.
        strategy: a row of ``suwen.strategies``: entropy, margin, bald, coreset, badge, random.
        per_subject: at most so many images of one subject.
        seed: of whatever the strategy draws.
        out: folder for ``query.csv``, ``query.json`` and ``query.html``; None writes nothing.
        skip_bad: leave out unreadable files and count them.
        device: ``"cpu"``, ``"cuda"`` …
        quiet: print nothing.

    Raises:
        NameUnknown: no such strategy.
        DataError: fewer images than the budget can be chosen; or labels in an earlier ``query.csv`` would be lost.
    """
    chosen = _strategy(strategy)
    _check(budget, per_subject)
    folder = None if out is None else Path(out)
    if folder is not None:
        keep_labels(folder / "query.csv")
    model = run if isinstance(run, Model) else load(run, device=device)
    dataset, sources = _read(model, pool, seed, skip_bad)
    found = Query(model=model.name, strategy=chosen, seed=seed, counts={"images in the pool": len(sources)})
    if dataset.skipped:
        found.counts["unreadable, skipped"] = len(dataset.skipped)
    own = None if isinstance(run, Model) else _Own.of(Run(run), model)
    rows = _new(dataset, own, found)
    with tempfile.TemporaryDirectory(prefix="suwen-query-") as scratch:
        seen = look(model, dataset, rows, Path(scratch) / "pool", posterior=chosen.posterior, seed=seed)
        kept = _near(model, dataset, rows, seen, found)
        labelled = _labelled(model, own, chosen, Path(scratch) / "labelled", found)
        if seen.posterior is not None:
            found.notes.append(f"{chosen.name} compares {seen.posterior.how}")
        choice = _choose(chosen, _pool(model, dataset, rows, kept, seen, labelled.features), budget, per_subject, found)
        rows, probabilities = rows[kept], seen.probabilities[kept]
    names = [*labelled.names, *(str(name) for name in dataset.ids[rows])]
    how = "" if seen.posterior is None else seen.posterior.how
    found.samples = _samples(found.strategy, model, dataset, rows, probabilities, choice, names, how)
    found.counts["chosen"] = len(found.samples)
    if folder is not None:
        write_query(folder, found, model, dataset, rows[choice.rows], sources, pool)
    _say(Console(quiet=quiet, highlight=False), found, folder, run, model)
    return found


def _strategy(name: str) -> Strategy:
    if name not in STRATEGIES:
        raise NameUnknown("strategy", name, STRATEGIES.names(), fix="--strategy entropy")
    row: Strategy = STRATEGIES[name]
    return row


def _check(budget: int, per_subject: int | None) -> None:
    for name, value in (("budget", budget), ("per-subject", per_subject)):
        if value is not None and value < 1:
            raise RecipeError(f"--{name} {value}", why="at least one image is to be labelled", fix=f"--{name} 1")


def _read(model: Model, pool: str | Path, seed: int, skip_bad: bool) -> tuple[Dataset, dict[str, Any]]:
    """The pool without its labels and splits, decoded; and the source of each image by its id."""
    reader = READERS[model.task.reader]
    samples = [replace(sample, target=None, split=None) for sample in reader.read(pool, labelled=False)]
    dataset: Dataset = reader.build(
        samples, model.preprocess, seed=seed, labels=model.head.labels, fractions=None, skip_bad=skip_bad
    )
    return dataset, {sample.id: sample.source for sample in samples}


@dataclass(frozen=True)
class _Own:
    """What a Run knows of its own data: digests always, the data themselves where they are still there."""

    recipe: Recipe | None
    digests: np.ndarray
    samples: list[Sample] | None

    @classmethod
    def of(cls, run: Run, model: Model) -> _Own:
        recipe = make_recipe(read_recipe(run.recipe)) if run.recipe.is_file() else None
        digests = np.unique(np.concatenate([np.zeros(0, np.uint64), *read_seen(run).values()]))
        if recipe is None or not Path(recipe.data.source).exists():
            return cls(recipe, digests, None)
        data, reader = recipe.data, READERS[model.task.reader]
        fractions = (data.train, data.val, data.test)
        samples = reader.split(reader.read(data.source), seed=split_seed(recipe), fractions=fractions)
        return cls(recipe, digests, samples)

    @property
    def held_out(self) -> set[str]:
        """People of validation and test; not images that are a subject of their own, whose name says nothing."""
        held_out = (sample for sample in self.samples or () if sample.split in ("val", "test"))
        return {sample.subject for sample in held_out if sample.subject != sample.id}


def _new(dataset: Dataset, own: _Own | None, found: Query) -> np.ndarray:
    """Rows of the pool that the Run does not know, one of each group of look-alikes."""
    images: Any = dataset  # of other kinds of data only what is equal could be known, by their digests
    groups, complete = look_alikes(images) if hasattr(images, "phash") else (np.arange(len(images)), True)
    if not complete:
        found.notes.append("too many similar images to compare them all: some of those chosen may look alike")
    digests = getattr(dataset, "digests", None)
    known = np.zeros(len(dataset), bool)
    if own is None:
        found.notes.append("a Model without its Run folder does not know what it was trained on: nothing was left out")
    elif digests is not None:
        known = np.isin(short_digests(digests), own.digests)
        person = dataset.subjects != dataset.ids
        held_out = ~known & person & np.isin(dataset.subjects, sorted(own.held_out))
        found.counts["seen by the Run, left out"] = int(known.sum())
        found.counts["of subjects it is validated or tested on, left out"] = int(held_out.sum())
        known |= held_out
        if own.samples is None:
            found.notes.append(
                "the Run's own data are not where they were: whose images it is validated and tested on is not known "
                "here, and finetune will refuse theirs"
            )
    left = np.flatnonzero(~known & ~np.isin(groups, np.unique(groups[known])))
    first = np.unique(groups[left], return_index=True)[1]
    rows = np.sort(left[first])
    found.counts["equal or nearly equal to another, left out"] = int((~known).sum()) - len(rows)
    return rows


def _near(model: Model, dataset: Dataset, rows: np.ndarray, seen: Seen, found: Query) -> np.ndarray:
    """Positions in `rows` of what is like the training data; the others are named."""
    if model.domain is None:
        found.notes.append("the Run knows no domain (too few validation images): nothing was set apart as foreign")
        return np.arange(len(rows))
    distance = np.concatenate(
        [model.domain.distance(seen.features[start : start + 4096]) for start in range(0, max(1, len(rows)), 4096)]
    )
    foreign = distance > float(model.domain.limit[0])
    order = np.flatnonzero(foreign)[np.argsort(-distance[foreign], kind="stable")]
    found.foreign = [str(name) for name in dataset.ids[rows[order]]]
    found.counts["unlike the training data, set apart"] = len(order)
    return np.flatnonzero(~foreign)


@dataclass(frozen=True)
class _Labelled:
    features: np.ndarray
    names: list[str]


def _labelled(model: Model, own: _Own | None, strategy: Strategy, file: Path, found: Query) -> _Labelled:
    """Features and names of what the Run was trained on, for strategies that look at it."""
    nothing = _Labelled(np.zeros((0, model.encoder.width), np.float32), [])
    if not strategy.labelled:
        return nothing
    if own is None or own.samples is None or own.recipe is None:
        found.notes.append(
            f"{strategy.name}: the Run's training data are not there, so it starts from nothing labelled"
        )
        return nothing
    reader = READERS[model.task.reader]
    dataset = build_dataset(reader, reader.read(own.recipe.data.source), model.preprocess, own.recipe)
    rows = dataset.where("train")
    return _Labelled(look(model, dataset, rows, file).features, [str(name) for name in dataset.ids[rows]])


def _pool(model: Model, dataset: Dataset, rows: np.ndarray, kept: np.ndarray, seen: Seen, labelled: np.ndarray) -> Pool:
    posterior = seen.posterior
    if posterior is not None:
        posterior = replace(posterior, mean=posterior.mean[kept], entropy=posterior.entropy[kept])
    return Pool(
        probabilities=seen.probabilities[kept],
        multi_label=bool(getattr(model.head, "multi_label", False)),
        features=seen.features if len(kept) == len(rows) else _only(seen.features, kept),
        labelled=labelled,
        subjects=pd.factorize(dataset.subjects[rows[kept]])[0].astype(np.int64),
        posterior=posterior,
    )


def _only(features: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """These rows moved to the front of the file, block by block: they never fill the memory."""
    for start in range(0, len(kept), 4096):
        features[start : start + 4096][: len(kept[start : start + 4096])] = features[kept[start : start + 4096]]
    return features[: len(kept)]


def _choose(strategy: Strategy, pool: Pool, budget: int, per_subject: int | None, found: Query) -> Choice:
    places = Places(pool.subjects, per_subject)
    found.counts["to choose from"] = len(pool)
    if budget > len(places):
        lost = ", ".join(f"{count} {what}" for what, count in found.counts.items() if count)
        limit = "" if per_subject is None else f" (at most {per_subject} of a subject)"
        raise DataError(
            f"a budget of {budget}, and {len(places)} images can be chosen{limit}: {lost}",
            why="the budget is larger than what the pool has to offer",
            fix=f"--budget {len(places)}, or a larger pool" if len(places) else "another pool",
        )
    generator = np.random.default_rng(derive(found.seed, _DRAW))
    return strategy.choose(pool, budget, places, generator)


def _samples(
    strategy: Strategy,
    model: Model,
    dataset: Dataset,
    rows: np.ndarray,
    probabilities: np.ndarray,
    choice: Choice,
    names: Sequence[str],
    how: str,
) -> list[Wanted]:
    labelled = len(names) - len(rows)
    found = []
    for row, score, neighbour in zip(choice.rows, choice.scores, choice.neighbours, strict=True):
        said = dict(zip(model.head.labels, map(float, probabilities[row]), strict=True))
        facts = Facts(
            score=float(score),
            answers=sorted(said.items(), key=lambda pair: -pair[1]),
            multi_label=bool(getattr(model.head, "multi_label", False)),
            neighbour=None if neighbour < 0 else names[neighbour],
            neighbour_labelled=bool(0 <= neighbour < labelled),
            posterior=how,
        )
        found.append(
            Wanted(
                id=str(dataset.ids[rows[row]]),
                subject=str(dataset.subjects[rows[row]]),
                score=facts.score,
                reason=strategy.because(facts),
                probabilities=said,
                neighbour=facts.neighbour,
            )
        )
    return found


def _say(console: Console, found: Query, folder: Path | None, run: Any, model: Model) -> None:
    from rich.table import Table

    table = Table(title=f"{found.strategy.name}: {found.strategy.summary}   ({found.model})", title_justify="left")
    table.add_column("to label next", overflow="fold")
    table.add_column("why", overflow="fold")
    for each in found.samples[:20]:
        table.add_row(each.id, each.reason)
    console.print(table)
    if len(found.samples) > 20:
        console.print(f"and {len(found.samples) - 20} more")
    for what, count in found.counts.items():
        console.print(f"{count:>8}  {what}")
    for note in found.notes:
        console.print(f"[yellow]{note}[/]")
    if folder is not None:
        name = "RUN" if isinstance(run, Model) else run
        console.print(
            f"open    {folder / 'query.html'}\n"
            f"fill in the column 'label' of {folder / 'query.csv'}: {', '.join(model.head.labels)}\n"
            f"type    suwen finetune --extend {name} --labels {folder / 'query.csv'} --out {name}-2"
        )
