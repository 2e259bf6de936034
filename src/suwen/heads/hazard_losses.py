"""Negative log-likelihoods of times that may be censored, each the mean over a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from suwen.heads.hazards import grow, interval_of, lived, log_grow


def split_target(target: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Times ``(B,)`` and event codes ``(B,)`` of targets ``(B, 2)``; who is followed beyond the last edge is censored
    there."""
    times, codes = target[:, 0].to(edges.dtype), target[:, 1].long()
    return times.clamp(max=edges[-1]), torch.where(times > edges[-1], 0, codes)


def piecewise_loss(logits: Tensor, times: Tensor, codes: Tensor, edges: Tensor) -> Tensor:
    """Piecewise exponential: ``-log λ_k(t) + Σ_k Λ_k(t)``, the first term where the k-th cause's event came.

    ``grow(logit)`` is the cumulative hazard that a cause gains in a whole interval, so that the hazard is that over the
    interval's length; the lengths' logarithms do not depend on the weights and are left out.

    Source: Holford, Biometrics 1980;36:299; with networks Kvamme & Borgan, Lifetime Data Analysis 2021;27:710
    (PC-Hazard) and Steinberg et al., MOTOR, ICLR 2024.

    Args:
        logits: ``(B, K, M)``.
        times, codes: ``(B,)``, see `split_target`.
        edges: ``(M + 1,)``.
    """
    exposed = (grow(logits) * lived(edges, times)[:, None]).sum((1, 2))
    return (exposed - _of_event(log_grow(logits), interval_of(edges, times), codes)).mean()


def discrete_loss(logits: Tensor, times: Tensor, codes: Tensor, edges: Tensor) -> Tensor:
    """Discrete hazards: in each interval entered one of K events comes or none, ``h_km = e^η_km / (1 + Σ_l e^η_lm)``;
    of one cause a sigmoid. Who is censored has survived an interval if followed for half of it or more.

    Source: Gensheimer & Narasimhan, PeerJ 2019;7:e6257, equations 3 and 4; several causes: Tutz & Schmid, Modeling
    Discrete Time-to-Event Data (2016), section 8.1. Arguments as of `piecewise_loss`.
    """
    nothing = torch.logsumexp(torch.cat([torch.zeros_like(logits[:, :1]), logits], 1), 1)  # -log(1 - Σ h)
    place = interval_of(edges, times)
    number = torch.arange(logits.shape[2], device=logits.device)
    entered = torch.where(codes[:, None] > 0, number <= place[:, None], lived(edges, times) >= 0.5)
    return ((nothing * entered).sum(1) - _of_event(logits, place, codes)).mean()


def _of_event(values: Tensor, place: Tensor, codes: Tensor) -> Tensor:
    """``(B,)``: of ``(B, K, M)`` the value of the event's cause and interval; 0 of the censored."""
    rows = torch.arange(len(values), device=values.device)
    found = values[rows, (codes - 1).clamp(min=0), place]
    return torch.where(codes > 0, found, torch.zeros_like(found))


def partial_loss(risks: Tensor, times: Tensor, codes: Tensor) -> Tensor:
    """Minus Cox's log partial likelihood over the events of a batch, a mean over them, other causes being censored;
    risk sets are those within the batch. Tied times by Efron. 0 where no event came.

    The l-th of d events at a time has ``log(Σ_risk e^η - (l/d) Σ_tied e^η)`` (l from 0) as its denominator; both sums
    stay logarithms, the second being at most the first.

    Source: Cox, J R Stat Soc B 1972;34:187; Efron, JASA 1977;72:557; in mini-batches Kvamme et al., JMLR 2019;20(129).

    Args:
        risks: ``(B, K)`` log relative hazards.
        times, codes: ``(B,)``.
    """
    order = torch.argsort(times, descending=True, stable=True)
    _, block = torch.unique_consecutive(times[order], return_inverse=True)
    total, events = risks.new_zeros(()), 0
    for cause in range(risks.shape[1]):
        mine = codes[order] == cause + 1
        if mine.any():
            total = total + _efron(risks[order, cause], block, mine)
            events += int(mine.sum())
    return total / events if events else (risks * 0).sum()


def _efron(risk: Tensor, block: Tensor, event: Tensor) -> Tensor:
    """Of people by falling time; `block` numbers the distinct times."""
    blocks = int(block[-1]) + 1
    last = torch.bincount(block, minlength=blocks).cumsum(0) - 1
    at_risk = torch.logcumsumexp(risk, 0)[last]
    highest = torch.full((blocks,), -torch.inf, dtype=risk.dtype, device=risk.device)
    highest = highest.scatter_reduce(0, block[event], risk.detach()[event], "amax")
    tied_sum = torch.zeros_like(highest).index_add(0, block[event], (risk[event] - highest[block[event]]).exp())
    mine = block[event]
    count = torch.bincount(mine, minlength=blocks)
    first = torch.cat([count.new_zeros(1), count.cumsum(0)[:-1]])
    number = torch.arange(len(mine), device=risk.device) - first[mine]
    share = number.to(risk.dtype) / count[mine]
    tied = tied_sum[mine].log() + highest[mine]
    ratio = (tied - at_risk[mine]).exp().clamp(max=1.0)
    return (at_risk[mine] + torch.log1p(-share * ratio) - risk[event]).sum()
