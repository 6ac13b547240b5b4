"""Loss aggregation: `(StepView) -> (N,)` float32 weights.

The loss of an optimizer step is sum_i w_i sum_t m_it loss_it: weights are computed once for the
whole step, so that micro-batches only add up. N, Q and T_i count completions, queries and tokens
that are in the loss: a completion that is masked as a whole leaves every denominator, as in verl
and OpenRLHF (in TRL's 'grpo' it stays).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.levels.token_views import StepView
from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor


@level(
    "aggregation",
    "seq_mean_token_sum",
    formula="w_i = 1 / N",
    source="REINFORCE with the whole completion as the action",
    needs=frozenset({"lengths"}),
    traits={"length_blind"},
    peers={
        "TRL": "loss_type='luspo'",
        "verl": "loss_agg_mode=seq-mean-token-sum",
        "OpenRLHF": "none",
    },
)
def seq_mean_token_sum(view: StepView) -> Tensor:
    """The unbiased gradient of the expected reward: a completion's log-probability is a sum."""
    return _ones(view) / _completions(view)


@level(
    "aggregation",
    "token_mean",
    formula="w_i = 1 / sum_j T_j",
    source="DAPO, arXiv:2503.14476",
    needs=frozenset({"lengths"}),
    traits={"length_blind"},
    peers={
        "TRL": "loss_type='dapo' (default)",
        "verl": "token-mean (default)",
        "OpenRLHF": "token_level_loss=True (default)",
    },
)
def token_mean(view: StepView) -> Tensor:
    """Every token of the step weighs the same, over the number of tokens of the step."""
    return _ones(view) / view.lengths.sum().clamp(min=1)


@level(
    "aggregation",
    "seq_mean_token_mean",
    formula="w_i = 1 / (N T_i)",
    source="GRPO, arXiv:2402.03300",
    needs=frozenset({"lengths"}),
    traits={"length_blind"},
    peers={
        "TRL": "loss_type='grpo'",
        "verl": "seq-mean-token-mean",
        "OpenRLHF": "token_level_loss=False",
    },
)
def seq_mean_token_mean(view: StepView) -> Tensor:
    """Every completion weighs the same: tokens of long completions weigh less."""
    return _ones(view) / (_completions(view) * view.lengths.clamp(min=1))


@level(
    "aggregation",
    "const_len",
    formula="w_i = 1 / (N L), L = max_new_tokens",
    source="Dr. GRPO, arXiv:2503.20783",
    needs=frozenset({"lengths"}),
    traits={"length_blind"},
    peers={
        "TRL": "loss_type='dr_grpo'",
        "verl": "seq-mean-token-sum-norm (over the padded width unless loss_scale_factor is set)",
        "OpenRLHF": "none",
    },
)
def const_len(view: StepView) -> Tensor:
    """seq_mean_token_sum over a constant: the length limit, never the padded width."""
    return _ones(view) / (_completions(view) * view.max_new_tokens)


@level(
    "aggregation",
    "query_mean",
    formula="w_i = 1 / (Q sum of T_j over the query's completions)",
    source="ScaleRL, arXiv:2510.13786",
    needs=frozenset({"lengths"}),
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def query_mean(view: StepView) -> Tensor:
    """Every query weighs the same, and every token within it: with one rollout per query the mean
    over completions of their token means."""
    tokens = view.lengths.new_zeros(int(view.query.max()) + 1)
    tokens = tokens.index_add(0, view.query, view.lengths)
    queries = (tokens > 0).sum().clamp(min=1)
    return _ones(view) / (queries * tokens[view.query].clamp(min=1))


LEVELS = (seq_mean_token_sum, token_mean, seq_mean_token_mean, const_len, query_mean)


def _ones(view: StepView) -> Tensor:
    return view.lengths.new_ones(view.lengths.shape).float()


def _completions(view: StepView) -> Tensor:
    return (view.lengths > 0).sum().clamp(min=1)
