"""Which row of which OMOP table each event of an export goes to: the rows of `omop_tables`, read backwards.

An event goes to the table that its code belongs to, if the table has a column for all that it says. Otherwise a number
is a measurement, a long text a note, and everything else an observation, which has columns for all but
``available_time``. What has that, or no time, is told in full in `omop_tables.EXTRA`, and once more in an OMOP table
for those who read only these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from suwen.data.records.events import BIRTH, DEATH, END, START
from suwen.data.records.exporting import Chunk, empty, marked
from suwen.data.records.omop.rows import SOURCE
from suwen.data.records.omop.tables import EHR, ONCE, SPAN, TABLES, TOLD

PREFIXES: dict[str, str] = {
    **dict.fromkeys(("icd10cm", "icd10", "icd10gm", "icd9cm", "icdo3"), "condition_occurrence"),
    **dict.fromkeys(("rxnorm", "rxnorm extension", "ndc", "atc", "cvx", "vandf"), "drug_exposure"),
    **dict.fromkeys(("icd10pcs", "icd9proc", "cpt4", "cpt", "hcpcs"), "procedure_occurrence"),
    **dict.fromkeys(("loinc", "lab"), "measurement"),
    **dict.fromkeys(("visit", "encounter"), "visit_occurrence"),
    "note": "note",
}
"""Vocabulary in small letters → table. SNOMED has everything in it: what lasts is taken for a condition."""

LASTING = {"snomed": "condition_occurrence"}

PLACES = (
    "visit_occurrence",
    "condition_occurrence",
    "drug_exposure",
    "procedure_occurrence",
    "device_exposure",
    "measurement",
    "observation",
    "note",
    "observation_period",
)
"""Tables of events; `Placed.table` counts in them."""

VISIT, MEASUREMENT, OBSERVATION, NOTE, PERIOD = (
    PLACES.index(name) for name in ("visit_occurrence", "measurement", "observation", "note", "observation_period")
)
NOWHERE = -1

DAY = 86_400_000_000
"""Microseconds."""

LONG = 60
"""Characters that fit into ``observation.value_as_string`` of a database of CDM 5.3 and 5.4."""

PERSONAL = {"gender": "gender", "sex": "gender", "race": "race", "ethnicity": "ethnicity"}
"""Vocabulary in small letters → columns of PERSON."""

PERSONS = {
    ("gender", "m"): 8507,
    ("gender", "male"): 8507,
    ("gender", "f"): 8532,
    ("gender", "female"): 8532,
    ("race", "5"): 8527,
    ("race", "white"): 8527,
    ("race", "3"): 8516,
    ("race", "black"): 8516,
    ("race", "2"): 8515,
    ("race", "asian"): 8515,
    ("ethnicity", "hispanic"): 38003563,
    ("ethnicity", "not hispanic"): 38003564,
}
"""What is said of a person, in small letters → standard concept (https://athena.ohdsi.org, domains Gender, Race and
Ethnicity)."""

STANDARD = re.compile(r"OMOP//([1-9]\d{0,8})")
"""Codes that are nothing but the number of a concept."""

_PERSONAL = {f"OMOP//{number}": kind for (kind, _), number in PERSONS.items()}


@dataclass(frozen=True)
class Known:
    """What a code says of where it belongs.

    Attributes:
        table: of `PLACES`, or `NOWHERE`.
        base: the code without ``//START`` and ``//END``, if it has that and its table has spans.
        step: `START`, `END` or empty.
        personal: ``gender`` …, or empty.
    """

    table: int
    base: str
    step: str
    personal: str


@lru_cache(maxsize=1_000_000)
def known(code: str) -> Known:
    """Of a code."""
    step = next((step for step in (START, END) if code.endswith(step) and len(code) > len(step)), "")
    base = code.removesuffix(step) if step else code
    parts = base.split("//")
    prefix = parts[0].lower()
    personal = PERSONAL.get(prefix, "") if len(parts) > 1 else ""
    name = PREFIXES.get(prefix) or (LASTING.get(prefix) if step else None)
    if parts[0] == SOURCE and len(parts) > 1:
        name = parts[1].lower()
        personal = PERSONAL.get(name.removeprefix("person_"), "") if name.startswith("person_") else ""
    personal = _PERSONAL.get(code, personal)
    if base == "OBSERVATION_PERIOD":
        name = base.lower() if step else None
    table = PLACES.index(name) if name in PLACES else NOWHERE
    if table == NOWHERE or TABLES[PLACES[table]].lines[0].kind != SPAN:
        return Known(table if not step else NOWHERE, code, "", personal)
    return Known(table, base, step, personal)


@dataclass(frozen=True)
class Placed:
    """Rows of the tables of `PLACES`, of a chunk of events.

    Attributes:
        event: (n,) the event of each row.
        table: (n,) of `PLACES`.
        end: (n,) the event that ends it, or -1.
        type: (n,) ``*_type_concept_id``.
        whole: (n,) bool: its code stays as it is; else it is that without ``//START``.
        personal: ``birth``, ``death``, ``gender`` … → events that are in PERSON and DEATH.
        extra: events that are told in full in `EXTRA`.
    """

    event: np.ndarray
    table: np.ndarray
    end: np.ndarray
    type: np.ndarray
    whole: np.ndarray
    personal: dict[str, np.ndarray]
    extra: np.ndarray


class OmopChunk(Chunk):
    """All events of some subjects, as columns, with what their codes say.

    Args:
        events: of `SCHEMA`, without NaN.
    """

    def __init__(self, events: pa.Table) -> None:
        super().__init__(events)
        long = pc.greater(pc.utf8_length(events["text_value"]), LONG)
        self.long = np.asarray(long.combine_chunks().fill_null(False))
        self.known = [known(code) for code in self.codes]

    def of_code(self, name: str) -> np.ndarray:
        """An attribute of `Known`, for each event."""
        return self.per_code(getattr(each, name) for each in self.known)

    def fits(self, table: np.ndarray) -> np.ndarray:
        """bool: whether a table has columns for what each event says."""
        found = np.zeros(len(table), bool)
        for place, name in enumerate(PLACES):
            line = TABLES[name].lines[0]
            lacks = self.number & (not line.number) | self.unit & (not line.unit)
            lacks |= self.visit & (not TABLES[name].visit)
            # a measurement has its text where it has no number
            lacks |= self.text & (self.number if line.spare else not line.text)
            found |= (table == place) & ~lacks
        return found

    def general(self) -> np.ndarray:
        """The table of what has no table of its own, or does not fit into it."""
        found = np.full(len(self.code), OBSERVATION)
        found[self.number & ~self.text] = MEASUREMENT
        found[self.long & ~self.number & ~self.unit] = NOTE
        return found


def place(chunk: OmopChunk) -> Placed:
    """Rows for all events of a chunk."""
    personal = _personal(chunk)
    done = marked(len(chunk.code), np.concatenate(list(personal.values())))
    extra = ~done & (chunk.late | chunk.blank | ~chunk.timed)
    table, step = chunk.of_code("table"), chunk.of_code("step")
    own = ~done & ~extra & (table != NOWHERE) & chunk.fits(table)
    own &= (table != VISIT) | chunk.visit
    # an observation period has dates without a time of day
    own &= (table != PERIOD) | (step != "") & (chunk.time % DAY == 0)
    begins = own & (step != END)
    begins &= (table != VISIT) | chunk.first(begins & (table == VISIT), chunk.subject, chunk.encounter)
    end = chunk.pairs(
        [each.base for each in chunk.known],
        begins & (step == START),
        own & (step == END) & ~(chunk.number | chunk.text | chunk.unit),
    )
    ended = marked(len(end), end[end >= 0])
    rest = ~done & ~extra & ~begins & ~ended
    spans = np.array([TABLES[name].lines[0].kind == SPAN for name in PLACES])
    told = extra & chunk.timed & (step != END) & ~empty(chunk.events["code"])
    kept = told & (table != NOWHERE) & (table != VISIT) & (table != PERIOD)
    table = np.where(begins | kept, table, chunk.general())
    kind = np.where(begins & spans[table] & (step == ""), ONCE, EHR)
    rows = np.flatnonzero(begins | rest | told)
    return Placed(
        event=rows,
        table=table[rows],
        end=end[rows],
        type=np.where(told, TOLD, kind)[rows],
        whole=rest[rows],
        personal=personal,
        extra=np.flatnonzero(extra),
    )


def _personal(chunk: OmopChunk) -> dict[str, np.ndarray]:
    """What PERSON and DEATH say: the first of each kind that has nothing else to say."""
    birth, death = (np.array([code == which for code in chunk.codes])[chunk.code] for which in (BIRTH, DEATH))
    dead = death & chunk.timed & ~(chunk.number | chunk.unit | chunk.visit | chunk.late | chunk.blank)
    found = {
        "birth": chunk.first(birth & chunk.timed & chunk.bare, chunk.subject),
        "death": chunk.first(dead, chunk.subject),
    }
    kinds = chunk.of_code("personal")
    for kind in dict.fromkeys(PERSONAL.values()):
        found[kind] = chunk.first((kinds == kind) & ~chunk.timed & chunk.bare, chunk.subject)
    return {kind: np.flatnonzero(where) for kind, where in found.items()}
