"""What formulas speak of: concepts, each in one unit, and the values of them that are possible."""

from __future__ import annotations

from typing import NamedTuple


class Concept(NamedTuple):
    """Something that is measured of, or known about, a person.

    Attributes:
        name: as formulas name it.
        unit: of its values, as UCUM writes it; ``""`` where they are numbers without one.
        lowest, highest: beyond these a value is a slip of the pen or a loose probe, and no measurement. They are wider
            than what is compatible with life: what is rare stays.
        loinc: its codes in LOINC, whose unit in a store is looked at; the first stands for it in the table of units.
    """

    name: str
    unit: str
    lowest: float
    highest: float
    loinc: tuple[str, ...] = ()


CONCEPTS = {
    concept.name: concept
    for concept in (
        Concept("age", "a", 0, 125, ("30525-0",)),
        Concept("female", "", 0, 1),
        Concept("height", "cm", 30, 250, ("8302-2", "3137-7", "3138-5", "8308-9")),
        Concept("weight", "kg", 1, 400, ("29463-7", "3141-9")),
        Concept("heart rate", "/min", 10, 300, ("8867-4",)),
        Concept("respiratory rate", "/min", 1, 90, ("9279-1",)),
        Concept("systolic pressure", "mm[Hg]", 20, 320, ("8480-6",)),
        Concept("diastolic pressure", "mm[Hg]", 5, 250, ("8462-4",)),
        Concept("mean pressure", "mm[Hg]", 10, 280, ("8478-0",)),
        Concept("temperature", "Cel", 25, 46, ("8310-5", "8331-1", "8328-7")),
        Concept("urine", "mL", 0, 5000, ("9187-6",)),
        Concept("coma scale", "", 3, 15, ("9269-2",)),
        Concept("coma scale, eyes", "", 1, 4, ("9267-6",)),
        Concept("coma scale, words", "", 1, 5, ("9270-0",)),
        Concept("coma scale, movement", "", 1, 6, ("9268-4",)),
        Concept("arterial oxygen pressure", "mm[Hg]", 15, 720, ("2703-7",)),
        Concept("arterial carbon dioxide pressure", "mm[Hg]", 5, 250, ("2019-8",)),
        Concept("arterial pH", "", 6.5, 8.0, ("2744-1",)),
        Concept("oxygen saturation", "%", 20, 100, ("2708-6", "59408-5")),
        Concept("inspired oxygen", "%", 20, 100, ("3150-0", "19994-3")),
        Concept("sodium", "mmol/L", 90, 200, ("2951-2",)),
        Concept("potassium", "mmol/L", 1, 12, ("2823-3",)),
        Concept("chloride", "mmol/L", 50, 160, ("2075-0",)),
        Concept("bicarbonate", "mmol/L", 1, 70, ("1963-8", "2028-9")),
        Concept("calcium", "mg/dL", 2, 25, ("17861-6",)),
        Concept("glucose", "mg/dL", 5, 2500, ("2345-7", "2339-0")),
        Concept("creatinine", "mg/dL", 0.05, 40, ("2160-0",)),
        Concept("urea nitrogen", "mg/dL", 1, 300, ("3094-0",)),
        Concept("lactate", "mmol/L", 0.05, 45, ("2524-7", "2518-9", "32693-4")),
        Concept("albumin", "g/dL", 0.4, 8, ("1751-7",)),
        Concept("bilirubin", "mg/dL", 0.05, 90, ("1975-2",)),
        Concept("aspartate transaminase", "U/L", 1, 60_000, ("1920-8",)),
        Concept("alanine transaminase", "U/L", 1, 60_000, ("1742-6",)),
        Concept("platelets", "10*3/uL", 0.5, 3000, ("777-3", "26515-7")),
        Concept("neutrophils", "%", 0, 100, ("770-8",)),
        Concept("lymphocytes", "%", 0, 100, ("736-9",)),
    )
}
"""Name → concept. The codes are LOINC's (loinc.org); the bounds are ours, chosen wide; see `Concept`."""
