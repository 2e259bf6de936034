"""The virtual hospital as a folder: patients, wards, and the truth behind them."""

from __future__ import annotations

import csv
import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from suwen.core.errors import DataError, NameUnknown, RecipeError, SuwenError
from suwen.core.files import write_json
from suwen.data.progress import track
from suwen.simulation.films import films_ward
from suwen.simulation.patients import LATENT, OBSERVED, draw_patients
from suwen.simulation.readme import readme
from suwen.simulation.records.ward import FORMATS, records_ward
from suwen.simulation.volumes import volumes_ward
from suwen.simulation.world import World

Ward = Callable[[World, Path], Iterator[None]]
"""Writes its part of the hospital into the folder it is given, and yields after each patient."""

WARDS: dict[str, Ward] = {"films": films_ward, "volumes": volumes_ward, "records": records_ward}

SIZES = (32, 1024)
"""Smallest and largest side of a film in pixels."""

_SEAL = "hospital.json"  # by its presence a folder is known as a simulated hospital, which may be replaced


def simulate(
    *,
    patients: int = 2000,
    seed: int = 7,
    size: int = 128,
    out: Path | str = "hospital",
    films_per_patient: tuple[int, int] = (1, 3),
    scans: int = 20,
    record_formats: Sequence[str] | None = None,
    wards: Sequence[str] | None = None,
    progress: bool = True,
) -> Path:
    """Write a hospital of people who do not exist, in the formats a user would meet, with the truth beside it.

    The same arguments give the same bytes on the same machine. A patient depends on `seed` and on his number alone, so
    a larger cohort begins with the smaller one. The folder is built beside `out` and moved there when complete.

    Args:
        patients: size of the cohort.
        seed: names the world.
        size: width and height of the films in pixels, 32 to 1024.
        out: the folder to write; an earlier simulated hospital there is replaced, anything else is refused.
        films_per_patient: fewest and most films of one patient.
        scans: how many patients have a CT scan at most.
        record_formats: in which the records are written beside MEDS, None for all (`FORMATS`).
        wards: which to write, None for every ward there is (`WARDS`).
        progress: show a bar when it takes more than two seconds.

    Returns:
        The folder.

    Raises:
        RecipeError: a number is out of its range.
        NameUnknown: there is no such ward, or no such format of records.
        DataError: `out` holds something that is not an untouched simulated hospital.
        SuwenError: the disk is full; what was at `out` is still there.
    """
    chosen = list(WARDS) if wards is None else list(wards)
    _check_numbers(patients, seed, size, films_per_patient, scans)
    formats = tuple(FORMATS if record_formats is None else record_formats)
    _check_names(chosen, formats)
    target = Path(out).expanduser().resolve()
    _check_replaceable(target)
    cohort = draw_patients(patients, seed=seed)
    world = World(
        seed=seed,
        patients=cohort,
        size=size,
        films_per_patient=films_per_patient,
        scans=scans,
        record_formats=formats,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
            built = Path(beside) / target.name
            _build(world, chosen, built, progress=progress)
            if target.exists():
                target.replace(Path(beside) / "former")
            built.replace(target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise SuwenError(
                f"the disk of {target.parent} is full",
                why=f"the hospital did not fit; what was at {target} is untouched",
                fix=f"free space, or simulate fewer patients: suwen simulate --patients {max(patients // 4, 1)}",
            ) from error
        raise
    return Path(out)


def _build(world: World, wards: Sequence[str], folder: Path, *, progress: bool) -> None:
    (folder / "truth").mkdir(parents=True)
    _write_patients(world, folder / "patients.csv", OBSERVED)
    _write_patients(world, folder / "truth" / "patients.csv", LATENT)
    for name in wards:
        done = track(WARDS[name](world, folder), f"simulating {name}", len(world.patients), enabled=progress)
        for _ in done:
            pass
    settings = {
        "patients": len(world.patients),
        "seed": world.seed,
        "size": world.size,
        "films_per_patient": list(world.films_per_patient),
        "scans": world.scans,
        "record_formats": list(world.record_formats),
        "wards": list(wards),
    }
    (folder / "README.md").write_text(readme(settings), encoding="utf-8", newline="\n")
    write_json(folder / _SEAL, {"settings": settings, "files": _count_files(folder) + 1})


def _write_patients(world: World, path: Path, columns: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(columns)
        rows.writerows([_cell(getattr(patient, column)) for column in columns] for patient in world.patients)


def _cell(value: object) -> object:
    """Truth values as 0 and 1, numbers to nine digits, everything else as it prints."""
    if isinstance(value, bool):
        return int(value)
    return f"{value:.9g}" if isinstance(value, float) else value


def _check_numbers(patients: int, seed: int, size: int, films: tuple[int, int], scans: int) -> None:
    smallest, largest = SIZES
    fewest, most = films
    rows = (
        (patients >= 1, f"patients={patients}", "a hospital has at least one patient", "patients=200"),
        (seed >= 0, f"seed={seed}", "seeds are 0 or larger", "seed=7"),
        (smallest <= size <= largest, f"size={size}", f"films are {smallest} to {largest} pixels wide", "size=128"),
        (scans >= 0, f"scans={scans}", "it is a number of patients, from 0", "scans=20"),
        (1 <= fewest <= most, f"films_per_patient={films}", "it is (fewest, most), at least 1", "(1, 3)"),
    )
    for good, seen, why, instead in rows:
        if not good:
            raise RecipeError(seen, why=why, fix=instead)


def _check_names(wards: Sequence[str], formats: Sequence[str]) -> None:
    for kind, setting, names, known in (
        ("ward", "wards", wards, WARDS),
        ("format of records", "record_formats", formats, FORMATS),
    ):
        for name in names:
            if name not in known:
                raise NameUnknown(kind, name, known, fix=f"{setting}={list(known)}")


def _check_replaceable(folder: Path) -> None:
    """Nothing a user made is ever deleted: only an empty folder, or a hospital in which no file came or went."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    elsewhere = f"another folder, as in --out {folder.name}-2"
    if not folder.is_dir():
        raise DataError(f"{folder} is a file", why="the hospital is a folder", fix=elsewhere)
    if not (folder / _SEAL).is_file():
        raise DataError(
            f"{folder} is not empty and is no simulated hospital (it has no {_SEAL})",
            why="simulate replaces the whole folder, and would delete what is in it",
            fix=elsewhere,
        )
    recorded, found = _recorded_files(folder / _SEAL), _count_files(folder)
    if recorded != found:
        raise DataError(
            f"{folder} was simulated with {recorded} files and now holds {found}",
            why="simulate replaces the whole folder, and would delete what was added since",
            fix=f"{elsewhere}, or delete {folder} yourself",
        )


def _recorded_files(seal: Path) -> int | None:
    """The number of files that the hospital had when it was written; None if the seal is damaged."""
    try:
        content = json.loads(seal.read_text(encoding="utf-8"))
    except ValueError:
        return None
    files = content.get("files") if isinstance(content, dict) else None
    return files if isinstance(files, int) else None


def _count_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))
