"""Files of every kind give their exact pixels, upright; files that are damaged in any way give an error, no picture."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from suwen.core.errors import FileUnreadable, SuwenError
from suwen.data.decode import read_pixels

RAMP = np.add.outer(np.arange(20), np.arange(0, 240, 8)).astype(np.uint8)  # (20, 30), no two rows or columns alike
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)
DEEP = RAMP.astype(np.uint16) * 251


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
@pytest.mark.parametrize(("pixels", "mode"), [(RAMP, "grey8"), (COLOUR, "rgb8")])
def test_lossless_files_give_their_exact_8_bit_pixels(
    tmp_path: Path, suffix: str, pixels: np.ndarray, mode: str
) -> None:
    picture = read_pixels(saved(tmp_path / f"a.{suffix}", Image.fromarray(pixels)))
    assert picture.mode == mode
    assert picture.pixels.dtype == np.uint8
    assert np.array_equal(picture.pixels, pixels)
    assert (picture.low, picture.high, picture.window) == (0, 255, None)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_is_exact(tmp_path: Path, compression: str) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(COLOUR), compression=compression)
    assert np.array_equal(read_pixels(path).pixels, COLOUR)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_keeps_its_depth(tmp_path: Path, suffix: str) -> None:
    picture = read_pixels(saved(tmp_path / f"a.{suffix}", Image.fromarray(DEEP)))
    assert (picture.mode, picture.low, picture.high) == ("grey16", 0, 65535)
    assert picture.pixels.dtype == np.uint16
    assert np.array_equal(picture.pixels, DEEP)


def test_float_tiff_keeps_its_values(tmp_path: Path) -> None:
    values = RAMP.astype(np.float32) / 7 - 3
    picture = read_pixels(saved(tmp_path / "a.tif", Image.fromarray(values)))
    assert picture.mode == "grey32f"
    assert np.array_equal(picture.pixels, values)
    assert (picture.low, picture.high) == (values.min(), values.max())


def test_16_bit_tiff_in_which_zero_is_white_has_black_above_white(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(DEEP), tiffinfo={262: 0})
    picture = read_pixels(path)
    assert (picture.low, picture.high) == (65535, 0)
    assert np.array_equal(picture.pixels, DEEP)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    picture = read_pixels(saved(tmp_path / "a.png", Image.fromarray(RAMP > 100)))
    assert picture.mode == "bilevel"
    assert np.array_equal(picture.pixels, np.where(RAMP > 100, 255, 0))


def test_a_palette_gives_its_colours_and_a_grey_palette_gives_grey(tmp_path: Path) -> None:
    coloured = Image.fromarray(COLOUR).quantize(64)
    picture = read_pixels(saved(tmp_path / "a.png", coloured))
    assert picture.mode == "palette"
    assert np.array_equal(picture.pixels, np.asarray(coloured.convert("RGB")))
    grey = Image.fromarray(RAMP).convert("P")
    assert np.array_equal(read_pixels(saved(tmp_path / "b.png", grey)).pixels, RAMP)


def test_a_palette_with_a_transparent_colour_keeps_it(tmp_path: Path) -> None:
    coloured = Image.fromarray(COLOUR).quantize(8)
    picture = read_pixels(saved(tmp_path / "a.png", coloured, transparency=0))
    assert picture.pixels.shape == (20, 30, 4)
    assert np.array_equal(picture.pixels[..., 3] == 0, np.asarray(coloured) == 0)


def test_opacity_is_kept_of_grey_and_of_colour(tmp_path: Path) -> None:
    rgba = np.dstack([COLOUR, RAMP])
    assert np.array_equal(read_pixels(saved(tmp_path / "a.png", Image.fromarray(rgba))).pixels, rgba)
    grey = Image.merge("LA", [Image.fromarray(RAMP), Image.fromarray(RAMP[::-1].copy())])
    picture = read_pixels(saved(tmp_path / "b.png", grey))
    assert picture.mode == "greya8"
    assert picture.grey
    assert np.array_equal(picture.pixels, np.dstack([RAMP, RAMP, RAMP, RAMP[::-1]]))


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(COLOUR).convert("CMYK"), quality=100)
    assert read_pixels(path).mode == "cmyk8"
    assert np.array_equal(read_pixels(path).pixels, np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_every_exif_orientation_is_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(COLOUR), exif=exif)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read_pixels(path).pixels, upright)


def test_the_first_bytes_tell_the_kind_of_file_and_the_suffix_does_not(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    Image.fromarray(RAMP).save(path, format="PNG")
    assert np.array_equal(read_pixels(path).pixels, RAMP)


# What cannot be read


def test_a_file_that_is_not_there_or_empty_or_text_is_named(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.png", tmp_path / "text.png"
    empty.touch()
    text.write_text("patient 17, see report")
    for path, seen in ((tmp_path / "gone.png", "No such file"), (empty, "0 bytes"), (text, "patient 17")):
        with pytest.raises(FileUnreadable, match=seen) as refusal:
            read_pixels(path)
        assert str(path) in refusal.value.seen
        assert refusal.value.why
        assert refusal.value.fix


FORMATS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "PNG": (COLOUR, {}),
    "JPEG": (COLOUR, {"quality": 90}),
    "progressive JPEG": (COLOUR, {"progressive": True}),
    "TIFF": (DEEP, {}),
    "LZW TIFF": (COLOUR, {"compression": "tiff_lzw"}),
    "BMP": (COLOUR, {}),
}


def encoded(name: str) -> bytes:
    pixels, options = FORMATS[name]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=name.split()[-1], **options)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.001, 0.999))
def test_a_file_cut_anywhere_is_an_error_or_the_whole_picture(tmp_path: Path, name: str, share: float) -> None:
    whole, path = encoded(name), tmp_path / "cut"
    path.write_bytes(whole)
    expected = read_pixels(path).pixels
    path.write_bytes(whole[: max(1, int(len(whole) * share))])
    try:
        found = read_pixels(path).pixels
    except FileUnreadable as refusal:
        assert str(path) in str(refusal)
    else:
        assert np.array_equal(found, expected)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FORMATS)
def test_flipped_bytes_never_escape_as_another_exception(tmp_path: Path, name: str) -> None:
    whole, generator, path = encoded(name), random.Random(7), tmp_path / "flipped"
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(generator.choice((1, 3, 20))):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            picture = read_pixels(path)
        except FileUnreadable as refusal:
            assert str(path) in str(refusal)
        else:
            assert picture.pixels.size


def test_a_flipped_byte_in_the_pixels_of_a_png_is_noticed(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(noise))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(FileUnreadable, match=r"a\.png"):
        read_pixels(path)


def test_pillow_told_to_load_half_pictures_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(SuwenError, match="LOAD_TRUNCATED_IMAGES"):
        read_pixels(saved(tmp_path / "a.png", Image.fromarray(RAMP)))


def test_a_file_of_several_pages_is_refused(tmp_path: Path) -> None:
    page = Image.fromarray(RAMP)
    path = saved(tmp_path / "a.tif", page, save_all=True, append_images=[page, page])
    with pytest.raises(FileUnreadable, match="holds 3 pictures"):
        read_pixels(path)


# Pictures that are too large


def large_png(path: Path, side: int) -> Path:
    """A valid grey PNG of `side` x `side` black pixels, written in strips."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(1)
    strip = bytes((side + 1) * 100)
    pixels = b"".join(packer.compress(strip) for _ in range(side // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path


PEAK = """
import resource, sys
from pathlib import Path
from suwen.core.errors import FileUnreadable
from suwen.data.decode import read_pixels
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(read_pixels(Path(sys.argv[1])).pixels.shape)
except FileUnreadable as refusal:
    print(refusal)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def read_elsewhere(path: Path) -> tuple[str, int]:
    """What reading prints in a process of its own, and how many MiB its memory grew."""
    ran = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True, env=os.environ)
    *lines, grown = ran.stdout.splitlines()
    return "\n".join(lines), int(grown)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_a_20000_x_20000_png_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    printed, grown = read_elsewhere(large_png(tmp_path / "huge.png", 20_000))
    assert "huge.png is 20000 x 20000, 400 megapixels" in printed
    assert "SUWEN_MAX_PIXELS=400000000" in printed
    assert grown < 40


def test_the_limit_can_be_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RAMP))
    monkeypatch.setenv("SUWEN_MAX_PIXELS", "599")
    with pytest.raises(FileUnreadable, match="30 x 20"):
        read_pixels(path)
    monkeypatch.setenv("SUWEN_MAX_PIXELS", "600")
    assert read_pixels(path).pixels.shape == (20, 30)
    monkeypatch.setenv("SUWEN_MAX_PIXELS", "many")
    with pytest.raises(SuwenError, match="SUWEN_MAX_PIXELS='many'"):
        read_pixels(path)


def test_a_jpeg_above_the_limit_is_decoded_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = np.asarray(Image.fromarray(COLOUR).resize((640, 480), Image.Resampling.BICUBIC))
    path = saved(tmp_path / "a.jpg", Image.fromarray(wide), quality=95)
    monkeypatch.setenv("SUWEN_MAX_PIXELS", str(200 * 200))
    reduced = read_pixels(path).pixels
    assert reduced.shape == (120, 160, 3)
    expected = np.asarray(Image.fromarray(wide).reduce(4)).astype(int)
    assert np.abs(reduced - expected).mean() < 2
    progressive = saved(tmp_path / "b.jpg", Image.fromarray(wide), progressive=True)
    with pytest.raises(FileUnreadable, match="640 x 480"):
        read_pixels(progressive)
