"""What happens to one person: a walk through the chain, and the choice that is made on the way.

Every process has a clock, a standard exponential, which its rate runs down; what runs out first, happens (the random
time change of Kurtz; Anderson, J Chem Phys 2007;127:214107). The clocks are drawn beforehand, so that the same person
can be followed twice, treated and not, and differs in nothing but what the treatment changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from suwen.data.records.kernels import compiled
from suwen.simulation.patients import Stream, stream
from suwen.simulation.records.person import YEAR, Person, Rates
from suwen.simulation.records.processes import (
    ADMITS,
    AFTER_DISCHARGE,
    DEATH,
    MOST,
    MULTIPLIERS,
    NAMES,
    RECURS,
    SETS,
    WINDOW_DAYS,
)

CLOCKS = 200
"""Times that something can recur: at `MOST` a year, for half a century."""


class Happening(NamedTuple):
    """What happened when, in days since 1970."""

    when: float
    name: str


@dataclass
class Stay:
    """A stay in hospital, from `start` to `end` (days since 1970), or to death.

    Attributes:
        reasons: what brought him there, and what happened there that would have.
    """

    start: float
    end: float
    reasons: list[Happening] = field(default_factory=list)


@dataclass
class Walker:
    """Where somebody is on his way.

    Attributes:
        when: days since 1970.
        state: bits of `STATES`.
        clocks: float64 (K,) what is left on each; infinite on those that have run out for good.
        used: int64 (K,) clocks that have run out.
        happened: so far.
        stays: so far.
        dead: whether he is.
    """

    when: float
    state: int
    clocks: np.ndarray
    used: np.ndarray
    happened: list[Happening] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    dead: bool = False

    def fork(self) -> Walker:
        """One who goes on from here by himself; what happened before is not told again."""
        stays = [Stay(self.stays[-1].start, self.stays[-1].end)] if self.stays else []
        return Walker(self.when, self.state, self.clocks.copy(), self.used.copy(), stays=stays)

    def first(self, names: Sequence[str], until: float) -> float | None:
        """When one of these first happened, not after `until`."""
        return next((each.when for each in self.happened if each.name in names and each.when <= until), None)


@dataclass(frozen=True, eq=False)
class Luck:
    """All chance in a course.

    Attributes:
        clocks: float64 (K, CLOCKS) standard exponential.
        stays: float64 (K, CLOCKS) days in hospital, if the process admits.
    """

    clocks: np.ndarray
    stays: np.ndarray


def draw_luck(person: Person, seed: int) -> Luck:
    """That of one person."""
    rng = stream(seed, person.patient.number, Stream.COURSE)
    size = (len(NAMES), CLOCKS)
    return Luck(rng.standard_exponential(size), 1.0 + rng.standard_gamma(2.0, size) * 2.0)


def begin(person: Person, luck: Luck) -> Walker:
    """On the 18th birthday, without any of the diseases."""
    return Walker(person.adult, 0, luck.clocks[:, 0].copy(), np.zeros(len(NAMES), np.int64))


def walk(walker: Walker, rates: Rates, luck: Luck, until: float) -> Walker:
    """Go on until a time within the edges of the rates, or death; the walker itself is changed, and returned."""
    while not walker.dead:
        left = walker.stays[-1].end if walker.stays else -np.inf
        number, walker.when = _next(
            walker.when, until, left, walker.state, walker.clocks, rates.edges, rates.base, MULTIPLIERS, AFTER_DISCHARGE
        )
        if number < 0:
            break
        _happen(walker, number, luck)
    return walker


@compiled
def _next(
    when: float,
    until: float,
    left: float,
    state: int,
    clocks: np.ndarray,
    edges: np.ndarray,
    base: np.ndarray,
    multipliers: np.ndarray,
    after_discharge: np.ndarray,
) -> tuple[int, float]:
    """What happens next and when, or -1 where nothing does until then; the clocks have run on.

    Args:
        left: end of the last stay.
        others: see `Walker`, `Rates` and `processes`.
    """
    while when < until:
        place = np.searchsorted(edges, when, "right") - 1
        stop = min(edges[place + 1], until)
        for each in (left, left + WINDOW_DAYS):
            if when < each < stop:
                stop = each
        within = left <= when < left + WINDOW_DAYS
        first, soonest = -1, stop - when
        for k in range(len(clocks)):
            if within or not after_discharge[k]:
                rate = min(base[place, k] * multipliers[k, state], MOST) / YEAR
                if rate > 0.0 and clocks[k] / rate < soonest:
                    first, soonest = k, clocks[k] / rate
        for k in range(len(clocks)):
            if within or not after_discharge[k]:
                clocks[k] -= soonest * min(base[place, k] * multipliers[k, state], MOST) / YEAR
        if first >= 0:
            return first, when + soonest
        when = stop
    return -1, until


def _happen(walker: Walker, number: int, luck: Luck) -> None:
    turn = int(walker.used[number])
    walker.used[number] += 1
    walker.clocks[number] = luck.clocks[number, turn + 1] if RECURS[number] else np.inf
    walker.state |= int(SETS[number])
    happening = Happening(walker.when, NAMES[number])
    walker.happened.append(happening)
    walker.dead = number == DEATH
    if ADMITS[number]:
        if not walker.stays or walker.stays[-1].end <= walker.when:
            walker.stays.append(Stay(walker.when, walker.when + float(luck.stays[number, turn])))
        walker.stays[-1].reasons.append(happening)
    if walker.dead and walker.stays:
        walker.stays[-1].end = min(walker.stays[-1].end, walker.when)
