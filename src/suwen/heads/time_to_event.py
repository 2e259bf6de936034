"""``time-to-event``: when one of K events comes, of people some of whom were not followed to it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.features import Features
from suwen.core.prediction import Prediction
from suwen.heads.breslow import breslow, gained_between
from suwen.heads.hazard_losses import discrete_loss, partial_loss, piecewise_loss, split_target
from suwen.heads.hazards import BEND, grow, incidence, survival, time_of
from suwen.heads.time_bins import check_times, crude_hazards, default_horizons, quantile_edges

KINDS = {"piecewise": 12, "discrete": 20, "cox": 100}
"""Kind → intervals unless told. Cox's hold a baseline that is counted, not learnt, and may be many."""


class TimeToEvent(nn.Module):
    """Hazards of K causes over M intervals of time, ``log ΔΛ_km(z) = b_km + w_k·z + v_km·z``.

    Kinds:
        piecewise: a level hazard in each interval (Holford 1980; Kvamme & Borgan 2021).
        discrete: the probability of an event in each interval entered, its logit as above (Gensheimer & Narasimhan
        2019). cox: one relative hazard ``w_k·z`` and a baseline counted on the training rows by Breslow after training
            (`fit_baseline`); partial likelihood with tied times by Efron (Cox 1972).

    Causes are competing: each has its hazard, and cumulative incidences are composed as by Aalen & Johansen
    (`suwen.heads.hazards`).

    Args:
        width: D of the pooled features.
        labels: K names of causes, in the order of their codes 1 … K.
        kind: a row of `KINDS`.
        edges: M + 1 rising times from 0; from the training events' quantiles unless given.
        bins: M, where edges are found.
        horizons: times that answers speak of.
        hazards: ``(K, M)`` cumulative hazards to start from; found in the training rows.
        time_varying: whether effects may change with time (v; starts at 0). Of no meaning to Cox.
        dropout: on the pooled features.

    Raises:
        NameUnknown: no such kind.
        RecipeError: edges that do not rise from 0, or horizons outside them.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    metrics = ("c_index", "c_uno", "c_td", "auroc_horizon", "brier_horizon", "ibs", "ece_horizon", "ici_horizon")
    edges: Tensor
    centre: Tensor

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...],
        *,
        map_widths: tuple[int, ...] = (),
        kind: str = "piecewise",
        edges: list[float] | None = None,
        bins: int | None = None,
        horizons: list[float] | None = None,
        hazards: list[list[float]] | None = None,
        time_varying: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise NameUnknown("kind of hazard", kind, KINDS, fix="--set head.options.kind=piecewise")
        edges = edges or [0.0, 1.0]
        horizons = horizons or [edges[-1]]
        _check_edges(edges, horizons)
        self.labels, self.kind, self.horizons = labels, kind, tuple(horizons)
        self.config: dict[str, Any] = {
            "name": "time-to-event",
            "kind": kind,
            "edges": edges,
            "bins": len(edges) - 1,
            "horizons": horizons,
            "hazards": hazards,
            "time_varying": time_varying,
            "dropout": dropout,
        }
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, len(labels), bias=False)
        start = torch.full((len(labels), len(edges) - 1), 0.1) if hazards is None else torch.tensor(hazards)
        self.base = nn.Parameter(_start(start.float(), kind), requires_grad=kind != "cox")
        varying = time_varying and kind != "cox"
        self.varying = nn.Linear(width, start.numel(), bias=False) if varying else None
        if self.varying is not None:
            nn.init.zeros_(self.varying.weight)
        self.register_buffer("edges", torch.tensor(edges, dtype=torch.float32), persistent=False)
        self.register_buffer("centre", torch.zeros(len(labels)))

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """With edges, horizons and crude hazards of the training rows; ``positive`` is no option of times."""
        found = {name: value for name, value in options.items() if name != "positive"}
        targets = np.asarray(dataset.targets, np.float64)[train]
        check_times(targets, len(dataset.labels))
        kind = found.setdefault("kind", "piecewise")
        if kind not in KINDS:
            raise NameUnknown("kind of hazard", kind, KINDS, fix="--set head.options.kind=piecewise")
        if found.get("edges") is None:
            found["edges"] = quantile_edges(targets, found.get("bins") or KINDS[kind])
        if found.get("horizons") is None:
            found["horizons"] = default_horizons(targets)
        _check_edges(found["edges"], found["horizons"])
        hazards = crude_hazards(targets, np.asarray(found["edges"]), len(dataset.labels))
        found["hazards"] = [[float(f"{value:.6g}") for value in row] for row in hazards]
        return found

    def forward(self, features: Features) -> Tensor:
        """``(B, D)`` → log hazards ``(B, K, M)``; of Cox ``(B, K, 1)``, relative ones."""
        pooled = self.dropout(features.pooled)
        level: Tensor = self.linear(pooled)[:, :, None]
        if self.kind == "cox":
            return level
        logits = self.base + level
        return logits if self.varying is None else logits + self.varying(pooled).unflatten(1, self.base.shape)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Negative log-likelihood of times and event codes ``(B, 2)``; of Cox the partial one, within the batch."""
        times, codes = split_target(target, self.edges)
        if self.kind == "cox":
            return partial_loss(logits[:, :, 0], target[:, 0], target[:, 1].long())
        made = discrete_loss if self.kind == "discrete" else piecewise_loss
        return made(logits, times, codes, self.edges)

    def likelihood(self, logits: Tensor, target: Tensor) -> Tensor:
        """The mean negative log-likelihood of whole curves; of Cox with its baseline, as a piecewise one."""
        if self.kind != "cox":
            return self.loss(logits, target)
        times, codes = split_target(target, self.edges)
        return piecewise_loss(self.base + logits - self.centre[:, None], times, codes, self.edges)

    @torch.no_grad()
    def fit_baseline(self, logits: np.ndarray, targets: np.ndarray) -> None:
        """Count Cox's baseline on the training rows, in place; the other kinds have learnt theirs.

        Args:
            logits: ``(N, K, 1)``.
            targets: ``(N, 2)``.
        """
        if self.kind != "cox":
            return
        risks, edges = logits[:, :, 0].astype(np.float64), self.edges.double().cpu().numpy()
        centre = risks.mean(0)
        for cause in range(len(self.labels)):
            moments, gained = breslow(risks[:, cause] - centre[cause], targets[:, 0], targets[:, 1] == cause + 1)
            between = np.maximum(gained_between(moments.astype(np.float32), gained, edges), 1e-8)
            self.base[cause] = torch.from_numpy(_log_grown(between)).to(self.base)
        self.centre.copy_(torch.from_numpy(centre))

    def scaled(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """Log hazards whose spread about the baseline is divided by the temperature, each cause's moved by its shift:
        the survival counterpart of temperature scaling (`suwen.heads.hazard_scaling`)."""
        shifts = torch.tensor(calibration.shifts or [0.0] * len(self.labels), dtype=logits.dtype, device=logits.device)
        base = (self.centre[:, None] if self.kind == "cox" else self.base).to(logits.dtype)
        return base + (logits - base) / calibration.temperature + shifts[:, None]

    def gained(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """``(B, K, M)``: the calibrated cumulative hazard of each cause gained in each interval."""
        scaled = self.scaled(logits, calibration)
        if self.kind == "piecewise":
            return grow(scaled)
        if self.kind == "cox":
            return grow((self.base - self.centre[:, None]).to(logits.dtype) + scaled)
        whole = torch.logsumexp(torch.cat([torch.zeros_like(scaled[:, :1]), scaled], 1), 1, keepdim=True)
        return whole * scaled.softmax(1)

    def incidence(self, logits: Tensor, calibration: Calibration, times: Tensor) -> Tensor:
        """``(B, K, T)``: the probability of each cause by each time."""
        return incidence(self.gained(logits, calibration), self.edges.to(logits.dtype), times.to(logits))

    def survival(self, logits: Tensor, calibration: Calibration, times: Tensor) -> Tensor:
        """``(B, T)``: the probability that no cause's event has come by each time."""
        return survival(self.gained(logits, calibration), self.edges.to(logits.dtype), times.to(logits))

    def probabilities(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """``(B, K, H)``: the risk of each cause at each horizon."""
        return self.incidence(logits, calibration, torch.tensor(self.horizons))

    def decode(self, logits: Tensor, calibration: Calibration) -> list[Prediction]:
        """One Prediction an input. The answer is the survival at each horizon, probabilities are the risks, and the
        interval goes from the time that a share `coverage` of people alike outlive to the last time that training saw
        (or later)."""
        logits = logits.double()
        risks = self.probabilities(logits, calibration)
        begins = None if calibration.quantile is None else self._begins(logits, calibration, calibration.quantile)
        last, answers = float(self.config["edges"][-1]), []
        for row, risk in enumerate(risks.tolist()):
            alive = {f"{at:g}": 1 - sum(risk[k][h] for k in range(len(risk))) for h, at in enumerate(self.horizons)}
            named = {
                f"{label} by {horizon:g}": risk[cause][number]
                for cause, label in enumerate(self.labels)
                for number, horizon in enumerate(self.horizons)
            }
            interval = None if begins is None else (min(begins[row], last), last)
            answers.append(Prediction(answer=alive, probabilities=named, interval=interval))
        return answers

    def _begins(self, logits: Tensor, calibration: Calibration, share: float) -> list[float]:
        found: list[float] = time_of(self.gained(logits, calibration), self.edges.to(logits.dtype), share).tolist()
        return found


def _start(hazards: Tensor, kind: str) -> Tensor:
    """The logits that mean these cumulative hazards."""
    if kind != "discrete":
        return torch.from_numpy(_log_grown(hazards.double().numpy())).float()
    total = hazards.sum(0)
    return (hazards / total).log() + torch.log(torch.expm1(total))


def _log_grown(values: np.ndarray) -> np.ndarray:
    """The x of ``grow(x)``: logarithms up to the bend, straight beyond."""
    bent = np.exp(BEND)
    found: np.ndarray = np.where(values <= bent, np.log(np.minimum(values, bent)), BEND + values / bent - 1)
    return found


def _check_edges(edges: list[float], horizons: list[float]) -> None:
    rising = len(edges) > 1 and edges[0] == 0 and all(low < high for low, high in pairwise(edges))
    if not rising:
        raise RecipeError(
            f"edges {edges[:4]} …", why="intervals of time rise from 0", fix="leave them out: quantiles of the events"
        )
    if not horizons or min(horizons) <= 0 or max(horizons) > edges[-1]:
        raise RecipeError(
            f"horizons {horizons}",
            why=f"nobody in training was followed beyond {edges[-1]:g}, and nothing is known of what comes then",
            fix=f"--set head.options.horizons=[{edges[-1] / 2:g}]",
        )
