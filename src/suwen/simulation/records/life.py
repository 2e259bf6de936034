"""One life, from the 18th birthday to death or the end of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from suwen.simulation.patients import Patient
from suwen.simulation.records.course import Happening, Stay, begin, draw_luck, walk
from suwen.simulation.records.person import Person, Rates, draw_person
from suwen.simulation.records.processes import BIT, NAMES, PROCESSES
from suwen.simulation.records.treatments import Decision, decide
from suwen.simulation.world import World

ONSETS = tuple(name for name in NAMES if not PROCESSES[name].recurs and name != "death")


@dataclass(frozen=True, kw_only=True)
class Life:
    """What truly happened.

    Attributes:
        person: to whom.
        rates: as he was treated.
        happened: in order of time.
        stays: in hospital, likewise.
        decisions: at the review visit.
    """

    person: Person
    rates: Rates
    happened: list[Happening]
    stays: list[Stay]
    decisions: list[Decision]

    @cached_property
    def onsets(self) -> dict[str, float]:
        """Disease → days since 1970, of those that he got."""
        return {each.name: each.when for each in self.happened if each.name in ONSETS}

    @cached_property
    def death(self) -> float:
        """Days since 1970; infinite where he outlives the data."""
        return next((each.when for each in self.happened if each.name == "death"), math.inf)

    @property
    def end(self) -> float:
        """Of what can be known."""
        return min(self.death, self.person.closing)

    def state(self, when: float) -> int:
        """Bits of `suwen.simulation.records.processes.STATES` at a time."""
        return sum(BIT[name] for name, onset in self.onsets.items() if name in BIT and onset <= when)

    def happens(self, names: tuple[str, ...], since: float, until: float) -> bool:
        """Whether one of these happens in (since, until]."""
        return any(each.name in names and since < each.when <= until for each in self.happened)


def live(patient: Patient, world: World) -> Life:
    """The life of a patient: it depends on the seed and on him alone."""
    person = draw_person(patient, world)
    luck = draw_luck(person, world.seed)
    walker, rates = begin(person, luck), person.rates
    decisions: list[Decision] = []
    if person.review < math.inf:
        walk(walker, rates, luck, person.review)
        decisions, rates = decide(person, walker, luck, world.seed)
    walk(walker, rates, luck, person.closing)
    return Life(person=person, rates=rates, happened=walker.happened, stays=walker.stays, decisions=decisions)
