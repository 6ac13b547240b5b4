"""The loss of a step as a whole: which cells are one, what gradients are, what is invariant."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.learning.loss import StepLoss
from ablatekit_rft.learning.statistics import token_metrics
from ablatekit_rft.levels.registry import levels_of
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.rollouts.experience import Experience
from torch import Tensor

LENGTHS = [6, 2, 4, 1, 5, 3, 3, 6]
STEPS = 6


def rollouts_of(policy: Policy, seed: int = 0) -> Rollouts:
    """Two random completions for each of four prompts, with the policy's own scores."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randint(3, 16, shape, generator=generator)

    prompts = Prompts.pad([drawn(2 + index).tolist() for index in range(4)], 0, policy.device)
    lengths = torch.tensor(LENGTHS)
    mask = torch.arange(STEPS) < lengths[:, None]
    zeros = torch.zeros(len(LENGTHS), STEPS)
    plain = Rollouts(
        prompts,
        torch.arange(8) // 2,
        torch.where(mask, drawn(8, STEPS), 0),
        lengths,
        torch.zeros(8, dtype=torch.bool),
        zeros,
        zeros,
    )
    with torch.no_grad():
        scores = policy.score(plain, 1.0, entropy=True)
    assert scores.entropy is not None
    return Rollouts(
        plain.prompts,
        plain.query,
        plain.tokens,
        plain.lengths,
        plain.truncated,
        scores.logp,
        scores.entropy,
    )


@pytest.fixture(scope="module")
def policy(causal_lm: Any) -> Policy:
    return Policy(causal_lm("qwen3"), pad_id=0)


@pytest.fixture(scope="module")
def step(policy: Policy, experience_of: Any) -> Experience:
    """An on-policy step; the reference is far away."""
    rollouts = rollouts_of(policy)
    advantage = torch.tensor([1.0, -0.5, 0.0, 2.0, -1.0, 0.25, -2.0, 0.5])
    reference = rollouts.logp - 0.3 * torch.sin(rollouts.tokens.float()) * rollouts.mask
    found = experience_of(rollouts, advantage, reference_logp=reference)
    assert isinstance(found, Experience)
    return found


def off_policy(step: Experience) -> Experience:
    """The same rollouts from weights that differed."""
    gap = 0.5 * torch.cos(step.rollouts.tokens.float()) * step.rollouts.mask
    return Experience(
        rollouts=step.rollouts,
        advantage=step.advantage,
        counted=step.counted,
        correct=step.correct,
        score=step.score,
        version=step.version,
        old_logp=step.rollouts.logp + gap,
        reference_logp=step.reference_logp,
    )


def gradient(policy: Policy, step: Experience, settings: Any) -> Tensor:
    policy.parameters.zero_gradient()
    StepLoss(settings, 10).accumulate(policy, step, 0.1, 0)
    return policy.parameters.gradient.clone()


def distance(left: Tensor, right: Tensor) -> float:
    return float((left - right).norm() / right.norm())


RATIO_LEVELS = [name for name in levels_of("ratio_level") if name != "none"]


AGGREGATIONS = itertools.cycle(["seq_mean_token_sum", "token_mean", "query_mean"])
ON_POLICY = [
    (*pair, next(AGGREGATIONS)) for pair in itertools.product(RATIO_LEVELS, levels_of("clip"))
]


@pytest.mark.parametrize(("ratio", "clip", "aggregation"), ON_POLICY)
def test_on_policy_every_ratio_and_clip_is_reinforce(
    policy: Policy, step: Experience, make_settings: Any, ratio: str, clip: str, aggregation: str
) -> None:
    expected = gradient(policy, step, make_settings(aggregation=aggregation))
    settings = make_settings(aggregation=aggregation, ratio_level=ratio, clip=clip)
    assert float(expected.norm()) > 1e-3
    assert distance(gradient(policy, step, settings), expected) < 1e-5


