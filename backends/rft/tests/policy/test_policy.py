from __future__ import annotations

from typing import Any

import pytest
import torch
from ablatekit_rft.learning.loss import StepLoss
from ablatekit_rft.policy.packing import micro_batches, pack
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts, first_eos
from ablatekit_rft.policy.scoring import tempered_log_softmax

FAMILIES = ("llama", "llama_gqa", "qwen2", "qwen3", "gpt_neox", "gpt_neox_sequential", "gpt2")
LEAN = FAMILIES[:-1]


def random_rollouts(lengths: list[int], per_query: int, width: int = 6, seed: int = 0) -> Rollouts:
    generator = torch.Generator().manual_seed(seed)
    queries = len(lengths) // per_query
    sizes = torch.randint(1, 6, (queries,), generator=generator).tolist()
    encoded = [torch.randint(3, 16, (size,), generator=generator).tolist() for size in sizes]
    size = torch.tensor(lengths)
    tokens = torch.randint(3, 16, (len(lengths), width), generator=generator)
    tokens = torch.where(torch.arange(width) < size.unsqueeze(1), tokens, 0)
    zeros = torch.zeros(tokens.shape)
    return Rollouts(
        Prompts.pad(encoded, 0, torch.device("cpu")),
        torch.arange(queries).repeat_interleave(per_query),
        tokens,
        size,
        size == width,
        zeros,
        zeros,
    )


def plain_logp(model: Any, rollouts: Rollouts, temperature: float) -> torch.Tensor:
    """One unpadded sequence at a time through the transformers module: nothing to get wrong."""
    rows = []
    for row, (query, length) in enumerate(
        zip(rollouts.query.tolist(), rollouts.lengths.tolist(), strict=True)
    ):
        start = int(rollouts.prompts.lengths[query])
        prompt = rollouts.prompts.tokens[query, -start:]
        tokens = torch.cat((prompt, rollouts.tokens[row, :length]))
        logits = model(input_ids=tokens[None]).logits[0, start - 1 : -1]
        chosen = torch.log_softmax(logits / temperature, -1).gather(1, tokens[start:, None])[:, 0]
        rows.append(torch.nn.functional.pad(chosen, (0, rollouts.tokens.shape[1] - length)))
    return torch.stack(rows)


@pytest.mark.parametrize(
    ("family", "per_query"), [*((family, 3) for family in FAMILIES), ("llama", 1), ("gpt2", 1)]
)
def test_logp_and_gradient_equal_the_plain_module(
    causal_lm: Any, family: str, per_query: int
) -> None:
    policy = Policy(causal_lm(family), pad_id=0)
    assert (policy.decoder is not None) == (family in LEAN)
    rollouts = random_rollouts([6, 2, 4, 1, 5, 3], per_query)
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))

    def gradient(logp: torch.Tensor) -> torch.Tensor:
        policy.parameters.zero_gradient()
        (logp * weights * rollouts.mask).sum().backward()
        return policy.parameters.gradient.clone()

    ours, plain = policy.logp(rollouts, 0.7), plain_logp(policy.model, rollouts, 0.7)
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=0)
    expected = gradient(plain)
    difference = (gradient(ours) - expected).norm() / expected.norm()
    assert float(expected.norm()) > 1
    assert float(difference) < 1e-6


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_gradients_reach_the_modules_own_parameters(causal_lm: Any, family: str) -> None:
    model = causal_lm(family)
    policy = Policy(model, pad_id=0)
    policy.logp(random_rollouts([3, 2], 1), 1.0).sum().backward()
    for name, parameter in model.named_parameters():
        slot = policy.parameters.slots[name]
        assert torch.equal(parameter.grad, slot.view(policy.parameters.gradient)), name
    assert bool(policy.parameters.gradient.any())


@pytest.mark.parametrize("family", LEAN)
def test_a_pad_token_inside_a_completion_gets_the_modules_gradient(
    causal_lm: Any, family: str
) -> None:
    policy, rollouts = Policy(causal_lm(family), pad_id=0), random_rollouts([5, 4], 1)
    rollouts.tokens[0, 1] = 0
    policy.logp(rollouts, 1.0).sum().backward()
    ours = policy.parameters.gradient.clone()
    policy.parameters.zero_gradient()
    plain_logp(policy.model, rollouts, 1.0).sum().backward()
    assert float((ours - policy.parameters.gradient).norm() / ours.norm()) < 1e-6


def test_weights_are_read_live(causal_lm: Any) -> None:
    model = causal_lm("llama")
    policy, rollouts = Policy(model, pad_id=0), random_rollouts([3, 2], 1)
    before = policy.logp(rollouts, 1.0).detach()
    with torch.no_grad():
        model.model.layers[0].self_attn.k_proj.weight.mul_(1.5)
    after = policy.logp(rollouts, 1.0).detach()
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, plain_logp(model, rollouts, 1.0), atol=1e-5, rtol=0)


def test_a_frozen_copy_does_not_follow(causal_lm: Any) -> None:
    policy, rollouts = Policy(causal_lm("qwen3"), pad_id=0), random_rollouts([3, 2], 1)
    frozen = policy.frozen_copy()
    expected = policy.logp(rollouts, 1.0).detach()
    with torch.no_grad():
        policy.parameters.weights.mul_(1.1)
    assert torch.equal(frozen.logp_without_gradient(rollouts, 1.0, 10**6), expected)


