"""A set of images of any size with their masks, decoded: what patches are cut from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.sample import Sample
from suwen.data.case import DensePreprocess
from suwen.data.case_cache import Case, CaseCache, CaseColumns
from suwen.data.codebook import IGNORED, Codebook, sets_in
from suwen.data.columns import Skipped, metadata_of, refuse_or_skip, texts_of
from suwen.data.contents import for_each, stamp
from suwen.data.grid import Grid
from suwen.data.instances import numbered, touching
from suwen.data.mask_files import MaskFiles, codes_of, mask_values, named
from suwen.data.patches import Patches
from suwen.data.resample import nearest
from suwen.data.samples import Samples


@dataclass(frozen=True, kw_only=True, eq=False)
class CaseSet:
    """Images with masks. Rows are in the order of the samples' ids.

    Attributes:
        ids, subjects, splits: str (N,).
        labels: names, the background first.
        metadata: N rows.
        columns: pixels and codes.
        preprocess: what was done to each image.
        sources: row → file, or pixels.
        masks: row → where its mask lies, None without one.
        fingerprint: over digests, masks, labels, splits and preprocessing.
        skipped: (id, reason) of what could not be decoded and was left out on request.
    """

    ids: np.ndarray
    subjects: np.ndarray
    splits: np.ndarray
    labels: tuple[str, ...]
    metadata: pd.DataFrame
    columns: CaseColumns
    preprocess: DensePreprocess
    sources: list[Path | np.ndarray]
    masks: list[MaskFiles | None]
    fingerprint: str
    skipped: list[Skipped]

    def __post_init__(self) -> None:
        sizes = self.columns.shapes.prod(axis=1)
        object.__setattr__(self, "_ends", np.cumsum(sizes))
        object.__setattr__(self, "_sizes", sizes)

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, split: str) -> np.ndarray:
        """int64 indices of the rows in a split, ascending."""
        return np.flatnonzero(self.splits == split)

    def counts(self, split: str) -> dict[str, int]:
        """Label → how many images of a split show it."""
        shown = (self.sizes[self.where(split)] > 0).sum(axis=0)
        return dict(zip(self.labels, shown.tolist(), strict=True))

    @property
    def codebook(self) -> Codebook:
        """What the codes mean."""
        return self.preprocess.codebook

    @property
    def sizes(self) -> np.ndarray:
        """int64 (N, K): how many pixels have each label."""
        return self.codebook.counts(self.columns.counts)

    @property
    def digests(self) -> np.ndarray:
        """uint8 (N, 16), equal for equal images."""
        return self.columns.digests

    @property
    def targets(self) -> Codes:
        """Row numbers → codes."""
        return Codes(self)

    def pixels_of(self, row: int) -> np.ndarray:
        """uint8 (C, *S), mapped from disk."""
        end, size = int(self._ends[row]), int(self._sizes[row])  # type: ignore[attr-defined]
        channels = self.columns.channels
        part = self.columns.pixels[(end - size) * channels : end * channels]
        return part.reshape(channels, *self.columns.shapes[row])

    def codes_of(self, row: int) -> np.ndarray:
        """uint8 (*S), mapped from disk; `IGNORED` where nothing is known."""
        end, size = int(self._ends[row]), int(self._sizes[row])  # type: ignore[attr-defined]
        return self.columns.codes[end - size : end].reshape(self.columns.shapes[row])

    def grid(self, row: int) -> Grid:
        """Where the pixels of its file lie."""
        affine = self.columns.affines[row]
        return Grid(tuple(self.columns.own_shapes[row].tolist()), None if np.isnan(affine).any() else affine)

    def truth(self, row: int) -> np.ndarray:
        """uint8 codes as the file has them, read anew where the set holds another size."""
        grid = self.grid(row)
        if tuple(self.columns.shapes[row].tolist()) == grid.body_shape:
            return grid.as_in_the_file(self.codes_of(row))
        target = self.masks[row]
        if target is None:
            return np.full(grid.shape, IGNORED, np.uint8)
        return read_codes(target, self.preprocess, grid, str(self.ids[row]))

    def objects(self, row: int) -> np.ndarray | None:
        """int32 numbers of objects as the file has them; None where masks do not tell them apart."""
        target = self.masks[row]
        if not self.preprocess.instances or target is None:
            return None
        return read_objects(target, self.grid(row), str(self.ids[row]))

    def take(self, index: np.ndarray) -> list[np.ndarray]:
        """The pixels of some rows, each of its own size."""
        return [self.pixels_of(int(row)) for row in index]

    def patches(self, rows: np.ndarray) -> Patches:
        """What draws patches of these images."""
        return Patches(self, rows)


@dataclass(frozen=True)
class Codes:
    """The codes of a `CaseSet`, indexed by row numbers."""

    cases: CaseSet

    def __getitem__(self, rows: np.ndarray) -> list[np.ndarray]:
        return [self.cases.codes_of(int(row)) for row in rows]


def read_objects(target: MaskFiles, grid: Grid, name: str) -> np.ndarray:
    """int32 numbers of the objects in a mask in which each value is one, as its file has them.

    Raises:
        FileUnreadable: it cannot be decoded.
        DataError: it has another size than its image, or there is none.
    """
    if target.whole is None:
        raise DataError(f"{name} has no mask with a value for each object", why="there is nothing to tell apart",
                        fix="name one mask an image, or drop inputs.instances")  # fmt: skip
    values = mask_values(target.whole, grid)
    _same_size(values, grid.shape, named(target.whole), name)
    return numbered(values)


def codes_of_objects(ids: np.ndarray, codebook: Codebook) -> np.ndarray:
    """uint8: 1 within an object, the last code where it touches another."""
    return np.where(touching(ids), np.uint8(len(codebook) - 1), (ids > 0).astype(np.uint8))


def read_codes(target: MaskFiles, preprocess: DensePreprocess, grid: Grid, name: str) -> np.ndarray:
    """uint8 codes of the mask of one input, as its file has them.

    Raises:
        FileUnreadable: a file cannot be decoded.
        DataError: a mask of another size than its image, or a value without a label; the file is named.
    """
    if preprocess.instances:
        codes = codes_of_objects(read_objects(target, grid, name), preprocess.codebook)
    elif target.whole is None:
        codes = _together(target, preprocess.codebook, grid, name)
    else:
        values = mask_values(target.whole, grid)
        _same_size(values, grid.shape, named(target.whole), name)
        codes = codes_of(values, preprocess.classes, named(target.whole))
    if target.region is not None:
        region = mask_values(target.region, grid)
        _same_size(region, grid.shape, named(target.region), name)
        codes = np.where(region > 0, codes, np.uint8(IGNORED))
    return codes


def _together(target: MaskFiles, codebook: Codebook, grid: Grid, name: str) -> np.ndarray:
    """One mask of several, each of one label.

    Raises:
        DataError: there is none, or labels overlap that have no code together.
    """
    found, sets = sets_in(masks_of(target, grid, name))
    if found is None:
        raise DataError(f"{name} has no mask", why="there is nothing to compare with", fix="name one")
    table = np.zeros(len(sets), np.uint8)
    for number in np.unique(found).tolist():
        code = codebook.code_of(sets[number])
        if code is None:
            raise DataError(
                f"{name}: {' and '.join(sets[number])} overlap in {int((found == number).sum())} pixels",
                why="pixels that have these labels together were not learned, or not asked for",
                fix="take the overlap out of one mask, or learn it: leave inputs.overlaps out",
            )
        table[number] = code
    codes: np.ndarray = table[found]
    return codes


def masks_of(target: MaskFiles, grid: Grid, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """(label, bool of the grid's shape) of each mask that has one label."""
    for label, file in target.each.items():
        values = mask_values(file, grid)
        _same_size(values, grid.shape, str(file), name)
        yield label, values > 0


def _same_size(values: np.ndarray, shape: Sequence[int], file: str, name: str) -> None:
    if tuple(values.shape) != tuple(shape):
        raise DataError(
            f"{file} is {' x '.join(map(str, values.shape))}, its image {name} is {' x '.join(map(str, shape))}",
            why="a mask says of each pixel of its image what it is, and which pixel would be meant is not known",
            fix="save the mask at the size of the image, rotated and cropped alike",
        )


def read_case(sample: Sample, preprocess: DensePreprocess) -> Case:
    """Decode one sample."""
    try:
        opened = preprocess.open(sample.source)
        pixels = preprocess.prepare(opened)
    except FileUnreadable:
        raise
    except DataError as error:
        raise FileUnreadable(f"{sample.id}: {error.seen}", why=error.why, fix=error.fix) from error
    target: MaskFiles | None = sample.target
    codes = None
    if target is not None and (target.whole is not None or target.each):
        own = read_codes(target, preprocess, opened.grid, sample.id)
        codes = nearest(opened.grid.along_the_body(own), pixels.shape[1:])
        if preprocess.instances and codes.shape != own.shape:  # lines where objects touch are thinner than a pixel now
            ids = nearest(opened.grid.along_the_body(read_objects(target, opened.grid, sample.id)), codes.shape)
            codes = np.where(codes == IGNORED, codes, codes_of_objects(ids, preprocess.codebook))
    return Case(pixels, codes, opened.grid, opened.mode, opened.digest())


def build_cases(
    samples: Sequence[Sample],
    preprocess: DensePreprocess,
    *,
    skip_bad: bool = False,
    cache: Path | None = None,
    progress: bool = True,
) -> CaseSet:
    """Decode the samples once into a memory-mapped cache, and open it.

    Raises:
        FileUnreadable: files that cannot be decoded, unless they may be skipped.
        DataError: no sample, a mask that does not fit its image, or a value without a label.
    """
    if not samples:
        raise DataError("no samples", why="there is nothing to decode", fix="check the path")
    columns = Samples.of(samples)
    order = sorted(range(len(columns)), key=lambda row: columns.ids[row])
    store = CaseCache(preprocess.model_dump_json(exclude={"patch", "asked", "overlap"}), cache)
    failures: dict[int, DataError] = {}
    key = _key(columns, order)
    held = store.open(key) if key is not None else None
    if held is None:
        content = hashlib.blake2b(digest_size=16)

        def cases() -> Iterator[Case]:
            def work(sample: Sample) -> Case:
                return read_case(sample, preprocess)

            for row, found in for_each(columns, work, "Decoding images", rows=order, progress=progress):
                if isinstance(found, DataError):
                    failures[row] = found
                    continue
                content.update(found.digest + (b"" if found.codes is None else found.codes.tobytes()))
                yield found

        def name() -> str:
            refuse_or_skip(columns, failures, skip_bad)
            if len(failures) == len(columns):
                why = next(iter(failures.values())).seen
                raise DataError(f"none of {len(columns)} files can be decoded", why=why, fix="check the path")
            return key if key is not None and not failures else content.hexdigest()

        held = store.store(cases(), name)
    skipped = refuse_or_skip(columns, failures, skip_bad)
    kept = np.array([row for row in order if row not in failures])
    return _case_set(columns, kept, held, preprocess, skipped)


def _key(samples: Samples, order: Sequence[int]) -> str | None:
    """Path, size and time of change of every file; None where some inputs are no files."""
    state = hashlib.blake2b(digest_size=16)
    for row in order:
        source, target = samples.sources(row), samples.targets[row]
        files = [source, *(target.files if target is not None else [])]
        if any(not isinstance(file, Path) for file in files):
            return None
        if target is not None and any(isinstance(each, np.ndarray) for each in (target.whole, target.region)):
            return None
        for file in files:
            state.update(f"{samples.ids[row]} {file.resolve()} {stamp(file)}\0".encode(errors="surrogateescape"))
    return state.hexdigest()


def _case_set(
    samples: Samples, kept: np.ndarray, columns: CaseColumns, preprocess: DensePreprocess, skipped: list[Skipped]
) -> CaseSet:
    splits = np.array([samples.splits[row] or "" for row in kept], "U5")
    ids = texts_of(samples.ids, kept)
    content = hashlib.blake2b(columns.digests.tobytes(), digest_size=16)
    content.update(columns.counts.tobytes())
    content.update("\0".join(splits.tolist()).encode())
    content.update(preprocess.model_dump_json().encode())
    return CaseSet(
        ids=ids,
        subjects=ids if samples.subjects is None else texts_of(samples.subjects, kept),
        splits=splits,
        labels=tuple(preprocess.classes),
        metadata=metadata_of(samples, kept),
        columns=columns,
        preprocess=preprocess,
        sources=[samples.sources(row) for row in kept.tolist()],
        masks=[samples.targets[row] for row in kept.tolist()],
        fingerprint=content.hexdigest(),
        skipped=skipped,
    )
