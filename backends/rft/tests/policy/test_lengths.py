"""How long sequences may be: positions, and frequencies that follow the longest of a batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.sampler import sample
from ablatekit_rft.policy.lengths import check_length, length_limit
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts

from ablatekit.errors import UsageError

POSITIONS, ORIGINAL = 64, 16
SHAPE = {
    "vocab_size": 32,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FACTORS = {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
LONG = {"rope_type": "longrope", "rope_theta": 1e4, **FACTORS}
MSCALES = {"short_mscale": 1.0, "long_mscale": 1.5}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
PLAIN = {"rope_type": "default", "rope_theta": 1e4}


def configuration(name: str) -> Any:
    import transformers

    if name == "longrope":
        return transformers.Phi3Config(
            **SHAPE, original_max_position_embeddings=ORIGINAL, rope_parameters=dict(LONG)
        )
    if name == "nested longrope":
        layers = {"full_attention": LONG | {"original_max_position_embeddings": ORIGINAL}}
        return transformers.Gemma3TextConfig(
            **SHAPE,
            head_dim=8,
            layer_types=["sliding_attention", "full_attention"],
            rope_parameters={**layers, "sliding_attention": PLAIN},
        )
    if name == "mscale":
        return transformers.PhimoeConfig(
            **SHAPE,
            num_local_experts=2,
            rope_parameters=LONG
            | {
                "original_max_position_embeddings": ORIGINAL,
                "short_mscale": 1.0,
                "long_mscale": 1.5,
            },
        )
    if name == "dynamic":
        changed = {"max_position_embeddings": ORIGINAL, "rope_parameters": DYNAMIC}
        return transformers.LlamaConfig(**SHAPE | changed)
    assert name == "tempered"
    return transformers.Llama4TextConfig(
        **SHAPE,
        head_dim=8,
        num_local_experts=2,
        intermediate_size_mlp=48,
        no_rope_layers=[1, 0],
        floor_scale=ORIGINAL + 1,
    )


NAMES = ("longrope", "nested longrope", "mscale", "dynamic", "tempered")


def policy_of(name: str) -> Policy:
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(configuration(name), dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6)
    return Policy(model, pad_id=0)


def drawn(policy: Policy, longest: int) -> Rollouts:
    """A short and a long prompt; the second fills `longest` tokens with its completion."""
    encoded = [[5, 6], [3 + place % 20 for place in range(longest - 6)]]
    uniforms = torch.rand(6, 6, generator=torch.Generator().manual_seed(1))
    prompts = Prompts.pad(encoded, 0, torch.device("cpu"))
    return sample(policy, prompts, 3, uniforms, Decoding(6, 1.0, ()))


def alone(policy: Policy, rollouts: Rollouts) -> torch.Tensor:
    """Log-probabilities of the completions from one unpadded text at a time."""
    rows = []
    for query, tokens in zip(rollouts.query.tolist(), rollouts.tokens, strict=True):
        prompt = rollouts.prompts.lists()[query]
        text = torch.cat((torch.tensor(prompt), tokens))[None]
        logits = policy.model(input_ids=text).logits[0, len(prompt) - 1 : -1]
        rows.append(torch.log_softmax(logits, dim=-1).gather(1, tokens[:, None])[:, 0])
    return torch.stack(rows)


def disagreement(policy: Policy, longest: int) -> float:
    """The largest difference between drawing, scoring and reading texts alone."""
    rollouts = drawn(policy, longest)
    with torch.no_grad():
        found = (
            rollouts.logp,
            policy.logp_without_gradient(rollouts, 1.0, 10**6),
            policy.logp_without_gradient(rollouts, 1.0, 1),
        )
        return float((torch.stack(found) - alone(policy, rollouts)).abs().max())


@pytest.mark.parametrize("name", NAMES)
def test_up_to_the_limit_a_batch_changes_nothing_and_beyond_it_is_refused(name: str) -> None:
    policy = policy_of(name)
    config = policy.model.config
    limit = length_limit(config)
    assert limit is not None
    assert limit.tokens == ORIGINAL
    assert disagreement(policy, ORIGINAL) < 1e-5
    # Of types of layers with frequencies of their own, transformers 5.19 raises beyond the limit.
    if name != "nested longrope":
        assert disagreement(policy, ORIGINAL + 6) > 1e-3, "a limit must be no lower than it need be"
    check_length(config, ORIGINAL)
    with pytest.raises(UsageError, match=r"16|17") as refused:
        check_length(config, ORIGINAL + 1)
    message = str(refused.value)
    assert f"a longest sequence of {ORIGINAL + 1} tokens" in message
    assert "Lower max_new_tokens, evaluation.max_new_tokens or few_shot" in message


@pytest.mark.parametrize("kind", ["default", "linear", "llama3", "yarn"])
def test_static_frequencies_are_bounded_by_the_positions_alone(kind: str) -> None:
    from transformers import LlamaConfig

    more = {"factor": 4.0, "original_max_position_embeddings": ORIGINAL}
    ramp = {"low_freq_factor": 1.0, "high_freq_factor": 4.0} if kind == "llama3" else {}
    parameters = {
        "rope_type": kind,
        "rope_theta": 1e4,
        **(more if kind != "default" else {}),
        **ramp,
    }
    limit = length_limit(LlamaConfig(**SHAPE, rope_parameters=parameters))
    assert limit is not None
    assert limit.tokens == POSITIONS


def test_a_run_refuses_longer_sequences_before_training(
    make_settings: Any, make_context: Any, monkeypatch: pytest.MonkeyPatch, train_toy: Any
) -> None:
    """Prompts have 5 tokens in training and 6 in evaluation."""
    monkeypatch.setitem(train_toy.__globals__, "make_model", lambda _: policy_of("longrope").model)
    context = make_context()
    with pytest.raises(UsageError, match=r"\(longrope\).*at most 16 tokens.*sequence of 26 tokens"):
        train_toy(make_settings(max_new_tokens=20), context)
    assert not context.logged
