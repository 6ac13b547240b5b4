"""Length and truncation, in the reward's own units, after its coding.

Length: `(parts) -> (N,)` rewards. Truncation: `(parts) -> ((N,) rewards, (N,) bool: may train)`;
whether a completion was cut is known from its end, never from its last token.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ablatekit_rft.levels.statistics import sums
from ablatekit_rft.levels.types import RewardParts, level

if TYPE_CHECKING:
    from torch import Tensor


@level(
    "length_shaping",
    "none",
    formula="r",
    source="The minimalist reference, arXiv:2601.22532",
    traits={"shift_equivariant", "never_raises", "off_at_zero_weight"},
    peers={"TRL": "default", "verl": "default", "OpenRLHF": "default"},
)
def no_shaping(parts: RewardParts) -> Tensor:
    """Length does not enter the reward."""
    return parts.rewards


@level(
    "length_shaping",
    "soft_overlong",
    formula="r - f max(0, T - (L - B)) / B, B = overlong_buffer L, f = length_weight",
    source="DAPO, arXiv:2503.14476 (B = L / 5, f = 1)",
    traits={"shift_equivariant", "never_raises", "off_at_zero_weight"},
    peers={
        "TRL": "get_soft_overlong_punishment",
        "verl": "reward manager dapo, overlong_buffer",
        "OpenRLHF": "overlong_buffer_len, overlong_penalty_factor",
    },
)
def soft_overlong(parts: RewardParts, *, length_weight: float, overlong_buffer: float) -> Tensor:
    """A penalty that grows over the last stretch before the length limit."""
    buffer = overlong_buffer * parts.limit
    over = (parts.lengths - (parts.limit - buffer)).clamp(min=0) / buffer
    return parts.rewards - length_weight * over


@level(
    "length_shaping",
    "pass_rate",
    formula="r - f max(p_g, 1/n) T / L, p_g = pass rate of the query's n sampled rollouts with a"
    " verdict, f = length_weight",
    source="Adaptive length penalty, arXiv:2506.05256",
    traits={"shift_equivariant", "never_raises", "off_at_zero_weight"},
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def pass_rate_length(parts: RewardParts, *, length_weight: float) -> Tensor:
    """Every token costs, and the more the easier the query is."""
    judged = parts.judged.to(parts.outcome.dtype)
    count = sums(judged, parts.group).clamp(min=1)
    solved = (sums(parts.outcome * judged, parts.group) / count).maximum(1 / count)
    cost = solved[parts.group] * parts.lengths / parts.limit
    return parts.rewards - length_weight * cost


@level(
    "length_shaping",
    "cosine",
    formula="r + f c if right, r - f c if wrong, c = (1 + cos(pi T / L)) / 2, f = length_weight",
    source="Cosine reward, arXiv:2502.03373",
    traits={"shift_equivariant", "off_at_zero_weight"},
    peers={
        "TRL": "get_cosine_scaled_reward",
        "verl": "none",
        "OpenRLHF": "none",
    },
)
def cosine_length(parts: RewardParts, *, length_weight: float) -> Tensor:
    """Right answers gain by being short, wrong ones lose by it."""
    curve = (1 + (math.pi * parts.lengths / parts.limit).cos()) / 2
    return parts.rewards + length_weight * curve * (2 * parts.outcome - 1)


SHAPINGS = (no_shaping, soft_overlong, pass_rate_length, cosine_length)


@level(
    "truncation",
    "as_is",
    formula="r of a wrong completion",
    source="The minimalist reference, arXiv:2601.22532",
    traits={"keeps_rewards", "keeps_sign", "keeps_all"},
    peers={"TRL": "default", "verl": "default", "OpenRLHF": "default"},
)
def as_is(parts: RewardParts) -> tuple[Tensor, Tensor]:
    """A completion cut at the length limit is wrong, and trains like any other."""
    return parts.rewards, _everyone(parts)


@level(
    "truncation",
    "mask",
    formula="out of the update and of its denominators; r stays in the baselines",
    source="DAPO, arXiv:2503.14476 (overlong filtering)",
    traits={"keeps_rewards", "keeps_sign"},
    peers={
        "TRL": "mask_truncated_completions (off; stays in the denominator of 'grpo')",
        "verl": "none",
        "OpenRLHF": "none",
    },
)
def mask(parts: RewardParts) -> tuple[Tensor, Tensor]:
    """A completion cut at the length limit does not train: its verdict says little."""
    return parts.rewards, ~parts.truncated


@level(
    "truncation",
    "fixed",
    formula="r = truncation_reward",
    source="oat, non_stop_fixed_reward",
    traits={"keeps_all"},
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "a negative stop_properly_penalty_coef"},
)
def fixed(parts: RewardParts, *, truncation_reward: float) -> tuple[Tensor, Tensor]:
    """A completion cut at the length limit gets a reward of its own."""
    rewards = parts.rewards.masked_fill(parts.truncated, truncation_reward)
    return rewards, _everyone(parts)


@level(
    "truncation",
    "scale",
    formula="r truncation_scale",
    source="ProRL, arXiv:2505.24864",
    traits={"keeps_sign", "keeps_all"},
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "stop_properly_penalty_coef in [0, 1]"},
)
def scale(parts: RewardParts, *, truncation_scale: float) -> tuple[Tensor, Tensor]:
    """The reward of a completion cut at the length limit is multiplied by a factor."""
    scaled = (parts.rewards * truncation_scale).where(parts.truncated, parts.rewards)
    return scaled, _everyone(parts)


TRUNCATIONS = (as_is, mask, fixed, scale)

LEVELS = (*SHAPINGS, *TRUNCATIONS)


def _everyone(parts: RewardParts) -> Tensor:
    return ~parts.truncated.new_zeros(parts.truncated.shape)
