"""Models of a user: a directory with its own tokenizer, padded vocabularies, devices, revisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.basemodels.catalogue import FAMILIES
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.sampler import sample
from ablatekit_rft.engines.trial import check_behaviour, trial_prompts
from ablatekit_rft.policy import models
from ablatekit_rft.policy.lengths import check_length, length_limit
from ablatekit_rft.policy.models import CharacterTokenizer, TransformersTokenizer, load_model
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts

from ablatekit.errors import UsageError
from ablatekit.runs.seeds import Seeds
from ablatekit.testing.specs import run_spec

CPU = torch.device("cpu")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 =>?:+-,.;()|"


@pytest.mark.parametrize(
    ("template", "before"),
    [("<s> $A </s>", [1]), ("<s> $A", [1]), ("$A </s>", []), ("$A", []), ("<s> $A </s> </s>", [1])],
)
def test_a_prompt_ends_with_its_own_last_token(
    fast_tokenizer: Any, template: str, before: list[int]
) -> None:
    tokenizer = TransformersTokenizer(fast_tokenizer(template), (2,))
    assert tokenizer.encode("ab") == [*before, 4, 5]
    assert tokenizer.encode("a</s>") == [*before, 4, 2]


def test_the_size_of_a_tokenizer_is_beyond_its_largest_id(fast_tokenizer: Any) -> None:
    inner = fast_tokenizer()
    assert TransformersTokenizer(inner, (2,)).size == 4 + len(CHARACTERS)
    assert TransformersTokenizer(inner, (2, 99)).size == 100


def test_shipped_models_have_no_logits_beyond_their_tokens() -> None:
    for name in FAMILIES:
        model, tokenizer = load_model(name, CPU)
        assert isinstance(tokenizer, CharacterTokenizer)
        assert tokenizer.size == model.config.vocab_size


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt_neox", "gpt2"])
def test_ids_beyond_the_tokenizer_are_never_drawn_and_have_no_probability(
    causal_lm: Any, family: str
) -> None:
    policy = Policy(causal_lm(family), pad_id=0, vocabulary=9)
    uniforms = torch.rand(60, 8, generator=torch.Generator().manual_seed(0))
    prompts = Prompts.pad([[1, 5], [1, 6, 7]], 0, CPU)
    drawn = sample(policy, prompts, 30, uniforms, Decoding(8, 1.0, ()))
    free = sample(Policy(causal_lm(family), 0), prompts, 30, uniforms, Decoding(8, 1.0, ()))
    assert int(drawn.tokens.max()) < 9 <= int(free.tokens.max())
    scored = policy.logp(drawn, 1.0).detach()
    torch.testing.assert_close(drawn.logp, scored, atol=1e-5, rtol=0)
    logits = policy.model(input_ids=torch.tensor([[1, 5]])).logits[0, -1, :9].detach()
    expected = torch.distributions.Categorical(logits=logits)
    first = drawn.tokens[:30, 0]
    torch.testing.assert_close(drawn.logp[:30, 0], expected.log_prob(first), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        float(drawn.entropy[0, 0]), float(expected.entropy()), atol=1e-5, rtol=0
    )
    reference = policy.frozen_copy().logp_without_gradient(drawn, 1.0, 10**6)
    torch.testing.assert_close(reference, scored)


@pytest.mark.parametrize("vocabulary", [16, 40])
def test_without_padding_nothing_changes(causal_lm: Any, vocabulary: int) -> None:
    logits = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    plain = Policy(causal_lm("llama"), 0).log_probabilities(logits, 0.7)
    known = Policy(causal_lm("llama"), 0, vocabulary=vocabulary)
    assert torch.equal(known.log_probabilities(logits, 0.7), plain)


@pytest.fixture
def model_directory(causal_lm: Any, fast_tokenizer: Any, tmp_path: Path) -> str:
    """A random Llama whose vocabulary is padded to 64, with a tokenizer that appends an EOS."""
    tokenizer = fast_tokenizer()
    causal_lm("llama", vocabulary=64).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def test_a_directory_is_loaded_with_its_own_tokenizer(model_directory: str) -> None:
    model, tokenizer = load_model(model_directory, CPU)
    assert model.config.vocab_size == 64
    assert (tokenizer.size, tokenizer.pad_id, tokenizer.eos_ids) == (4 + len(CHARACTERS), 0, (2,))
    assert tokenizer.encode("ab") == [1, 4, 5]
    assert tokenizer.decode([4, 5, 2]).replace(" ", "") == "ab"


SHAPE = {"vocab_size": 64, "hidden_size": 8, "num_hidden_layers": 2}


def random_directory(folder: Path, configuration: Any, tokenizer: Any) -> str:
    """A model of a configuration with random weights, as `save_pretrained` leaves it."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(configuration, dtype=torch.float32)
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def of_another_class(name: str) -> Any:
    from transformers import BloomConfig, Gemma2Config

    if name == "bloom":
        return BloomConfig(vocab_size=64, hidden_size=8, n_layer=2, n_head=2)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4}
    return Gemma2Config(**SHAPE, **heads, intermediate_size=8, max_position_embeddings=64)


