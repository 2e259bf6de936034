"""Two treatments, who is given them, and what would have happened to him with and without.

Both are decided once, at the review visit. The sicker are treated more (confounding by indication), so that those who
are treated fare worse than the others, although each of them fares better than he would have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suwen.simulation.patients import Stream, stream
from suwen.simulation.records.chain import risk
from suwen.simulation.records.course import Luck, Walker, walk
from suwen.simulation.records.person import Person, Rates
from suwen.simulation.records.processes import BIT, NAMES, NUMBER

LDL_REDUCTION = 0.37
"""Of LDL, by 10 mg atorvastatin (Law et al., BMJ 2003;326:1423)."""

LDL_RATIO = 0.78
"""Major vascular events for each mmol/L LDL less (Cholesterol Treatment Trialists, Lancet 2010;376:1670)."""

SGLT2_RATIO = 0.69
"""First hospitalisation for heart failure with empagliflozin (EMPEROR-Reduced: Packer et al., N Engl J Med
2020;383:1413). Here for all who are given it."""

LEAST = 0.1
"""Nobody's propensity is smaller than that, or larger than one minus that: without overlap there is no comparison."""


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """One row.

    Attributes:
        outcome: processes that it is to prevent.
        days: how long after the decision they are looked for.
        eligible: (person, state at the decision) → whether it is to be decided.
        log_odds: the same → of being treated.
        ratio: the person → what rates are multiplied by.
        on: processes whose rates these are.
    """

    outcome: tuple[str, ...]
    days: float
    eligible: Callable[[Person, int], bool]
    log_odds: Callable[[Person, int], float]
    ratio: Callable[[Person], float]
    on: tuple[str, ...]

    def factors(self, person: Person) -> np.ndarray:
        """float64 (K,) of all processes."""
        found = np.ones(len(NAMES))
        found[[NUMBER[name] for name in self.on]] = self.ratio(person)
        return found

    def propensity(self, person: Person, state: int) -> float:
        """The true one."""
        return min(max(1.0 / (1.0 + math.exp(-self.log_odds(person, state))), LEAST), 1.0 - LEAST)


def _has(state: int, name: str) -> bool:
    return bool(state & BIT[name])


def _statin_log_odds(person: Person, state: int) -> float:
    """Higher with LDL, diabetes, hypertension, kidney disease, age and smoking, as guidelines say; numbers invented."""
    return (
        -1.5
        + 0.9 * (person.ldl - 3.3)
        + 1.4 * _has(state, "diabetes")
        + 0.9 * _has(state, "hypertension")
        + 0.6 * _has(state, "kidney")
        + 0.04 * (float(person.age(person.review)) - 60.0)
        + 0.8 * (person.smoking(person.review) == "current")
        + 0.6 * (person.patient.sex == "M")
        + 0.5 * (person.patient.language == "en")
    )


def _sglt2_log_odds(person: Person, state: int) -> float:
    """Higher with heart failure, kidney disease, an infarction and frailty; numbers invented."""
    return (
        -1.8
        + 2.2 * _has(state, "heart_failure")
        + 0.8 * _has(state, "kidney")
        + 0.6 * _has(state, "infarction")
        + 0.5 * _has(state, "fibrillation")
        + 3.0 * (person.patient.frailty - 0.2)
        + 0.4 * (person.patient.site == "riverside")
    )


TREATMENTS: dict[str, Treatment] = {
    "statin": Treatment(
        outcome=("infarction",),
        days=1826.0,
        eligible=lambda person, state: float(person.age(person.review)) >= 40.0 and not _has(state, "infarction"),
        log_odds=_statin_log_odds,
        ratio=lambda person: LDL_RATIO ** (LDL_REDUCTION * person.ldl),
        on=("infarction", "stroke"),
    ),
    "sglt2_inhibitor": Treatment(
        outcome=("heart_failure", "heart_failure_again"),
        days=730.0,
        eligible=lambda person, state: _has(state, "diabetes") or _has(state, "heart_failure"),
        log_odds=_sglt2_log_odds,
        ratio=lambda person: SGLT2_RATIO,
        on=("heart_failure", "heart_failure_again"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided, and what is true of it.

    Attributes:
        treatment: of `TREATMENTS`.
        when: days since 1970.
        propensity: probability of being treated.
        treated: what happened.
        risks: probability of the outcome without and with.
        outcomes: whether it happens without and with; that of `treated` is what is recorded.
    """

    treatment: str
    when: float
    propensity: float
    treated: bool
    risks: tuple[float, float]
    outcomes: tuple[bool, bool]


def decide(person: Person, walker: Walker, luck: Luck, seed: int) -> tuple[list[Decision], Rates]:
    """The decisions of a review visit, at which the walker is, and the rates from then on."""
    lots = stream(seed, person.patient.number, Stream.DECISIONS).random(len(TREATMENTS))
    rows = {name: row for name, row in TREATMENTS.items() if row.eligible(person, walker.state)}
    odds = {name: row.propensity(person, walker.state) for name, row in rows.items()}
    lot = dict(zip(TREATMENTS, lots.tolist(), strict=True))
    treated = {name: lot[name] < odds[name] for name in rows}
    decisions = []
    for name, row in rows.items():
        both = [_would(person, walker, luck, row, {**treated, name: arm}) for arm in (False, True)]
        decisions.append(
            Decision(
                treatment=name,
                when=walker.when,
                propensity=odds[name],
                treated=treated[name],
                risks=(both[0][0], both[1][0]),
                outcomes=(both[0][1], both[1][1]),
            )
        )
    return decisions, under(person, [name for name, given in treated.items() if given])


def under(person: Person, treatments: Sequence[str]) -> Rates:
    """The rates of a person who is given these from the review on."""
    factors = np.ones(len(NAMES))
    for name in treatments:
        factors *= TREATMENTS[name].factors(person)
    return person.rates.changed(person.review, factors)


def _would(
    person: Person, walker: Walker, luck: Luck, row: Treatment, treated: Mapping[str, bool]
) -> tuple[float, bool]:
    """Probability of the outcome, and whether it happens, if these were given."""
    rates = under(person, [name for name, given in treated.items() if given])
    until = walker.when + row.days
    chance = risk(rates, walker.when, until, walker.state, row.outcome)
    gone = walk(walker.fork(), rates, luck, until)
    return chance, gone.first(row.outcome, until) is not None
