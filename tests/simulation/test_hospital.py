"""The folder: complete, reproducible to the byte, readable by suwen and others, and never over a user's files."""

from __future__ import annotations

import csv
import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from suwen.core.errors import DataError, NameUnknown, RecipeError, SuwenError
from suwen.data.readers.manifest import read_manifest
from suwen.simulation import hospital as room
from suwen.simulation.films import MANIFEST, TRUTH
from suwen.simulation.hospital import simulate
from suwen.simulation.patients import LATENT, OBSERVED, age_on, draw_patients
from suwen.simulation.world import World


def _small(out: Path, **changes: object) -> Path:
    return simulate(
        **{"patients": 3, "seed": 1, "size": 32, "out": out, "wards": ["films"], "progress": False, **changes}
    )  # type: ignore[arg-type]


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_of_the_manifest_is_there_and_no_other(hospital: Path) -> None:
    rows = _rows(hospital / "films" / "manifest.csv")
    assert tuple(rows[0]) == MANIFEST and "split" not in rows[0]
    named = {row[column] for row in rows for column in ("path", "mask", "boxes", "report")} | {"manifest.csv"}
    assert named == set(_digests(hospital / "films"))
    assert len(named) == 4 * len(rows) + 1
    assert 40 <= len(rows) <= 120 and len({row["subject"] for row in rows}) == 40


def test_tables_agree_with_each_other(hospital: Path) -> None:
    patients, latent = _rows(hospital / "patients.csv"), _rows(hospital / "truth" / "patients.csv")
    films, truth = _rows(hospital / "films" / "manifest.csv"), _rows(hospital / "truth" / "films.csv")
    assert (tuple(patients[0]), tuple(latent[0]), tuple(truth[0])) == (OBSERVED, LATENT, TRUTH)
    people = {patient.subject_id: patient for patient in draw_patients(40, seed=3)}
    assert [row["subject_id"] for row in patients] == [row["subject_id"] for row in latent] == list(people)
    for row, fact in zip(films, truth, strict=True):
        patient = people[row["subject"]]
        assert (row["path"], row["label"], row["subject"]) == (fact["path"], fact["label"], fact["subject"])
        assert (row["sex"], row["site"]) == (patient.sex, patient.site) and row["view"] in ("PA", "AP")
        taken = np.datetime64(row["time"]).astype(object).date()
        assert int(row["age"]) == age_on(patient.birth, taken)
        assert (fact["size_mm"] == "") == (row["label"] == "normal")


def test_images_masks_boxes_and_reports_agree_on_disk(hospital: Path) -> None:
    folder = hospital / "films"
    for row in _rows(folder / "manifest.csv"):
        image, mask = Image.open(folder / row["path"]), Image.open(folder / row["mask"])
        assert image.mode == mask.mode == "L" and image.size == mask.size == (64, 64)
        root = ElementTree.parse(folder / row["boxes"]).getroot()
        assert root.findtext("filename") == Path(row["path"]).name
        boxes = root.findall("object")
        if (found := mask.getbbox()) is None:
            assert row["label"] == "normal" and not boxes
        else:
            assert [box.findtext("name") for box in boxes] == [row["label"]]
            corners = [int(boxes[0].findtext(f"bndbox/{c}", "")) for c in ("xmin", "ymin", "xmax", "ymax")]
            assert corners == [found[0] + 1, found[1] + 1, found[2], found[3]]  # VOC: from 1, inclusive
        assert (folder / row["report"]).read_text(encoding="utf-8").count("\n") == 1


def test_suwen_reads_it_as_it_reads_any_manifest(hospital: Path) -> None:
    samples = read_manifest(hospital / "films" / "manifest.csv")
    assert {sample.target for sample in samples} == {"normal", "nodule", "opacity"}
    assert all(sample.split is None and sample.metadata["site"] for sample in samples)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    one, again, other = _small(tmp_path / "a"), _small(tmp_path / "b"), _small(tmp_path / "c", seed=2)
    assert _digests(one) == _digests(again)
    assert _digests(one)["films/images/S000000_1.png"] != _digests(other)["films/images/S000000_1.png"]


def test_a_larger_hospital_holds_the_files_of_the_smaller(tmp_path: Path) -> None:
    small, large = _digests(_small(tmp_path / "a")), _digests(_small(tmp_path / "b", patients=5))
    per_film = {name: digest for name, digest in small.items() if name.startswith("films/") and "_" in name}
    assert per_film and per_film.items() <= large.items()


@pytest.mark.parametrize(("films", "patients"), [((1, 1), 3), ((2, 2), 3)])
def test_counts_are_as_asked(tmp_path: Path, films: tuple[int, int], patients: int) -> None:
    folder = _small(tmp_path / "h", films_per_patient=films, patients=patients)
    assert len(_rows(folder / "films" / "manifest.csv")) == films[0] * patients
    assert len(_rows(folder / "patients.csv")) == patients


def test_the_readme_says_what_it_is_and_is_not(hospital: Path) -> None:
    text = (hospital / "README.md").read_text(encoding="utf-8")
    assert "never evidence about medicine" in text and "## Invented" in text and "## Cited" in text
    assert "patients 40, seed 3, size 64" in text


def test_an_empty_folder_and_a_former_hospital_are_replaced(tmp_path: Path) -> None:
    out = tmp_path / "hospital"
    out.mkdir()
    assert _small(out) == out
    _small(out, patients=2)
    assert len(_rows(out / "patients.csv")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["hospital"]


def test_a_users_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"no simulated hospital[\s\S]*--out"):
        _small(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    with pytest.raises(DataError, match="is a file"):
        _small(tmp_path / "thesis.txt")


def test_a_hospital_with_something_added_or_taken_is_refused(tmp_path: Path) -> None:
    out = _small(tmp_path / "hospital")
    (out / "films" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"now holds[\s\S]*added since"):
        _small(out)
    (out / "films" / "notes.txt").unlink()
    (out / "hospital.json").write_text("{")
    with pytest.raises(DataError, match="hospital"):
        _small(out)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("patients", 0),
        ("seed", -1),
        ("size", 16),
        ("size", 5000),
        ("films_per_patient", (0, 2)),
        ("films_per_patient", (3, 1)),
    ],
)
def test_impossible_numbers_are_refused(tmp_path: Path, setting: str, value: object) -> None:
    with pytest.raises(RecipeError, match=rf"{setting}=[\s\S]*try: "):
        _small(tmp_path / "hospital", **{setting: value})
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ward_offers_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(NameUnknown, match=r"unknown ward 'film'[\s\S]*films"):
        _small(tmp_path / "hospital", wards=["film"])


def test_only_the_chosen_wards_are_written(tmp_path: Path) -> None:
    out = _small(tmp_path / "hospital", wards=[])
    assert not (out / "films").exists() and (out / "patients.csv").is_file()


@pytest.mark.parametrize(
    ("failure", "raised", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), SuwenError, r"disk of [\s\S]*untouched"),
        (OSError(errno.EIO, "Input/output error"), OSError, "Input/output"),
        (KeyboardInterrupt("Ctrl-C"), KeyboardInterrupt, "Ctrl-C"),
    ],
)
def test_a_failure_leaves_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    raised: type[BaseException],
    message: str,
) -> None:
    out = _small(tmp_path / "hospital")
    before = _digests(out)

    def breaks(world: World, folder: Path) -> Iterator[None]:
        (folder / "films").mkdir()
        yield
        raise failure

    monkeypatch.setitem(room.WARDS, "films", breaks)
    with pytest.raises(raised, match=message):
        _small(out, seed=2)
    assert _digests(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["hospital"]