@pytest.mark.parametrize("name", ["gemma2", "bloom"])
def test_classes_with_or_without_sdpa_are_drawn_from_and_scored(
    fast_tokenizer: Any, tmp_path: Path, name: str
) -> None:
    model, tokenizer = load_model(
        random_directory(tmp_path, of_another_class(name), fast_tokenizer()), CPU
    )
    # Which classes have it depends on the version of transformers.
    expected = "sdpa" if type(model)._supports_sdpa else "eager"
    assert model.config._attn_implementation == expected
    policy = Policy(model, 0, vocabulary=tokenizer.size)
    uniforms = torch.rand(8, 4, generator=torch.Generator().manual_seed(0))
    prompts = Prompts.pad([[1, 5], [1, 6, 7]], 0, CPU)
    drawn = sample(policy, prompts, 4, uniforms, Decoding(4, 1.0, ()))
    torch.testing.assert_close(drawn.logp, policy.logp(drawn, 1.0).detach(), atol=1e-5, rtol=0)


def test_classes_with_sdpa_use_it(model_directory: str) -> None:
    assert load_model(model_directory, CPU)[0].config._attn_implementation == "sdpa"


def test_a_model_without_keys_and_values_is_refused_when_planning_and_when_loading(
    fast_tokenizer: Any,
    tmp_path: Path,
) -> None:
    from transformers import MambaConfig

    named = random_directory(tmp_path, MambaConfig(**SHAPE, state_size=4), fast_tokenizer())
    why = r"keeps keys and values.*of type mamba\. Use a transformer"
    with pytest.raises(UsageError, match=why):
        RftBackend().content({"model": named})
    model, _ = load_model(named, CPU)
    with pytest.raises(UsageError, match=why):
        check_behaviour(model, named, trial_prompts([[1, 5, 6]], 12, 0, CPU), drawn=True)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize(("training", "evaluation"), [(60, 5), (5, 59)])
def test_sequences_beyond_the_positions_are_refused_before_training(
    train_toy: Any,
    make_context: Any,
    make_settings: Any,
    family: str,
    training: int,
    evaluation: int,
) -> None:
    """Prompts have 5 tokens in training and 6 in evaluation, the models 64 positions."""
    few = make_settings().evaluation.model_dump()
    settings = make_settings(
        max_new_tokens=training, evaluation={**few, "max_new_tokens": evaluation}
    )
    context = make_context()
    with pytest.raises(UsageError, match=r"positions for 64 tokens.*65 tokens.*Lower"):
        train_toy(settings, context, family)
    assert not context.logged


def test_as_many_tokens_as_positions_are_allowed(causal_lm: Any) -> None:
    for family in ("llama", "gpt2"):
        config = causal_lm(family).config
        limit = length_limit(config)
        assert limit is not None
        assert limit.tokens == 64
        check_length(config, 64)
    check_length(of_another_class("bloom"), 10**6)


