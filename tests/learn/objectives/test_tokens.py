"""With a bigram world: each token follows from the one before, so that an objective can be learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.core.recipe import make_recipe
from suwen.heads.embed import Embed
from suwen.learn.objectives.tokens import IGNORED, MaskedTokens, NextToken


class Reader(nn.Module):
    """A token and its two neighbours, or (causal) the token alone."""

    vocabulary, padding, mask = 12, 0, 1

    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        self.config = {"name": "tests:reader"}
        self.width, self.causal = 32, causal
        self.embed = nn.Embedding(self.vocabulary, 32)
        self.mix = nn.Conv1d(32, 32, 3, padding=1)

    def forward(self, tokens: Tensor) -> Features:
        x = self.embed(tokens)
        x = x if self.causal else x + self.mix(x.transpose(1, 2)).transpose(1, 2)
        return Features(pooled=x.mean(1), tokens=x)


def counting(rows: int, length: int = 8) -> Tensor:
    """2 3 4 … 11 2 3 …, from a random start; the last positions are padding."""
    start = torch.randint(10, (rows, 1))
    tokens = (start + torch.arange(length)) % 10 + 2
    tokens[::2, -2:] = 0
    return tokens


def trained(module: nn.Module, steps: int = 120) -> float:
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = module({"inputs": counting(32), "index": np.arange(32)})["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


@pytest.mark.parametrize(("kind", "causal"), [(MaskedTokens, False), (NextToken, True)])
def test_it_learns_what_follows_from_what(kind: Any, causal: bool) -> None:
    torch.manual_seed(0)
    module = kind(Reader(causal=causal), Embed(32), make_recipe({"task": "tests"}))
    assert trained(module) < 0.5 < np.log(10)


def test_about_the_asked_share_is_hidden_and_never_padding() -> None:
    torch.manual_seed(0)
    module = MaskedTokens(Reader(causal=False), Embed(32), make_recipe({"task": "tests", "objective": {"masked": 0.3}}))
    tokens = counting(4000)
    seen, target = module.pose(tokens)
    chosen = target != IGNORED
    assert not (chosen & (tokens == 0)).any() and chosen.any(1).all()
    assert float(chosen[tokens != 0].float().mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(seen[~chosen], tokens[~chosen]) and torch.equal(target[chosen], tokens[chosen])
    assert float((seen[chosen] == 1).float().mean()) == pytest.approx(0.8 + 0.1 / 12, abs=0.02)


def test_the_next_token_is_asked_and_padding_is_not() -> None:
    module = NextToken(Reader(causal=True), Embed(32), make_recipe({"task": "tests"}))
    seen, target = module.pose(torch.tensor([[2, 3, 4, 0]]))
    assert seen.tolist() == [[2, 3, 4, 0]] and target.tolist() == [[3, 4, IGNORED, IGNORED]]


def test_an_encoder_without_tokens_is_refused(flat: Any, embed: Any) -> None:
    with pytest.raises(RecipeError, match="reads no tokens"):
        MaskedTokens(flat, embed, make_recipe({"task": "tests"}))