@pytest.mark.parametrize("ratio", RATIO_LEVELS)
def test_off_policy_ratios_differ(
    policy: Policy, step: Experience, make_settings: Any, ratio: str
) -> None:
    expected = gradient(policy, off_policy(step), make_settings(minibatches=2))
    settings = make_settings(minibatches=2, ratio_level=ratio)
    assert distance(gradient(policy, off_policy(step), settings), expected) > 1e-2


@pytest.mark.parametrize("clip", [name for name in levels_of("clip") if name != "none"])
def test_off_policy_clips_differ_from_none(
    policy: Policy, step: Experience, make_settings: Any, clip: str
) -> None:
    tight = {"clip_low": 0.01, "clip_high": 0.01, "clip_bound": 0.01}
    cell = {"minibatches": 2, "ratio_level": "token"}
    expected = gradient(policy, off_policy(step), make_settings(**cell))
    found = gradient(policy, off_policy(step), make_settings(**cell, clip=clip, **tight))
    assert distance(found, expected) > 1e-2


@pytest.mark.parametrize("mismatch", [name for name in levels_of("mismatch") if name != "off"])
def test_a_trainer_that_samples_by_itself_needs_no_correction(
    policy: Policy, step: Experience, make_settings: Any, mismatch: str
) -> None:
    expected = gradient(policy, step, make_settings())
    settings = make_settings(mismatch=mismatch, ratio_level="token")
    assert distance(gradient(policy, step, settings), expected) < 1e-5


def test_bypass_takes_the_engines_word(
    policy: Policy, step: Experience, make_settings: Any
) -> None:
    cell = {"minibatches": 2, "ratio_level": "token"}
    bypassed = gradient(policy, off_policy(step), make_settings(**cell, mismatch="bypass"))
    on_policy = gradient(policy, step, make_settings())
    assert distance(bypassed, on_policy) < 1e-5
    assert not StepLoss(make_settings(**cell, mismatch="bypass"), STEPS).needs_old
    assert StepLoss(make_settings(**cell), STEPS).needs_old


CELLS: dict[str, dict[str, Any]] = {
    **{name: {"aggregation": name} for name in levels_of("aggregation")},
    "gspo": {"ratio_level": "sequence", "clip": "gspo", "minibatches": 2},
    "gmpo": {"ratio_level": "token", "clip": "gmpo", "minibatches": 2},
    "rloo_trainer": {"ratio_level": "sequence_sum", "clip": "ppo", "minibatches": 2},
    "cispo": {"ratio_level": "token", "clip": "cispo", "minibatches": 2},
    "tis": {"ratio_level": "token", "mismatch": "tis_seq", "minibatches": 2},
    "kl": {"kl_place": "loss_is", "kl_estimator": "k3+", "minibatches": 2},
    "bonus": {"entropy": "bonus", "entropy_coefficient": 0.5},
    "adaptive": {"entropy": "adaptive", "entropy_target": 100.0},
    "top_tokens": {"entropy": "top_tokens", "entropy_share": 0.4},
    "kl_cov": {"entropy": "kl_cov", "covariance_share": 0.3, "minibatches": 2},
    "dro": {"log_ratio_penalty": 1.5, "minibatches": 2},
    "off_policy_mask": {"off_policy_mask": 0.01, "ratio_level": "token", "minibatches": 2},
    "rejection": {"rejection": "seq_mean_k3", "rejection_bound": 0.05, "minibatches": 2},
}


@pytest.mark.parametrize(
    ("family", "cell"),
    [*(("llama", cell) for cell in CELLS), *(("gpt2", cell) for cell in ("token_mean", "gmpo"))],
)
def test_gradients_ignore_micro_batches_padding_and_row_order(
    causal_lm: Any, experience_of: Any, make_settings: Any, cell: str, family: str
) -> None:
    policy = Policy(causal_lm(family), pad_id=0)
    rollouts = rollouts_of(policy)
    advantage = torch.tensor([1.0, -0.5, 0.0, 2.0, -1.0, 0.25, -2.0, 0.5])
    reference = rollouts.logp - 0.3 * torch.sin(rollouts.tokens.float()) * rollouts.mask
    step = off_policy(experience_of(rollouts, advantage, reference_logp=reference))
    expected = gradient(policy, step, make_settings(**CELLS[cell]))
    order = torch.tensor([5, 0, 7, 2, 1, 6, 4, 3])
    for changed, tokens in (
        (step, 1),
        (step, 20),
        (step.select(order), 10**6),
        (widened(step), 20),
    ):
        settings = make_settings(**CELLS[cell], micro_batch_tokens=tokens)
        assert distance(gradient(policy, changed, settings), expected) < 2e-6
    assert float(expected.norm()) > 1e-3


