"""DICOM gives the values that pydicom's own functions give, and never half a picture or the wrong one."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut, convert_color_space
from pydicom.pixels.utils import pixel_array

from suwen.core.errors import FileUnreadable
from suwen.data.decode import read_pixels
from suwen.data.dicom import read_header
from suwen.data.preprocess import ImagePreprocess, shade

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

MULTI_FRAME = {
    "OBXXXX1A_rle_2frame": 2,
    "SC_rgb_32bit_2frame": 2,
    "SC_rgb_rle_16bit_2frame": 2,
    "emri_small": 10,
    "emri_small_RLE": 10,
    "emri_small_jpeg_ls_lossless": 10,
    "examples_ybr_color": 30,
    "liver": 3,
    "rtdose": 15,
}
NO_PIXELS = {
    "hotiron": "Color Palette",
    "priv_SQ": "MR Image",
    "reportsi": "Basic Text SR",
    "rtplan": "RT Plan",
    "test-SR": "Comprehensive SR",
    "waveform_ecg": "12-lead ECG Waveform",
}
GREY = {
    "CT_small",
    "JPEG-LL",
    "JPEG2000",
    "JPEGLSNearLossless_16",
    "MR_small",
    "MR_small_RLE",
    "MR_small_bigendian",
    "MR_small_implicit",
    "MR_small_jp2klossless",
    "MR_small_jpeg_ls_lossless",
    "chrH31",
    "chrX1",
    "examples_overlay",
    "image_dfl",
    "liver_1frame",
}
RGB = {
    "ExplVR_BigEnd",
    "HTJ2K_08_RGB",
    "JLSL_RGB_ILV1",
    "SC_rgb_small_odd_big_endian",
    "color-pl",
    "color-px",
    "examples_jpeg2k",
    "examples_rgb_color",
}
OTHER = {
    "JPEG-lossy",
    "SC_rgb_jpeg_dcmtk",
    "SC_ybr_full_422_uncompressed",
    "examples_palette",
    "gdcm-US-ALOKA-16",
    "parametric_map_float",
    "vlut_04",
}

MALFORMED_BUT_WHOLE = {"J2K_pixelrep_mismatch", "bad_sequence", "explicit_VR-UN"}
MALFORMED_REFUSED = {
    "ExplVR_BigEndNoMeta": "has no pixel data: it is a RT Ion Plan",
    "ExplVR_LitEndNoMeta": "has no pixel data: it is a RT Ion Plan",
    "JPEG2000-embedded-sequence-delimiter": "cut short or damaged",
    "MR_truncated": "8130 vs 8192 bytes",
    "UN_sequence": "has no pixel data",
    "badVR": "1A",
    "empty_charset_LEI": "has no pixel data",
    "emri_small_jpeg_2k_lossless_too_short": "holds 10 frames",
    "meta_missing_tsyntax": "PhotometricInterpretation",
    "nested_priv_SQ": "PhotometricInterpretation",
    "no_meta": "not a PNG, JPEG, TIFF, BMP, GIF or DICOM",
    "no_meta_group_length": "has no pixel data",
    "reportsi_with_empty_number_tags": "has no pixel data: it is a Basic Text SR",
    "rtplan_truncated": "has no pixel data: it is a RT Plan",
    "rtstruct": "has no pixel data: it is a RT Structure Set",
}


@pytest.fixture(scope="module")
def dicom(shared_data: Path) -> Path:
    return shared_data / "dicom"


def test_every_shared_file_has_its_expectation_here(dicom: Path) -> None:
    names = {path.stem for path in dicom.glob("*.dcm")}
    assert names == {*MULTI_FRAME, *NO_PIXELS, *GREY, *RGB, *OTHER}
    malformed = {path.stem for path in (dicom / "malformed").glob("*.dcm")}
    assert malformed == MALFORMED_BUT_WHOLE | set(MALFORMED_REFUSED)


# Values


@pytest.mark.parametrize("name", sorted(GREY))
def test_grey_values_are_those_of_the_modality_lut(dicom: Path, name: str) -> None:
    dataset = pydicom.dcmread(dicom / f"{name}.dcm", force=True)
    picture = read_pixels(dicom / f"{name}.dcm")
    assert picture.mode == "dicom"
    assert np.array_equal(picture.pixels, apply_modality_lut(pixel_array(dataset), dataset))
    assert picture.low <= picture.pixels.min() <= picture.pixels.max() <= picture.high


@pytest.mark.parametrize("name", ["RLE", "bigendian", "implicit", "jp2klossless", "jpeg_ls_lossless"])
def test_one_picture_in_every_lossless_encoding_is_the_same_picture(dicom: Path, name: str) -> None:
    plain, encoded = read_pixels(dicom / "MR_small.dcm"), read_pixels(dicom / f"MR_small_{name}.dcm")
    assert encoded.digest() == plain.digest()


@pytest.mark.parametrize("name", sorted(RGB))
def test_colour_is_that_of_pydicom(dicom: Path, name: str) -> None:
    dataset = pydicom.dcmread(dicom / f"{name}.dcm", force=True)
    assert np.array_equal(read_pixels(dicom / f"{name}.dcm").pixels, pixel_array(dataset))


def test_ybr_is_converted_to_rgb(dicom: Path) -> None:
    dataset = pydicom.dcmread(dicom / "SC_ybr_full_422_uncompressed.dcm")
    expected = convert_color_space(pixel_array(dataset, raw=True), "YBR_FULL_422", "RGB")
    assert np.array_equal(read_pixels(dicom / "SC_ybr_full_422_uncompressed.dcm").pixels, expected)


def test_ybr_jpeg_shows_what_pillow_shows_of_the_same_jpeg(dicom: Path) -> None:
    dataset = pydicom.dcmread(dicom / "SC_rgb_jpeg_dcmtk.dcm")
    jpeg = Image.open(io.BytesIO(get_frame(dataset.PixelData, 0, number_of_frames=1))).convert("RGB")
    found = read_pixels(dicom / "SC_rgb_jpeg_dcmtk.dcm").pixels
    assert np.abs(found.astype(int) - np.asarray(jpeg)).max() <= 2


@pytest.mark.parametrize("name", ["examples_palette", "gdcm-US-ALOKA-16"])
def test_palettes_are_looked_up(dicom: Path, name: str) -> None:
    dataset = pydicom.dcmread(dicom / f"{name}.dcm")
    expected = apply_color_lut(pixel_array(dataset), dataset)
    assert np.array_equal(read_pixels(dicom / f"{name}.dcm").pixels, expected >> (8 * (expected.itemsize - 1)))


def test_twelve_bit_lossy_jpeg_is_close_to_the_same_scan_stored_without_loss(dicom: Path) -> None:
    lossy, lossless = (read_pixels(dicom / f"{name}.dcm").pixels for name in ("JPEG-lossy", "JPEG-LL"))
    assert lossy.shape == lossless.shape == (1024, 256)
    assert np.abs(lossy.astype(int) - lossless).mean() < 3
    assert np.corrcoef(lossy.ravel(), lossless.ravel())[0, 1] > 0.98


def test_float_pixels_keep_their_values(dicom: Path) -> None:
    dataset = pydicom.dcmread(dicom / "parametric_map_float.dcm")
    assert np.array_equal(read_pixels(dicom / "parametric_map_float.dcm").pixels, pixel_array(dataset))


@pytest.mark.parametrize("name", ["MR_small", "examples_overlay", "vlut_04"])
def test_the_window_shows_what_pydicom_shows(dicom: Path, name: str) -> None:
    dataset = pydicom.dcmread(dicom / f"{name}.dcm")
    shown = apply_voi_lut(apply_modality_lut(pixel_array(dataset), dataset), dataset).astype(float)
    low, high = (0, 65535) if name == "vlut_04" else window_range(dataset)
    expected = (shown - low) / (high - low) * 255
    assert np.abs(shade(read_pixels(dicom / f"{name}.dcm"), "auto") - expected).max() <= 0.51


def window_range(dataset: Dataset) -> tuple[int, int]:
    """What pydicom's windowing maps black and white to."""
    bits, signed = dataset.BitsStored, dataset.PixelRepresentation
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


