"""Small random models of every architecture: drawn = scored = read alone, or refused with a reason.

A name is a model type of transformers, and what is special about a variant behind a space.
"""

from __future__ import annotations

import copy
import importlib.util
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.sampler import sample
from ablatekit_rft.engines.trial import check_behaviour, trial_prompts
from ablatekit_rft.policy.lengths import check_length
from ablatekit_rft.policy.models import load_model, parameterised
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.sources.checkpoints import NO_KEYS_AND_VALUES

from ablatekit.errors import UsageError
from ablatekit.runs.seeds import Seeds

VOCABULARY = 64
ENDS = tuple(range(2, VOCABULARY, 3))
TOLERANCE = 1e-4
WINDOW = 5
LAYERS = 3

COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "sliding_window": WINDOW,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

TABLE = yaml.safe_load((Path(__file__).parent / "architectures.yaml").read_text("utf-8"))
RIGHT: dict[str, dict[str, Any]] = {
    **{name: {} for name in TABLE["right"]["plain"]},
    **TABLE["right"]["changed"],
}
REASONS = {
    "no_cache": "keeps keys and values",
    "ahead": "no later token changes",
    "padded": "reads a padded row",
    "gradient": "padding changes its gradient",
    "alone": "reads a text alone",
    "cached": "draws and scores",
}
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    name: (why, changed)
    for why, changes in TABLE["refused"].items()
    for name, changed in changes.items()
}

LATER = {"beam", "flint", "internlm3", "kolibri1", "bailing_hybrid", "lfm3", "inkling2_text"}
"""Types that transformers 5.23 has and 5.19, which vLLM wants, has not."""

REPRESENTATIVES = ("gpt2", "bloom", "gemma3_text", "mixtral", "deepseek_v3", "phi3 longrope")
REFUSED_REPRESENTATIVES = ("lfm2", "minimax", "openai-gpt", "roberta", "bert encoder")


def is_known(name: str) -> bool:
    """Whether this version of transformers has the type."""
    from transformers import CONFIG_MAPPING

    known = name.split()[0] in CONFIG_MAPPING
    assert known or name in LATER
    return known


def cases(names: Any, representatives: tuple[str, ...]) -> list[Any]:
    """Names as parameters: all but the representatives belong to the full tier."""
    marks = {
        name: [
            *([] if name in representatives else [pytest.mark.full]),
            *([] if is_known(name) else [pytest.mark.skip(f"transformers has no type {name}")]),
        ]
        for name in names
    }
    assert set(representatives) <= set(names)
    return [pytest.param(name, marks=marks[name]) for name in names]


def configuration(name: str, changed: dict[str, Any]) -> Any:
    """The smallest configuration of a type: what it has of the common sizes, then what differs."""
    from transformers import CONFIG_MAPPING

    kind: Any = CONFIG_MAPPING[name.split()[0]]
    fields = kind.__dataclass_fields__
    values = {
        key: value for key, value in COMMON.items() if key in fields or key in kind.attribute_map
    }
    # A layer of every type that the model has.
    types = list(dict.fromkeys(getattr(kind(), "layer_types", None) or ()))
    if types and "layer_types" in fields:
        values["layer_types"] = (types * LAYERS)[:LAYERS]
    return kind(**{**values, **SPECIAL, **changed})


