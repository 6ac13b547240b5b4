"""What a round draws: its plan, its rollouts with their verdicts, and what its filter keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablatekit_rft.levels.statistics import sums
from ablatekit_rft.policy.rollout import Rollouts
from ablatekit_rft.rollouts.experience import joined_rollouts
from ablatekit_rft.rollouts.verify import Verified
from ablatekit_rft.settings import RftSettings


@dataclass(frozen=True, slots=True)
class Drawn:
    """All rollouts of a round, query by query. Everything but `rollouts` is (N,).

    item: int64, the train item. correct: float32, the verifier's outcome in {0, 1}; outcome: what
    training sees of it, noise included. error: bool, no verdict. format_ok: bool. sampled: bool,
    not decoded greedily. carries: bool, may carry gradient. kept: bool, its query passed the
    filter. batches: how often queries were drawn.
    """

    rollouts: Rollouts
    item: Tensor
    correct: Tensor
    outcome: Tensor
    error: Tensor
    format_ok: Tensor
    sampled: Tensor
    carries: Tensor
    kept: Tensor
    batches: int = 1


def pass_rates(drawn: Drawn) -> NDArray[np.float64]:
    """(Q,) pass rates of the queries, as training sees them; NaN where there is no verdict."""
    judged = (drawn.sampled & ~drawn.error).double()
    group = drawn.rollouts.query
    solved, count = sums(drawn.outcome * judged, group), sums(judged, group)
    rates: NDArray[np.float64] = (solved / count).cpu().numpy()
    return rates


@dataclass(frozen=True, slots=True)
class DrawPlan:
    """Rollouts of one query: those that may train, `extra` ones that never do, a greedy one."""

    rollouts: int
    extra: int
    greedy: bool

    @property
    def per_query(self) -> int:
        """All of them."""
        return self.rollouts + self.extra + self.greedy

    def greedy_rows(self, queries: int) -> Tensor | None:
        """(Q * per_query,) bool: the last row of each query, or None without a greedy one."""
        if not self.greedy:
            return None
        return (torch.arange(self.per_query) == self.per_query - 1).repeat(queries)

    def carrying_rows(self, queries: int) -> Tensor:
        """(Q * per_query,) bool: the first rows of each query, which may carry gradient."""
        return (torch.arange(self.per_query) < self.rollouts).repeat(queries)


def draw_plan(settings: RftSettings) -> DrawPlan:
    """What the advantage asks to be drawn."""
    needs = settings.level("advantage").needs
    extra = settings.extra_rollouts if "extra" in needs else 0
    return DrawPlan(settings.rollouts, extra, greedy="greedy" in needs)


def filtered(
    settings: RftSettings,
    items: NDArray[np.int64],
    rollouts: Rollouts,
    verified: Verified,
    plan: DrawPlan,
    flips: Tensor,
) -> Drawn:
    """Rollouts of Q items with their verdicts, noise, and what the filter says of each query.

    flips: (N,) uniform numbers, one for each rollout's noise.
    """
    device, count = rollouts.query.device, len(items)
    correct = torch.from_numpy(verified.correct).to(device)
    noise = settings.level("reward_noise")
    greedy = plan.greedy_rows(count)
    everything = torch.ones(len(correct), dtype=torch.bool, device=device)
    drawn = Drawn(
        rollouts=rollouts,
        item=torch.from_numpy(items).to(device)[rollouts.query],
        correct=correct,
        outcome=noise.bound(settings)(correct, flips.to(device)),
        error=torch.from_numpy(verified.error).to(device),
        format_ok=torch.from_numpy(verified.format_ok).to(device),
        sampled=everything if greedy is None else ~greedy.to(device),
        carries=plan.carrying_rows(count).to(device),
        kept=everything,
    )
    if settings.group_filter == "none":
        return drawn
    kept = settings.level("group_filter").bound(settings)(pass_rates(drawn))
    return replace(drawn, kept=torch.from_numpy(kept).to(device)[rollouts.query])


def first_rows(query: Tensor) -> Tensor:
    """(Q,) the first row of each query, of rows (N,) that stand query by query."""
    return torch.from_numpy(np.unique(query.cpu().numpy(), return_index=True)[1]).to(query.device)


def queries_kept(parts: Sequence[Drawn]) -> int:
    """How many queries passed the filter so far."""
    return sum(int(part.kept[first_rows(part.rollouts.query)].sum()) for part in parts)


def joined_draws(parts: Sequence[Drawn], queries: int) -> Drawn:
    """All draws of a round as one; of the queries that passed the filter the first `queries`."""
    if len(parts) == 1:
        return parts[0]
    rollouts = joined_rollouts([part.rollouts for part in parts])
    kept = torch.cat([part.kept for part in parts])
    starts = first_rows(rollouts.query)
    rank = torch.zeros_like(rollouts.prompts.lengths)
    rank[rollouts.query[starts]] = kept[starts].long().cumsum(dim=0)
    whole = {
        name: torch.cat([getattr(part, name) for part in parts])
        for name in ("item", "correct", "outcome", "error", "format_ok", "sampled", "carries")
    }
    within = kept & (rank[rollouts.query] <= queries)
    return Drawn(rollouts=rollouts, kept=within, batches=len(parts), **whole)
