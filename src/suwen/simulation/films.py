"""The first ward: chest films of every patient, some with a nodule, some with an opacity.

A film is drawn (what the subject is, how he stood, what the site's scanner was set to) and then made, by pure
functions: `Chest` lays out the anatomy, `shadow` adds the lesion, `scanner` takes and develops the picture, `observer`
reads it with full knowledge. Nothing but the random noise and the pixel grid depends on the size.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from suwen.simulation.anatomy import Anatomy, Pixels, Pose, draw_anatomy, draw_pose
from suwen.simulation.chest import Chest
from suwen.simulation.lesions import Finding, Lesion, bounding_box, draw_nodule, draw_opacity, shadow
from suwen.simulation.observer import log_ratio, matches, posterior
from suwen.simulation.patients import OPENING, Patient, Stream, age_on, stream
from suwen.simulation.reports import Box, sentence, side_of, voc, zone_of
from suwen.simulation.scanner import SCANNERS, Settings, blur, develop, draw_settings, noise_deviation
from suwen.simulation.world import World

CLASSES = ("normal", "nodule", "opacity")

MANIFEST = ("path", "label", "subject", "age", "sex", "site", "view", "time", "mask", "boxes", "report")
TRUTH = (
    *("path", "label", "subject", "cardiothoracic_ratio", "side", "zone", "size_mm", "contrast", "d_prime"),
    *(f"{kind}_{name}" for kind in ("prior", "observer") for name in CLASSES),
)

PERIOD_DAYS = 240
"""Each film of a subject falls into the next period of so many days from `OPENING` on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One film and all that is known of it.

    Attributes:
        name: of its files, without ending.
        image: `(size, size)` grey levels.
        mask: `(size, size)` 255 where the lesion is, else 0.
        box: tight bounding box of the mask, see `bounding_box`; None on a normal film.
        truth: its row in `truth/films.csv`, without path, label and subject.
    """

    name: str
    patient: Patient
    label: str
    view: str
    time: datetime
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    box: Box | None
    report: str
    truth: dict[str, str]


def class_priors(patient: Patient) -> dict[str, float]:
    """Probability of each class on a film of `patient`, for who knows the risks but not whether there is a nodule.

    A film shows one finding at most: who carries a nodule shows it on every film, and no opacity.
    """
    nodule, opacity = patient.nodule_risk, patient.opacity_risk
    return {"normal": (1 - nodule) * (1 - opacity), "nodule": nodule, "opacity": (1 - nodule) * opacity}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is drawn for one film; what follows is computed from it.

    Attributes:
        candidates: a lesion of each finding, shown or not (the observer weighs them all).
        shown: the finding that the film shows, or None.
        noise: `(size, size)` standard normal.
    """

    time: datetime
    pose: Pose
    settings: Settings
    candidates: dict[Finding, Lesion]
    shown: Finding | None
    noise: Pixels


def films_of(patient: Patient, world: World) -> Iterator[Film]:
    """The films of one subject, in order of time."""
    count = _count(patient, world)
    years = float(age_on(patient.birth, OPENING))
    anatomy = draw_anatomy(stream(world.seed, patient.number, Stream.ANATOMY), patient, years)
    nodule = draw_nodule(stream(world.seed, patient.number, Stream.NODULE))
    for index in range(count):
        rng = stream(world.seed, patient.number, Stream.FILM, index)
        plan = draw_plan(rng, patient, nodule, index, world.size)
        yield make_film(f"{patient.subject_id}_{index + 1}", patient, anatomy, plan)


def film_times(patient: Patient, world: World) -> list[datetime]:
    """When the films of one subject are taken, in order; none is drawn."""
    streams = (stream(world.seed, patient.number, Stream.FILM, index) for index in range(_count(patient, world)))
    return [_begin(rng, patient, index)[1] for index, rng in enumerate(streams)]


def draw_plan(rng: np.random.Generator, patient: Patient, nodule: Lesion, index: int, size: int) -> Plan:
    """Film `index` of `patient`, who has, or would have, this `nodule`."""
    scanner = SCANNERS[patient.site]
    ill, when = _begin(rng, patient, index)
    return Plan(
        time=when,
        pose=draw_pose(rng, scanner.portable),
        settings=draw_settings(rng, scanner),
        candidates={"nodule": nodule, "opacity": draw_opacity(rng)},
        shown="nodule" if patient.nodule else "opacity" if ill else None,
        noise=rng.standard_normal((size, size), dtype=np.float32),  # last: nothing else may depend on the size
    )