def random_model(name: str) -> Any:
    """Random weights of a size at which every mistake shows in the probabilities."""
    from transformers import AutoModelForCausalLM

    changed = RIGHT[name] if name in RIGHT else REFUSED[name][1]
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # Classes warn of their own settings, such as an encoder that is no decoder.
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(configuration(name, changed), dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
            else:
                parameter.add_(0.1 * torch.arange(len(parameter)).sin())
    return model.eval()


def prompts() -> Prompts:
    generator = torch.Generator().manual_seed(5)
    encoded = [
        torch.randint(3, VOCABULARY, (length,), generator=generator).tolist()
        for length in (9, 1, 4)
    ]
    return Prompts.pad(encoded, 0, torch.device("cpu"))


def drawn(policy: Policy, temperature: float = 0.8) -> Rollouts:
    """Four rollouts of each prompt, the first of them greedy; most end at different steps."""
    uniforms = torch.rand(12, 8, generator=torch.Generator().manual_seed(1))
    greedy = torch.arange(12) % 4 == 0
    return sample(policy, prompts(), 4, uniforms, Decoding(8, temperature, ENDS), greedy)


def alone(model: Any, rollouts: Rollouts, temperature: float) -> tuple[torch.Tensor, list[int]]:
    """Log-probabilities (N, T) from one unpadded text at a time, and its likeliest tokens."""
    found = torch.zeros(rollouts.tokens.shape)
    likeliest = []
    written = rollouts.prompts.lists()
    for row, (query, length) in enumerate(
        zip(rollouts.query.tolist(), rollouts.lengths.tolist(), strict=True)
    ):
        tokens = rollouts.tokens[row, :length]
        text = torch.cat((torch.tensor(written[query]), tokens))
        logits = model(input_ids=text[None]).logits[0, len(written[query]) - 1 : -1]
        logp = torch.log_softmax(logits.float() / temperature, dim=-1)
        found = found.index_put(
            (torch.tensor(row), torch.arange(length)), logp.gather(1, tokens[:, None])[:, 0]
        )
        likeliest.append(logp.argmax(dim=-1).tolist())
    return found, likeliest


def gradient(policy: Policy, logp: torch.Tensor) -> torch.Tensor:
    weights = torch.randn(logp.shape, generator=torch.Generator().manual_seed(2))
    policy.parameters.zero_gradient()
    policy.backward((weights * logp).sum())
    return policy.parameters.gradient.clone()


def close(ours: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(ours.detach(), expected.detach(), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", cases(RIGHT, REPRESENTATIVES))
def test_drawn_scored_and_read_alone_are_one_function(name: str) -> None:
    policy = Policy(random_model(name), pad_id=0)
    rollouts = drawn(policy)
    ends = set(rollouts.lengths.tolist())
    assert len(ends) > 2, "rows must be dropped at several steps"
    expected, likeliest = alone(policy.model, rollouts, 0.8)
    assert float(expected.detach().std()) > 0.05, "probabilities must differ for mistakes to show"
    close(rollouts.logp, expected)
    for row in (0, 4, 8):
        assert rollouts.tokens[row, : rollouts.lengths[row]].tolist() == likeliest[row]
    scored = policy.score(rollouts, 0.8, entropy=True)
    close(scored.logp, expected)
    assert scored.entropy is not None
    close(scored.entropy, rollouts.entropy)
    for budget in (1, 40):
        close(policy.logp_without_gradient(rollouts, 0.8, budget), expected)
    close(policy.frozen_copy().logp_without_gradient(rollouts, 0.8, 10**6), expected)
    plain = gradient(policy, expected)
    difference = (gradient(policy, scored.logp) - plain).norm() / plain.norm()
    assert float(plain.norm()) > 1e-3
    assert float(difference) < TOLERANCE


def tried(name: str) -> None:
    model = random_model(name)
    texts = prompts().lists()
    check_length(model.config, 24)
    check_behaviour(model, name, trial_prompts(texts, 24, 0, torch.device("cpu")), drawn=True)


@pytest.mark.parametrize("name", cases(RIGHT, REPRESENTATIVES))
def test_what_is_right_is_not_refused(name: str) -> None:
    tried(name)


@pytest.mark.parametrize("name", cases(REFUSED, REFUSED_REPRESENTATIVES))
def test_what_would_be_trained_wrongly_is_refused_with_its_reason(name: str) -> None:
    with pytest.raises(UsageError, match=REASONS[REFUSED[name][0]]):
        tried(name)


@pytest.mark.parametrize("name", cases(REFUSED, REFUSED_REPRESENTATIVES))
def test_a_trial_refuses_without_a_list_of_types(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A class that nobody has heard of is found out by what it computes."""
    monkeypatch.setattr("ablatekit_rft.engines.trial.NO_KEYS_AND_VALUES", ())
    model = random_model(name)
    monkeypatch.setattr(type(model), "_is_stateful", False, raising=False)
    texts = trial_prompts(prompts().lists(), 24, 0, torch.device("cpu"))
    with pytest.raises(UsageError):
        check_behaviour(model, name, texts, drawn=True)


def test_at_least_sixty_architectures_are_compared() -> None:
    types = {name.split()[0] for name in RIGHT if is_known(name)}
    assert len(types) >= 60


def test_types_that_planning_refuses_are_tried() -> None:
    """A list of types without a test would refuse what runs."""
    kept = {name.split()[0] for name, (why, _) in REFUSED.items() if why == "no_cache"}
    of_several_modalities = {"qwen3_5", "qwen3_5_moe"}
    assert NO_KEYS_AND_VALUES - of_several_modalities <= kept


@pytest.mark.parametrize("name", cases(RIGHT, ()))
def test_a_saved_model_is_loaded_whole(fast_tokenizer: Any, tmp_path: Path, name: str) -> None:
    """No class is refused for weights that it does not save, such as those of a tied head."""
    model = random_model(name)
    model.generation_config.eos_token_id = 2
    model.save_pretrained(tmp_path)
    fast_tokenizer().save_pretrained(tmp_path)
    loaded, _ = load_model(str(tmp_path), torch.device("cpu"))
    assert dict(loaded.named_parameters()).keys() == dict(model.named_parameters()).keys()
    text = torch.tensor([[1, 5, 7]])
    with torch.no_grad():
        close(loaded(input_ids=text).logits, model(input_ids=text).logits)


ADAPTED = (
    "gpt2", "mixtral", "bloom", "deepseek_v3", "ernie4_5_moe", "falcon", "gemma3_text", "glm",
    "gpt_bigcode", "gpt_oss", "mpt", "olmoe", "phi3", "qwen3_moe",
)  # fmt: skip
ROUNDED = ("gpt2", "bloom", "cohere2", "gemma3_text", "phi3")
PEFT_WARNS = "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="no package peft")
@pytest.mark.filterwarnings(PEFT_WARNS)
@pytest.mark.parametrize("name", cases(ADAPTED, ("gpt2", "mixtral")))
def test_adapters_train_and_are_merged_under_the_names_of_the_model(
    make_settings: Any, name: str
) -> None:
    base = random_model(name)
    before = copy.deepcopy(base.state_dict())
    settings = make_settings(lora_rank=2)
    policy = Policy(parameterised(copy.deepcopy(base), settings, Seeds("run", "c")), pad_id=0)
    rollouts = drawn(policy)
    expected, _ = alone(base, rollouts, 0.8)
    close(rollouts.logp, expected)
    assert float(gradient(policy, policy.logp(rollouts, 0.8)).norm()) > 1e-3
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        weights = policy.parameters.weights
        weights.add_(0.1 * torch.randn(weights.shape, generator=generator))
    merged = dict(policy.named_weights())
    assert merged.keys() == before.keys()
    assert any(not torch.equal(merged[key], before[key]) for key in before)
    for key, tensor in policy.base_model.state_dict().items():
        if ".lora_" not in key:
            assert torch.equal(tensor, before[key.replace(".base_layer", "")]), key
    base.load_state_dict(merged)
    moved = drawn(policy)
    expected, _ = alone(base, moved, 0.8)
    close(moved.logp, expected)
    close(policy.logp(moved, 0.8), expected)


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="no package peft")
@pytest.mark.filterwarnings(PEFT_WARNS)
def test_layers_that_adapters_do_not_fit_are_refused(make_settings: Any) -> None:
    """Phi-3.5-MoE's router is a linear layer that gives two tensors."""
    with pytest.raises(UsageError, match=r"low-rank adapters fit.*phimoe.*lora_rank: null"):
        parameterised(random_model("phimoe"), make_settings(lora_rank=2), Seeds("run", "c"))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize(
    "name", cases(("gpt2", "bloom", "cohere2", "gemma3_text", "phi3"), ("gpt2",))
)
def test_bfloat16_draws_and_scores_within_its_rounding(name: str, autocast: bool) -> None:
    exact, model = random_model(name), random_model(name)
    policy = Policy(model if autocast else model.bfloat16(), pad_id=0, autocast=autocast)
    rollouts = drawn(policy)
    with torch.no_grad():
        expected, _ = alone(exact, rollouts, 0.8)
    with torch.no_grad(), policy.precision():
        rounded, _ = alone(policy.model, rollouts, 0.8)
    rounding = float((rounded - expected).abs().max())
    assert 1e-4 < rounding < 1
    scored = policy.logp_without_gradient(rollouts, 0.8, 40)
    for found in (rollouts.logp, scored):
        assert float((found - expected).abs().max()) < 3 * rounding
    assert float((rollouts.logp - scored).abs().max()) < 3 * rounding


@pytest.mark.parametrize("name", ["lfm2", "roberta", "bert encoder"])
@pytest.mark.parametrize("changed", [{}, {"precision": "bf16"}], ids=["float32", "bf16"])
def test_a_run_is_refused_before_it_trains(
    monkeypatch: pytest.MonkeyPatch,
    make_settings: Any,
    make_context: Any,
    train_toy: Any,
    name: str,
    changed: dict[str, Any],
) -> None:
    monkeypatch.setitem(train_toy.__globals__, "make_model", random_model)
    context = make_context()
    with pytest.raises(UsageError, match=REASONS[REFUSED[name][0]]):
        train_toy(make_settings(**changed), context, name)
    assert not context.logged


def test_with_another_engine_only_scores_are_tried() -> None:
    """vLLM keeps a state of its own; what it draws is scored by the module."""
    texts = trial_prompts(prompts().lists(), 24, 0, torch.device("cpu"))
    check_behaviour(random_model("qwen3_next"), "qwen3_next", texts, drawn=False)
    with pytest.raises(UsageError, match=REASONS["padded"]):
        check_behaviour(random_model("roberta"), "roberta", texts, drawn=False)
