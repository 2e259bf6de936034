"""Reports and boxes: the sentence says what, where and how large; the XML is what VOC readers expect."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suwen.simulation.lesions import draw_nodule, draw_opacity
from suwen.simulation.reports import ZONES, sentence, side_of, voc, zone_of

NODULE = replace(draw_nodule(np.random.default_rng(0)), side=-1, down=0.2, size_mm=21.4)
OPACITY = replace(draw_opacity(np.random.default_rng(0)), side=1, down=0.9, size_mm=84.0)


def test_sentences() -> None:
    assert sentence(NODULE, "en") == "There is a round nodule of about 21 mm in the upper zone of the right lung."
    assert sentence(NODULE, "zh") == "右肺上野见一类圆形结节影，直径约21 mm。"
    assert sentence(OPACITY, "en") == "There is a patchy opacity of about 8 cm in the lower zone of the left lung."
    assert sentence(OPACITY, "zh") == "左肺下野见斑片状密度增高影，范围约8 cm。"
    assert sentence(None, "en") == "The lungs are clear, without nodule or opacity."
    assert sentence(None, "zh") == "双肺野清晰，未见结节影及斑片影。"


@pytest.mark.parametrize(("down", "zone"), [(0.1, "upper"), (0.5, "middle"), (0.9, "lower")])
def test_zones_go_downwards(down: float, zone: str) -> None:
    assert zone_of(replace(NODULE, down=down)) == zone and zone in ZONES


def test_the_right_lung_is_on_the_images_left() -> None:
    assert side_of(replace(NODULE, side=-1)) == "right"
    assert side_of(replace(NODULE, side=1)) == "left"


@given(st.tuples(*[st.integers(0, 511)] * 4), st.integers(1, 512), st.text("ab&<>\"'", min_size=1, max_size=8))
def test_voc_round_trip_counts_from_one(box: tuple[int, int, int, int], size: int, name: str) -> None:
    root = ElementTree.fromstring(voc(name, size, "nodule", box))
    assert root.tag == "annotation" and root.findtext("filename") == name
    assert [root.findtext(f"size/{part}") for part in ("width", "height", "depth")] == [str(size), str(size), "1"]
    (found,) = root.findall("object")
    assert found.findtext("name") == "nodule"
    corners = [int(found.findtext(f"bndbox/{corner}", "")) for corner in ("xmin", "ymin", "xmax", "ymax")]
    assert corners == [value + 1 for value in box]


def test_a_normal_film_has_no_object() -> None:
    assert ElementTree.fromstring(voc("a.png", 64, "normal", None)).findall("object") == []
