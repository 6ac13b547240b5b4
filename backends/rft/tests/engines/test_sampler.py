from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.sampler import invert_cdf, sample
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts

FAMILIES = ("llama", "llama_gqa", "qwen2", "qwen3", "gpt_neox", "gpt_neox_sequential", "gpt2")
ENCODED = [[1, 5, 9], [1, 4, 4, 8, 12], [1], [1, 15, 3, 7], [1, 6]]
STEPS = 9


def draw(
    policy: Policy,
    temperature: float = 1.0,
    eos: tuple[int, ...] = (2,),
    rollouts: int = 4,
    encoded: list[list[int]] | None = None,
    uniforms: torch.Tensor | None = None,
) -> Rollouts:
    prompts = Prompts.pad(encoded or ENCODED, policy.pad_id, policy.device)
    if uniforms is None:
        rows = len(prompts.lengths) * rollouts
        uniforms = torch.rand(rows, STEPS, generator=torch.Generator().manual_seed(3))
    return sample(policy, prompts, rollouts, uniforms, Decoding(STEPS, temperature, eos))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.4])
def test_sampler_logp_is_scoring_logp(causal_lm: Any, family: str, temperature: float) -> None:
    policy = Policy(causal_lm(family), pad_id=0)
    rollouts = draw(policy, temperature, eos=(2, 3, 4, 5, 6))
    scored = policy.logp(rollouts, temperature).detach()
    torch.testing.assert_close(rollouts.logp, scored, atol=1e-5, rtol=0)
    assert len(set(rollouts.lengths.tolist())) > 3


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_generate(causal_lm: Any, family: str) -> None:
    policy = Policy(causal_lm(family), pad_id=0)
    ours = draw(policy, temperature=0.0, rollouts=1)
    prompts = ours.prompts
    theirs = policy.model.generate(
        prompts.tokens,
        attention_mask=prompts.mask.long(),
        do_sample=False,
        max_new_tokens=STEPS,
        eos_token_id=2,
        pad_token_id=0,
    )[:, prompts.tokens.shape[1] :]
    theirs = torch.nn.functional.pad(theirs, (0, STEPS - theirs.shape[1]))
    assert torch.equal(ours.tokens, theirs)


