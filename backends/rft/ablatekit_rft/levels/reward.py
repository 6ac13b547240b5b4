"""Reward coding: `(outcome (N,) in {0, 1}) -> (N,)`. The outcome itself is stored uncoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor

_PEERS = {
    "TRL": "whatever the reward function returns",
    "verl": "whatever the reward function returns",
    "OpenRLHF": "whatever the reward function returns",
}


@level(
    "reward_coding",
    "01",
    formula="r = correct",
    source="The minimalist reference, arXiv:2601.22532",
    peers=_PEERS,
)
def zero_one(outcome: Tensor) -> Tensor:
    """1 for a correct completion, 0 for any other."""
    return outcome.float()


@level(
    "reward_coding",
    "pm1",
    formula="r = 2 correct - 1",
    source="DAPO, arXiv:2503.14476",
    peers={**_PEERS, "verl": "reward manager 'dapo' with math_dapo: +1 and -1"},
)
def plus_minus_one(outcome: Tensor) -> Tensor:
    """1 for a correct completion, -1 for any other."""
    return 2 * outcome.float() - 1


@level(
    "reward_coding",
    "neg",
    formula="r = correct - 1",
    source="Negative-only reinforcement, arXiv:2506.01347",
    peers=_PEERS,
)
def negative(outcome: Tensor) -> Tensor:
    """0 for a correct completion, -1 for any other: without a baseline only failures teach."""
    return outcome.float() - 1


LEVELS = (zero_one, plus_minus_one, negative)
