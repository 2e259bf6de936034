from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from suwen.evaluation.sheet import SheetContent, Tile, write_sheet


def test_the_sheet_shows_every_image_and_escapes_what_users_named(tmp_path: Path) -> None:
    tiles = [
        Tile(id=f"<b>{n}</b>.png", subject="S & co", png=b"png%d" % n, reason="entropy 0.6", said="a 0.50, b 0.50")
        for n in range(3)
    ]
    content = SheetContent(
        model="run@abc",
        strategy="entropy",
        summary="the answer is spread over labels",
        formula="-Σ p ln p",
        source="Shannon 1948",
        counts={"images in the pool": 12, "chosen": 3},
        tiles=tiles,
        labels=("a", "b"),
        foreign=("<i>stranger</i>.png",),
        notes=("a < b",),
        simulated=True,
    )
    write_sheet(tmp_path / "sheet.html", content)
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "3 of 12 images" in page and "Simulated data" in page and "a, b" in page
    assert "<b>0" not in page and "&lt;b&gt;0" in page and "<i>stranger" not in page and "S &amp; co" in page
    for n in range(3):
        assert b64encode(b"png%d" % n).decode() in page
    assert "src=" in page and 'src="http' not in page and "<script" not in page
