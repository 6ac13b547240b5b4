"""Rules on the loss: aggregation and KL."""

from __future__ import annotations

from ablatekit.backend import Rule, none_of, one_of
from ablatekit_rft.rules.base import NEAR, defaults
from ablatekit_rft.rules.signal import NORM_LEVELS

RULES = (
    Rule(
        name="no_weight_no_kl",
        kind="alias",
        when={"kl_coefficient": one_of(0.0)},
        then=defaults("kl_place"),
        why="a KL term of weight 0 is no KL term",
    ),
    Rule(
        name="no_kl",
        kind="inert",
        when={"kl_place": one_of("none")},
        then=defaults("kl_estimator", "kl_coefficient"),
        why="without a KL term its estimator and weight have no effect",
    ),
    Rule(
        name="one_token",
        kind="inert",
        when={"max_new_tokens": one_of(1)},
        then=defaults("aggregation"),
        why="with completions of one token all aggregations are the mean over completions",
    ),
    Rule(
        name="const_len_scales_sum",
        kind="warn",
        when={"aggregation": one_of("const_len"), "max_new_tokens": none_of(1)},
        why=f"const_len is seq_mean_token_sum divided by max_new_tokens: compared with it {NEAR}",
    ),
    Rule(
        name="kl_placebo",
        kind="warn",
        when={"kl_place": one_of("loss"), "kl_estimator": one_of("k1")},
        why="k1 as an on-policy loss has an expected gradient of zero (up to length weights):"
        " a placebo, fit for a negative control",
    ),
    Rule(
        name="kl_is_normalised",
        kind="warn",
        when={"kl_place": one_of("reward"), "advantage": one_of(*NORM_LEVELS)},
        why="KL in the reward passes through the normalisation: its weight relative to the outcome"
        " is kept, but where all outcomes agree KL alone gives advantages of full size",
    ),
)