# Files made for one feature each

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a DICOM file: `make(pixels, KEYWORD=value …)`."""

    def made(pixels: np.ndarray, name: str = "made.dcm", **elements: Any) -> Path:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
        meta.MediaStorageSOPInstanceUID = uid.generate_uid()
        dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID = meta.MediaStorageSOPClassUID
        dataset.Rows, dataset.Columns = pixels.shape[:2]
        bits = pixels.dtype.itemsize * 8
        described = {
            "SamplesPerPixel": 1 if pixels.ndim == 2 else 3,
            "PhotometricInterpretation": "MONOCHROME2" if pixels.ndim == 2 else "RGB",
            "BitsAllocated": bits,
            "BitsStored": bits,
            "PixelRepresentation": int(pixels.dtype.kind == "i"),
        } | ({"PlanarConfiguration": 0} if pixels.ndim == 3 else {})
        for keyword, value in (described | elements).items():
            setattr(dataset, keyword, value)
        dataset.HighBit = elements.get("HighBit", dataset.BitsStored - 1)
        dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return made


SIGNED = np.arange(-300, 300, 5, dtype=np.int16).reshape(10, 12)
UNSIGNED = (np.arange(120, dtype=np.uint16) * 34).reshape(10, 12)


@pytest.mark.parametrize(("slope", "intercept"), [(2, -1024), (0.5, 3.25), (-1, 0)])
def test_rescale(make: Make, slope: float, intercept: float) -> None:
    picture = read_pixels(make(SIGNED, RescaleSlope=slope, RescaleIntercept=intercept))
    assert np.array_equal(picture.pixels, (SIGNED * slope + intercept).astype(np.float32))
    assert picture.low < picture.high


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_each_window_function_shows_what_pydicom_shows(make: Make, function: str) -> None:
    path = make(SIGNED, WindowCenter=40, WindowWidth=400, VOILUTFunction=function)
    dataset = pydicom.dcmread(path)
    expected = (apply_voi_lut(SIGNED, dataset) + 32768) / 65535 * 255
    assert np.abs(shade(read_pixels(path), "auto") - expected).max() <= 0.51


def test_of_several_windows_the_first_is_taken_and_an_impossible_one_is_none(make: Make) -> None:
    assert read_pixels(make(SIGNED, WindowCenter=[40, 400], WindowWidth=[81, 2000])).window == (-0.5, 79.5)
    assert read_pixels(make(SIGNED, WindowCenter=40, WindowWidth=0)).window is None


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 1000}])
@pytest.mark.parametrize("intensity", ["auto", "range", "percentile"])
def test_monochrome1_is_the_negative_of_monochrome2(make: Make, window: dict[str, int], intensity: Any) -> None:
    positive = shade(read_pixels(make(UNSIGNED, BitsStored=12, **window)), intensity)
    inverted = make(UNSIGNED, BitsStored=12, PhotometricInterpretation="MONOCHROME1", **window)
    assert np.abs(shade(read_pixels(inverted), intensity).astype(int) - (255 - positive.astype(int))).max() <= 1


@pytest.mark.parametrize("signed", [False, True])
def test_bits_that_are_not_stored_are_ignored(make: Make, signed: bool) -> None:
    values = SIGNED if signed else UNSIGNED
    dirty = ((values.astype(np.int32) & 0x0FFF) | 0x5000).astype(np.uint16).view(values.dtype)
    assert np.array_equal(read_pixels(make(dirty, BitsStored=12)).pixels, values)


def test_values_that_do_not_begin_at_the_lowest_bit_are_refused(make: Make) -> None:
    with pytest.raises(FileUnreadable, match="high bit 15 with 12 bits stored"):
        read_pixels(make(UNSIGNED << 4, BitsStored=12, HighBit=15))


def test_planes_one_after_another_are_the_same_picture_as_pixel_by_pixel(make: Make) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    planes = np.ascontiguousarray(colour.transpose(2, 0, 1)).reshape(6, 8, 3)
    path = make(planes, PlanarConfiguration=1)
    assert np.array_equal(read_pixels(path).pixels, colour)


def test_sixteen_bit_colour_keeps_its_upper_eight_bits(make: Make) -> None:
    colour = np.random.default_rng(0).integers(0, 65536, (6, 8, 3), dtype=np.uint16)
    assert np.array_equal(read_pixels(make(colour)).pixels, colour >> 8)


def test_padding_is_shown_black_and_does_not_move_the_percentiles(make: Make) -> None:
    padded = SIGNED.copy()
    padded[:4] = -2000
    picture = read_pixels(make(padded, PixelPaddingValue=-2000))
    assert picture.pixels[:4].max() == SIGNED[4:].min()
    assert np.array_equal(picture.pixels[4:], SIGNED[4:])


def lookup_table(first: int, table: np.ndarray, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(table), first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.add_new("LUTData", "US", table.tolist())
    item.ModalityLUTType = "US"
    return item


def test_a_modality_lut_is_looked_up_and_holds_its_ends(make: Make) -> None:
    table = np.arange(0, 3000, 30, dtype=np.uint16)
    values = np.arange(0, 240, 2, dtype=np.uint16).reshape(10, 12)
    path = make(values, ModalityLUTSequence=[lookup_table(50, table, 16)])
    assert np.array_equal(read_pixels(path).pixels, table[np.clip(values.astype(int) - 50, 0, 99)])
    assert np.array_equal(read_pixels(path).pixels, apply_modality_lut(values, pydicom.dcmread(path)))


def test_a_voi_lut_of_more_entries_than_its_depth_is_looked_up_whole(make: Make) -> None:
    table = (np.arange(4096) // 16).astype(np.uint16)
    item = lookup_table(0, table, 8)
    path = make(UNSIGNED, BitsStored=12, VOILUTSequence=[item])
    for intensity in ("auto", "range"):
        assert np.array_equal(shade(read_pixels(path), intensity), UNSIGNED // 16)


# Files that begin without the preamble


def test_a_file_without_preamble_or_meta_header_is_read(tmp_path: Path, dicom: Path) -> None:
    for name in ("MR_small", "MR_small_implicit", "MR_small_bigendian"):
        dataset = pydicom.dcmread(dicom / f"{name}.dcm")
        bare = tmp_path / f"{name}.img"
        syntax = dataset.file_meta.TransferSyntaxUID
        pydicom.dcmwrite(
            bare, bare_dataset(dataset), implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian
        )
        assert bare.read_bytes()[128:132] != b"DICM"
        assert read_pixels(bare).digest() == read_pixels(dicom / "MR_small.dcm").digest()


def bare_dataset(dataset: Dataset) -> Dataset:
    bare = Dataset()
    bare.update(dataset)
    return bare


# What cannot be read


@pytest.mark.parametrize(("name", "frames"), MULTI_FRAME.items())
def test_several_frames_are_refused_with_their_number(dicom: Path, name: str, frames: int) -> None:
    with pytest.raises(FileUnreadable, match=f"{name}.dcm holds {frames} frames") as refusal:
        read_pixels(dicom / f"{name}.dcm")
    assert "volume tasks" in refusal.value.why
    assert "--skip-bad" in refusal.value.fix


@pytest.mark.parametrize(("name", "kind"), NO_PIXELS.items())
def test_dicom_without_pixels_says_what_it_is(dicom: Path, name: str, kind: str) -> None:
    with pytest.raises(FileUnreadable, match=f"{name}.dcm has no pixel data: it is a {kind}") as refusal:
        read_pixels(dicom / f"{name}.dcm")
    assert "only images" in refusal.value.why
    assert "--skip-bad" in refusal.value.fix


@pytest.mark.parametrize(("name", "reason"), MALFORMED_REFUSED.items())
def test_malformed_files_are_refused_with_their_name_and_the_reason(dicom: Path, name: str, reason: str) -> None:
    path = dicom / "malformed" / f"{name}.dcm"
    with pytest.raises(FileUnreadable) as refusal:
        read_pixels(path)
    assert str(path) in refusal.value.seen
    assert reason in str(refusal.value)
    assert refusal.value.why
    assert refusal.value.fix


@pytest.mark.parametrize("name", sorted(MALFORMED_BUT_WHOLE))
def test_malformed_files_whose_picture_is_whole_are_read_right(dicom: Path, name: str) -> None:
    path = dicom / "malformed" / f"{name}.dcm"
    dataset = pydicom.dcmread(path, force=True)
    picture = read_pixels(path)
    assert np.array_equal(picture.pixels, apply_modality_lut(pixel_array(dataset, decoding_plugin="gdcm"), dataset))
    assert picture.pixels.min() in (-2000, -1024, -1011)  # air and padding of CT, not 6192 or 63536


COMPRESSED = ["JPEG-LL", "JPEG-lossy", "JPEG2000", "JPEGLSNearLossless_16", "MR_small_RLE", "SC_rgb_jpeg_dcmtk"]


@pytest.mark.parametrize("name", ["MR_small", "color-pl", *COMPRESSED])
def test_a_file_cut_anywhere_is_an_error_or_the_whole_picture(dicom: Path, tmp_path: Path, name: str) -> None:
    whole, generator, path = (dicom / f"{name}.dcm").read_bytes(), random.Random(3), tmp_path / "cut.dcm"
    expected = read_pixels(dicom / f"{name}.dcm").digest()
    for _ in range(12):
        path.write_bytes(whole[: generator.randrange(140, len(whole))])
        try:
            found = read_pixels(path)
        except FileUnreadable as refusal:
            assert str(path) in str(refusal)
        else:
            assert found.digest() == expected


@pytest.mark.parametrize("name", [*COMPRESSED, "MR_small_jpeg_ls_lossless", "HTJ2K_08_RGB", "JLSL_RGB_ILV1"])
def test_a_compressed_picture_cut_short_inside_a_whole_file_is_refused(dicom: Path, tmp_path: Path, name: str) -> None:
    dataset = pydicom.dcmread(dicom / f"{name}.dcm", force=True)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    for share in (0.5, 0.97):
        dataset.PixelData = encapsulate([frame[: int(len(frame) * share)]])
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(tmp_path / "short.dcm")
        start = time.monotonic()
        with pytest.raises(FileUnreadable, match=r"short\.dcm"):
            read_pixels(tmp_path / "short.dcm")
        assert time.monotonic() - start < 2  # the decoder for JPEG-LS alone would take many seconds


def test_flipped_bytes_never_escape_as_another_exception(dicom: Path, tmp_path: Path) -> None:
    generator, path = random.Random(5), tmp_path / "flipped.dcm"
    for name in ("MR_small", "JPEG2000", "JPEGLSNearLossless_16", "MR_small_RLE", "SC_rgb_jpeg_dcmtk"):
        whole = (dicom / f"{name}.dcm").read_bytes()
        for _ in range(12):
            damaged = bytearray(whole)
            for _ in range(generator.choice((1, 3, 20))):
                damaged[generator.randrange(len(damaged))] = generator.randrange(256)
            path.write_bytes(damaged)
            try:
                assert read_pixels(path).pixels.size
            except FileUnreadable as refusal:
                assert str(path) in str(refusal)
            assert isinstance(read_header(path), dict)


def test_a_large_dicom_is_refused_before_its_pixels_are_decoded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUWEN_MAX_PIXELS", "100")
    with pytest.raises(FileUnreadable, match="12 x 10"):
        read_pixels(make(UNSIGNED))


# The header


def test_the_header_gives_the_subject_and_what_subgroups_are_made_of(make: Make) -> None:
    path = make(
        UNSIGNED,
        PatientID=" P17 ",
        PatientSex="F",
        PatientAge="018M",
        Modality="DX",
        ViewPosition="PA",
        SeriesInstanceUID="1.2.3",
        Manufacturer="ACME",
    )
    assert read_header(path) == {
        "subject": "P17",
        "sex": "F",
        "age": 1.5,
        "modality": "DX",
        "view_position": "PA",
        "series": "1.2.3",
        "manufacturer": "ACME",
    }


@pytest.mark.parametrize(("text", "years"), [("034Y", 34.0), ("006M", 0.5), ("052W", 0.997), ("010D", 0.027)])
def test_age_is_in_years(make: Make, text: str, years: float) -> None:
    assert read_header(make(UNSIGNED, PatientAge=text))["age"] == pytest.approx(years, abs=1e-3)


def test_what_is_not_dicom_has_no_header(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no header")
    assert read_header(tmp_path / "note.txt") == read_header(tmp_path / "absent.dcm") == {}


def test_a_dicom_film_goes_the_same_way_as_any_picture(dicom: Path) -> None:
    low, high = -200.0, 1399.0  # center 600, width 1600: 599.5 -/+ 799.5
    values = pixel_array(pydicom.dcmread(dicom / "MR_small.dcm")).astype(float)
    expected = np.rint(np.clip((values - low) / (high - low), 0, 1) * 255)
    pixels = ImagePreprocess(size=64, channels=3)(dicom / "MR_small.dcm")
    assert np.array_equal(pixels, np.stack([expected] * 3))
