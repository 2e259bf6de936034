"""Masked and next-token prediction, for sequences of words or events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.errors import RecipeError
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput
from suwen.learn.objectives.settings import Bounds, objective_settings

IGNORED = -100
"""Target of a position that is not predicted, as in PyTorch's cross-entropy."""


class TokenPrediction(nn.Module, ABC):
    """Common to both: an encoder of tokens, and one linear layer back to the vocabulary that is thrown away.

    The encoder must say ``vocabulary`` (V), ``padding`` and ``mask`` (token numbers), and give `Features.tokens`
    ``(B, N, D)`` for inputs int64 ``(B, N)``.
    """

    KNOWN: ClassVar[dict[str, Bounds]] = {}

    def __init__(self, encoder: Any, head: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        if getattr(encoder, "vocabulary", None) is None:
            raise RecipeError(
                f"{recipe.task} with the encoder {encoder.config['name']}",
                why="it reads no tokens, so that there is none to predict",
                fix="an encoder of text or events",
            )
        self.settings = objective_settings(recipe, self.KNOWN)
        self.encoder, self.head = encoder, head
        self.predict = nn.Linear(encoder.width, encoder.vocabulary)

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": mean cross-entropy of the predicted tokens, "output": (B, N, V) logits}``."""
        inputs, target = self.pose(batch["inputs"])
        tokens = self.encoder(inputs).tokens
        logits = self.predict(tokens).float()
        return {"loss": F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORED), "output": logits}

    @abstractmethod
    def pose(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N)`` tokens → what the encoder sees, and what it must say, `IGNORED` elsewhere."""

    def after_step(self) -> None:
        """Nothing to do."""


class MaskedTokens(TokenPrediction):
    """Masked language modelling (Devlin et al. 2019, section 3.1): of the chosen tokens, 80 % are replaced by the mask,
    10 % by a random token, 10 % stay.

    Settings (``objective``): ``masked``, share of the tokens that are chosen; at least one of each sequence is.
    """

    KNOWN: ClassVar[dict[str, Bounds]] = {"masked": (0.15, 0.01, 0.9)}

    def pose(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        encoder = cast(Any, self.encoder)
        chance = torch.rand(tokens.shape).to(tokens.device).masked_fill(tokens == encoder.padding, 2.0)
        least = chance.amin(1, keepdim=True)
        chosen = (chance < self.settings["masked"]) | ((chance == least) & (chance < 1))
        fate = torch.rand(tokens.shape).to(tokens.device)
        seen = tokens.masked_fill(chosen & (fate < 0.8), encoder.mask)
        noise = torch.randint(encoder.vocabulary, tokens.shape).to(tokens.device)
        seen = torch.where(chosen & (fate >= 0.9), noise, seen)
        return seen, tokens.masked_fill(~chosen, IGNORED)


class NextToken(TokenPrediction):
    """Each token from those before it. The encoder must be causal: position n may not see beyond n."""

    def pose(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The sequence, and the same moved one to the left."""
        following = torch.cat([tokens[:, 1:], tokens.new_full((len(tokens), 1), IGNORED)], 1)
        padding = cast(Any, self.encoder).padding
        return tokens, following.masked_fill(following == padding, IGNORED)
