"""Merging rules against what a round teaches, on random cells and hostile rounds.

Rounds have uneven groups, completions of one token, cut ones, verdicts that failed, greedy and
extra rollouts, and minibatches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.learning.advantages import teach
from ablatekit_rft.levels.registry import get_level, levels_of
from ablatekit_rft.levels.token_views import StepView
from ablatekit_rft.levels.types import Start
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.rollouts.drawn import Drawn, draw_plan, pass_rates
from ablatekit_rft.rules import RULES
from ablatekit_rft.settings import RftSettings
from torch import Tensor

from ablatekit.study.settings import flatten_model

CHOICES: dict[str, tuple[Any, ...]] = {
    "advantage": tuple(levels_of("advantage")),
    "pos_only_of": ("reward", "group_norm"),
    "batch_baseline": ("all", "others"),
    "passk_scale": ("none", "std"),
    "extra_rollouts": (1, 3),
    "advantage_constant": (0.0, 0.5),
    "ema_start": ("probe", "zero"),
    "reward_coding": ("01", "pm1", "neg"),
    "format_reward": tuple(levels_of("format_reward")),
    "format_weight": (0.0, 0.25),
    "length_shaping": ("none", "none", *levels_of("length_shaping")),
    "length_weight": (0.0, 1.0),
    "truncation": tuple(levels_of("truncation")),
    "truncation_scale": (0.0, 0.5, 1.0),
    "truncation_reward": (0.0, -0.5),
    "rollouts": (1, 2, 4),
    "queries_per_round": (1, 2, 4),
    "group_filter": ("none", "none", "drop", "band"),
    "filter_low": (0.0, 0.2),
    "filter_high": (0.8, 1.0),
    "downsample": ("none", "none", *levels_of("downsample")),
    "downsample_to": (1, 2),
    "downsample_advantage": ("after", "before"),
    "aggregation": tuple(levels_of("aggregation")),
    "max_new_tokens": (1, 4),
    "minibatches": (1, 1, 2),
    "kl_place": ("none", "none", "reward"),
    "kl_estimator": ("k1",),
    "kl_coefficient": (0.5,),
}
"""Weights and KL are dyadic: a shifted reward is exact, and ties stay ties before a division."""
CELLS_PER_SEED, SEEDS = 100, 10


def random_cell(rng: np.random.Generator) -> RftSettings:
    return RftSettings.model_validate(
        {name: values[rng.integers(len(values))] for name, values in CHOICES.items()}
    )


def merged(settings: RftSettings) -> RftSettings:
    """The cell that runs in its place."""
    given = flatten_model(settings)
    for rule in RULES:
        if rule.kind in ("inert", "alias") and rule.applies(given):
            given.update(rule.then)
    return RftSettings.from_dotted(given)


def hostile_round(settings: RftSettings, rng: np.random.Generator) -> Drawn:
    limit, plan = settings.max_new_tokens or 4, draw_plan(settings)
    count = settings.queries_per_round * plan.per_query
    query = torch.arange(settings.queries_per_round).repeat_interleave(plan.per_query)
    cut = rng.random(count) < 0.25
    error = (rng.random(count) < 0.15) & ~cut
    right = (rng.random(count) < 0.5) & ~cut & ~error
    lengths = torch.from_numpy(np.where(cut, limit, rng.integers(1, limit + 1, count)))
    logp = -torch.from_numpy(rng.integers(1, 9, (count, limit)).astype(np.float32)) / 8
    rollouts = Rollouts(
        Prompts.pad([[1]] * settings.queries_per_round, 0, torch.device("cpu")),
        query,
        torch.full((count, limit), 3),
        lengths,
        torch.from_numpy(cut),
        logp,
        -logp,
    )
    outcome = torch.from_numpy(right).float()
    greedy = plan.greedy_rows(settings.queries_per_round)
    every = torch.ones(count, dtype=torch.bool)
    return Drawn(
        rollouts=rollouts,
        item=query,
        correct=outcome,
        outcome=outcome,
        error=torch.from_numpy(error),
        format_ok=torch.from_numpy((rng.random(count) < 0.7) & ~cut),
        sampled=every if greedy is None else ~greedy,
        carries=plan.carrying_rows(settings.queries_per_round),
        kept=every,
    )


def weights_taught(settings: RftSettings, drawn: Drawn, seed: int) -> Tensor:
    """(N, T): what multiplies each token's log-probability in the gradient of a round's steps."""
    if settings.group_filter != "none":
        level = get_level("group_filter", settings.group_filter)
        kept = torch.from_numpy(level.bound(settings)(pass_rates(drawn)))
        drawn = replace(drawn, kept=kept[drawn.rollouts.query])
    advantage = get_level("advantage", settings.advantage)
    coded = get_level("reward_coding", settings.reward_coding).function(torch.tensor(0.25))
    state = advantage.initial_state(Start(8, float(coded)), settings)
    rollouts = drawn.rollouts
    reference = rollouts.logp * 1.25 if settings.kl_place == "reward" else None
    limit, drift = rollouts.tokens.shape[1], torch.zeros(len(drawn.outcome))
    rng = np.random.default_rng(seed)
    signal = teach(settings, drawn, limit, state, rng, reference, drift)
    taught = torch.zeros(rollouts.tokens.shape, dtype=torch.float64)
    rows = signal.rows.numpy()
    order, steps = rng.permutation(len(rows)), min(settings.minibatches, len(rows))
    aggregation = get_level("aggregation", settings.aggregation).function
    wide = signal.advantage if signal.advantage.dim() == 2 else signal.advantage[:, None]
    for part in np.array_split(order, steps) if steps else ():
        at = torch.from_numpy(rows[part])
        view = StepView(rollouts.lengths[at], rollouts.query[at], limit)
        by_token = wide[torch.from_numpy(part)] * aggregation(view)[:, None]
        taught[at] = (by_token * rollouts.mask[at]).double()
    return taught


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_merged_cell_teaches_what_the_cell_that_runs_teaches(seed: int) -> None:
    rng, compared = np.random.default_rng(seed), 0
    for number in range(CELLS_PER_SEED):
        settings = random_cell(rng)
        if any(rule.kind == "invalid" and rule.applies(flatten_model(settings)) for rule in RULES):
            continue
        runs = merged(settings)
        drawn = hostile_round(settings, rng)
        ours, theirs = (weights_taught(cell, drawn, number) for cell in (settings, runs))
        compared += 1
        assert torch.allclose(ours, theirs, atol=2e-5, rtol=1e-4), settings
    assert compared > CELLS_PER_SEED / 6
