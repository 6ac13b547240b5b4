"""Replay: `(fresh ReplayView, stored ReplayView, generator) -> ReplayChoice`.

Stored are the rollouts of the `replay_rounds` rounds before this one, each with the advantage and
the log-probabilities of its own time. `replay_share` is replayed over fresh rollouts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ablatekit_rft.levels.token_views import ReplayChoice, ReplayView
from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor


@level(
    "replay",
    "none",
    formula="fresh rollouts only",
    source="Reference: on-policy",
    peers={"TRL": "default", "verl": "default", "OpenRLHF": "default"},
)
def none(
    fresh: ReplayView,
    _stored: ReplayView,
    _generator: np.random.Generator,
) -> ReplayChoice:
    """Every rollout is used in its own round alone."""
    return ReplayChoice(_all(fresh), _all(fresh)[:0])


@level(
    "replay",
    "fifo",
    formula="fresh and replay_share N stored rollouts, drawn without replacement",
    source="Experience replay, Lin 1992",
    needs=frozenset({"old"}),
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def fifo(
    fresh: ReplayView, stored: ReplayView, generator: np.random.Generator, *, replay_share: float
) -> ReplayChoice:
    """Old rollouts beside the fresh ones, any of the last rounds."""
    return ReplayChoice(
        _all(fresh), _drawn(_all(stored), round(replay_share * len(fresh.group)), generator)
    )


@level(
    "replay",
    "success",
    formula="fresh and at most replay_share N stored rollouts that were correct",
    source="Self-imitation learning, arXiv:1806.05635",
    needs=frozenset({"old"}),
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def success(
    fresh: ReplayView, stored: ReplayView, generator: np.random.Generator, *, replay_share: float
) -> ReplayChoice:
    """Old successes beside the fresh rollouts."""
    correct = _all(stored)[stored.correct > 0]
    return ReplayChoice(
        _all(fresh), _drawn(correct, round(replay_share * len(fresh.group)), generator)
    )


@level(
    "replay",
    "groups",
    formula="groups of score 0 are replaced by stored groups, drawn by score = sum |A| std(r)",
    source="TRL, GRPO with a replay buffer",
    needs=frozenset({"old", "groups"}),
    min_group=2,
    peers={"TRL": "none (grpo_with_replay_buffer of earlier releases)", "verl": "none"}
    | {"OpenRLHF": "none"},
)
def groups(fresh: ReplayView, stored: ReplayView, generator: np.random.Generator) -> ReplayChoice:
    """Groups that teach nothing make room for old groups that did: the batch keeps its size."""
    empty = np.unique(fresh.group[fresh.score == 0].cpu().numpy())
    held, first = np.unique(stored.group.cpu().numpy(), return_index=True)
    scores = stored.score.double().cpu().numpy()[first]
    wanted = min(len(empty), int((scores > 0).sum()))
    if not wanted:
        return ReplayChoice(_all(fresh), _all(stored)[:0])
    drawn = generator.choice(held, wanted, replace=False, p=scores / scores.sum())
    kept = ~_member(fresh.group, empty[:wanted])
    return ReplayChoice(_all(fresh)[kept], _all(stored)[_member(stored.group, drawn)])


LEVELS = (none, fifo, success, groups)


def _all(view: ReplayView) -> Tensor:
    return view.group.new_ones(view.group.shape).cumsum(0) - 1


def _drawn(among: Tensor, wanted: int, generator: np.random.Generator) -> Tensor:
    """`wanted` of the places `among`, all of them where there are fewer, sorted."""
    chosen = np.sort(generator.choice(len(among), min(len(among), wanted), replace=False))
    return among[among.new_tensor(chosen)]


def _member(group: Tensor, chosen: np.typing.NDArray[np.int64]) -> Tensor:
    """(N,) bool: whether each group is one of `chosen`."""
    wanted = group.new_tensor(chosen)
    return (group.unsqueeze(1) == wanted.unsqueeze(0)).any(dim=1)
