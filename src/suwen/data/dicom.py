"""Single-frame DICOM to `Picture`, and the part of its header that is worth keeping.

References are to the DICOM standard: PS3.3 (objects), PS3.5 (encoding).
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import gdcm  # type: ignore[import-untyped]
import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.picture import SKIP, Picture, picture_of, refuse_large

HEAD_BYTES = 132
"""How many of the first bytes `recognised` wants to see."""

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

END_OF_IMAGE, PADDING = b"\xff\xd9", 16
"""JPEG, JPEG-LS and JPEG 2000 pictures all end with these bytes, and then up to a few of padding."""

# One decoder for each compression, each of which refuses a stream that is cut short. Left to itself, pydicom tries
# all that are installed, so that the most lenient one decides.
DECODERS = {
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
    uid.RLELossless: "pydicom",
}

# Byte order and value representation (implicit, little-endian) to the transfer syntax that a file without one is in.
NATIVE: dict[tuple[bool | None, bool | None], uid.UID] = {
    (True, True): uid.ImplicitVRLittleEndian,
    (False, True): uid.ExplicitVRLittleEndian,
    (False, False): uid.ExplicitVRBigEndian,
}

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

# DICOM keyword -> the name it has in a Sample's metadata.
KEPT = {
    "PatientID": "subject",
    "PatientSex": "sex",
    "PatientAge": "age",
    "Modality": "modality",
    "ViewPosition": "view_position",
    "SeriesInstanceUID": "series",
    "Manufacturer": "manufacturer",
}

YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
"""Units of the value representation AS (PS3.5, section 6.2)."""

# What pydicom and its decoders raise on damaged files, found by cutting and flipping bytes of files of every kind.
DICOM_ERRORS = (
    AttributeError,
    BytesLengthException,
    EOFError,
    IndexError,
    InvalidDicomError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    struct.error,
    TypeError,
    ValueError,
    zlib.error,
)


def recognised(head: bytes) -> bool:
    """Whether these first bytes are those of DICOM: with its preamble, or beginning at once with group 0002 or 0008."""
    if head[128:132] == b"DICM":
        return True
    if len(head) < 8:
        return False
    groups = (struct.unpack("<HH", head[:4]), struct.unpack(">HH", head[:4]))
    plausible = any(group in (0x0002, 0x0008) and element <= 0x0100 for group, element in groups)
    explicit, implicit = bool(re.fullmatch(rb"[A-Z]{2}", head[4:6])), head[6:8] == b"\0\0"
    return plausible and (explicit or implicit)


def read_dicom(path: Path) -> Picture:
    """The one picture of a DICOM file, as values after the modality LUT.

    - grey: rescale slope and intercept or Modality LUT are applied; `Picture.window` is the first VOI window, or the
      range of the VOI LUT, which is then applied (PS3.3 C.11.1, C.11.2). MONOCHROME1 has black above white.
      Padding pixels (PS3.3 C.7.5.1.1.2) are shown black.
    - colour: RGB with 8 bits; palettes looked up, YBR converted.

    Raises:
        FileUnreadable: no pixel data, several frames, too large, cut short, damaged, or a kind of pixel data that
            cannot be shown as one picture.
    """
    try:
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        _refuse_frames(header, path)
        dataset = pydicom.dcmread(path, force=True)
        _refuse_without_pixels(dataset, path)
        return _grey(dataset, path) if dataset.PhotometricInterpretation in GREY else _colour(dataset, path)
    except FileUnreadable:
        raise
    except DataError as error:
        raise FileUnreadable(f"{path}: {error.seen}", why=error.why, fix=SKIP) from error
    except DICOM_ERRORS as error:
        raise FileUnreadable(f"{path}: {error}", why="the DICOM file is cut short or damaged", fix=SKIP) from error


def stored_values(path: Path) -> np.ndarray:
    """Stored values of a grey file: (rows, columns), or (frames, rows, columns) of a multi-frame one.

    Raises:
        FileUnreadable, DataError, or one of `DICOM_ERRORS`: they cannot be decoded.
    """
    dataset = pydicom.dcmread(path, force=True)
    _refuse_without_pixels(dataset, path)
    return _stored(dataset, path)


def window_of(header: pydicom.Dataset) -> tuple[float, float] | None:
    """The (black, white) values of a linear window in the header, None without one (C.11.2)."""
    center, width = (_first(header.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if center is None or width is None or width < 1:
        return None
    return center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2


def read_header(path: Path) -> dict[str, Any]:
    """Subject, sex, age in years, modality, view position, series and manufacturer, as far as the header has them.

    Empty for files that are not DICOM or cannot be read: decoding says why.
    """
    try:
        with path.open("rb") as file:
            if not recognised(file.read(HEAD_BYTES)):
                return {}
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=list(KEPT))
        values = {name: str(header.get(keyword) or "").strip() for keyword, name in KEPT.items()}
    except DICOM_ERRORS:
        return {}
    known: dict[str, Any] = {name: value for name, value in values.items() if value}
    age = re.fullmatch(r"(\d{1,3})([YMWD])", known.pop("age", ""))
    return known | ({"age": round(int(age[1]) * YEARS[age[2]], 3)} if age else {})


def _refuse_frames(header: pydicom.Dataset, path: Path) -> None:
    frames = int(header.get("NumberOfFrames") or 1)
    if frames > 1:
        raise FileUnreadable(
            f"{path} holds {frames} frames",
            why="a picture task reads one picture a file; volumes and films come with the volume tasks",
            fix="save the frame that is meant as a file of its own, or pass --skip-bad to go on without it",
        )
    refuse_large(path, int(header.get("Columns") or 0), int(header.get("Rows") or 0))


def _refuse_without_pixels(dataset: pydicom.Dataset, path: Path) -> None:
    if any(keyword in dataset for keyword in PIXELS):
        return
    meta = getattr(dataset, "file_meta", {})
    kind = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    name = uid.UID(kind).name if kind else f"modality {dataset.get('Modality')}" if "Modality" in dataset else ""
    raise FileUnreadable(
        f"{path} has no pixel data" + (f": it is a {name} object" if name else ""),
        why="only images can be read as images" if len(dataset) else "the file ends before its pixels",
        fix="keep reports, plans and waveforms out of the image folder, or pass --skip-bad to go on without them",
    )


def _grey(dataset: pydicom.Dataset, path: Path) -> Picture:
    stored = _stored(dataset, path)
    values = _modality(stored, dataset)
    low, high = _full_range(stored, values, dataset)
    values, window, final = _window(_padded(stored, values, dataset), dataset)
    if final and window:
        low, high = window
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        low, high = high, low
        window = (window[1], window[0]) if window else None
    picture = picture_of(values, "dicom", display=(low, high))
    return Picture(picture.pixels, "dicom", low, high, window)


def _colour(dataset: pydicom.Dataset, path: Path) -> Picture:
    kind = str(dataset.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        pixels, bits = _palette(_stored(dataset, path), dataset), 8
    elif kind in COLOUR:
        pixels, bits = _stored(dataset, path), int(dataset.BitsStored)
    else:
        raise DataError(f"its pixels are {kind}", why="suwen reads monochrome, palette, RGB and YBR pictures")
    if bits != 8:
        pixels = (pixels >> (bits - 8)) if bits > 8 else pixels * (255 // (2**bits - 1))
    return picture_of(pixels.astype(np.uint8), "dicom")


def _stored(dataset: pydicom.Dataset, path: Path) -> np.ndarray:
    """Stored values (colour as RGB): decompressed, without unused bits, in the sign and plane order of the header."""
    _complete_meta(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        if "PixelData" in dataset and int(dataset.HighBit) >= int(dataset.BitsStored):
            raise DataError(
                f"high bit {dataset.HighBit} with {dataset.BitsStored} bits stored",
                why="the values do not begin at the lowest bit, a layout that DICOM has retired",
            )
        return np.asarray(pixel_array(dataset))
    if syntax not in DECODERS:
        raise DataError(f"its transfer syntax is {syntax.name}", why="suwen has no decoder for it")
    # The decoders refuse a stream without its end too, but the one for JPEG-LS takes many seconds over it.
    if syntax != uid.RLELossless and END_OF_IMAGE not in get_frame(dataset.PixelData, 0, number_of_frames=1)[-PADDING:]:
        raise DataError("its compressed picture has no end", why="it is cut short")
    if syntax == uid.JPEGExtended12Bit and int(dataset.BitsStored) > 8:
        return _twelve_bit_jpeg(dataset, path)
    return np.asarray(pixel_array(dataset, decoding_plugin=DECODERS[syntax]))


def _complete_meta(dataset: pydicom.Dataset) -> None:
    """Name the transfer syntax of a file that lacks it, from how its header is in fact written."""
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
    if dataset.file_meta.get("TransferSyntaxUID"):
        return
    if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
        raise DataError("no transfer syntax is given", why="how its pixels are compressed is not known")
    dataset.file_meta.TransferSyntaxUID = NATIVE[dataset.original_encoding]


def _twelve_bit_jpeg(dataset: pydicom.Dataset, path: Path) -> np.ndarray:
    """12-bit lossy JPEG, which only GDCM decodes among the free decoders (pydicom does not hand it over)."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise DataError("its 12-bit JPEG picture cannot be decoded", why="it is cut short or damaged")
    buffer = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(buffer, np.uint16).reshape(int(dataset.Rows), int(dataset.Columns))


