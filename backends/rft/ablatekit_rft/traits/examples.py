"""Made-up rounds that levels are tried on: what each stage gives its levels, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from itertools import product
from typing import Any, Literal, TypeAlias, get_args, get_origin

import numpy as np
import torch
from torch import Tensor

from ablatekit.runs.seeds import Seeds
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.levels.token_views import (
    EngineView,
    EntropyView,
    Ratios,
    ReplayView,
    StepView,
    SurrogateView,
)
from ablatekit_rft.levels.types import Level, RewardParts, RewardView, SamplerView
from ablatekit_rft.settings import RftSettings

QUERIES, ROLLOUTS, ITEMS, TOKENS = 4, 4, 6, 5
ROWS = QUERIES * ROLLOUTS

Arguments: TypeAlias = tuple[Any, ...]


def examples(level: Level, seed: int) -> Arguments:
    """What the function of a level is called with, by position, but for a state."""
    rng = np.random.default_rng(seed)
    if level.stage == "advantage":
        return (reward_view(level, rng),)
    return _EXAMPLES[level.stage](rng)


def variants(
    level: Level, other_values: Mapping[str, tuple[Any, ...]] | None = None
) -> list[RftSettings]:
    """Settings under which a level's traits must hold: every choice that it reads among names.

    other_values: values to try beside the default, by setting.
    """
    choices = {name: _choices(name, other_values or {}) for name in level.reads}
    return [
        RftSettings.model_validate(dict(zip(choices, values, strict=True)))
        for values in product(*choices.values())
    ]


def _choices(name: str, other_values: Mapping[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    field = RftSettings.model_fields[name]
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)
    return (field.default, *other_values.get(name, ()))


def reward_view(level: Level, rng: np.random.Generator) -> RewardView:
    """A round of 4 queries of 4 rollouts: rewards of 0, 1/4, ... 1, every query with contrast.

    A level that remembers and needs no group has rounds of one rollout per query, too.
    """
    alone = level.state is not None and "groups" not in level.needs and rng.random() < 0.5
    rewards = np.stack([rng.permutation((0, 1, rng.integers(4) / 4, 0)) for _ in range(QUERIES)])
    rewards = rewards[:, :1] if alone else rewards
    group = torch.arange(QUERIES).repeat_interleave(rewards.shape[1])
    items = torch.from_numpy(rng.permutation(ITEMS)[:QUERIES])
    greedy = (torch.arange(ROWS) + 1) % ROLLOUTS == 0
    return RewardView(
        rewards=torch.from_numpy(rewards).float().flatten(),
        group=group,
        lengths=torch.from_numpy(rng.integers(1, TOKENS + 1, rewards.size)),
        item=items[group],
        greedy=greedy if "greedy" in level.needs else None,
        drift=torch.from_numpy(rng.random(QUERIES) / 10).float()[group],
    )


def reward_parts(rng: np.random.Generator) -> RewardParts:
    """16 completions, right and wrong, cut and whole, with rewards on both sides of 0."""
    lengths = torch.from_numpy(rng.integers(1, TOKENS + 1, ROWS))
    return RewardParts(
        rewards=torch.from_numpy(rng.integers(-4, 5, ROWS) / 4).float(),
        outcome=_bits(rng, ROWS).float(),
        lengths=lengths,
        truncated=lengths == TOKENS,
        group=torch.arange(QUERIES).repeat_interleave(ROLLOUTS),
        judged=torch.ones(ROWS, dtype=torch.bool),
        limit=TOKENS,
    )


def token_mask(rng: np.random.Generator) -> Tensor:
    """(N, T) bool: completions of 1 to T tokens."""
    lengths = torch.from_numpy(rng.integers(1, TOKENS + 1, ROWS))
    return torch.arange(TOKENS)[None, :] < lengths[:, None]


def log_probabilities(rng: np.random.Generator, mask: Tensor) -> Tensor:
    """(N, T): log-probabilities, 0 where no token is."""
    return torch.from_numpy(np.log(rng.uniform(0.05, 0.95, mask.shape))).float() * mask


def surrogate_view(logp: Tensor, old_logp: Tensor, mask: Tensor) -> SurrogateView:
    """Ratios per token, advantages of both signs."""
    ratios = Ratios((logp - old_logp) * mask, torch.ones(len(mask), 1))
    signs = 1 - 2 * (torch.arange(len(mask)) % 2)
    return SurrogateView(logp, old_logp, ratios, signs[:, None].float(), mask)


def entropy_view(rng: np.random.Generator) -> EntropyView:
    """Tokens of any entropy, advantages of both signs, a coefficient of 1/4."""
    mask = token_mask(rng)
    signs = 1 - 2 * (torch.arange(len(mask)) % 2)
    logp = log_probabilities(rng, mask)
    generator = np.random.default_rng(int(rng.integers(99)))
    return EntropyView(-logp, mask, 0.25, logp, signs[:, None].float(), generator)


def sampler_view(rng: np.random.Generator, count: int) -> SamplerView:
    """A train set of 24 items, some never answered."""
    rates = np.where(rng.random(24) < 0.2, np.nan, rng.integers(0, 5, 24) / 4)
    seeds = Seeds(f"run {rng.integers(99)}", "context")
    return SamplerView(24, 0, count, rates, rng.integers(0, 5, 24) / 4, seeds)


def _bits(rng: np.random.Generator, count: int) -> Tensor:
    return torch.from_numpy(rng.permutation(np.arange(count) % 2 == 0))


def _outcome(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.integers(0, 5, ROWS) / 4).float()


def _replay(rng: np.random.Generator) -> Arguments:
    group = torch.arange(QUERIES).repeat_interleave(ROLLOUTS)
    scores = torch.tensor([0.0, 1.0, 0.0, 2.0])
    fresh = ReplayView(group, _bits(rng, ROWS).float(), scores[group])
    stored = ReplayView(group, _bits(rng, ROWS).float(), scores.flip(0)[group])
    return fresh, stored, rng


def _trained(rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    mask = token_mask(rng)
    return log_probabilities(rng, mask), log_probabilities(rng, mask), mask


def _step(rng: np.random.Generator) -> Arguments:
    query = torch.arange(QUERIES).repeat_interleave(ROLLOUTS)
    return (StepView(torch.from_numpy(rng.integers(0, TOKENS + 1, ROWS)), query, TOKENS),)


_EXAMPLES: Mapping[Stage, Callable[[np.random.Generator], Arguments]] = {
    "sample_policy": lambda rng: (sampler_view(rng, 12),),
    "group_filter": lambda rng: (np.append(rng.integers(0, 5, 8) / 4, np.nan),),
    "reward_noise": lambda rng: (_bits(rng, ROWS).float(), torch.from_numpy(rng.random(ROWS))),
    "format_reward": lambda rng: (_outcome(rng), _bits(rng, ROWS).float()),
    "reward_coding": lambda rng: (_outcome(rng),),
    "length_shaping": lambda rng: (reward_parts(rng),),
    "truncation": lambda rng: (reward_parts(rng),),
    "downsample": lambda rng: (rng.integers(0, 5, 8) / 4, _bits(rng, 8).double().numpy(), rng),
    "replay": _replay,
    "ratio_level": _trained,
    "clip": lambda rng: (surrogate_view(*_trained(rng)),),
    "mismatch": lambda rng: (EngineView(*_trained(rng)),),
    "aggregation": _step,
    "kl_estimator": lambda rng: _trained(rng)[:2],
    "entropy": lambda rng: (entropy_view(rng),),
    "lr_scale": lambda rng: (float(rng.uniform(0.1, 8)),),
    "optimizer": lambda _rng: (),
}


def leaves(value: Any) -> list[Tensor]:
    """Copies of the arrays and numbers in arguments or results, depth first, as tensors."""
    if isinstance(value, Tensor):
        return [value.detach().clone()]
    if isinstance(value, (np.ndarray, np.generic)):
        return [torch.from_numpy(np.array(value))]
    if isinstance(value, (bool, int, float)):
        return [torch.tensor(value)]
    if is_dataclass(value):
        return [leaf for part in fields(value) for leaf in leaves(getattr(value, part.name))]
    if isinstance(value, Mapping):
        return [leaf for name in sorted(value) for leaf in leaves(value[name])]
    if isinstance(value, tuple):
        return [leaf for part in value for leaf in leaves(part)]
    return []


def equal(left: Any, right: Any) -> bool:
    """Whether two values hold the same arrays and numbers; NaN equals NaN."""
    pairs = list(zip(leaves(left), leaves(right), strict=True))
    return all(
        one.shape == other.shape
        and torch.equal(one.isnan(), other.isnan())
        and torch.equal(one[~one.isnan()], other[~other.isnan()])
        for one, other in pairs
    )
