"""Reuse of experience: minibatches, stale weights, replay, moving references; resume of all."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from ablatekit_rft.learning.kl_reference import KlReference
from ablatekit_rft.learning.replay import ReplayBuffer, group_scores
from ablatekit_rft.learning.stale_weights import StaleWeights
from ablatekit_rft.learning.updates import build_updater
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.specs import metric_specs
from ablatekit_rft.metrics.stopwatch import Stopwatch
from ablatekit_rft.policy.optimizer import FlatOptimizer
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.rollouts.experience import Experience, join
from torch import Tensor

from ablatekit.errors import RunInterruptedError
from ablatekit.runs.seeds import Seeds


def policy_of(causal_lm: Any) -> Policy:
    return Policy(causal_lm("llama"), pad_id=0)


def experience(experience_of: Any, rows: int, width: int, version: int = 0) -> Experience:
    """One query per two rows; everything about a row is its number."""
    prompts = Prompts.pad([[1] * (1 + index) for index in range(rows // 2)], 0, torch.device("cpu"))
    numbers = torch.arange(rows)
    wide = numbers[:, None].expand(-1, width).float()
    lengths = numbers % width + 1
    rollouts = Rollouts(
        prompts, numbers // 2, wide.long() + 3, lengths, lengths < 0, -wide, wide + version
    )
    found = experience_of(
        rollouts,
        numbers + 100.0 * version,
        correct=(numbers % 2).float(),
        score=(numbers // 2).float(),
        version=torch.full((rows,), version),
        old_logp=-wide,
    )
    assert isinstance(found, Experience)
    return found


def test_joined_experience_keeps_every_row(experience_of: Any) -> None:
    first, second = experience(experience_of, 4, 3), experience(experience_of, 6, 5, 1)
    both = join([first.select(torch.tensor([3, 0])), second])
    assert both.advantage.tolist() == [3, 0, 100, 101, 102, 103, 104, 105]
    assert both.rollouts.lengths.tolist() == [1, 1, 1, 2, 3, 4, 5, 1]
    assert both.rollouts.tokens.shape == both.counted.shape == (8, 5)
    assert both.counted.sum(1).tolist() == both.rollouts.lengths.tolist()
    assert both.rollouts.query.tolist() == [1, 0, 2, 2, 3, 3, 4, 4]
    lengths = both.rollouts.prompts.lengths[both.rollouts.query]
    assert lengths.tolist() == [2, 1, 1, 1, 2, 2, 3, 3]
    assert both.rollouts.prompts.mask.sum(1).tolist() == [1, 2, 1, 2, 3]
    again = Experience.from_tensors(both.tensors())
    assert all(torch.equal(value, again.tensors()[name]) for name, value in both.tensors().items())


def test_group_scores_are_those_of_the_formula() -> None:
    advantage = torch.tensor([1.0, -1.0, 2.0, 2.0])
    rewards, group = torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.tensor([0, 0, 1, 1])
    scores = group_scores(advantage, rewards, group, torch.ones(4, dtype=torch.bool))
    assert scores.tolist() == pytest.approx([2 * 0.5**0.5, 2 * 0.5**0.5, 0, 0])


def test_a_rollout_without_a_verdict_gives_its_group_no_score() -> None:
    rewards, group = torch.tensor([1.0, 1.0, 0.0]), torch.zeros(3, dtype=torch.int64)
    judged = torch.tensor([True, True, False])
    assert not group_scores(torch.tensor([0.5, 0.5, 0.0]), rewards, group, judged).any()
    assert not group_scores(torch.zeros(3), rewards, group, torch.zeros(3, dtype=torch.bool)).any()


def test_replay_joins_rounds_with_and_without_advantages_per_token(
    experience_of: Any, make_settings: Any
) -> None:
    settings = make_settings(replay="fifo", replay_rounds=2, replay_share=1.0)
    buffer = ReplayBuffer(settings, Seeds("run", "c"))
    nothing, fresh = experience(experience_of, 4, 3), experience(experience_of, 4, 5, 1)
    tokens = replace(fresh, advantage=torch.rand(4, 5))
    buffer.mix(nothing, 0)
    mixed = buffer.mix(tokens, 1)
    assert mixed.advantage.shape == (8, 5)
    assert torch.equal(mixed.advantage[:4], tokens.advantage)
    assert torch.equal(mixed.advantage[4:, 0].sort().values, nothing.advantage)


def test_the_buffer_holds_its_rounds_and_no_other(experience_of: Any, make_settings: Any) -> None:
    settings = make_settings(replay="fifo", replay_rounds=2, replay_share=1.0)
    buffer = ReplayBuffer(settings, Seeds("run", "c"))
    rounds = [experience(experience_of, 4, 3, version) for version in range(4)]
    mixed = [buffer.mix(fresh, index) for index, fresh in enumerate(rounds)]
    assert mixed[0] is rounds[0]
    assert [len(one.advantage) for one in mixed] == [4, 8, 8, 8]
    assert set(mixed[3].version.tolist()) <= {1, 2, 3}
    assert mixed[3].version.tolist()[:4] == [3] * 4
    old = mixed[3].old_logp
    assert old is not None
    assert torch.equal(old[:, 0], -(mixed[3].advantage % 100))


def test_minibatches_count_rollouts_and_hold_each_once_per_epoch(
    causal_lm: Any, make_settings: Any
) -> None:
    policy = policy_of(causal_lm)
    settings = make_settings(minibatches=3, epochs=2)
    updater = build_updater(settings, Seeds("run", "c"), policy, 5)
    splits = [rows for rows in updater._splits(8, 0) if rows is not None]
    assert [len(rows) for rows in splits] == [3, 3, 2] * 2
    for epoch in (splits[:3], splits[3:]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(8))
    assert not torch.equal(splits[0], splits[3])
    assert updater.steps_per_round(8) == 6
    assert updater.steps_per_round(2) == 4
    whole = build_updater(make_settings(), Seeds("run", "c"), policy, 5)
    assert list(whole._splits(8, 0)) == [None]


@pytest.mark.parametrize("aggregation", ["token_mean", "seq_mean_token_mean", "query_mean"])
def test_every_step_has_its_own_denominators(
    causal_lm: Any, make_settings: Any, experience_of: Any, aggregation: str
) -> None:
    """Two minibatches are two steps of plain gradient descent, each on its own half's mean."""
    settings = make_settings(
        aggregation=aggregation, minibatches=2, optimizer="sgd", grad_clip=None, rollouts=2
    )
    policy = policy_of(causal_lm)
    seeds, start = Seeds("run", "c"), policy.parameters.weights.detach().clone()
    whole = experience(experience_of, 8, 6)
    rate, updater = 1e-4, build_updater(settings, seeds, policy, 6)
    halves = list(updater._splits(8, 0))
    updater.train(whole, 0, rate, Stopwatch(policy.device))
    trained = policy.parameters.weights.detach().clone()

    policy.parameters.weights.data.copy_(start)
    for rows in halves:
        assert rows is not None
        half = whole.select(rows)
        logp, mask = policy.logp(half.rollouts, 1.0), half.rollouts.mask.float()
        loss = -(half.advantage[:, None] * logp * mask * _weights(half, aggregation)).sum()
        policy.parameters.zero_gradient()
        loss.backward()
        policy.parameters.weights.data.sub_(rate * policy.parameters.gradient)
    expected = policy.parameters.weights.detach()
    assert float((expected - start).norm()) > 1e-3
    assert float((trained - expected).norm() / (expected - start).norm()) < 1e-4


