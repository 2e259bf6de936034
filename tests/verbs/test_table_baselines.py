from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from suwen.core.errors import NameUnknown
from suwen.data.table.reader import TABLE
from suwen.verbs.judge import outcome_from
from suwen.verbs.table_baselines import table_baselines


@pytest.fixture
def dataset(tmp_path: Path):  # noqa: ANN201
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = (x @ [1.5, -1, 0] + rng.logistic(size=200) > 0).astype(int)
    rows = [",".join([*map(repr, map(float, row)), str(label)]) for row, label in zip(x, y, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,y", *rows]), encoding="utf-8")
    samples = TABLE.read(tmp_path / "t.csv")
    return TABLE.build(samples, TABLE.preprocess(samples, {}), seed=0)


def test_baselines_learn_from_the_training_rows_and_answer_the_same_rows(dataset) -> None:  # noqa: ANN001
    test, train = dataset.where("test"), dataset.where("train")
    outcome = outcome_from(dataset, test, np.full((len(test), 2), 0.5))
    found = table_baselines(("prevalence", "logistic", "trees"), dataset, {"test": outcome})
    share = dataset.targets[train].mean()
    assert found["prevalence"]["test"].probabilities == pytest.approx(np.tile([1 - share, share], (len(test), 1)))
    oracle = LogisticRegression().fit(dataset.values[train], dataset.targets[train])
    theirs = oracle.predict_proba(dataset.values[test])[:, 1]
    mine = found["logistic"]["test"].probabilities[:, 1]
    assert np.corrcoef(mine, theirs)[0, 1] > 0.98
    assert roc_auc_score(dataset.targets[test], found["trees"]["test"].probabilities[:, 1]) > 0.7
    assert found["trees"]["test"].ids.tolist() == outcome.ids.tolist()


def test_an_unknown_baseline_is_refused(dataset) -> None:  # noqa: ANN001
    outcome = outcome_from(dataset, dataset.where("test"), np.full((len(dataset.where("test")), 2), 0.5))
    with pytest.raises(NameUnknown, match="did you mean"):
        table_baselines(("logistics",), dataset, {"test": outcome})
