from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.results import read_result
from benchmarks.tables import Table, tables

from benchmarks import tables as module


@pytest.mark.slow
def test_every_row_is_answered_by_a_fit_that_did_not_see_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2))
    y = rng.integers(0, 2, 90)
    rows = [f"{a},{b},{label}" for (a, b), label in zip(x, y, strict=True)]
    (tmp_path / "chance.csv").write_text("\n".join(["a,b,y", *rows]), encoding="utf-8")
    monkeypatch.setattr(module, "ALL", (Table("chance", "chance.csv", reach=0.9),))
    tables(data=tmp_path, quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "tables.json")
    found = written.figures["chance"]
    # labels without any rule: whoever saw a row would answer it better than chance
    assert all(0.3 < model["auroc"] < 0.7 for model in found.values())
    auroc, ece, speed = written.verdicts
    assert speed.met and written.figures["explaining"]["largest difference"] < 1e-9
    assert auroc.met is False and auroc.value == f"{found['suwen: blend']['auroc']:.4f}"
    assert ece.met is (found["suwen: blend"]["ece_after"] <= module.ECE)
