"""The formulas: rows of a table, each with its unit, its inputs, and where it was published."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALWAYS = float("inf")
SEA_LEVEL, WATER, QUOTIENT = 760.0, 47.0, 0.8
"""Pressure of air at sea level and of water vapour at 37 °C, mm[Hg], and the respiratory quotient at rest."""


class Input(NamedTuple):
    """One argument of a formula.

    Attributes:
        concept: of `suwen.data.records.derived.concepts.CONCEPTS`, in whose unit it is.
        hours: how old it may be when another input is measured; what has no time (a height) never ages.
        drives: whether a new value of it makes a new value of the formula.
    """

    concept: str
    hours: float = 24.0
    drives: bool = True


class Formula(NamedTuple):
    """What is worked out.

    Attributes:
        name: the code of its events is ``DERIVED//NAME``.
        unit: of what comes out, as UCUM writes it.
        inputs: K arguments.
        compute: K arrays float64 (N,) → (N,); what is not finite is no event.
        source: where the formula comes from.
    """

    name: str
    unit: str
    inputs: tuple[Input, ...]
    compute: Callable[..., Floats]
    source: str


def _egfr(creatinine: Floats, age: Floats, female: Floats) -> Floats:
    """142 · min(Scr/κ, 1)^α · max(Scr/κ, 1)^-1.200 · 0.9938^age · 1.012 if female; for adults."""
    kappa, alpha = np.where(female > 0, 0.7, 0.9), np.where(female > 0, -0.241, -0.302)
    ratio = creatinine / kappa
    value = 142 * np.minimum(ratio, 1) ** alpha * np.maximum(ratio, 1) ** -1.2 * 0.9938**age
    return np.where(age >= 18, value * np.where(female > 0, 1.012, 1.0), np.nan)


def _alveolar_gap(oxygen: Floats, carbon_dioxide: Floats, inspired: Floats) -> Floats:
    return inspired / 100 * (SEA_LEVEL - WATER) - carbon_dioxide / QUOTIENT - oxygen


def _base_excess(ph: Floats, carbon_dioxide: Floats) -> Floats:
    """Bicarbonate by Henderson and Hasselbalch (pK 6.1, 0.0307 mmol/L a mm[Hg]), then van Slyke's equation."""
    bicarbonate = 0.0307 * carbon_dioxide * 10 ** (ph - 6.1)
    return 0.9287 * (bicarbonate - 24.4 + 14.83 * (ph - 7.4))


def _within(numerator: Floats, denominator: Floats) -> Floats:
    """The ratio; none by 0."""
    return numerator / np.where(denominator > 0, denominator, np.nan)


SYSTOLIC, DIASTOLIC = Input("systolic pressure", 1), Input("diastolic pressure", 1)
RATE, OXYGEN = Input("heart rate", 1), Input("arterial oxygen pressure", 1)
AGE, FEMALE = Input("age", ALWAYS, False), Input("female", ALWAYS, False)
WEIGHT, HEIGHT = Input("weight", ALWAYS, False), Input("height", ALWAYS, False)
INSPIRED = Input("inspired oxygen", 12, False)

