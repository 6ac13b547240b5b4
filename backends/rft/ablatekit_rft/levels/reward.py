"""From what the verifier said to a graded outcome, and from that to a reward.

The order is: noise, format, coding, then length and truncation (`levels/shaping.py`). Noise and
format act on the outcome in [0, 1], so that every coding is an affine map of it; what is reported
as correct is the verifier's own outcome.
"""

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
    traits={"nonnegative"},
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


CODINGS = (zero_one, plus_minus_one, negative)


@level(
    "reward_noise",
    "none",
    formula="outcome = correct",
    source="The minimalist reference, arXiv:2601.22532",
    peers=_PEERS,
)
def no_noise(correct: Tensor, _uniforms: Tensor) -> Tensor:
    """Training sees what the verifier said."""
    return correct


@level(
    "reward_noise",
    "flip",
    formula="outcome = 1 - correct with probability q = reward_flip, else correct",
    source="A control of robustness to a wrong verifier",
    peers=_PEERS,
)
def flip(correct: Tensor, uniforms: Tensor, *, reward_flip: float) -> Tensor:
    """Some verdicts are turned around, drawn anew for every rollout of every item.

    Filters see the flipped outcome, as they would a wrong verifier's.
    """
    return (1 - correct).where(uniforms < reward_flip, correct)


NOISES = (no_noise, flip)


@level(
    "format_reward",
    "none",
    formula="g = outcome",
    source="The minimalist reference, arXiv:2601.22532",
    traits={"binary", "bounded"},
    peers=_PEERS,
)
def no_format(outcome: Tensor, _format_ok: Tensor) -> Tensor:
    """The form of a completion counts only as far as the verifier demands it."""
    return outcome


@level(
    "format_reward",
    "additive",
    formula="g = outcome + w format_ok, w = format_weight",
    source="R1-style rewards, arXiv:2501.12948",
    peers=_PEERS,
)
def additive_format(outcome: Tensor, format_ok: Tensor, *, format_weight: float) -> Tensor:
    """A bonus for an answer of the right form, right or wrong."""
    return outcome + format_weight * format_ok


@level(
    "format_reward",
    "gate",
    formula="g = outcome format_ok",
    source="R1-style rewards, arXiv:2501.12948",
    traits={"binary", "bounded"},
    peers=_PEERS,
)
def gated_format(outcome: Tensor, format_ok: Tensor) -> Tensor:
    """A right answer of the wrong form counts as wrong."""
    return outcome * format_ok


@level(
    "format_reward",
    "hierarchical",
    formula="g = 0 if not format_ok, w if format_ok and wrong, 1 if format_ok and right,"
    " w = format_weight",
    source="R1-style rewards, arXiv:2501.12948",
    traits={"bounded"},
    peers=_PEERS,
)
def hierarchical_format(outcome: Tensor, format_ok: Tensor, *, format_weight: float) -> Tensor:
    """First the form, then the answer."""
    return (format_weight + (1 - format_weight) * outcome) * format_ok


FORMATS = (no_format, additive_format, gated_format, hierarchical_format)

LEVELS = (*NOISES, *FORMATS, *CODINGS)
