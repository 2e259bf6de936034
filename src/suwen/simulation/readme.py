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
- `records/meds/`: the health records of everybody, about 20 years of them, as a MEDS 0.4 store; `records/omop/`,
  `records/hl7v2/` and `records/fhir/`: the same as OMOP CDM 5.4, HL7 v2.5.1 messages and FHIR R4.
- `records/labels/`: one file a question, as MEDS has labels: subject_id, prediction_time, and whether it happened.
- `truth/`: what no model may read: the latent health of each subject, for each film its lesion and the ideal observer's
  probabilities, and for each scan the millilitres of every label, and the nodule's density and size. Of the records:
  `risks.csv` (the true probability behind each label), `treatments.csv` (for each decision the true propensity, the
  risk without and with, and what happens without and with), `onsets.csv` (when each disease began).
- `hospital.json`: the settings and the number of files, by which `suwen simulate` knows that it may replace the folder.

There is no split column: a subject can have several films, and suwen splits by subject. From within this folder:

    suwen finetune image-classification films
    suwen finetune volume-segmentation volumes
    suwen records check records/meds

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

## The records

A subject is the number in his name: S000012 is subject_id 12. Ten diseases, admissions and death follow a Markov chain
in continuous time whose rates depend on age, sex, body mass index, smoking, frailty, lung disease, the nodule, hidden
traits, and the other diseases; visits, laboratory results, vital signs and drugs show them late, seldom and with
noise. Nobody dies before his last film: he came. A result is known hours after blood was drawn, what brought somebody
to hospital when he leaves (`available_time`). Sites differ: diagnoses are written as ICD-10-CM, SNOMED CT, ICD-10, or
words (Chinese); drugs as RxNorm or ATC; glucose and creatinine in moles or milligrams **under the same LOINC**, as
happens. Some subjects have thousands of events, and some a few dozen.

At one visit, the review, two treatments are decided: a statin and an SGLT2 inhibitor. The sicker are given them more
often, so that the treated fare worse although the treatment helps each of them. Nobody else gets a statin but after an
infarction, and the other drugs change nothing but what is measured.

The true risk of a label is computed without sampling from all that is true at its prediction time, known to the
hospital or not. In Python, from within this folder: `suwen.simulation.records.truth.best_possible(".")` and
`true_effects(".")`.

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
- Obesity and diabetes, 7.19: Abdullah et al., Diabetes Res Clin Pract 2010;89:309.
- Infarction by smoking, hypertension and diabetes, 2.87, 1.91 and 2.37: Yusuf et al., Lancet 2004;364:937.
- Vascular events by LDL, 0.78 for 1 mmol/L less: Cholesterol Treatment Trialists, Lancet 2010;376:1670; 10 mg
  atorvastatin lowers it by 37 %: Law et al., BMJ 2003;326:1423.
- Kidney disease and death, 1.2, and cardiovascular events, 1.4: Go et al., N Engl J Med 2004;351:1296.
- Atrial fibrillation by age, sex and disease: Benjamin et al., JAMA 1994;271:840.
- Stroke by hypertension, smoking and diabetes, 2.64, 2.09 and 1.36: O'Donnell et al., Lancet 2010;376:112; by atrial
  fibrillation, nearly fivefold: Wolf et al., Stroke 1991;22:983.
- Heart failure by hypertension, 2.07 in men and 3.35 in women: Levy et al., JAMA 1996;275:1557; with empagliflozin,
  0.69: Packer et al., N Engl J Med 2020;383:1413.
- Death by diabetes, 1.80: Seshasai et al., N Engl J Med 2011;364:829; by frailty, 1.28 for 0.1: Kojima et al., Age
  Ageing 2018;47:193.
- The estimated GFR: CKD-EPI 2021, Inker et al., N Engl J Med 2021;385:1737.
- The ideal observer: Barrett & Myers, Foundations of Image Science, 2004, chapter 13.

## Invented

Everything else: the sites, the distributions of age and body mass index, smoking elsewhere, the severity of lung
disease, every other coefficient of the risks and rates, the prevalences (far above those of any hospital), all shapes,
sizes, places and contrasts, the scanners, the wording of the reports; how often somebody comes, what is measured and
how it scatters, who is given what.
"""


def readme(settings: Mapping[str, object]) -> str:
    """The text for a hospital made with `settings`."""
    return _TEXT.format(settings=", ".join(f"{key} {value}" for key, value in settings.items()))
