"""What an answer rests on, as the user gets it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import suwen
from suwen.core.errors import NameUnknown


def test_it_points_at_the_disc(run: Path, films: Path) -> None:
    model = suwen.load(run)
    inside = []
    for file in sorted((films / "test" / "disc").glob("*.png")):
        heat = model.explain(file, label="disc").attribution
        assert heat.shape == (32, 32) and heat.min() >= 0 and heat.max() <= 1
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        inside.append(row < 18 and column < 18)
    assert np.mean(inside) > 0.7  # discs lie in the upper left; a random map would hit there a third of the time


def test_the_png_shows_the_film_beside_the_heat_map(run: Path, films: Path, tmp_path: Path) -> None:
    found = suwen.explain(run, str(films / "test" / "disc" / "000.png"), out=tmp_path / "why.png")
    with Image.open(tmp_path / "why.png") as sheet:
        assert sheet.size == (2 * 224 + 8, 224)
    assert found.label == found.prediction.answer and found.method == "grad-cam"


def test_unknown_names_are_refused(run: Path, films: Path) -> None:
    file = films / "test" / "disc" / "000.png"
    with pytest.raises(NameUnknown, match="disc"):
        suwen.explain(run, file, label="disk")
    with pytest.raises(NameUnknown, match="grad-cam"):
        suwen.explain(run, file, method="gradcam")