def widened(step: Experience) -> Experience:
    """The same with three more columns of padding."""
    tensors = {
        name: torch.nn.functional.pad(value, (0, 3))
        if value.dim() == 2 and not name.startswith("prompts")
        else value
        for name, value in step.tensors().items()
    }
    return Experience.from_tensors(tensors)


@pytest.mark.parametrize("estimator", list(levels_of("kl_estimator")))
@pytest.mark.parametrize("place", ["loss", "loss_is"])
def test_kl_gradients_are_those_of_finite_differences(
    policy: Policy, step: Experience, make_settings: Any, estimator: str, place: str
) -> None:
    """Along one direction; for k3+ its gradient is by definition that of k2."""
    settings = make_settings(kl_place=place, kl_estimator=estimator, kl_coefficient=1.0)
    if estimator == "k3+":
        plain = make_settings(kl_place="loss", kl_estimator="k2", kl_coefficient=1.0)
        if place == "loss":
            found = gradient(policy, step, settings)
            assert distance(found, gradient(policy, step, plain)) < 1e-6
        else:
            assert distance(gradient(policy, step, settings), gradient(policy, step, plain)) > 1e-3
        return
    still = Experience.from_tensors({**step.tensors(), "old_logp": step.rollouts.logp})
    still = Experience.from_tensors({**still.tensors(), "advantage": torch.zeros(8)})
    slope = gradient(policy, still, make_settings(minibatches=2, **settings_of(settings)))
    direction = torch.randn(slope.shape, generator=torch.Generator().manual_seed(0))
    direction[slope == 0] = 0

    def loss_at(step_size: float) -> float:
        weights = policy.parameters.weights.detach()
        before = weights.clone()
        weights.add_(step_size * direction)
        policy.parameters.zero_gradient()
        cell = make_settings(minibatches=2, **settings_of(settings))
        kl = StepLoss(cell, 10).accumulate(policy, still).kl
        weights.copy_(before)
        return kl

    numeric = (loss_at(1e-3) - loss_at(-1e-3)) / 2e-3
    assert float(slope @ direction) == pytest.approx(numeric, rel=2e-2, abs=2e-3)


def settings_of(settings: Any) -> dict[str, Any]:
    names = ("kl_place", "kl_estimator", "kl_coefficient")
    return {name: getattr(settings, name) for name in names}


def test_an_entropy_bonus_has_the_gradient_of_the_entropy(
    policy: Policy, step: Experience, make_settings: Any
) -> None:
    settings = make_settings(entropy="bonus", entropy_coefficient=2.0, aggregation="token_mean")
    found = gradient(policy, step, settings) - gradient(
        policy, step, make_settings(aggregation="token_mean")
    )
    policy.parameters.zero_gradient()
    entropy = policy.score(step.rollouts, 1.0, entropy=True).entropy
    assert entropy is not None
    (-2.0 * entropy.sum() / sum(LENGTHS)).backward()
    assert distance(found, policy.parameters.gradient) < 1e-4


def penalty_of(policy: Policy, step: Experience, cost: Any, mask: Tensor) -> Tensor:
    """The gradient of the mean over completions of the sum of a cost of the log-ratio."""
    assert step.old_logp is not None
    policy.parameters.zero_gradient()
    values = cost(policy.score(step.rollouts, 1.0).logp - step.old_logp)
    ((values * mask).sum() / len(step.advantage)).backward()
    return policy.parameters.gradient.clone()


