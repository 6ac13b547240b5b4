"""Advantages against the past: `(view, state) -> ((N,) float32, new state)`.

What a rollout is compared with is known before the rollout is drawn, except where the history
window takes it in. A round is compared with the state before it, whatever the order of its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ablatekit_rft.levels.statistics import all_together, normalised
from ablatekit_rft.levels.types import RewardView, Start, State, level

if TYPE_CHECKING:
    from torch import Tensor


def _ema_start(start: Start, *, ema_start: Literal["probe", "zero"]) -> State:
    import torch

    return {"baseline": torch.tensor(start.reward if ema_start == "probe" else 0.0)}


@level(
    "advantage",
    "ema",
    formula="A_i = r_i - b; after the round b <- d^N b + (1 - d^N) mean_N(r), d = ema_decay",
    source="SPIRAL, arXiv:2506.24119 (d = 0.95 a rollout)",
    traits={"scale_equivariant", "reports_baseline"},
    state=_ema_start,
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def ema(view: RewardView, state: State, *, ema_decay: float) -> tuple[Tensor, State]:
    """A moving average of the rewards, the round itself not yet in it.

    N rollouts move it as N single steps in random order do on average. It starts at the coded
    Pass@1 of the base model on the train probe, or at 0 (ema_start).
    """
    baseline, decay = state["baseline"], ema_decay ** len(view.rewards)
    after = decay * baseline + (1 - decay) * view.rewards.mean()
    return view.rewards - baseline, {"baseline": after}


def _tracker_start(start: Start, *, tracker_memory_min: float) -> State:
    import torch

    weight = 1 / (1 - tracker_memory_min)
    weights = torch.full((start.items,), weight)
    return {"weight": weights, "total": weights * start.reward}


@level(
    "advantage",
    "tracker",
    formula="A = batch_norm(r_i - v(x)), v = total / weight; then of each visited x: total <-"
    " m total + sum(r), weight <- m weight + n, m = 2^(-D(x)/h) within [min, max],"
    " D(x) = mean |l_then - l_now| over the last rollout of x",
    source="SPO, arXiv:2509.13232",
    needs=frozenset({"drift"}),
    traits={"shift_invariant", "scale_invariant", "item_memory"},
    min_group=2,
    state=_tracker_start,
    peers={"TRL": "none", "verl": "recipe spo", "OpenRLHF": "none"},
)
def tracker(
    view: RewardView,
    state: State,
    *,
    advantage_eps: float,
    tracker_half_life: float,
    tracker_memory_min: float,
    tracker_memory_max: float,
) -> tuple[Tensor, State]:
    """A value per train item that forgets as fast as the policy moves away from it.

    It starts at the coded Pass@1 of the base model on the train probe, with the weight of
    1 / (1 - tracker_memory_min) rollouts.
    """
    item, drift = view.item, view.drift
    assert item is not None
    assert drift is not None
    off = view.rewards - (state["total"] / state["weight"])[item]
    memory = (2 ** (-drift / tracker_half_life)).clamp(tracker_memory_min, tracker_memory_max)
    kept = state["weight"].new_ones(state["weight"].shape).index_copy(0, item, memory)
    weight = (state["weight"] * kept).index_add(0, item, memory.new_ones(memory.shape))
    total = (state["total"] * kept).index_add(0, item, view.rewards)
    advantage = normalised(off, all_together(view.group), advantage_eps)
    return advantage, {"weight": weight, "total": total}


def _history_start(start: Start, *, history_window: int) -> State:
    import torch

    return {"rewards": torch.full((start.items, history_window), float("nan"))}


@level(
    "advantage",
    "history_window",
    formula="A_i = (r_i - mean(W)) / (std(W) + eps), W = the last history_window rewards of the"
    " train item across epochs, this visit's included; r_i while W holds fewer than two",
    source="The released code of arXiv:2601.22532 (asyttgrpo, window 8)",
    traits={"within_query", "item_memory"},
    state=_history_start,
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def history_window(view: RewardView, state: State, *, advantage_eps: float) -> tuple[Tensor, State]:
    """A group gathered over time: group_norm over the item's latest rewards."""
    assert view.item is not None
    windows = state["rewards"].clone()
    advantage = view.rewards.clone()
    for query in range(int(view.group.max()) + 1):
        rows = (view.group == query).nonzero().squeeze(1)
        item, rewards = int(view.item[rows[0]]), view.rewards[rows]
        window = windows[item].roll(-len(rows))
        window[-len(rows) :] = rewards[-len(window) :]
        windows[item] = window
        known = window[~window.isnan()]
        if len(known) > 1:
            advantage[rows] = _against(rewards, known, advantage_eps)
    return advantage, {"rewards": windows}


def _against(rewards: Tensor, window: Tensor, eps: float) -> Tensor:
    if bool((window == window[0]).all()):
        return rewards - window[0]
    return (rewards - window.mean()) / (window.std() + eps)


LEVELS = (ema, tracker, history_window)
