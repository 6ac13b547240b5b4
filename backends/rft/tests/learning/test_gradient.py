"""The trainer's gradient against the exact one, on a toy whose completions can be enumerated."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from ablatekit_rft.learning.loss import StepLoss
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts, first_eos

STEPS, VOCABULARY, EOS = 3, 3, 2
PROMPT = [0, 1]


def completions() -> torch.Tensor:
    """Every completion of at most 3 tokens over {0, 1, EOS}, padded with EOS: 15 of them."""
    found = {
        (*sequence[: sequence.index(EOS) + 1], *[EOS] * (STEPS - sequence.index(EOS) - 1))
        if EOS in sequence
        else sequence
        for sequence in itertools.product(range(VOCABULARY), repeat=STEPS)
    }
    return torch.tensor(sorted(found))


def rewards(tokens: torch.Tensor) -> torch.Tensor:
    """An arbitrary but fixed 0/1 reward."""
    return ((tokens * torch.tensor([3, 5, 7])).sum(1) % 3 == 1).double()


def as_rollouts(tokens: torch.Tensor, policy: Policy) -> Rollouts:
    lengths, truncated = first_eos(tokens, (EOS,))
    prompts = Prompts.pad([PROMPT] * len(tokens), EOS, torch.device("cpu"))
    zeros = torch.zeros(tokens.shape, dtype=torch.float64)
    unscored = Rollouts(
        prompts, torch.arange(len(tokens)), tokens, lengths, truncated, zeros, zeros
    )
    logp = policy.logp(unscored, 1.0).detach()
    return Rollouts(prompts, unscored.query, tokens, lengths, truncated, logp, zeros)


def exact_probabilities(model: Any, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """p(completion) by the chain rule, through the plain module, with gradient."""
    prompt = torch.tensor([PROMPT]).expand(len(tokens), -1)
    logits = model(input_ids=torch.cat((prompt, tokens), dim=1)).logits
    steps = torch.log_softmax(logits[:, len(PROMPT) - 1 : -1], -1)
    chosen = steps.gather(2, tokens.unsqueeze(2)).squeeze(2)
    return torch.where(torch.arange(STEPS) < lengths.unsqueeze(1), chosen, 0.0).sum(1).exp()


@pytest.fixture(params=["qwen3", "gpt2"])
def toy(request: pytest.FixtureRequest, causal_lm: Any) -> Any:
    """A float64 policy, its rollouts over every completion, and their exact probabilities."""
    policy = Policy(causal_lm(request.param, vocabulary=VOCABULARY, pad=EOS).double(), pad_id=EOS)
    rollouts = as_rollouts(completions(), policy)
    probabilities = exact_probabilities(policy.model, rollouts.tokens, rollouts.lengths)
    return policy, rollouts, probabilities


def expected_gradient(policy: Policy, rollouts: Rollouts, each: Any) -> torch.Tensor:
    """sum_i p_i times the gradient that the trainer computes from completion i alone."""
    total = torch.zeros_like(policy.parameters.gradient)
    for row, logp in enumerate(rollouts.logp.sum(1)):
        policy.parameters.zero_gradient()
        each(rollouts.select(torch.tensor([row])))
        total += logp.exp() * policy.parameters.gradient
    return total


def exact_gradient(policy: Policy, objective: torch.Tensor) -> torch.Tensor:
    policy.parameters.zero_gradient()
    objective.backward()
    return policy.parameters.gradient.clone()


def test_the_baseline_follows_the_gradient_of_the_expected_reward(
    toy: Any, make_settings: Any, experience_of: Any, teach_round: Any
) -> None:
    policy, rollouts, probabilities = toy
    assert len(probabilities) == 15
    assert float(probabilities.detach().sum()) == pytest.approx(1, abs=1e-10)
    exact = exact_gradient(policy, (probabilities * rewards(rollouts.tokens)).sum())
    loss = StepLoss(make_settings(), STEPS)

    def each(one: Rollouts) -> None:
        signal = teach_round(make_settings(), one, rewards(one.tokens))
        loss.accumulate(policy, experience_of(one, signal.advantage.double()))

    estimated = expected_gradient(policy, rollouts, each)
    assert float(exact.norm()) > 1e-3
    assert float((estimated + exact).norm() / exact.norm()) < 1e-6


def test_k1_in_the_reward_follows_the_gradient_of_the_exact_kl(
    toy: Any, make_settings: Any, experience_of: Any, teach_round: Any
) -> None:
    policy, rollouts, probabilities = toy
    reference = -0.4 * rollouts.mask * (1 + rollouts.tokens)
    kl = (probabilities * (probabilities.log() - reference.sum(1))).sum()
    exact = exact_gradient(policy, kl)
    settings = make_settings(kl_place="reward", kl_estimator="k1", kl_coefficient=1.0)
    loss = StepLoss(settings, STEPS)

    def each(one: Rollouts) -> None:
        row = int((rollouts.tokens == one.tokens).all(1).nonzero())
        signal = teach_round(settings, one, torch.zeros(1), reference[row : row + 1])
        loss.accumulate(policy, experience_of(one, signal.advantage.double()))

    estimated = expected_gradient(policy, rollouts, each)
    assert float((estimated - exact).norm() / exact.norm()) < 1e-6


def test_k1_in_the_loss_is_a_placebo(toy: Any, make_settings: Any, experience_of: Any) -> None:
    policy, rollouts, _ = toy
    settings = make_settings(kl_place="loss", kl_estimator="k1", kl_coefficient=1.0)
    loss = StepLoss(settings, STEPS)

    def each(one: Rollouts) -> None:
        reference = torch.zeros(one.logp.shape)
        loss.accumulate(
            policy, experience_of(one, torch.zeros(1).double(), reference_logp=reference)
        )

    assert float(expected_gradient(policy, rollouts, each).norm()) < 1e-6
