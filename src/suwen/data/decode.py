"""Image files to `Picture`: PNG, JPEG, TIFF, BMP and GIF through Pillow, DICOM through `suwen.data.dicom`.

The kind of file is told from its first bytes, never from its suffix. A file that cannot be decoded in full is
refused: half a picture padded with grey is worse than none.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from suwen.core.errors import DataError, FileUnreadable, SuwenError
from suwen.data import dicom
from suwen.data.picture import SKIP, Picture, picture_of, pixel_limit, refuse_large

__all__ = ["Picture", "read_indices", "read_pixels"]

Decoded = TypeVar("Decoded")

SIGNATURES: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"II*\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", TiffImagePlugin.TiffImageFile),
    (b"II+\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0+", TiffImagePlugin.TiffImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
)

# Pillow's mode -> our name, and the Pillow mode to convert to first (None: take it as it is).
MODES: dict[str, tuple[str, str | None]] = {
    "1": ("bilevel", "L"),
    "L": ("grey8", None),
    "LA": ("greya8", "RGBA"),
    "P": ("palette", None),
    "PA": ("palette", "RGBA"),
    "RGB": ("rgb8", None),
    "RGBX": ("rgb8", "RGB"),
    "RGBA": ("rgba8", None),
    "CMYK": ("cmyk8", "RGB"),
    "YCbCr": ("ycbcr8", "RGB"),
    "I;16": ("grey16", None),
    "I;16L": ("grey16", None),
    "I;16B": ("grey16", None),
    "I": ("grey32", None),
    "F": ("grey32f", None),
}

# EXIF 2.3, tag 0x0112: how the stored rows and columns are to be turned before they are shown.
ORIENTATION = 0x0112
TURNS = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}

WHITE_IS_ZERO, PHOTOMETRIC = 0, 262
"""TIFF 6.0, PhotometricInterpretation."""

# What Pillow raises on damaged files, found by cutting and flipping bytes of files of every kind.
PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
)


def read_pixels(path: Path) -> Picture:
    """Decode one file at its native depth, turned upright.

    Memory is bounded by `pixel_limit`: a larger JPEG is decoded at 1/2, 1/4 or 1/8 of its size (the format allows
    it), a larger picture of any other kind is refused before a pixel is decoded. Of 16-bit colour the upper 8 bits
    are kept, as Pillow does. Colour profiles are not applied.

    Raises:
        FileUnreadable: the file is absent, empty, cut short, damaged, too large, or no picture at all.
    """
    head = _head(path)
    if dicom.recognised(head):
        return dicom.read_dicom(path)
    return _read_with(_plugin(head, path), path, _picture)


def read_indices(path: Path) -> np.ndarray:
    """The stored values of one file, turned upright: of a palette picture the indices, not the colours.

    Raises:
        FileUnreadable: as `read_pixels`.
    """
    head = _head(path)
    if dicom.recognised(head):
        return dicom.read_dicom(path).pixels
    return _read_with(_plugin(head, path), path, _indices)


def _plugin(head: bytes, path: Path) -> type[ImageFile.ImageFile]:
    for signature, plugin in SIGNATURES:
        if head.startswith(signature):
            return plugin
    raise FileUnreadable(
        f"{path} begins with {head[:16]!r}",
        why="that is not a PNG, JPEG, TIFF, BMP, GIF or DICOM file, whatever its name says",
        fix=SKIP,
    )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(dicom.HEAD_BYTES)
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror}", why="it cannot be opened", fix="check the path") from error
    if not head:
        raise FileUnreadable(f"{path} has 0 bytes", why="an empty file holds no picture", fix=SKIP)
    return head


def _read_with(plugin: type[ImageFile.ImageFile], path: Path, made_of: Callable[[Image.Image], Decoded]) -> Decoded:
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise SuwenError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is switched on",
            why="files cut short would then be read as whole pictures, half of them grey",
            fix="set it to False",
        )
    try:
        with path.open("rb") as file, plugin(file) as image:
            _bound(image, path)
            image.load()
            return made_of(image)
    except DataError as error:
        if isinstance(error, FileUnreadable):
            raise
        raise FileUnreadable(f"{path}: {error.seen}", why=error.why, fix=SKIP) from error
    except PILLOW_ERRORS as error:
        raise FileUnreadable(f"{path}: {error}", why="the file is cut short or damaged", fix=SKIP) from error


def _bound(image: ImageFile.ImageFile, path: Path) -> None:
    """Refuse, or decode reduced, what would not fit into memory; refuse files of several pages."""
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise FileUnreadable(
            f"{path} holds {pages} pictures", why="which of them is meant is not known", fix="save each as its own file"
        )
    width, height = image.size
    limit = pixel_limit()
    if width * height <= limit:
        return
    scale = next((scale for scale in (2, 4, 8) if width * height <= limit * scale**2), None)
    # A progressive JPEG keeps all coefficients in memory, so that decoding it reduced saves nothing.
    if scale and isinstance(image, JpegImagePlugin.JpegImageFile) and "progressive" not in image.info:
        image.draft(image.mode, (width // scale, height // scale))
        return
    refuse_large(path, width, height)


def _indices(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    return turn(pixels) if turn else pixels


def _picture(image: Image.Image) -> Picture:
    if image.mode not in MODES:
        raise DataError(f"its pixels are of the kind {image.mode!r}", why="suwen does not read that kind")
    mode, convert = MODES[image.mode]
    pixels = _palette(image) if image.mode == "P" else np.asarray(image.convert(convert) if convert else image)
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    picture = picture_of(turn(pixels) if turn else pixels, mode)
    inverted = mode == "grey16" and _photometric(image) == WHITE_IS_ZERO
    return Picture(picture.pixels, mode, picture.high, picture.low) if inverted else picture


def _photometric(image: Image.Image) -> int | None:
    return image.tag_v2.get(PHOTOMETRIC) if isinstance(image, TiffImagePlugin.TiffImageFile) else None


def _palette(image: Image.Image) -> np.ndarray:
    """The colours of a palette picture; (H, W) where its palette is all grey, as many X-ray exports are."""
    pixels = np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB"))
    grey = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])
    return pixels[..., 0] if grey and pixels.shape[-1] == 3 else pixels
