"""From a round's verdicts to what its rollouts teach: reward, selection, advantage.

Every stage is a level; here they are applied in their order. Rollouts without a verdict (the
verifier failed) are outside every baseline and have advantage 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.levels.external import is_external
from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.levels.statistics import sums
from ablatekit_rft.levels.types import Level, RewardParts, RewardView, State
from ablatekit_rft.policy.rollout import Rollouts
from ablatekit_rft.rollouts.drawn import Drawn
from ablatekit_rft.settings import RftSettings


def checked(level: Level, given: Any, *shapes: tuple[int, ...]) -> Tensor:
    """What a level gave, if it is a finite tensor of one of these shapes; ours always are.

    Raises UsageError otherwise: a mistake in a user's function is no divergence.
    """
    if not is_external(level):
        result: Tensor = given
        return result
    if isinstance(given, Tensor) and given.shape in shapes and bool(given.isfinite().all()):
        return given
    wanted = " or ".join(str(shape) for shape in dict.fromkeys(shapes))
    rule = f"{level.stage} level {level.name!r} must give a finite torch tensor of shape {wanted}"
    remedy = f"Correct what the function gives; ablatekit_rft/levels has those of {level.stage}"
    raise UsageError(Problem(rule, _described(given), remedy))


def checked_pair(level: Level, given: Any, what: str) -> tuple[Any, Any]:
    """The two parts of what a level gave. Raises UsageError when it is no pair."""
    if isinstance(given, tuple) and len(given) == 2:
        return given
    rule = f"{level.stage} level {level.name!r} must give a pair: {what}"
    raise UsageError(Problem(rule, _described(given), "Give both back from the function"))


def _described(given: Any) -> str:
    kind = f"{type(given).__module__}.{type(given).__qualname__}".removeprefix("builtins.")
    shape = getattr(given, "shape", None)
    if shape is None:
        return f"{kind} {given!r}"[:120]
    broken = isinstance(given, Tensor) and not bool(torch.isfinite(given).all())
    return f"{kind} of shape {tuple(shape)}" + (", not finite" if broken else "")


@dataclass(frozen=True, slots=True)
class Signal:
    """What a round teaches.

    rewards: (N,) of all rollouts drawn. rows: (R,) int64, the rollouts that train. advantage: (R,),
    or (R, T) per token. kl: (N,) the KL estimate in the reward before its weight, or None. state:
    what the advantage remembers.
    """

    rewards: Tensor
    rows: Tensor
    advantage: Tensor
    kl: Tensor | None
    state: State


def rewards_of(drawn: Drawn, settings: RftSettings, limit: int) -> tuple[Tensor, Tensor]:
    """Rewards (N,) of all rollouts, and whether each may train as far as truncation goes (N,)."""
    rollouts, each = drawn.rollouts, tuple(drawn.outcome.shape)
    level = settings.level("format_reward")
    graded = level.bound(settings)(drawn.outcome, drawn.format_ok.float())
    coding = settings.level("reward_coding")
    coded = coding.bound(settings)(checked(level, graded, each))
    parts = RewardParts(
        rewards=checked(coding, coded, each),
        outcome=drawn.outcome,
        lengths=rollouts.lengths,
        truncated=rollouts.truncated,
        group=rollouts.query,
        judged=drawn.sampled & ~drawn.error,
        limit=limit,
    )
    level = settings.level("length_shaping")
    shaped = checked(level, level.bound(settings)(parts), each)
    level = settings.level("truncation")
    given = level.bound(settings)(replace(parts, rewards=shaped))
    rewards, uncut = checked_pair(level, given, "rewards, which train")
    return checked(level, rewards, each), checked(level, uncut, each)


def kl_in_reward(settings: RftSettings, rollouts: Rollouts, reference: Tensor) -> Tensor:
    """(N, T): the KL estimate per token, before its weight."""
    estimator = settings.level("kl_estimator").bound(settings)
    estimate: Tensor = estimator(rollouts.own_logp, reference) * rollouts.mask
    return estimate


def teach(
    settings: RftSettings,
    drawn: Drawn,
    limit: int,
    state: State,
    rng: np.random.Generator,
    reference: Tensor | None = None,
    drift: Tensor | None = None,
) -> Signal:
    """Rewards, the rollouts that train, and their advantages.

    limit: the length limit in tokens. reference (N, T): log-probabilities under the reference
    policy, where KL is in the reward. drift (N,): see `RewardView`.
    """
    rewards, uncut = rewards_of(drawn, settings, limit)
    kl, penalty = None, None
    if reference is not None:
        estimate = kl_in_reward(settings, drawn.rollouts, reference)
        kl, penalty = estimate.sum(dim=1), settings.kl_coefficient * estimate
        rewards = rewards - settings.kl_coefficient * kl
    chosen = drawn.kept & (_downsampled(settings, drawn, rewards, rng) | ~drawn.carries)
    compared = chosen if settings.downsample_advantage == "after" else drawn.kept
    view = RewardView(
        rewards,
        drawn.rollouts.query,
        drawn.rollouts.lengths,
        drawn.item,
        penalty,
        None if bool(drawn.sampled.all()) else ~drawn.sampled,
        drift,
    )
    level = settings.level("advantage")
    width = drawn.rollouts.tokens.shape[1]
    advantage, state = advantages(level, view, compared & ~drawn.error, settings, state, width)
    rows = (chosen & drawn.carries & uncut).nonzero().squeeze(1)
    return Signal(rewards, rows, advantage[rows], kl, state)


def advantages(
    level: Level,
    view: RewardView,
    compared: Tensor,
    settings: RftSettings,
    state: State,
    width: int,
) -> tuple[Tensor, State]:
    """Advantages of all rollouts of a view, 0 for those that are not compared, and the new state.

    compared: (N,) bool. width: tokens of the longest completion. Where fewer are left of a query or
    a round than the level needs, they are not compared either; a round that never had enough is the
    level's own error.
    """
    rows = _comparable(_comparing(level, settings), view, compared).nonzero().squeeze(1)
    whole = len(rows) == len(compared)
    if not len(rows):
        return torch.zeros_like(view.rewards), state
    part = view if whole else view.select(rows)
    compare = level.bound(settings)
    if level.state is None:
        given = compare(part)
    else:
        given, state = checked_pair(level, compare(part, state), "advantage, state")
    advantage = checked(level, given, (len(rows),), (len(rows), width))
    if whole:
        return advantage, state
    spread = advantage.new_zeros(len(compared), *advantage.shape[1:])
    return spread.index_copy(0, rows, advantage), state


def _comparing(level: Level, settings: RftSettings) -> Level:
    """The level that says how many rollouts are compared: the positive part of another is its."""
    if level.name == "pos_only" and settings.pos_only_of != "reward":
        return get_level("advantage", settings.pos_only_of)
    return level


def _comparable(level: Level, view: RewardView, compared: Tensor) -> Tensor:
    if bool(compared.all()):
        return compared
    together = view.group if "groups" in level.needs else view.group.new_zeros(view.group.shape)
    left = sums(compared.long(), together)
    drawn = sums(torch.ones_like(compared, dtype=torch.int64), together)
    lost = (left < level.min_group) & (drawn >= level.min_group)
    enough = compared & ~lost[together]
    if view.greedy is None or "greedy" not in level.needs:
        return enough
    # A query whose greedy completion has no verdict has nothing to compare with.
    return enough & (sums((view.greedy & compared).long(), view.group) > 0)[view.group]


def _downsampled(
    settings: RftSettings, drawn: Drawn, rewards: Tensor, rng: np.random.Generator
) -> Tensor:
    """(N,) bool: the rollouts that down-sampling keeps; those without a verdict go first."""
    if settings.downsample == "none":
        return torch.ones_like(drawn.kept)
    choose = settings.level("downsample").bound(settings)
    candidates = (drawn.kept & drawn.carries & ~drawn.error).cpu().numpy()
    query = drawn.rollouts.query.cpu().numpy()
    values = rewards.double().cpu().numpy()
    outcome = drawn.outcome.double().cpu().numpy()
    chosen = np.zeros(len(query), np.bool_)
    for asked in np.unique(query[candidates]).tolist():
        rows = np.flatnonzero(candidates & (query == asked))
        chosen[rows[choose(values[rows], outcome[rows], rng)]] = True
    return torch.from_numpy(chosen).to(drawn.kept.device)
