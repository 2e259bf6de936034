from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from suwen.core.calibration import Calibration
from suwen.core.features import Features
from suwen.heads.logistic import Logistic


def data(labels: int = 2, rows: int = 150, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, 5))
    scores = z @ rng.normal(size=(5, labels)) + rng.gumbel(size=(rows, labels))
    return torch.from_numpy(z.astype(np.float32)), torch.from_numpy(scores.argmax(1))


def solved(z: torch.Tensor, y: torch.Tensor, labels: tuple[str, ...], **options: object) -> Logistic:
    head = Logistic(z.shape[1], labels, **options)
    head.solve(Features(z), y, np.arange(len(y)), seed=0)
    return head


@pytest.mark.parametrize("labels", [("no", "yes"), ("a", "b", "c")])
def test_answers_are_those_of_scikit_learn_at_the_same_penalty(labels: tuple[str, ...]) -> None:
    z, y = data(len(labels))
    head = solved(z, y, labels, strength=0.3)
    oracle = LogisticRegression(C=0.3, tol=1e-8, max_iter=5000).fit(z.double().numpy(), y.numpy())
    said = head.probabilities(head(Features(z)), Calibration()).detach().numpy()
    assert said == pytest.approx(oracle.predict_proba(z.double().numpy()), abs=1e-4)


def test_the_penalty_has_the_best_crossfitted_likelihood() -> None:
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.normal(size=(120, 40)).astype(np.float32))
    y = torch.from_numpy(rng.integers(0, 2, 120))
    shrunk = solved(noise, y, ("no", "yes"))
    assert float(shrunk.linear.weight.abs().max()) < 0.05  # pure noise: the strongest penalty wins
    z, y = data(rows=400)
    assert float(solved(z, y, ("no", "yes")).linear.weight.abs().max()) > 0.3


def test_crossfitted_answers_did_not_see_their_row() -> None:
    z, y = data(rows=60)
    head = solved(z, y, ("no", "yes"), strength=1.0)
    flipped = y.clone()
    flipped[7] = 1 - flipped[7]
    again = solved(z, flipped, ("no", "yes"), strength=1.0)
    assert head.crossfitted is not None and head.crossfitted.shape == (60, 2)
    # were its own label in the fit, the answer would follow it at once; folds may differ by one place
    moved = again.crossfitted[7, 1] - head.crossfitted[7, 1]
    sign = 1 if flipped[7] == 1 else -1
    assert sign * moved < 0.5


def test_several_labels_are_questions_of_their_own() -> None:
    z, one = data()
    _, other = data(seed=1)
    both = solved(z, torch.stack([one, other], 1), ("x", "y"), multi_label=True, strength=0.3)
    alone = solved(z, one, ("no", "yes"), strength=0.3)
    said = both.probabilities(both(Features(z)), Calibration())[:, 0]
    assert torch.allclose(said, alone.probabilities(alone(Features(z)), Calibration())[:, 1], atol=1e-5)


def test_weights_come_back_from_a_state_dict_and_do_not_learn_further() -> None:
    z, y = data()
    head = solved(z, y, ("no", "yes"))
    again = Logistic(z.shape[1], ("no", "yes"), **{k: v for k, v in head.config.items() if k != "name"})
    again.load_state_dict(head.state_dict())
    assert torch.equal(again(Features(z)), head(Features(z)))
    assert not any(parameter.requires_grad for parameter in head.parameters())


def test_a_label_that_training_lacks_is_improbable() -> None:
    z, y = data(3)
    head = solved(z, y.clamp(max=1), ("a", "b", "c"), strength=1.0)
    said = head.probabilities(head(Features(z)), Calibration())
    assert torch.isfinite(said).all()
