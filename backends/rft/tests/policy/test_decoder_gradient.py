"""The written backward pass against autograd, bit for bit, and against finite differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ablatekit_rft import basemodels
from ablatekit_rft.policy import policy as policy_module
from ablatekit_rft.policy.decoder_gradient import is_differentiated
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts

LEAN = ("llama", "llama_gqa", "qwen2", "qwen3", "gpt_neox", "gpt_neox_sequential")
SHIPPED = ("tiny-llama", "tiny-qwen3", "tiny-neox")


def model_of(causal_lm: Any, name: str) -> Any:
    return basemodels.load(name)[0] if name in SHIPPED else causal_lm(name)


def random_rollouts(vocabulary: int, seed: int) -> Rollouts:
    """Up to 7 ragged prompts with up to 5 ragged completions each, of up to 9 tokens."""
    generator = torch.Generator().manual_seed(seed)
    queries, per_query, width = 1 + seed % 7, 1 + seed % 5, 1 + seed % 9

    def drawn(*shape: int, low: int = 3, high: int = vocabulary) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=generator)

    sizes = drawn(queries, low=1, high=9).tolist()
    prompts = Prompts.pad([drawn(n).tolist() for n in sizes], 0, torch.device("cpu"))
    rows = queries * per_query
    lengths = drawn(rows, low=1, high=width + 1)
    query = torch.arange(queries).repeat_interleave(per_query)
    zeros = torch.zeros(rows, width)
    return Rollouts(prompts, query, drawn(rows, width), lengths, lengths == width, zeros, zeros)


def scored_and_differentiated(
    policy: Policy, rollouts: Rollouts, weights: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities, and the gradient of two micro-batches of a weighted sum of them."""
    policy.parameters.zero_gradient()
    for _ in range(2):
        logp = policy.logp(rollouts, temperature)
        policy.backward((logp * weights).sum())
    return logp.detach(), policy.parameters.gradient.clone()


@pytest.mark.parametrize("name", [*LEAN, *SHIPPED])
def test_every_bit_is_autograds(causal_lm: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    policy = Policy(model_of(causal_lm, name), pad_id=0)
    for seed in range(10):
        rollouts = random_rollouts(policy.model.config.vocab_size, seed)
        weights = torch.randn(rollouts.tokens.shape, generator=torch.Generator().manual_seed(seed))
        temperature = 1.0 if seed % 2 else 0.7
        found = scored_and_differentiated(policy, rollouts, weights, temperature)
        with monkeypatch.context() as patched:
            patched.setattr(policy_module, "is_differentiated", lambda _decoder: False)
            expected = scored_and_differentiated(policy, rollouts, weights, temperature)
        assert float(expected[1].norm()) > 0
        for ours, autograds in zip(found, expected, strict=True):
            assert torch.equal(ours, autograds), seed


@pytest.mark.parametrize("name", LEAN)
def test_the_gradient_is_that_of_finite_differences(causal_lm: Any, name: str) -> None:
    policy = Policy(causal_lm(name).double(), pad_id=0)
    rollouts = random_rollouts(16, seed=8)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(rollouts.tokens.shape, generator=generator, dtype=torch.float64)
    _, gradient = scored_and_differentiated(policy, rollouts, weights, 0.7)
    flat = policy.parameters.weights
    # Where a slot is padded there is no weight, and the gradient stays zero.
    direction = torch.randn(flat.shape, generator=generator, dtype=torch.float64).sign()
    start, step = flat.detach().clone(), 1e-6

    def objective(at: float) -> float:
        with torch.no_grad():
            flat.copy_(start + at * direction)
            return float((policy.logp(rollouts, 0.7) * weights).sum())

    slope = (objective(step) - objective(-step)) / (2 * step)
    # Both micro-batches hold the same rollouts.
    assert float(gradient @ direction) / 2 == pytest.approx(slope, rel=1e-6)


def test_a_gradient_is_computed_once(causal_lm: Any) -> None:
    policy = Policy(causal_lm("llama"), pad_id=0)
    loss = policy.logp(random_rollouts(16, seed=3), 1.0).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="cannot be repeated"):
        loss.backward()


def test_a_model_with_another_activation_is_left_to_autograd(causal_lm: Any) -> None:
    plain, model = Policy(causal_lm("llama"), pad_id=0), causal_lm("llama")
    model.config.hidden_act = "relu"
    other = Policy(model, pad_id=0)
    assert plain.decoder is not None
    assert other.decoder is not None
    assert is_differentiated(plain.decoder)
    assert not is_differentiated(other.decoder)
    other.backward(other.logp(random_rollouts(16, seed=3), 1.0).sum())
    assert float(other.parameters.gradient.norm()) > 0
