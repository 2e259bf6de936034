"""``trees``: gradient-boosted trees on the values of a table, or on the features of any frozen encoder."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from suwen.core.dataset import Dataset
from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.heads.boost import MOST_ROUNDS, SHAPES, Question, Shape, choose, grow, scores_of
from suwen.heads.classify import Classify
from suwen.heads.solved import Solved, as_logits, as_tensor

BAGS = 5
APART = "\0"
"""Between the texts of two boosters."""


class Trees(Solved):
    """Boosters that differ in their seed, whose scores are averaged (bagging: Breiman, Machine Learning 1996;24:123).

    How deep trees grow and how many there are is chosen by folds inside the training rows. Missing values go to the
    side of a split that suits them (LightGBM). What a Run keeps is LightGBM's own text, as bytes in a tensor.

    Args:
        width: D of the pooled features.
        labels: K names.
        multi_label, positive: as of `Classify`; where several labels may hold, each has boosters of its own.
        bags: boosters a question.
        depth: of trees, ``leaves`` 2^depth at most; chosen unless given.
        rounds: of boosting; chosen, up to `MOST_ROUNDS`, unless given.
        levels: columns whose values are codes of levels.
        stored: bytes of the text, written by `solve`.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"tokens"})
    explanation: ClassVar[str] = "tree-shap"
    text: Tensor

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...],
        *,
        map_widths: tuple[int, ...] = (),
        multi_label: bool = False,
        positive: str | None = None,
        bags: int = BAGS,
        depth: int | None = None,
        rounds: int | None = None,
        levels: tuple[int, ...] | list[int] = (),
        stored: int = 0,
    ) -> None:
        super().__init__(width, labels, multi_label=multi_label, positive=positive)
        if bags < 1 or (depth is not None and not 1 <= depth <= 16) or (rounds is not None and rounds < 1):
            raise RecipeError(
                f"bags = {bags}, depth = {depth}, rounds = {rounds}",
                why="at least one booster of one round, with trees 1 to 16 deep",
                fix="--set head.options.bags=5, and leave the others out",
            )
        del self.linear, self.dropout  # trees take the place of weights
        self.bags, self.depth, self.rounds, self.levels = bags, depth, rounds, tuple(levels)
        self.config = {
            "name": "trees",
            "multi_label": multi_label,
            "positive": positive,
            "bags": bags,
            "depth": depth,
            "rounds": rounds,
            "levels": list(levels),
            "stored": stored,
        }
        self.register_buffer("text", torch.zeros(stored, dtype=torch.uint8))
        self.found: list[str] = []
        self._read: list[Any] | None = None

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """As of `Classify`, with the columns of a table that hold levels."""
        columns = getattr(dataset.preprocess, "columns", ())
        levels = [place for place, column in enumerate(columns) if getattr(column, "kind", "") == "level"]
        return {"levels": levels} | Classify.options_for(dataset, train, options)

    def inputs(self, features: Features) -> np.ndarray:
        """The values of a table, NaN where missing; of other encoders pooled features."""
        tokens = features.tokens
        taken = tokens[:, :, 0] if tokens is not None and tokens.shape[-1] == 1 else features.pooled
        values: np.ndarray = taken.double().cpu().numpy()
        return values

    def solve_one(
        self, inputs: np.ndarray, answer: np.ndarray, rows: np.ndarray, fold: np.ndarray, *, seed: int
    ) -> np.ndarray:
        """See `Solved.solve_one`."""
        classes = 2 if self.multi_label else len(self.labels)
        shapes = SHAPES if self.depth is None else (Shape(self.depth, 2**self.depth, 15),)
        some = Question(answer[rows], classes, self.levels)
        shape, rounds, scores = choose(inputs[rows], some, fold, shapes, self.rounds or MOST_ROUNDS, seed=seed)
        question = Question(answer, classes, self.levels)
        for bag in range(self.bags):
            booster = grow(inputs, question, shape.settings(), self.rounds or rounds, seed=seed + bag)
            self.found.append(booster.model_to_string())
        return scores

    def keep(self) -> None:
        """As bytes; the boosters are read from them again, so that a loaded Run answers as this one does."""
        text = APART.join(self.found).encode()
        self.text = torch.from_numpy(np.frombuffer(text, np.uint8).copy())
        self.config = self.config | {"stored": len(text)}
        self.found, self._read = [], None

    @property
    def boosters(self) -> list[Any]:
        """All boosters: those of the first question, then those of the next.

        Raises:
            RecipeError: the head has not been fitted.
        """
        if self._read is None:
            import lightgbm

            if not len(self.text):
                raise RecipeError("these trees are not fitted", why="they learn at once", fix="--adapt head")
            texts = self.text.cpu().numpy().tobytes().decode().split(APART)
            self._read = [lightgbm.Booster(model_str=text) for text in texts]
        return self._read

    def forward(self, features: Features) -> Tensor:
        """``(B, D)`` → logits ``(B, K)``."""
        inputs = self.inputs(features)
        each = [scores_of(booster, inputs) for booster in self.boosters]
        scores = [np.mean(each[start : start + self.bags], axis=0) for start in range(0, len(each), self.bags)]
        return as_tensor(as_logits(scores, self.multi_label, len(self.labels)), features.pooled)

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        super()._load_from_state_dict(*args, **options)
        self._read = None
