from __future__ import annotations

from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from suwen.evaluation.svg import NEUTRAL, SERIES, draw_svg, series_style


def _draw(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 0.123456789], label="0.123456 <b> & 肺炎 $x^2$", **series_style(0))
    axes.legend()


def test_text_stays_text_to_the_last_digit_and_is_escaped() -> None:
    svg = draw_svg(_draw, width=4.2, height=3, label="a <figure>")
    tree = ElementTree.fromstring(svg)
    assert "0.123456 <b> & 肺炎 $x^2$" in "".join(tree.itertext())
    assert tree.get("aria-label") == "a <figure>" and tree.get("role") == "img"


def test_the_same_drawing_is_the_same_bytes_and_small() -> None:
    first, second = (draw_svg(_draw, width=4.2, height=3, label="x") for _ in range(2))
    assert first == second and len(first) < 12_000


def test_it_scales_and_takes_the_colour_of_the_page() -> None:
    svg = draw_svg(_draw, width=4.2, height=3, label="x")
    opening = svg[: svg.index(">")]
    assert "viewBox" in opening and "width=" not in opening
    assert "currentColor" in svg and "<style" not in svg and "<metadata" not in svg
    assert "http" not in svg


@pytest.mark.parametrize("colour", [*SERIES, NEUTRAL])
@pytest.mark.parametrize("page", ["#ffffff", "#14181c"])
def test_every_colour_stands_out_on_a_light_and_on_a_dark_page(colour: str, page: str) -> None:
    light, dark = sorted((_luminance(colour), _luminance(page)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG 2.2, success criterion 1.4.11


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