@pytest.mark.parametrize("ratio", ["none", "token"])
def test_a_penalty_of_the_log_ratio_is_half_its_square(
    policy: Policy, step: Experience, make_settings: Any, ratio: str
) -> None:
    """On every token, those of completions without an advantage included."""
    old, cell = off_policy(step), {"minibatches": 2, "ratio_level": ratio}
    assert (old.advantage == 0).any()
    plain = gradient(policy, old, make_settings(**cell))
    found = gradient(policy, old, make_settings(**cell, log_ratio_penalty=3.0)) - plain
    expected = penalty_of(policy, old, lambda gap: 1.5 * gap.square(), old.counted)
    assert distance(found, expected) < 1e-5
    assert StepLoss(make_settings(minibatches=2, log_ratio_penalty=3.0), STEPS).needs_old
    assert not StepLoss(make_settings(minibatches=2), STEPS).needs_old


def test_kl_cov_holds_the_tokens_of_the_largest_covariances(
    policy: Policy, step: Experience, make_settings: Any
) -> None:
    old = off_policy(step)
    advantage = old.advantage[:, None].expand_as(old.counted)[old.counted]
    logp = old.rollouts.logp[old.counted]
    covariance = (advantage - advantage.mean()) * (logp - logp.mean())
    held = torch.zeros_like(old.counted)
    held[old.counted] = covariance >= covariance.sort().values[-6]
    cell = {"minibatches": 2, "covariance_share": 0.2, "covariance_penalty": 0.5}
    plain = gradient(policy, old, make_settings(minibatches=2))
    found = gradient(policy, old, make_settings(**cell, entropy="kl_cov")) - plain
    assert int(held.sum()) == 6 == int(0.2 * sum(LENGTHS))
    assert distance(found, penalty_of(policy, old, lambda gap: gap.abs() / 2, held)) < 1e-5


def taught_only(step: Experience, taught: Tensor) -> Experience:
    """The same with an advantage on these tokens alone: denominators stay."""
    return Experience.from_tensors(
        {**step.tensors(), "advantage": step.advantage[:, None] * taught}
    )


def test_bad_completions_that_moved_far_leave_the_policy_loss(
    policy: Policy, step: Experience, make_settings: Any
) -> None:
    """The engine drew them at the probabilities of the stored policy."""
    old = off_policy(step)
    assert old.old_logp is not None
    moved = Experience.from_tensors({**old.tensors(), "rollouts.logp": old.old_logp})
    gap = ((old.old_logp - step.rollouts.logp) * old.counted).sum(1) / old.counted.sum(1)
    far = (old.advantage < 0) & (gap > 0.05)
    assert 0 < int(far.sum()) < int((old.advantage < 0).sum())
    cell = {"minibatches": 2, "ratio_level": "token", "clip": "ppo"}
    found = gradient(policy, moved, make_settings(**cell, off_policy_mask=0.05))
    kept = taught_only(moved, (~far)[:, None].expand_as(old.counted))
    assert distance(found, gradient(policy, kept, make_settings(**cell))) < 1e-5


@pytest.mark.parametrize("mismatch", ["off", "tis_token", "bypass"])
def test_rejected_tokens_leave_the_policy_loss(
    policy: Policy, step: Experience, make_settings: Any, mismatch: str
) -> None:
    old = off_policy(step)
    assert old.old_logp is not None
    cell = {"minibatches": 2, "mismatch": mismatch}
    trainer = old.rollouts.logp if mismatch == "bypass" else old.old_logp
    taught = (trainer - old.rollouts.logp).abs() <= math.log(1.3)
    assert mismatch == "bypass" or 0 < int(taught[old.counted].sum()) < sum(LENGTHS)
    found = gradient(policy, old, make_settings(**cell, rejection="token_k1", rejection_bound=1.3))
    expected = gradient(policy, taught_only(old, taught), make_settings(**cell))
    assert distance(found, expected) < 1e-5


