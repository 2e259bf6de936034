"""From hazards to curves. Whatever the kind of head, it says how much of each cause's cumulative hazard is gained in
each interval of time, ``ΔΛ_km``; survival and cumulative incidence follow in closed form, the hazard being level within
an interval and the causes' shares of it too:

    S(t)   = exp(-Σ_k Λ_k(t))
    F_k(t) = ∫ S(u) dΛ_k(u) = Σ_m S(τ_m) ΔΛ_km φ(ΔΛ_·m),   φ(x) = (1 - e^-x) / x

which is the Aalen-Johansen composition of cause-specific hazards. Sources: Aalen & Johansen, Scandinavian Journal of
Statistics 1978;5:141; Kvamme & Borgan, Lifetime Data Analysis 2021;27:710, section 3 (level hazards within intervals).
"""

from __future__ import annotations

import torch
from torch import Tensor

BEND = 4.0
"""`grow` is exponential up to here and straight beyond: a cumulative hazard of e⁴ in one interval leaves 2e-24
alive."""


def grow(log_hazard: Tensor) -> Tensor:
    """``exp(x)`` up to `BEND`, then its tangent: no step of training overflows float32, and no gradient vanishes."""
    bent = log_hazard.clamp(max=BEND)
    return bent.exp() * (1 + (log_hazard - bent))


def log_grow(log_hazard: Tensor) -> Tensor:
    """``log(grow(x))``."""
    bent = log_hazard.clamp(max=BEND)
    return bent + torch.log1p(log_hazard - bent)


def interval_of(edges: Tensor, times: Tensor) -> Tensor:
    """Number of the interval ``(τ_m, τ_m+1]`` that each time lies in; 0 in the first, beyond the last in the last."""
    return (torch.searchsorted(edges, times.contiguous()) - 1).clamp(0, len(edges) - 2)


def lived(edges: Tensor, times: Tensor) -> Tensor:
    """``(B, M)``: the share of each interval that has passed by each time."""
    found: Tensor = ((times[:, None] - edges[:-1]) / (edges[1:] - edges[:-1])).clamp(0, 1)
    return found


def incidence(gained: Tensor, edges: Tensor, times: Tensor) -> Tensor:
    """``(B, K, T)``: the cumulative incidence of each cause by each time; after the last edge it stays as it is.

    Args:
        gained: ``(B, K, M)`` cumulative hazard of each cause gained in each interval, 0 or more.
        edges: ``(M + 1,)``, rising from 0.
        times: ``(T,)``.
    """
    total = gained.sum(1)
    alive = torch.exp(-(total.cumsum(1) - total))
    at_edges = torch.cumsum(alive[:, None] * gained * _phi(total)[:, None], 2)
    before = torch.cat([torch.zeros_like(at_edges[..., :1]), at_edges[..., :-1]], 2)
    place = interval_of(edges, times)
    share = ((times - edges[place]) / (edges[place + 1] - edges[place])).clamp(0, 1)
    within = share * _phi(total[:, place] * share) * alive[:, place]
    return before[..., place] + gained[..., place] * within[:, None]


def survival(gained: Tensor, edges: Tensor, times: Tensor) -> Tensor:
    """``(B, T)``: the probability that no cause's event has come by each time."""
    total = gained.sum(1)
    before = total.cumsum(1) - total
    place = interval_of(edges, times)
    share = ((times - edges[place]) / (edges[place + 1] - edges[place])).clamp(0, 1)
    return torch.exp(-(before[:, place] + total[:, place] * share))


def time_of(gained: Tensor, edges: Tensor, share: float) -> Tensor:
    """``(B,)``: the time by which the event has come to this share of people alike; infinite if not by the last
    edge."""
    total = gained.sum(1)
    reached = total.cumsum(1)
    wanted = -torch.log1p(-torch.tensor(share, dtype=gained.dtype, device=gained.device))
    place = (reached < wanted).sum(1).clamp(max=total.shape[1] - 1)
    rows = torch.arange(len(gained), device=gained.device)
    into = (wanted - (reached - total)[rows, place]) / total[rows, place].clamp(min=torch.finfo(gained.dtype).tiny)
    found = edges[place] + into.clamp(0, 1) * (edges[place + 1] - edges[place])
    return torch.where(reached[:, -1] < wanted, torch.inf, found)


def _phi(x: Tensor) -> Tensor:
    """``(1 - e^-x) / x``, 1 at 0; its gradient is finite there too."""
    small = x < 1e-4
    safe = torch.where(small, torch.ones_like(x), x)
    return torch.where(small, 1 - x / 2, -torch.expm1(-safe) / safe)
