from __future__ import annotations

import numpy as np
import pytest
import torch

from suwen.core.encoder import build_encoder
from suwen.core.errors import RecipeError
from suwen.data.table.column import Column
from suwen.data.table.preprocess import TablePreprocess

PREPROCESS = TablePreprocess(
    columns=(
        Column(name="age", kind="number", mean=50, sd=10, median=49, low=20, high=80),
        Column(name="sex", kind="level", levels=("F", "M")),
        Column(name="race", kind="level", levels=("a", "b", "c")),
    )
)


@pytest.fixture
def encoder():  # noqa: ANN201
    torch.manual_seed(0)
    return build_encoder("suwen:tabular-transformer", PREPROCESS, width=16, heads=4, layers=2).eval()


def tokens(encoder, *row: float) -> torch.Tensor:  # noqa: ANN001
    return encoder.tokens(torch.tensor([row], dtype=torch.float32))[0]


def test_a_number_is_a_line_in_standard_deviations(encoder) -> None:  # noqa: ANN001
    mean, one, two = (tokens(encoder, age, 0, 0)[0] for age in (50, 60, 70))
    assert torch.allclose(mean, encoder.tokens.bias[0])
    assert torch.allclose(two - mean, 2 * (one - mean), atol=1e-6)


def test_levels_missing_values_and_unknown_levels_have_tokens_of_their_own(encoder) -> None:  # noqa: ANN001
    seen = [tokens(encoder, 50, 0, code)[2] for code in (0, 1, 2, 3, np.nan)]
    for place, one in enumerate(seen):
        assert all(not torch.allclose(one, other) for other in seen[place + 1 :])
    # a level of one column never looks up that of another
    assert not torch.allclose(tokens(encoder, 50, 2, 0)[1], tokens(encoder, 50, 0, 0)[1])


def test_every_column_is_a_token_and_the_answer_rests_on_each(encoder) -> None:  # noqa: ANN001
    rows = torch.tensor([[50.0, 0, 0], [70, 0, 0], [50, 1, 0], [50, 0, np.nan]])
    found = encoder(rows)
    assert found.pooled.shape == (4, 16) and found.tokens.shape == (4, 3, 16)
    assert all((found.pooled[0] - found.pooled[row]).abs().max() > 1e-4 for row in (1, 2, 3))


def test_it_is_built_again_and_every_parameter_has_a_depth(encoder) -> None:  # noqa: ANN001
    again = build_encoder(**encoder.config, preprocess=PREPROCESS).eval()
    again.load_state_dict(encoder.state_dict())
    rows = torch.tensor([[50.0, 0, 0], [np.nan, 1, 2]])
    with torch.inference_mode():
        assert torch.equal(again(rows).pooled, encoder(rows).pooled)
    depths = encoder.depths()
    assert set(depths) == {name for name, _ in encoder.named_parameters()}
    assert depths["tokens.bias"] == 0 and depths["layers.1.linear1.weight"] == 2 and depths["norm.weight"] == 3


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(RecipeError, match="equal part"):
        build_encoder("suwen:tabular-transformer", PREPROCESS, width=30)
