"""Images with their masks: two folders side by side, a manifest, or images alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suwen.core.errors import DataError
from suwen.core.sample import Split
from suwen.data.mask_files import BACKGROUND, MaskFiles, MaskSamples
from suwen.data.readers.folders import SPLIT_FOLDERS, SUFFIXES
from suwen.data.readers.images import MANIFEST, read_images
from suwen.data.readers.manifest import read_rows
from suwen.data.samples import Samples, files_in

SHOWN = 5

Entries = Callable[[Path], Iterable[tuple[str, Path]]]
"""A folder → (name without suffixes, file or folder) of each image or mask in it."""

Bare = Callable[[Path | str], Samples]
"""A path → the inputs there, without masks."""


@dataclass(frozen=True)
class Layout:
    """Names of folders that lie side by side.

    Attributes:
        images, masks: where each is.
        region: masks of where the images were labelled.
        split: what the folders themselves say.
    """

    images: str
    masks: str
    region: str | None = None
    split: Split | None = None


LAYOUTS = (
    Layout("images", "1st_manual", region="mask"),  # DRIVE: `mask` is the field of view there
    Layout("imagesTr", "labelsTr", split="train"),  # nnU-Net, Medical Segmentation Decathlon
    Layout("imagesVal", "labelsVal", split="val"),
    Layout("imagesTs", "labelsTs", split="test"),
    *(Layout(images, masks) for images in ("images", "image", "imgs", "img") for masks in (
        "masks", "mask", "labels", "label", "segmentations", "annotations", "groundtruth", "gt"
    )),
)  # fmt: skip
"""Looked for in this order, in the folder and in its split folders; a folder of `REGIONS` beside counts too."""

REGIONS = ("region", "fov")
DESCRIPTIONS = ("labels.json", "dataset.json")
ENDINGS = re.compile(
    r"(_0000|[_-](mask|masks|seg|segmentation|label|labels|gt|manual\d*|training|test))+$", re.IGNORECASE
)
"""What images and masks of the same name may have after it."""


def read_masks(
    source: Path | str,
    *,
    labelled: bool = True,
    entries: Entries | None = None,
    bare: Bare | None = None,
    cache: Path | None = None,
) -> MaskSamples:
    """Samples of images with `MaskFiles` as targets.

    - a folder with ``images/`` and ``masks/`` (or another pair of `LAYOUTS`), or with split folders of such: each mask
      has the name of its image, perhaps with ``_mask``, ``_seg`` … after it
    - ``*.csv``, or a folder with a ``manifest.csv``: columns ``path`` and ``mask``, or ``mask:LABEL`` for each label
      where each has a mask of its own; ``region``, ``subject``, ``split``, and any further ones
    - anything else that `read_images` reads: images without masks

    What values mean is read from ``labels.json`` (``{"vessel": 255}``) or ``dataset.json`` (as nnU-Net writes it).

    Args:
        source: the path or glob.
        labelled: refuse images without masks.
        entries: gives the images or masks of a folder; image files unless given.
        bare: reads inputs without masks; `read_images` unless given.
        cache: of DICOM headers.

    Raises:
        DataError: nothing is there; images without masks, masks without images, or several for one.
    """
    path, entries = Path(source), entries or image_entries
    if path.suffix.lower() == ".csv" and path.is_file():
        return _read_manifest(path, labelled)
    if path.is_dir() and (path / MANIFEST).is_file():
        return _read_manifest(path / MANIFEST, labelled)
    if path.is_dir() and (found := _places(path)):
        return _read_places(path, found, entries)
    if labelled:
        raise DataError(
            f"{source} holds no images with masks",
            why="looked for a manifest.csv with a column 'mask', and for two folders such as images/ and masks/",
            fix="put images into images/ and masks of the same names into masks/, or write a manifest.csv: path,mask",
        )
    return _bare(read_images(source, labelled=False, cache=cache) if bare is None else bare(source))


def _bare(samples: Samples) -> MaskSamples:
    return MaskSamples(
        ids=samples.ids,
        sources=samples.sources,
        targets=[None] * len(samples),
        splits=[None] * len(samples),
        subjects=samples.subjects,
        metadata=samples.metadata,
    )


def _places(root: Path) -> list[tuple[Path, Layout]]:
    """Folders with a layout in them, and which: `root` itself, or its split folders."""
    own = _layouts(root)
    if own:
        return [(root, layout) for layout in own]
    found = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        split = SPLIT_FOLDERS.get(folder.name.lower())
        if split is not None:
            found += [
                (folder, Layout(layout.images, layout.masks, layout.region, split)) for layout in _layouts(folder)[:1]
            ]
    return found


def _layouts(folder: Path) -> list[Layout]:
    """The first layout without a split that is there, or all with one."""
    there = {path.name for path in folder.iterdir() if path.is_dir()}
    fitting = [layout for layout in LAYOUTS if layout.images in there and layout.masks in there]
    with_split = [layout for layout in fitting if layout.split]
    chosen = with_split or fitting[:1]
    beside = next((name for name in REGIONS if name in there), None)
    return [
        layout if layout.region in there else Layout(layout.images, layout.masks, beside, layout.split)
        for layout in chosen
    ]


def _read_places(root: Path, places: list[tuple[Path, Layout]], entries: Entries) -> MaskSamples:
    files: list[Path] = []
    targets: list[MaskFiles] = []
    splits: list[Split | None] = []
    for folder, layout in places:
        images = _by_name(folder / layout.images, entries)
        masks = _paired(images, _by_name(folder / layout.masks, entries), folder / layout.masks)
        regions: Mapping[str, Path] = {}
        if layout.region is not None:
            regions = _paired(images, _by_name(folder / layout.region, entries), folder / layout.region)
        files += images.values()
        targets += [MaskFiles(whole=masks[name], region=regions.get(name)) for name in images]
        splits += [layout.split] * len(images)
    return MaskSamples(
        ids=[file.relative_to(root).as_posix() for file in files],
        sources=lambda row: files[row],
        targets=targets,
        splits=splits,
        classes=read_classes([root, *(folder for folder, _ in places)]),
    )


def image_entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name without suffix, file) of the image files in a folder, in order."""
    for file in sorted(folder.iterdir()):
        if not file.name.startswith(".") and file.suffix.lower() in SUFFIXES:
            yield file.stem, file