def make_film(name: str, patient: Patient, anatomy: Anatomy, plan: Plan) -> Film:
    """The film that `plan` describes, with its mask, box, report and truth."""
    scanner = SCANNERS[patient.site]
    chest = Chest(anatomy, plan.pose, len(plan.noise))
    clean = blur(chest.density, scanner)
    deviation = noise_deviation(clean, scanner, plan.settings)
    cast = {finding: shadow(lesion, chest) for finding, lesion in plan.candidates.items()}
    shadows = {finding: blur(depth, scanner) for finding, (depth, _) in cast.items()}
    beyond = deviation * plan.noise  # all that the film holds beyond the anatomy
    mask = np.zeros(clean.shape, dtype=bool)
    lesion = plan.candidates[plan.shown] if plan.shown else None
    if lesion:
        beyond += lesion.conspicuity * shadows[lesion.finding]
        mask = cast[lesion.finding][1]
    found = {finding: matches(beyond, deviation, depth) for finding, depth in shadows.items()}
    return Film(
        name=name,
        patient=patient,
        label=plan.shown or "normal",
        view=plan.pose.view,
        time=plan.time,
        image=develop(clean + beyond, scanner, plan.settings),
        mask=mask.astype(np.uint8) * np.uint8(255),
        box=bounding_box(mask),
        report=sentence(lesion, patient.language),
        truth=_exact({"cardiothoracic_ratio": anatomy.heart}) | _truth(found, patient, lesion),
    )


def films_ward(world: World, hospital: Path) -> Iterator[None]:
    """Write `films/` and `truth/films.csv` into `hospital`; yields after each patient."""
    folder = hospital / "films"
    for part in ("images", "masks", "boxes", "reports"):
        (folder / part).mkdir(parents=True)
    with (
        (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as manifest_file,
        (hospital / "truth" / "films.csv").open("w", encoding="utf-8", newline="") as truth_file,
    ):
        manifest = csv.DictWriter(manifest_file, MANIFEST, lineterminator="\n")
        truth = csv.DictWriter(truth_file, TRUTH, lineterminator="\n")
        manifest.writeheader()
        truth.writeheader()
        for patient in world.patients:
            for film in films_of(patient, world):
                row = _write(film, folder)
                manifest.writerow(row)
                truth.writerow({name: row[name] for name in ("path", "label", "subject")} | film.truth)
            yield


def _write(film: Film, folder: Path) -> dict[str, str | int]:
    """The files of one film; returns its row of the manifest."""
    patient, image = film.patient, f"{film.name}.png"
    row: dict[str, str | int] = {
        "path": f"images/{image}",
        "label": film.label,
        "subject": patient.subject_id,
        "age": age_on(patient.birth, film.time.date()),
        "sex": patient.sex,
        "site": patient.site,
        "view": film.view,
        "time": film.time.isoformat(timespec="minutes"),
        "mask": f"masks/{image}",
        "boxes": f"boxes/{film.name}.xml",
        "report": f"reports/{film.name}.txt",
    }
    Image.fromarray(film.image).save(folder / f"images/{image}", compress_level=1)
    Image.fromarray(film.mask).save(folder / f"masks/{image}", compress_level=1)
    boxes = voc(image, len(film.image), film.label, film.box)
    (folder / f"boxes/{film.name}.xml").write_text(boxes, encoding="utf-8", newline="\n")
    (folder / f"reports/{film.name}.txt").write_text(film.report + "\n", encoding="utf-8", newline="\n")
    return row


def _count(patient: Patient, world: World) -> int:
    """How many films."""
    low, high = world.films_per_patient
    return int(stream(world.seed, patient.number, Stream.VISITS).integers(low, high + 1))


def _begin(rng: np.random.Generator, patient: Patient, index: int) -> tuple[bool, datetime]:
    """Whether there is an opacity, if there is no nodule; and a minute of the working day within the period of film
    `index`, so that the films of a subject are in order."""
    ill = bool(rng.random() < patient.opacity_risk)
    day = OPENING + timedelta(days=index * PERIOD_DAYS + int(rng.integers(PERIOD_DAYS)))
    return ill, datetime.combine(day, time(8)) + timedelta(minutes=int(rng.integers(600)))


def _truth(found: dict[Finding, tuple[float, float]], patient: Patient, lesion: Lesion | None) -> dict[str, str]:
    """The lesion, and what the ideal observer makes of the film, from the `matches` of each candidate."""
    priors = class_priors(patient)
    belief = posterior(priors, {finding: log_ratio(t, q) for finding, (t, q) in found.items()})
    numbers = {f"prior_{name}": value for name, value in priors.items()}
    numbers |= {f"observer_{name}": value for name, value in belief.items()}
    if lesion is None:
        return _exact(numbers)
    numbers["size_mm"], numbers["contrast"] = lesion.size_mm, lesion.full_contrast * lesion.conspicuity
    numbers["d_prime"] = lesion.conspicuity * found[lesion.finding][1] ** 0.5
    return {"side": side_of(lesion), "zone": zone_of(lesion)} | _exact(numbers)


def _exact(numbers: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:.9g}" for name, value in numbers.items()}
