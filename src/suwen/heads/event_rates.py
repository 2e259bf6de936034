"""``event-rates``: when each of many codes first happens, by rates that are constant between some days."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from suwen.core.calibration import Calibration
from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.features import Features
from suwen.core.prediction import Prediction
from suwen.data.records.events import DEATH
from suwen.heads.next_event import NextEvent

EDGES = (0.0, 7.0, 30.0, 90.0, 180.0, 365.0, 730.0, 1826.0)
"""Days. After the last edge the rate stays what it is: K = 8 pieces."""

MOST = 512
"""Codes that are told."""

SAMPLED, AT_A_TIME = 2048, 64
"""Training histories from which base rates are counted."""

INNER = 64
HORIZON = 365.0
SHOWN = 10
LEAST_RATE = 2.0**-40


class EventRates(nn.Module):
    """Rates ``2^logit`` a day of T codes in K pieces of the time that follows (MOTOR: Steinberg et al., ICLR 2024).

    ``logit[k, t] = b_t + (W_k Z) · M_t``: of each piece a hidden vector, and one matrix of tasks for all of them. b
    starts at the base-2 logarithm of the training rate. By the end of day h a code has happened with probability
    ``1 - exp(-Σ_k 2^logit[k] · (days of piece k before h))``, unless something else, such as death, comes between.

    Args:
        width: D.
        labels: none.
        codes: V names of the tokens.
        told: tokens of the T codes.
        base: T rates a day.
        edges: days at which a piece begins, the first 0.
        inner: width of the hidden vectors.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"tokens"})
    metrics: ClassVar[tuple[str, ...]] = ()
    edges: Tensor
    told: Tensor

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...] = (),
        *,
        map_widths: tuple[int, ...] = (),
        codes: list[str],
        told: list[int],
        base: list[float],
        edges: list[float] | None = None,
        inner: int = INNER,
    ) -> None:
        super().__init__()
        pieces = list(EDGES if edges is None else edges)
        if not pieces or pieces[0] != 0 or any(later <= earlier for earlier, later in pairwise(pieces)):
            raise RecipeError(f"edges {pieces}", why="pieces of time begin at 0 and ascend", fix="[0, 30, 365]")
        self.labels, self.names = labels, [codes[token] for token in told]
        self.config: dict[str, Any] = {"name": "event-rates", "codes": list(codes), "told": list(told)}
        self.config |= {"base": list(base), "edges": pieces, "inner": inner}
        self.next = NextEvent(width, codes=codes)
        self.hidden = nn.Sequential(nn.RMSNorm(width), nn.Linear(width, len(pieces) * inner))
        self.tasks = nn.Linear(inner, len(told))
        nn.init.normal_(self.tasks.weight, std=0.02)
        with torch.no_grad():
            self.tasks.bias.copy_(torch.tensor([math.log2(max(rate, LEAST_RATE)) for rate in base]))
        self.register_buffer("edges", torch.tensor(pieces), persistent=False)
        self.register_buffer("told", torch.tensor(told, dtype=torch.int64), persistent=False)

    @staticmethod
    def options_for(dataset: Any, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """Which codes are told, and how often each happens a day at risk, of the training histories."""
        tokens = dataset.preprocess
        told = informative(tokens.codes, tokens.subjects, int(options.get("most", MOST)))
        rows = np.sort(np.random.default_rng(0).choice(train, min(len(train), SAMPLED), replace=False))
        events, days = np.zeros(len(told)), np.zeros(len(told))
        for start in range(0, len(rows), AT_A_TIME):
            found = dataset.targets[rows[start : start + AT_A_TIME]]
            first = found["first"][:, told].astype(np.float64)
            events += np.isfinite(first).sum(0)
            days += np.minimum(first, found["follow"][:, None]).sum(0)
        base = (events + 0.5) / (days + 1.0)
        rest = {name: value for name, value in options.items() if name != "most"}
        return {"codes": list(tokens.codes), "told": told, "base": [float(rate) for rate in base]} | rest

    def forward(self, features: Features) -> Tensor:
        """Logits ``(B, K, T)`` after the last token."""
        return self.rates_after(features.pooled)

    def rates_after(self, states: Tensor) -> Tensor:
        """Base-2 logarithms ``(n, K, T)`` of rates a day after these states ``(n, D)``."""
        hidden = self.hidden(states).view(len(states), len(self.edges), -1)
        logits: Tensor = self.tasks(hidden)
        return logits

    def likelihood_loss(self, logits: Tensor, first: Tensor, follow: Tensor) -> Tensor:
        """See `piecewise_loss`; `first` ``(n, V)`` is of all tokens."""
        return piecewise_loss(logits, first[:, self.told], follow, self.edges)

    def risk(self, logits: Tensor, days: float) -> Tensor:
        """``(B, T)``: probability that each code happens within so many days."""
        inside = time_in_pieces(torch.full((1, 1), float(days), device=logits.device), self.edges)
        return -torch.expm1(-(logits.double().exp2() * inside).sum(1))

    def risk_of(self, logits: Tensor, code: str, days: float) -> Tensor:
        """``(B,)``: the same of one code.

        Raises:
            NameUnknown: it is not told.
        """
        if code not in self.names:
            raise NameUnknown("code", code, self.names, fix="one of the codes that the pretraining told")
        return self.risk(logits, days)[:, self.names.index(code)]

    def loss(self, logits: Tensor, target: Any) -> Tensor:
        """0: the loss is the objective's."""
        return logits.new_zeros(())

    def probabilities(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """``(B, T)`` within a year."""
        return self.risk(logits, HORIZON)

    def decode(self, logits: Tensor, calibration: Calibration) -> list[Prediction]:
        """What is likeliest within a year, and death."""
        found = []
        for row in self.probabilities(logits, calibration):
            order = row.argsort(descending=True)[:SHOWN].tolist()
            order += [self.names.index(DEATH)] if DEATH in self.names else []
            chances = {self.names[each]: float(row[each]) for each in order}
            found.append(Prediction(answer=self.names[order[0]], probabilities=chances))
        return found


def time_in_pieces(days: Tensor, edges: Tensor) -> Tensor:
    """``(n, T)`` days → ``(n, K, T)``, how much of each piece lies before them."""
    ends = torch.cat([edges[1:], edges.new_full((1,), torch.inf)])
    starts = edges[:, None]
    return (torch.minimum(days[:, None], ends[:, None]) - starts).clamp_min(0)


def piecewise_loss(logits: Tensor, first: Tensor, follow: Tensor, edges: Tensor) -> Tensor:
    """The negative log-likelihood of censored times under piecewise constant rates, a code and moment, in nats:

    ``Σ_k 2^(logit_k) · t_k - ln 2 · Σ_k event_k · logit_k``

    with t_k the days at risk in piece k, and event_k whether it happened in it: that of MOTOR (Steinberg et al., ICLR
    2024, section 3; femr, ``femr.models.tasks.MOTORTask``), there ``mean(2^(logit + log2 t)) - ln 2 · mean(event ·
    logit)`` over pieces too.

    Args:
        logits: (n, K, T), base-2 logarithms of rates a day.
        first: (n, T), days until the event, infinite where there is none.
        follow: (n,), days until following up ended.
        edges: (K,), days.
    """
    logits = logits.float()
    time = torch.minimum(first, follow[:, None])
    at_risk = time_in_pieces(time, edges)
    happened = first <= follow[:, None]
    ends = torch.cat([edges[1:], edges.new_full((1,), torch.inf)])
    within = (time[:, None] > edges[:, None]) & (time[:, None] <= ends[:, None]) & happened[:, None]
    expected = logits.exp2() * at_risk - math.log(2) * logits * within
    return expected.sum(1).mean()


def informative(codes: tuple[str, ...], subjects: tuple[int, ...], most: int) -> list[int]:
    """The tokens that tell subjects apart best, by the entropy of having them (as FEMR chooses codes), and death."""
    share = np.array(subjects, np.float64) / max(1, *subjects)
    share = share.clip(1e-9, 1 - 1e-9)
    entropy = -(share * np.log(share) + (1 - share) * np.log1p(-share))
    order = [token for token in np.argsort(-entropy, kind="stable").tolist() if token != 0][:most]
    if DEATH in codes and codes.index(DEATH) not in order:
        order[-1:] = [codes.index(DEATH)]
    return sorted(order)
