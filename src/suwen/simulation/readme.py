"""The README.md of a simulated hospital: what it is, what it is not, what is invented and what is cited."""

from __future__ import annotations

from collections.abc import Mapping

_TEXT = """# A virtual hospital

Nobody in this folder exists. Every patient, film and report was drawn at random by `suwen simulate`. It is a test bed
for software, with a truth to check answers against. **It is never evidence about medicine**: no figure obtained here
says how a model would do on a real patient.

Made with: {settings}. The same settings give the same bytes.

## What is here

- `patients.csv`: one row a subject: birth, sex, site, language, smoking, pack-years, body mass index (kg/m²).
- `films/manifest.csv`: one row a film: path, label (normal, nodule or opacity), subject, age, sex, site, view, time,
  and the paths of its mask, boxes and report.
- `films/images/`: 8-bit grey PNG.
- `films/masks/`: PNG, 255 where the lesion is, else 0; all 0 on a normal film.
- `films/boxes/`: Pascal VOC XML, the tight box of the mask, corners counted from 1, inclusive; no object on a normal
  film.
- `films/reports/`: one sentence, English or Chinese by site.
- `volumes/manifest.csv`: one row a chest CT: path, mask, series, subject, age, sex, site. Everybody with a nodule is
  scanned, and one in three of the others, in the order of the cohort, as many as were asked for.
- `volumes/images/` and `volumes/masks/`: NIfTI, in Hounsfield units and as labels, which `volumes/labels.json` names.
- `volumes/series/`: the same scans as DICOM series, one folder a patient, the files in no order.
- `truth/`: what no model may read: the latent health of each subject, for each film its lesion and the ideal observer's
  probabilities, and for each scan the millilitres of every label, and the nodule's density and size.
- `hospital.json`: the settings and the number of files, by which `suwen simulate` knows that it may replace the folder.

There is no split column: a subject can have several films, and suwen splits by subject. From within this folder:

    suwen finetune image-classification films
    suwen finetune volume-segmentation volumes

## The films

Drawings, not physics: body, lungs, heart, great vessels, airways, ribs, spine, clavicles, lung vessels, breasts and
the gas in the stomach are smooth shapes whose sizes vary with sex, age, body mass index and lung disease, and with how
the subject stood and breathed. Each site has its own blur, dose, display curve, sharpening, grey levels, margins and
side marker, its own share of bedside (AP) films, and its own prevalences. A film shows one finding at most. Who
carries a nodule shows it on every film. The label, the mask and the report say what is truly there: about one lesion
in twelve is occult, and no reader could see it.

## The scans

Drawings too, in three dimensions: trunk, fat, muscle, ribs, spine, lungs with vessels, heart, liver, stomach. The heart
has the cardiothoracic ratio that the subject's films have, and the nodule lies where they show it; how far in front it
lies no film says, and is drawn. Each site has its own voxels, noise, blur and direction of the file's axes. The masks
are exact: a voxel has the label in which its centre lies.

## The best possible figure

`truth/films.csv` holds, by film, the probabilities that an ideal observer gives each class. It knows the anatomy of
the film to the pixel, the place, shape and size of a lesion that may or may not be there, and the subject's true
risks; it does not know the contrast. No model can do better in expectation; how close a model can come is not known.
In Python, from within this folder: `suwen.simulation.observer.best_possible(".")`.

## Cited

- Opacities rise with age from 65 as pneumonia does, from 18.2 to 52.3 per 1000 person-years between 65-69 and 85+
  years: Jackson et al., Clin Infect Dis 2004;39:1642.
- Odds of an opacity in former and current smokers, 1.49 and 2.17 (those of pneumonia): Baskaran et al.,
  PLoS ONE 2019;14:e0220204.
- Smoking at the two Chinese-speaking sites: men, Liu et al., J Epidemiol Community Health 2017;71:154; women, Global
  Adult Tobacco Survey, China 2018.
- Frailty index, 3 % more a year: Mitnitski et al., BMC Geriatr 2002;2:1; 0.20 at age 70: Bäckman et al.,
  J Gerontol A 2017;72:945; at most 0.7: Mitnitski et al., Biogerontology 2013;14:709.
- A nodule is at most 30 mm across: Hansell et al., Radiology 2008;246:697.
- The power spectrum of the lung's texture falls with the cube of frequency: Burgess et al., Med Phys 2001;28:419.
- The ideal observer: Barrett & Myers, Foundations of Image Science, 2004, chapter 13.

## Invented

Everything else: the sites, the distributions of age and body mass index, smoking elsewhere, the severity of lung
disease, every other coefficient of the two risks, the prevalences (far above those of any hospital), all shapes,
sizes, places and contrasts, the scanners, the wording of the reports.
"""


def readme(settings: Mapping[str, object]) -> str:
    """The text for a hospital made with `settings`."""
    return _TEXT.format(settings=", ".join(f"{key} {value}" for key, value in settings.items()))