def test_a_model_directory_trains(model_directory: str, make_context: Any) -> None:
    backend, context = RftBackend(), make_context()
    changed = {
        "model": model_directory,
        "queries_per_round": 4,
        "rollouts": 2,
        "train_items": 8,
        "max_new_tokens": 4,
        "budget.amount": 2,
        "evaluation.points": 2,
        "evaluation.probe_items": 8,
        "evaluation.test_items": 8,
    }
    result = backend.run(run_spec(backend, changed), context)
    assert result.status == "finished"
    assert result.metrics["cost/updates"] == 2
    assert sorted(context.items) == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "content", "revision"),
    [
        ("owner/name", f"hub:owner/name@{COMMIT}", COMMIT),
        ("owner/name@v1", f"hub:owner/name@{COMMIT}", COMMIT),
        ("owner/name@v1", "", "v1"),
    ],
)
def test_a_hub_model_is_loaded_at_the_commit_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
    causal_lm: Any,
    fast_tokenizer: Any,
    name: str,
    content: str,
    revision: str,
) -> None:
    asked: list[tuple[str, str]] = []

    def configuration(pretrained_model_name_or_path: str, revision: str) -> Any:
        asked.append((pretrained_model_name_or_path, revision))
        return {"model_type": "llama"}, {}

    def model(
        pretrained_model_name_or_path: str, revision: str, trust_remote_code: bool, **_: Any
    ) -> Any:
        assert not trust_remote_code
        asked.append((pretrained_model_name_or_path, revision))
        return causal_lm("llama"), {"missing_keys": set()}

    def tokenizer(
        pretrained_model_name_or_path: str, revision: str, trust_remote_code: bool
    ) -> Any:
        assert not trust_remote_code
        asked.append((pretrained_model_name_or_path, revision))
        return fast_tokenizer()

    monkeypatch.setattr(models.PreTrainedConfig, "get_config_dict", configuration)
    monkeypatch.setattr(models.AutoModelForCausalLM, "from_pretrained", model)
    monkeypatch.setattr(models.AutoTokenizer, "from_pretrained", tokenizer)
    load_model(name, CPU, content)
    assert asked == [("owner/name", revision)] * 3


def test_nothing_but_the_ends_of_sequence_is_taken_from_a_models_generation_settings(
    model_directory: str,
) -> None:
    """Checkpoints ship temperatures, penalties and truncations that `generate` would obey."""
    plain, tokenizer = load_model(model_directory, CPU)
    model, _ = load_model(model_directory, CPU)
    changed = {"do_sample": True, "temperature": 0.1, "top_k": 1, "repetition_penalty": 1.5}
    model.generation_config.update(**changed, eos_token_id=[2, 9])
    model.save_pretrained(model_directory)
    loaded, opinionated = load_model(model_directory, CPU)
    assert loaded.generation_config.repetition_penalty == 1.5
    assert (tokenizer.eos_ids, opinionated.eos_ids) == ((2,), (2, 9))
    prompts = Prompts.pad([[1, 5], [1, 6, 7]], 0, CPU)
    uniforms = torch.rand(40, 8, generator=torch.Generator().manual_seed(0))
    drawn = [
        sample(Policy(one, 0), prompts, 20, uniforms, Decoding(8, 1.0, ()))
        for one in (plain, loaded)
    ]
    assert torch.equal(drawn[0].tokens, drawn[1].tokens)
    assert torch.equal(drawn[0].logp, drawn[1].logp)


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_in_bfloat16_far_positions_are_told_apart(
    causal_lm: Any, make_settings: Any, family: str
) -> None:
    """Rounded rotary frequencies would turn position 4000 by half a circle too much."""
    exact = causal_lm(family)
    model = models.parameterised(
        causal_lm(family), make_settings(precision="bf16"), Seeds("r", "c")
    )
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    frequencies, expected = (
        {name: buffer for name, buffer in each.named_buffers() if name.endswith("inv_freq")}
        for each in (model, exact)
    )
    assert len(frequencies) == 2
    for name, buffer in frequencies.items():
        assert torch.equal(buffer, expected[name])