def test_clip_cov_draws_from_the_chance_of_its_step(
    policy: Policy, step: Experience, make_settings: Any
) -> None:
    settings = make_settings(
        entropy="clip_cov", covariance_low=0.0, covariance_high=9.0, covariance_share=0.1
    )

    def drawn(seed: int) -> Tensor:
        policy.parameters.zero_gradient()
        generator = np.random.default_rng(seed)
        StepLoss(settings, 10).accumulate(policy, step, generator=generator)
        return policy.parameters.gradient.clone()

    plain = gradient(policy, step, make_settings())
    assert torch.equal(drawn(0), drawn(0))
    assert distance(drawn(0), drawn(1)) > 1e-3
    assert distance(drawn(0), plain) > 1e-3


def test_masked_tokens_have_no_gradient(
    policy: Policy, step: Experience, make_settings: Any
) -> None:
    masked = Experience.from_tensors(
        {**step.tensors(), "counted": step.counted & (torch.arange(8) != 3)[:, None]}
    )
    rest = step.select(torch.tensor([0, 1, 2, 4, 5, 6, 7]))
    for aggregation in levels_of("aggregation"):
        settings = make_settings(aggregation=aggregation)
        found = gradient(policy, masked, settings)
        assert distance(found, gradient(policy, rest, settings)) < 1e-6


def test_what_a_step_says_about_its_tokens(
    policy: Policy, step: Experience, make_settings: Any
) -> None:
    settings = make_settings(
        ratio_level="token", clip="ppo", minibatches=2, mismatch="mis_token", kl_place="loss"
    )
    old = off_policy(step)
    policy.parameters.zero_gradient()
    found = token_metrics([StepLoss(settings, STEPS).accumulate(policy, old)])
    mask, logp = old.counted, old.rollouts.logp
    assert old.old_logp is not None
    ratio = (logp - old.old_logp)[mask].exp()
    up = (old.advantage > 0)[:, None].expand_as(mask)[mask]
    down = (old.advantage < 0)[:, None].expand_as(mask)[mask]
    assert found["ratio/mean"] == pytest.approx(float(ratio.mean()), rel=1e-5)
    assert found["ratio/max"] == pytest.approx(float(ratio.max()), rel=1e-5)
    assert found["ratio/min"] == pytest.approx(float(ratio.min()), rel=1e-5)
    ess = float(ratio.sum() ** 2 / (len(ratio) * ratio.square().sum()))
    assert found["ratio/ess"] == pytest.approx(ess, rel=1e-5)
    assert found["clip/high"] == pytest.approx(float(((ratio > 1.2) & up).float().mean()))
    assert found["clip/low"] == pytest.approx(float(((ratio < 0.8) & down).float().mean()))
    assert found["clip/high"] > 0
    assert found["clip/low"] > 0
    gap = (old.old_logp - logp)[mask].abs()
    assert found["mismatch/mean"] == pytest.approx(float(gap.mean()), rel=1e-4)
    assert found["mismatch/max"] == pytest.approx(float(gap.max()), rel=1e-4)
    assert found["mismatch/p99"] == pytest.approx(float(gap.sort().values[-1]), rel=1e-4)
    assert found["mismatch/masked"] == pytest.approx(
        float(((-ratio.log()).exp() < 0.5).float().mean())
    )
    assert old.reference_logp is not None
    k1 = (logp - old.reference_logp)[mask]
    assert found["policy/kl_k1"] == pytest.approx(float(k1.mean()), abs=1e-5)
    assert found["policy/kl_k3"] == pytest.approx(float(((-k1).exp() - 1 + k1).mean()), abs=1e-5)


def test_a_token_advantage_weighs_tokens_apart(
    policy: Policy, step: Experience, make_settings: Any
) -> None:
    wide = step.advantage[:, None].expand(-1, STEPS).clone()
    tokenwise = Experience.from_tensors({**step.tensors(), "advantage": wide})
    for cell in ({}, {"ratio_level": "token", "clip": "dual_clip"}):
        expected = gradient(policy, step, make_settings(**cell))
        assert distance(gradient(policy, tokenwise, make_settings(**cell)), expected) < 1e-6