def _modality(stored: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    """Stored values to output units, by LUT or ``stored * slope + intercept`` (PS3.3 C.11.1)."""
    if dataset.get("ModalityLUTSequence"):
        return _look_up(stored, dataset.ModalityLUTSequence[0], dataset)
    slope, intercept = (dataset.get(keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    if slope is None or intercept is None or (slope, intercept) == (1, 0):
        return stored
    if float(slope).is_integer() and float(intercept).is_integer() and stored.dtype.kind in "iu":
        return (stored.astype(np.int64) * int(slope) + int(intercept)).astype(np.int32)
    return (stored.astype(np.float64) * float(slope) + float(intercept)).astype(np.float32)


def _full_range(stored: np.ndarray, values: np.ndarray, dataset: pydicom.Dataset) -> tuple[float, float]:
    """The output values that the stored bits can reach; those that are there, for floats and lookup tables."""
    if stored.dtype.kind not in "iu" or dataset.get("ModalityLUTSequence"):
        return float(values.min()), float(values.max())
    bits = int(dataset.BitsStored)
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if dataset.PixelRepresentation else [0, 2**bits - 1])
    low, high = sorted(float(value) for value in _modality(ends, dataset))
    return low, high


def _padded(stored: np.ndarray, values: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    """The values with padding pixels as dark as the darkest picture element."""
    first = dataset.get("PixelPaddingValue")
    if first is None or stored.dtype.kind not in "iu":
        return values
    last = dataset.get("PixelPaddingRangeLimit", first)
    padding = (stored >= min(first, last)) & (stored <= max(first, last))
    if not padding.any() or padding.all():
        return values
    inside = values[~padding]
    darkest = inside.max() if dataset.PhotometricInterpretation == "MONOCHROME1" else inside.min()
    return np.where(padding, darkest, values)


def _window(values: np.ndarray, dataset: pydicom.Dataset) -> tuple[np.ndarray, tuple[float, float] | None, bool]:
    """Values, which of them the file asks to show as black and white (PS3.3 C.11.2), and whether it changed them.

    The first of several views is taken. A VOI LUT and the sigmoid function change the values themselves.
    """
    if dataset.get("VOILUTSequence"):
        item = dataset.VOILUTSequence[0]
        return _look_up(np.rint(values), item, dataset), (0.0, 2.0 ** int(item.LUTDescriptor[2]) - 1), True
    center, width = (_first(dataset.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    if center is None or width is None or width < (1 if function == "LINEAR" else 1e-12):
        return values, None, False
    if function == "SIGMOID":
        shown = 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -50, 50)))
        return shown.astype(np.float32), (0.0, 1.0), True
    if function == "LINEAR":
        center, width = center - 0.5, max(width - 1, 1e-6)
    return values, (center - width / 2, center + width / 2), False


def _first(value: Any) -> float | None:
    """The first of several values, or the only one; None if there is none."""
    if isinstance(value, (list, pydicom.multival.MultiValue)):
        value = value[0] if len(value) else None
    return None if value in (None, "") else float(value)


def _look_up(values: np.ndarray, item: pydicom.Dataset, dataset: pydicom.Dataset) -> np.ndarray:
    """Values through a LUT item: the n-th entry is for value ``first + n``; beyond its ends the end entries hold."""
    entries, first, _ = (int(value) for value in item.LUTDescriptor)
    table = _table(item.LUTData, entries, dataset)
    return table[np.clip(values.astype(np.int64) - first, 0, len(table) - 1)]


def _palette(stored: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    """Colours (H, W, 3) uint8 of palette indices (PS3.3 C.7.6.3.1.5); the upper 8 bits of a 16-bit palette."""
    entries, first, bits = (int(value) for value in dataset.RedPaletteColorLookupTableDescriptor)
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        colours = np.asarray(apply_color_lut(np.arange(first, first + (entries or 2**16)), dataset))[:, :3]
    else:
        data = [dataset[f"{name}PaletteColorLookupTableData"].value for name in ("Red", "Green", "Blue")]
        colours = np.stack([_table(channel, entries, dataset) for channel in data], axis=-1)
    # Some write 8-bit entries into 16-bit words: the descriptor says 8, and no value is above 255.
    wide = colours.dtype == np.uint16 and not (bits == 8 and colours.max() <= 255)
    colours = (colours >> 8 if wide else colours).astype(np.uint8)
    return colours[np.clip(stored.astype(np.int64) - first, 0, len(colours) - 1)]


def _table(data: Any, entries: int, dataset: pydicom.Dataset) -> np.ndarray:
    """The entries of a lookup table (0 stands for 65,536 of them), as uint8 where they are packed, else uint16."""
    count = entries or 2**16
    table: np.ndarray
    if not isinstance(data, bytes):
        table = np.atleast_1d(np.asarray(data, np.uint16))
    elif len(data) < 2 * count:
        table = np.frombuffer(data, np.uint8)[:count]
    else:
        order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
        table = np.frombuffer(data, f"{order}u2")[:count].astype(np.uint16)
    if len(table) != count:
        raise DataError(f"a lookup table of {len(table)} entries", why=f"its descriptor says {count}")
    return table