def _by_name(folder: Path, entries: Entries) -> dict[str, Path]:
    """Name without suffixes → file, in order of the names.

    Raises:
        DataError: none, or two of one name.
    """
    found: dict[str, Path] = {}
    for name, file in entries(folder):
        if name in found:
            raise DataError(
                f"{found[name]} and {file.name} have one name", why="which is meant is not known", fix="move one away"
            )
        found[name] = file
    if not found:
        raise DataError(f"{folder} holds nothing that can be read", why="images were looked for", fix="check the path")
    return found


def _paired(images: Mapping[str, Path], masks: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Image name → its mask: that of the same name, or of the same name but for `ENDINGS`.

    Raises:
        DataError: images without a mask, masks without an image, or several masks for an image.
    """
    found = {name: masks[name] for name in images if name in masks}
    short = {ENDINGS.sub("", name): name for name in images if name not in found}
    left: dict[str, list[str]] = {}
    for name in masks:
        if name not in found:
            left.setdefault(ENDINGS.sub("", name), []).append(name)
    for key, names in left.items():
        if len(names) > 1:
            raise DataError(
                f"{folder} holds {' and '.join(names[:SHOWN])} for one image",
                why="which of them is its mask is not known",
                fix="keep one, or name it in the column 'mask' of a manifest.csv",
            )
        if key in short:
            found[short[key]] = masks[names[0]]
    without = [name for name in images if name not in found]
    if without:
        raise DataError(
            f"{len(without)} of {len(images)} images have no mask in {folder}, such as {', '.join(without[:SHOWN])}",
            why="an image that shows none of the labels needs an empty mask; without one it is not labelled",
            fix="add masks of the same names, or write a manifest.csv: path,mask",
        )
    used = set(found.values())
    loose = [file.name for file in masks.values() if file not in used]
    if loose:
        raise DataError(
            f"{len(loose)} masks in {folder} have no image, such as {', '.join(loose[:SHOWN])}",
            why="a mask belongs to the image of its name",
            fix="add the images, or move these masks away",
        )
    return found


def read_classes(folders: Sequence[Path]) -> dict[str, int] | None:
    """Label → value from the first description that is there, ordered by value; None where there is none.

    Raises:
        DataError: it is not JSON, or says something else than which values labels have.
    """
    for folder in folders:
        for name in DESCRIPTIONS:
            if (folder / name).is_file():
                return _classes_in(folder / name)
    return None


def _classes_in(file: Path) -> dict[str, int]:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{file}: {error}", why="it is not JSON", fix='{"background": 0, "vessel": 255}') from error
    said = said.get("labels", said) if isinstance(said, dict) else said
    if (
        isinstance(said, dict)
        and said
        and all(str(key).isdecimal() and isinstance(value, str) for key, value in said.items())
    ):
        said = {value: int(key) for key, value in said.items()}  # as the Medical Segmentation Decathlon writes it
    values = list(said.values()) if isinstance(said, dict) else []
    whole = all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)
    if not values or not whole or len(set(values)) < len(values):
        raise DataError(
            f"{file} does not say which value each label has",
            why="it is an object of names and different whole numbers",
            fix='{"background": 0, "vessel": 255}',
        )
    named = {str(label): int(value) for label, value in said.items()}
    if 0 not in named.values():
        named = {BACKGROUND: 0} | named
    return dict(sorted(named.items(), key=lambda item: item[1]))


def _read_manifest(csv: Path, labelled: bool) -> MaskSamples:
    """The rows of a manifest with the columns ``mask`` or ``mask:LABEL``, and perhaps ``region``."""
    table = read_rows(csv)
    each = {name: name.partition(":")[2] for name in table.columns if name.startswith("mask:")}
    if "mask" in table.columns and each:
        raise DataError(
            f"{csv} has the columns mask and {', '.join(each)}",
            why="either one mask has a value for each label, or each label has a mask of its own",
            fix="drop one of them",
        )
    if labelled and "mask" not in table.columns and not each:
        raise DataError(
            f"{csv} has the columns {', '.join(table.columns)}",
            why="without a column 'mask', or 'mask:LABEL' for each label, there is nothing to learn from",
            fix="path,mask",
        )
    named = ["mask", "region", *each]
    found = {name: table.files(name) for name in named if name in table.columns}
    targets: list[Any] = [
        MaskFiles(
            whole=found["mask"][row] if "mask" in found else None,
            each={label: file for name, label in each.items() if (file := found[name][row]) is not None},
            region=found["region"][row] if "region" in found else None,
        )
        if "mask" in found or each
        else None
        for row in range(len(table.ids))
    ]
    bare = [row for row, target in enumerate(targets) if target is None or (target.whole is None and not each)]
    if labelled and bare:
        rows = ", ".join(f"row {row + 2}" for row in bare[:SHOWN])
        raise DataError(f"{csv}, column 'mask': {rows} are blank", why="the mask is missing", fix="fill them in")
    return MaskSamples(
        ids=table.ids,
        sources=files_in(csv.parent, table.ids),
        targets=targets,
        splits=table.splits,
        subjects=table.subjects,
        metadata=table.metadata(named),
        classes=read_classes([csv.parent]),
    )