def test_the_reference_uses_the_temperature(causal_lm: Any) -> None:
    policy, rollouts = Policy(causal_lm("llama"), pad_id=0), random_rollouts([5, 2, 3], 1)
    scored = policy.logp_without_gradient(rollouts, 0.6, 8)
    torch.testing.assert_close(scored, plain_logp(policy.model, rollouts, 0.6), atol=1e-5, rtol=0)


def test_no_dropout_is_ever_active(causal_lm: Any) -> None:
    model = causal_lm("gpt2").train()
    assert model.config.resid_pdrop > 0
    policy, rollouts = Policy(model, pad_id=0), random_rollouts([5, 2, 3], 1)
    assert torch.equal(policy.logp(rollouts, 1.0), policy.logp(rollouts, 1.0))
    torch.testing.assert_close(
        policy.logp(rollouts, 1.0), plain_logp(model.eval(), rollouts, 1.0), atol=1e-5, rtol=0
    )


def test_tempered_log_softmax_is_the_formula() -> None:
    logits = torch.tensor([[1.0, 2.0, 4.0]])
    expected = logits / 2 - (logits / 2).exp().sum().log()
    torch.testing.assert_close(tempered_log_softmax(logits, 2.0), expected)


@pytest.mark.parametrize(
    ("family", "aggregation"), [("llama", "query_mean"), ("gpt2", "token_mean")]
)
def test_gradient_ignores_micro_batches_padding_and_row_order(
    causal_lm: Any, make_settings: Any, experience_of: Any, aggregation: str, family: str
) -> None:
    policy = Policy(causal_lm(family), pad_id=0)
    lengths = [6, 2, 4, 1, 5, 3, 3, 6]

    def gradient(rollouts: Rollouts, micro_batch_tokens: int = 10**6) -> torch.Tensor:
        settings = make_settings(
            aggregation=aggregation, kl_place="loss", micro_batch_tokens=micro_batch_tokens
        )
        policy.parameters.zero_gradient()
        advantage = torch.sin(rollouts.tokens.sum(1).float())
        reference = -0.1 * rollouts.mask.float()
        experience = experience_of(rollouts, advantage, reference_logp=reference)
        StepLoss(settings, 6).accumulate(policy, experience)
        return policy.parameters.gradient.clone()

    rollouts = random_rollouts(lengths, per_query=2)
    expected = gradient(rollouts)
    wide = torch.nn.functional.pad(rollouts.tokens, (0, 3))
    padded = Rollouts(
        Prompts(torch.nn.functional.pad(rollouts.prompts.tokens, (2, 0)), rollouts.prompts.lengths),
        rollouts.query,
        wide,
        rollouts.lengths,
        rollouts.truncated,
        torch.zeros(wide.shape),
        torch.zeros(wide.shape),
    )
    order = torch.tensor([5, 0, 7, 2, 1, 6, 4, 3])
    for changed in (
        gradient(rollouts, 1),
        gradient(rollouts, 20),
        gradient(padded),
        gradient(rollouts.select(order)),
    ):
        assert float((changed - expected).norm() / expected.norm()) < 1e-6
    assert float(expected.norm()) > 1e-3


def test_leaving_out_rollouts_without_advantage_changes_nothing(
    causal_lm: Any, make_settings: Any, experience_of: Any
) -> None:
    policy, rollouts = Policy(causal_lm("llama"), pad_id=0), random_rollouts([6, 2, 4, 1], 2)
    advantage = torch.tensor([1.0, 0.0, 0.0, -0.5])
    policy.parameters.zero_gradient()
    losses = StepLoss(make_settings(), 6).accumulate(policy, experience_of(rollouts, advantage))
    skipped = policy.parameters.gradient.clone()
    policy.parameters.zero_gradient()
    whole = -(policy.logp(rollouts, 1.0).sum(1) * advantage).sum() / 4
    whole.backward()
    assert losses.policy == pytest.approx(float(whole.detach()), rel=1e-6)
    assert float((policy.parameters.gradient - skipped).norm() / skipped.norm()) < 1e-6


def test_micro_batches_cover_every_row_once_within_the_budget() -> None:
    rollouts = random_rollouts([6, 2, 4, 1, 5, 3, 3, 6], per_query=2)
    for budget in (1, 15, 30, 10**6):
        batches = list(micro_batches(rollouts, budget))
        assert sorted(torch.cat(batches).tolist()) == list(range(8))
        for rows in batches:
            packed = pack(rollouts.select(rows), 0)
            assert packed.tokens.numel() <= budget or len(packed.tokens) == 1
    assert len(list(micro_batches(rollouts, 1))) == 4


def test_a_packed_prompt_is_computed_once() -> None:
    rollouts = random_rollouts([3, 2, 1, 4], per_query=4)
    packed = pack(rollouts, 0)
    prompt = int(rollouts.prompts.lengths[0])
    assert packed.tokens.shape == (1, prompt + 2 + 1 + 0 + 3)
    assert len(packed.source) == 10


def test_ends_come_from_the_first_eos_whatever_padding_is() -> None:
    tokens = torch.tensor([[5, 2, 2, 7], [5, 6, 7, 8], [2, 5, 5, 5], [5, 6, 7, 3]])
    lengths, truncated = first_eos(tokens, (2,))
    assert lengths.tolist() == [2, 4, 1, 4]
    assert truncated.tolist() == [False, True, False, True]
    lengths, truncated = first_eos(tokens, (2, 3))
    assert lengths.tolist() == [2, 4, 1, 4]
    assert truncated.tolist() == [False, True, False, False]


def test_prompts_need_tokens() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Prompts.pad([[1], []], 0, torch.device("cpu"))