def _weights(half: Experience, aggregation: str) -> Tensor:
    """(N, 1): the weight of each of a rollout's tokens, written out."""
    lengths, query = half.rollouts.lengths.float(), half.rollouts.query
    if aggregation == "token_mean":
        each = torch.full_like(lengths, 1 / float(lengths.sum()))
    elif aggregation == "seq_mean_token_mean":
        each = 1 / (lengths * len(lengths))
    else:
        queries = query.unique()
        each = torch.stack([1 / (lengths[query == own].sum() * len(queries)) for own in query])
    return each[:, None]


@pytest.mark.parametrize("staleness", [0, 1, 3])
def test_stale_weights_are_those_of_so_many_rounds_ago(causal_lm: Any, staleness: int) -> None:
    policy = policy_of(causal_lm)
    stale_weights, seen = StaleWeights(policy, staleness), []
    for index in range(6):
        policy.parameters.weights.fill_(index)
        with stale_weights.at_round(index) as version:
            seen.append(version)
            assert float(policy.parameters.weights[0]) == version
        assert float(policy.parameters.weights[0]) == index
    assert seen == [max(0, index - staleness) for index in range(6)]


REFERENCES = {
    "fixed": [-1, -1, -1, -1, -1],
    "reset": [-1, -1, 2, 2, 4],
    "ema": [-1, -1, 0.5, 0.5, 2.25],
    "previous": [-1, 0, 1, 2, 3],
}


@pytest.mark.parametrize("kind", REFERENCES)
def test_moving_references(causal_lm: Any, make_settings: Any, kind: str) -> None:
    policy = policy_of(causal_lm)
    policy.parameters.weights.fill_(-1)
    settings = make_settings(
        kl_place="loss", kl_reference=kind, kl_reference_rounds=2, kl_reference_mix=0.5
    )
    reference, seen = KlReference(settings, policy, policy.frozen_copy()), []
    for index in range(5):
        policy.parameters.weights.fill_(index)
        seen.append(float(reference.at_round(index).parameters.weights[0]))
    assert seen == REFERENCES[kind]


