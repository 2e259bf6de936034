from __future__ import annotations

import numpy as np
import pytest
import torch

from suwen.core.encoder import build_encoder
from suwen.core.errors import RecipeError
from suwen.data.preprocess import ImagePreprocess
from suwen.data.table.column import Column
from suwen.data.table.design import design_of
from suwen.data.table.preprocess import TablePreprocess

COLUMNS = (
    Column(name="age", kind="number", mean=50, sd=10, median=49, low=20, high=80, knots=(30, 40, 60)),
    Column(name="lab", kind="number", mean=2, sd=1, median=2, low=0, high=5, blanks=7),
    Column(name="sex", kind="level", levels=("F", "M"), usual=1),
)
PREPROCESS = TablePreprocess(columns=COLUMNS)
VALUES = np.array([[65, 1, 1], [np.nan, np.nan, np.nan], [20, 2, 2]], np.float32)


@pytest.mark.parametrize("splines", [True, False])
def test_pooled_features_are_the_design(splines: bool) -> None:
    encoder = build_encoder("suwen:table", PREPROCESS, splines=splines)
    found = encoder(torch.from_numpy(VALUES))
    assert np.array_equal(found.pooled.numpy(), design_of(COLUMNS, splines=splines)(VALUES))
    assert found.pooled.shape[1] == encoder.width and not found.pooled.isnan().any()


def test_tokens_are_the_values_with_gaps_where_training_had_gaps() -> None:
    tokens = build_encoder("suwen:table", PREPROCESS)(torch.from_numpy(VALUES)).tokens[:, :, 0]
    assert tokens[0].tolist() == [65, 1, 1]
    # trees that never saw an age missing would take NaN for 0
    assert tokens[1, 0] == 49 and tokens[1, 1].isnan() and tokens[1, 2] == 1


def test_it_has_no_weights_and_is_built_again_from_its_config() -> None:
    encoder = build_encoder("suwen:table", PREPROCESS, splines=False)
    assert not encoder.state_dict() and not list(encoder.parameters())
    again = build_encoder(**encoder.config, preprocess=PREPROCESS)
    inputs = torch.from_numpy(VALUES)
    assert torch.equal(again(inputs).pooled, encoder(inputs).pooled)


def test_other_inputs_and_weights_are_refused() -> None:
    with pytest.raises(RecipeError, match="reads tables"):
        build_encoder("suwen:table", ImagePreprocess(size=28, channels=1))
    with pytest.raises(RecipeError, match="columns differ"):
        build_encoder("suwen:table", PREPROCESS, weights="hub")
