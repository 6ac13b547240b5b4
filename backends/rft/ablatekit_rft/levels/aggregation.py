"""Loss aggregation: `(lengths (N,) int64, max_new_tokens) -> (N,)` float32 weights.

The loss of an optimizer step is sum_i w_i sum_t m_it loss_it: weights are computed once from the
lengths of the whole step, so that micro-batches only add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor


@level(
    "aggregation",
    "seq_mean_token_sum",
    formula="w_i = 1 / N",
    source="REINFORCE with the whole completion as the action",
    needs=frozenset({"lengths"}),
    peers={
        "TRL": "none (dr_grpo is this over a constant)",
        "verl": "loss_agg_mode=seq-mean-token-sum",
        "OpenRLHF": "none",
    },
)
def seq_mean_token_sum(lengths: Tensor, _max_new_tokens: int) -> Tensor:
    """The unbiased gradient of the expected reward: a completion's log-probability is a sum."""
    return _ones(lengths) / len(lengths)


@level(
    "aggregation",
    "token_mean",
    formula="w_i = 1 / sum_j T_j",
    source="DAPO, arXiv:2503.14476",
    needs=frozenset({"lengths"}),
    peers={
        "TRL": "loss_type='dapo' (default)",
        "verl": "token-mean (default)",
        "OpenRLHF": "token_level_loss=True (default)",
    },
)
def token_mean(lengths: Tensor, _max_new_tokens: int) -> Tensor:
    """Every token of the step weighs the same, over the number of tokens of the step."""
    return _ones(lengths) / lengths.sum()


@level(
    "aggregation",
    "seq_mean_token_mean",
    formula="w_i = 1 / (N T_i)",
    source="GRPO, arXiv:2402.03300",
    needs=frozenset({"lengths"}),
    peers={
        "TRL": "loss_type='grpo'",
        "verl": "seq-mean-token-mean",
        "OpenRLHF": "token_level_loss=False",
    },
)
def seq_mean_token_mean(lengths: Tensor, _max_new_tokens: int) -> Tensor:
    """Every completion weighs the same: tokens of long completions weigh less."""
    return _ones(lengths) / (len(lengths) * lengths.clamp(min=1))


@level(
    "aggregation",
    "const_len",
    formula="w_i = 1 / (N L), L = max_new_tokens",
    source="Dr. GRPO, arXiv:2503.20783",
    needs=frozenset({"lengths"}),
    peers={
        "TRL": "loss_type='dr_grpo'",
        "verl": "seq-mean-token-sum-norm (over the padded width unless loss_scale_factor is set)",
        "OpenRLHF": "none",
    },
)
def const_len(lengths: Tensor, max_new_tokens: int) -> Tensor:
    """seq_mean_token_sum over a constant: the length limit, never the padded width."""
    return _ones(lengths) / (len(lengths) * max_new_tokens)


LEVELS = (seq_mean_token_sum, token_mean, seq_mean_token_mean, const_len)


def _ones(lengths: Tensor) -> Tensor:
    return lengths.new_ones(lengths.shape).float()