def test_muon_orthogonalises_matrices_and_leaves_the_rest_to_adamw(causal_lm: Any) -> None:
    from ablatekit_rft.levels.types import OptimizerSpec

    policy, plain = policy_of(causal_lm), causal_lm("llama")
    spec = OptimizerSpec(
        algorithm="muon",
        learning_rate=1e-2,
        weight_decay=0.1,
        betas=(0.9, 0.999),
        eps=1e-8,
        momentum=0.95,
    )
    ours = FlatOptimizer(policy.parameters, spec)
    named = dict(plain.named_parameters())
    tables = {"model.embed_tokens.weight"}
    assert policy.parameters.tables == tables
    matrices = [value for name, value in named.items() if value.dim() == 2 and name not in tables]
    muon = torch.optim.Muon(
        matrices, lr=1e-2, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    vectors = [value for value in named.values() if value.dim() == 1]
    adam = torch.optim.AdamW(
        [
            {"params": [named[name] for name in tables], "weight_decay": 0.1},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=1e-2,
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for name, value in named.items():
            value.grad = torch.randn(value.shape, generator=generator)
            policy.parameters.slots[name].view(policy.parameters.gradient).copy_(value.grad)
        muon.step()
        adam.step()
        ours.step(1e-2)
    for name, value in named.items():
        found = policy.parameters.slots[name].view(policy.parameters.weights)
        torch.testing.assert_close(found, value.detach(), atol=1e-5, rtol=1e-4)


STATEFUL: dict[str, dict[str, Any]] = {
    "stale, ema": {
        "staleness": 2,
        "ratio_level": "token",
        "clip": "ppo",
        "kl_place": "loss",
        "kl_reference": "ema",
        "kl_reference_rounds": 2,
    },
    "fifo, reset": {
        "replay": "fifo",
        "replay_rounds": 2,
        "ratio_level": "sequence_sum",
        "clip": "ppo",
        "kl_place": "reward",
        "kl_reference": "reset",
        "kl_reference_rounds": 2,
    },
    "success, previous": {"replay": "success", "kl_place": "loss_is", "kl_reference": "previous"},
    "groups, adaptive": {
        "replay": "groups",
        "advantage": "group_mean",
        "ratio_level": "token",
        "entropy": "adaptive",
        "entropy_target": 5.0,
        "entropy_step": 0.1,
    },
    "minibatches, muon": {
        "minibatches": 2,
        "epochs": 2,
        "ratio_level": "sequence",
        "clip": "gspo",
        "optimizer": "muon",
        "lr_scale": "sqrt",
    },
    "top_tokens, bf16": {"entropy": "top_tokens", "precision": "bf16"},
    "autocast": {"precision": "bf16_autocast", "mismatch": "tis_token"},
}
"""Cells that hold every state of a run; states that do not touch share a cell."""
BASE: dict[str, Any] = {
    "reward_coding": "pm1",
    "budget": {"amount": 4},
    "evaluation": {"points": 1, "probe_items": 8, "test_items": 8},
}


def history(context: Any, settings: Any) -> Mapping[int, Mapping[str, float]]:
    names = {spec.name for spec in metric_specs(settings) if spec.repeatable}
    return {
        step: {name: value for name, value in logged.items() if name in names}
        for step, logged in context.logged.items()
    }


def bits(model: Any) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("cell", STATEFUL)
def test_every_state_survives_interruptions(
    train_toy: Any, make_context: Any, make_settings: Any, cell: str
) -> None:
    settings = make_settings(**BASE, **STATEFUL[cell])
    undisturbed = make_context(folder="undisturbed")
    _, expected = train_toy(settings, undisturbed)
    context = make_context()
    for stop in (1, 3):
        context.stop_at = stop
        with pytest.raises(RunInterruptedError, match=f"round {stop}"):
            train_toy(settings, context)
        context.stop_at = None
        context.done.clear()
    _, model = train_toy(settings, context)
    assert context.resumed == [1, 3]
    assert torch.equal(bits(model), bits(expected))
    assert history(context, settings) == history(undisturbed, settings)
    declared = {spec.name for spec in metric_specs(settings)}
    logged = {name for values in context.logged.values() for name in values}
    assert logged <= declared


def test_updates_and_rounds_are_counted_apart(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    cell = {**BASE, "minibatches": 4, "epochs": 2, "ratio_level": "token"}
    result, _ = train_toy(make_settings(**cell), context)
    assert result.metrics[metrics.UPDATES] == 4 * 8
    assert list(context.series(metrics.GRAD_NORM)) == [1, 2, 3, 4]
    assert max(context.series(metrics.RATIO_MAX).values()) > 1


def test_stale_rollouts_say_their_age_and_have_ratios(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    train_toy(make_settings(**BASE, **STATEFUL["stale, ema"]), context)
    assert list(context.series(metrics.AGE_MEAN).values()) == [0, 1, 2, 2]
    ratios = list(context.series(metrics.RATIO_MAX).values())
    assert ratios[0] == pytest.approx(1, abs=1e-5)
    assert ratios[-1] > 1.001
    assert max(context.series(metrics.MISMATCH_MAX).values()) < 1e-4


def test_learning_rate_0_stays_flat_whatever_is_reused(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    cell = {**BASE, "learning_rate": 0.0, "replay": "fifo", "staleness": 1, "minibatches": 2}
    train_toy(make_settings(**cell, ratio_level="token", clip="ppo"), context)
    assert max(context.series(metrics.UPDATE_NORM).values()) == 0
    assert max(context.series(metrics.RATIO_MAX).values()) == pytest.approx(1, abs=1e-5)
    assert max(context.series(metrics.MISMATCH_MAX).values()) < 1e-4


PEFT_WARNS = "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
LORA = pytest.mark.skipif(
    importlib.util.find_spec("peft") is None,
    reason="no package peft: pip install -c constraints.txt -e '.[dev]', which brings it",
)


@LORA
@pytest.mark.filterwarnings(PEFT_WARNS)
def test_adapters_train_alone_and_resume(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    settings = make_settings(**BASE, lora_rank=2, kl_place="loss")
    undisturbed, context = make_context(folder="undisturbed"), make_context()
    _, expected = train_toy(settings, undisturbed)
    context.stop_at = 2
    with pytest.raises(RunInterruptedError):
        train_toy(settings, context)
    context.stop_at = None
    _, model = train_toy(settings, context)
    found, other = dict(model.named_parameters()), dict(expected.named_parameters())
    adapters = {name for name in found if "lora_" in name}
    assert adapters
    assert adapters == {name for name, value in found.items() if value.requires_grad}
    assert all(torch.equal(found[name], other[name]) for name in found)
    assert all(bool(found[name].any()) for name in adapters)
    assert history(context, settings) == history(undisturbed, settings)


@LORA
@pytest.mark.filterwarnings(PEFT_WARNS)
def test_adapters_start_at_the_base_model_and_share_it_with_the_reference(
    causal_lm: Any, make_settings: Any
) -> None:
    from ablatekit_rft.policy.models import parameterised

    prompts = Prompts.pad([[3, 4, 5]], 0, torch.device("cpu"))
    tokens = torch.tensor([[6, 7, 8]])
    zeros = torch.zeros(1, 3)
    one = Rollouts(
        prompts, torch.tensor([0]), tokens, torch.tensor([3]), torch.tensor([True]), zeros, zeros
    )
    plain = Policy(causal_lm("llama"), 0, lean=False).logp(one, 1.0).detach()
    model = parameterised(causal_lm("llama"), make_settings(lora_rank=2), Seeds("run", "c"))
    policy = Policy(model, 0)
    torch.testing.assert_close(policy.logp(one, 1.0).detach(), plain)
    frozen = policy.frozen_copy()
    base = [value for value in policy.model.parameters() if not value.requires_grad]
    theirs = {id(value) for value in frozen.model.parameters()}
    assert base
    assert all(id(value) in theirs for value in base)
    assert policy.parameters.weights.data_ptr() != frozen.parameters.weights.data_ptr()


def test_a_reference_reset_every_round_exerts_no_force(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    """The rule kl_to_itself: KL and its gradient are 0 with one update per round."""
    _, plain = train_toy(make_settings(**BASE), make_context(folder="plain"))
    for estimator in ("k2", "k3+"):
        cell = {
            "kl_place": "loss",
            "kl_estimator": estimator,
            "kl_reference": "reset",
            "kl_reference_rounds": 1,
            "kl_coefficient": 1.0,
        }
        context = make_context(folder=estimator)
        _, model = train_toy(make_settings(**BASE, **cell), context)
        assert max(context.series(metrics.LOSS_KL).values()) < 1e-8
        torch.testing.assert_close(bits(model), bits(plain), atol=1e-4, rtol=0)


def test_the_released_recipe_of_the_paper_is_a_cell(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    """The baseline cell: PPO clip 0.2, token mean, KL loss of 0.001 by low_var_kl (k3)."""
    cell = {
        "ratio_level": "token",
        "clip": "ppo",
        "clip_low": 0.2,
        "aggregation": "token_mean",
        "kl_place": "loss",
        "kl_estimator": "k3",
        "kl_coefficient": 0.001,
    }
    context = make_context()
    result, _ = train_toy(make_settings(**BASE, **cell), context)
    assert result.status == "finished"
    assert set(context.series(metrics.RATIO_MAX).values()) == {1.0}
    assert set(context.series(metrics.CLIP_HIGH).values()) == {0.0}
    assert max(context.series(metrics.KL_K3).values()) > 0
