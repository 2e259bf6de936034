"""NIfTI files to `Volume`, and masks back to NIfTI with the same header."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.files import atomic_path
from suwen.data.picture import SKIP
from suwen.data.volume import Volume

SUFFIXES = (".nii", ".nii.gz")

NIFTI_ERRORS = (
    EOFError,
    HeaderDataError,
    ImageFileError,
    IndexError,
    KeyError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
    zlib.error,
)
"""What nibabel raises on damaged files, found by cutting and flipping bytes of both kinds."""


LARGE = 256 * 2**20
"""Bytes of voxels from which a file is read a few layers at a time, again and again, instead of being held."""


class Unread:
    """Voxels of a file that are read where they are indexed: for volumes that are better not held in memory.

    Args:
        proxy: nibabel's array proxy.
        shape: three axes; further ones of the file have one entry each.
    """

    def __init__(self, proxy: Any, shape: tuple[int, ...]) -> None:
        self.proxy, self.shape, self.ndim = proxy, shape, len(shape)
        self.dtype, self.size = np.dtype(proxy.dtype), int(np.prod(shape))

    def __getitem__(self, index: Any) -> np.ndarray:
        index = index if isinstance(index, tuple) else (index,)
        further = (0,) * (len(self.proxy.shape) - 3)
        whole = (*index, *[slice(None)] * (3 - len(index)), *further)
        found: np.ndarray = np.asarray(self.proxy._get_unscaled(whole))
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:, :, :], dtype)


def is_nifti(path: Path) -> bool:
    """By its name; gzip has no mark of its own that tells a NIfTI file."""
    return path.name.lower().endswith(SUFFIXES)


def read_nifti(path: Path) -> Volume:
    """The volume of a NIfTI file; of a large one only layers are in memory.

    A fourth axis of length 1 is dropped. The place is that of the sform, else of the qform; a file with neither has its
    spacing alone, and is not `Volume.oriented`.

    Raises:
        FileUnreadable: the file is absent, cut short or damaged; it has several volumes, or impossible voxels.
    """
    try:
        image: Any = nibabel.load(path, mmap=False, keep_file_open=True)
        header = image.header
        stored = _stored(image.dataobj)
    except NIFTI_ERRORS as error:
        raise FileUnreadable(f"{path}: {error}", why="the NIfTI file is cut short or damaged", fix=SKIP) from error
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    try:
        return Volume(
            stored=stored,
            affine=np.asarray(image.affine, np.float64),
            slope=slope,
            intercept=intercept,
            mode=f"nifti {stored.dtype.newbyteorder('=').name}",
            oriented=int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0,
            name=str(path),
            header=header,
        )
    except DataError as error:
        raise FileUnreadable(error.seen, why=error.why, fix=error.fix) from error


def _stored(proxy: Any) -> Any:
    """The voxels, or, of a large file, what reads them when they are asked for."""
    shape = tuple(proxy.shape)
    flat = shape[:3] if shape[3:] == (1,) * (len(shape) - 3) else shape
    if len(flat) == 3 and int(np.prod(flat)) * np.dtype(proxy.dtype).itemsize > LARGE:
        found = Unread(proxy, flat)
        found[:, :, -1:]  # a file that was cut short is refused now
        return found
    return np.asanyarray(proxy.get_unscaled()).reshape(flat)


def write_mask(path: Path, values: np.ndarray, volume: Volume) -> None:
    """Values (I, J, K), in the order of the file, as NIfTI, at the very place of the volume they were drawn on.

    Of a NIfTI file the header is kept (both forms with their codes, units, description); of any other volume the
    affine becomes the sform and the qform.
    """
    if tuple(values.shape) != volume.shape:
        raise DataError(f"values of the shape {values.shape} for {volume.name}", why=f"it has the shape {volume.shape}")
    values = values.astype(np.uint8) if values.dtype == bool else values
    image: Any
    if isinstance(volume.header, nibabel.Nifti1Header):
        header: Any = volume.header.copy()
        kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
        header.set_data_dtype(values.dtype)
        header.set_slope_inter(1, 0)
        header["cal_min"], header["cal_max"] = 0, 0
        image = kind(values, None, header)  # type: ignore[no-untyped-call]
        # the affine of both forms is in the header, to the last bit; set from a matrix it would be rounded anew
        image.header["scl_slope"], image.header["scl_inter"] = 1, 0
    else:
        image = nibabel.Nifti1Image(values, volume.affine)
        image.set_sform(volume.affine, code=1)
        image.set_qform(volume.affine, code=1)
        image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        # nibabel chooses by the name whether to compress; the temporary name must end alike
        named = temporary if temporary.name.endswith(SUFFIXES) else temporary.with_name(f"{temporary.name}.nii.gz")
        nibabel.save(image, named)
        if named != temporary:
            named.replace(temporary)