FORMULAS = (
    Formula(
        "mean pressure from cuff", "mm[Hg]", (SYSTOLIC, DIASTOLIC), lambda high, low: (high + 2 * low) / 3,
        "Meaney et al., Heart 2000;84:64",
    ),
    Formula(
        "pulse pressure", "mm[Hg]", (SYSTOLIC, DIASTOLIC), lambda high, low: high - low,
        "Dart & Kingwell, J Am Coll Cardiol 2001;37:975",
    ),
    Formula(
        "shock index", "", (RATE, SYSTOLIC), _within, "Allgöwer & Burri, Dtsch Med Wochenschr 1967;92:1947"
    ),
    Formula(
        "modified shock index", "", (RATE, Input("mean pressure", 1)), _within,
        "Liu et al., World J Emerg Med 2012;3:114",
    ),
    Formula(
        "age shock index", "a", (RATE, SYSTOLIC, AGE), lambda rate, high, age: age * _within(rate, high),
        "Zarzaur et al., J Surg Res 2008;147:229",
    ),
    Formula(
        "P/F ratio", "mm[Hg]", (OXYGEN, INSPIRED), lambda oxygen, inspired: oxygen / (inspired / 100),
        "ARDS Definition Task Force, JAMA 2012;307:2526",
    ),
    Formula(
        "S/F ratio", "", (Input("oxygen saturation", 1), INSPIRED), lambda full, inspired: full / (inspired / 100),
        "Rice et al., Chest 2007;132:410",
    ),
    Formula(
        "ROX index", "min", (Input("oxygen saturation", 4), INSPIRED, Input("respiratory rate", 1)),
        lambda full, inspired, rate: full / (inspired / 100) / rate,
        "Roca et al., Am J Respir Crit Care Med 2019;199:1368",
    ),
    Formula(
        "alveolar-arterial gradient", "mm[Hg]",
        (OXYGEN, Input("arterial carbon dioxide pressure", 1, False), INSPIRED), _alveolar_gap,
        "alveolar gas equation: Fenn, Rahn & Otis, Am J Physiol 1946;146:637",
    ),
    Formula(
        "base excess", "mmol/L", (Input("arterial pH", 1), Input("arterial carbon dioxide pressure", 1)), _base_excess,
        "van Slyke equation: Siggaard-Andersen, Scand J Clin Lab Invest 1977;37(Suppl 146):15",
    ),
    Formula(
        "anion gap", "mmol/L", (Input("sodium", 4), Input("chloride", 4), Input("bicarbonate", 4)),
        lambda sodium, chloride, bicarbonate: sodium - chloride - bicarbonate,
        "Kraut & Madias, Clin J Am Soc Nephrol 2007;2:162",
    ),
    Formula(
        "calculated osmolality", "mosm/kg", (Input("sodium", 6), Input("glucose", 6), Input("urea nitrogen", 24)),
        lambda sodium, glucose, urea: 2 * sodium + glucose / 18 + urea / 2.8,
        "Smithline & Gardner, JAMA 1976;236:1594",
    ),
    Formula(
        "corrected calcium", "mg/dL", (Input("calcium"), Input("albumin", 72, False)),
        lambda calcium, albumin: calcium + 0.8 * (4 - albumin),
        "Payne et al., BMJ 1973;4:643",
    ),
    Formula(
        "urea nitrogen to creatinine", "", (Input("urea nitrogen", 6), Input("creatinine", 6)), _within,
        "Agrawal & Swartz, Am Fam Physician 2000;61:2077",
    ),
    Formula(
        "eGFR", "mL/min/{1.73_m2}", (Input("creatinine"), AGE, FEMALE), _egfr,
        "CKD-EPI 2021: Inker et al., N Engl J Med 2021;385:1737",
    ),
    Formula(
        "urine by weight", "mL/kg", (Input("urine"), WEIGHT), _within,
        "KDIGO, Kidney Int Suppl 2012;2:1; its sum over a window is what passed in that window",
    ),
    Formula(
        "lactate to albumin", "", (Input("lactate", 12), Input("albumin", 72, False)), _within,
        "Wang et al., J Crit Care 2015;30:271",
    ),
    Formula(
        "De Ritis ratio", "", (Input("aspartate transaminase", 6), Input("alanine transaminase", 6)), _within,
        "De Ritis et al., Clin Chim Acta 1957;2:70",
    ),
    Formula(
        "FIB-4", "",
        (Input("aspartate transaminase"), Input("alanine transaminase"), Input("platelets"), AGE),
        lambda ast, alt, platelets, age: age * ast / (platelets * np.sqrt(alt)),
        "Sterling et al., Hepatology 2006;43:1317",
    ),
    Formula(
        "neutrophils to lymphocytes", "", (Input("neutrophils", 1), Input("lymphocytes", 1)), _within,
        "Zahorec, Bratisl Lek Listy 2001;102:5",
    ),
    Formula(
        "coma scale from parts", "",
        (Input("coma scale, eyes", 1), Input("coma scale, words", 1), Input("coma scale, movement", 1)),
        lambda eyes, words, movement: eyes + words + movement,
        "Teasdale & Jennett, Lancet 1974;304:81",
    ),
    Formula(
        "body mass index", "kg/m2", (Input("weight", ALWAYS), HEIGHT),
        lambda weight, height: weight / (height / 100) ** 2,
        "Keys et al., J Chronic Dis 1972;25:329",
    ),
)  # fmt: skip
"""What is worked out unless formulas are handed over."""