@pytest.mark.parametrize("family", FAMILIES[:-1])
def test_lean_and_module_samplers_draw_the_same(causal_lm: Any, family: str) -> None:
    lean = draw(Policy(causal_lm(family), pad_id=0), eos=(2, 3, 4))
    module = draw(Policy(causal_lm(family), pad_id=0, lean=False), eos=(2, 3, 4))
    assert torch.equal(lean.tokens, module.tokens)
    torch.testing.assert_close(lean.entropy, module.entropy, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_rollout_does_not_depend_on_its_batch(causal_lm: Any, family: str) -> None:
    policy = Policy(causal_lm(family), pad_id=0)
    uniforms = torch.rand(20, STEPS, generator=torch.Generator().manual_seed(3))
    whole = draw(policy, eos=(2, 3, 4), uniforms=uniforms)
    for query, encoded in enumerate(ENCODED):
        rows = slice(4 * query, 4 * query + 4)
        alone = draw(policy, eos=(2, 3, 4), encoded=[encoded], uniforms=uniforms[rows])
        assert torch.equal(alone.tokens, whole.tokens[rows])


def test_pad_may_equal_eos(causal_lm: Any) -> None:
    distinct = draw(Policy(causal_lm("llama"), pad_id=0), eos=(2, 3, 4, 5))
    policy = Policy(causal_lm("llama"), pad_id=2)
    shared = draw(policy, eos=(2, 3, 4, 5))
    assert torch.equal(shared.lengths, distinct.lengths)
    assert torch.equal(shared.truncated, distinct.truncated)
    beyond = ~shared.mask
    assert bool((shared.tokens[beyond] == 2).all())
    assert int(beyond.sum()) > 0
    scored = policy.logp(shared, 1.0).detach()
    torch.testing.assert_close(shared.logp, scored, atol=1e-5, rtol=0)


def test_a_pad_token_that_is_drawn_counts_as_a_token(causal_lm: Any) -> None:
    policy = Policy(causal_lm("llama"), pad_id=7)
    rollouts = draw(policy, eos=())
    drawn_pads = rollouts.tokens == 7
    assert bool(drawn_pads.any())
    assert bool(rollouts.mask.all())
    assert bool((rollouts.logp[drawn_pads] < 0).all())


def test_without_eos_every_completion_is_full_and_truncated(causal_lm: Any) -> None:
    rollouts = draw(Policy(causal_lm("qwen3"), pad_id=0), eos=())
    assert rollouts.lengths.tolist() == [STEPS] * 20
    assert bool(rollouts.truncated.all())


def test_completions_end_at_the_first_eos(causal_lm: Any) -> None:
    eos = (2, 3, 4, 5)
    rollouts = draw(Policy(causal_lm("llama"), pad_id=0), eos=eos)
    columns = (rollouts.tokens, rollouts.lengths, rollouts.truncated)
    for tokens, length, truncated in zip(*(part.tolist() for part in columns), strict=True):
        assert not set(tokens[: length - 1]) & set(eos)
        assert (tokens[length - 1] not in eos) == truncated
        assert truncated <= (length == STEPS)
        assert set(tokens[length:]) <= {0}
    assert bool(rollouts.truncated.any())
    assert not bool(rollouts.truncated.all())


def test_entropy_is_that_of_the_full_softmax(causal_lm: Any) -> None:
    policy = Policy(causal_lm("llama"), pad_id=0)
    rollouts = draw(policy, temperature=0.8, rollouts=1)
    first = policy.model(input_ids=torch.tensor([ENCODED[0]])).logits[0, -1].detach() / 0.8
    expected = torch.distributions.Categorical(logits=first).entropy()
    assert float(rollouts.entropy[0, 0]) == pytest.approx(float(expected), abs=1e-5)


def test_invert_cdf_draws_with_the_given_probabilities() -> None:
    probabilities = torch.tensor([0.0, 0.2, 0.0, 0.5, 0.3, 0.0]).expand(20_000, -1)
    uniforms = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    counts = np.bincount(invert_cdf(probabilities, uniforms).numpy(), minlength=6)
    assert counts[[0, 2, 5]].tolist() == [0, 0, 0]
    expected = 20_000 * np.array([0.2, 0.5, 0.3])
    chi_square = (((counts[[1, 3, 4]] - expected) ** 2) / expected).sum()
    assert chi_square < 13.8  # 0.1 % point with two degrees of freedom


def test_invert_cdf_at_its_ends() -> None:
    probabilities = torch.tensor([[0.0, 0.25, 0.75, 0.0]]).expand(4, -1)
    uniforms = torch.tensor([0.0, 0.2499, 0.25, 1 - 2**-24])
    assert invert_cdf(probabilities, uniforms).tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_broken_policy_is_noticed(causal_lm: Any, family: str) -> None:
    policy = Policy(causal_lm(family), pad_id=0)
    with torch.no_grad():
        policy.parameters.weights.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="not finite"):
        draw(policy)


@pytest.mark.parametrize("family", FAMILIES[:-1])
def test_autocast_reaches_the_lean_sampler(causal_lm: Any, family: str) -> None:
    policy = Policy(causal_lm(family), pad_id=0, autocast=True)
    rollouts = draw(policy)
    scored = policy.logp(rollouts, 1.0).detach()
    exact = Policy(causal_lm(family), pad_id=0).logp(rollouts, 1.0).detach()
    assert float((rollouts.logp - scored).abs().mean()) < 0.05
    assert float((rollouts.logp - exact).abs().mean()) > 1e-4
