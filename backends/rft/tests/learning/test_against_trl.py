"""Loss and gradient of a step against TRL's trainers, on one batch of their own format."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ablatekit_rft import basemodels
from ablatekit_rft.learning.loss import StepLoss
from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.levels.types import RewardView
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.rollouts.experience import Experience
from torch import Tensor

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("trl") is None,
        reason="no package trl: pip install -c constraints.txt -e '.[dev]', which brings it",
    ),
    pytest.mark.filterwarnings("ignore"),
]
ROWS, STEPS = 8, 7


@pytest.fixture
def step(experience_of: Any) -> Experience:
    """Off-policy rollouts of four prompts by the shipped model, and a reference far away."""
    model, tokenizer = basemodels.load("tiny-llama")
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randint(5, tokenizer.vocab_size, shape, generator=generator)

    prompts = Prompts.pad([drawn(3 + index).tolist() for index in range(4)], 0, torch.device("cpu"))
    lengths = torch.tensor([7, 2, 4, 1, 5, 3, 6, 7])
    mask = torch.arange(STEPS) < lengths[:, None]
    zeros = torch.zeros(ROWS, STEPS)
    tokens = torch.where(mask, drawn(ROWS, STEPS), 0)
    query = torch.arange(ROWS) // 2
    plain = Rollouts(prompts, query, tokens, lengths, lengths == STEPS, zeros, zeros)
    with torch.no_grad():
        scores = Policy(model, 0).score(plain, 1.0, entropy=True)
    logp = scores.logp
    assert scores.entropy is not None
    noise = torch.randn(ROWS, STEPS, generator=generator) * mask
    advantage = torch.tensor([-1.5, 0.5, 0.75, -2.0, 1.0, -1.0, -0.25, 0.25])
    old, reference = logp + 0.3 * noise, logp - 0.2 * noise.flip(0) * mask
    drawn_by = replace(plain, logp=old, entropy=scores.entropy)
    found = experience_of(drawn_by, advantage, old_logp=old, reference_logp=reference)
    assert isinstance(found, Experience)
    return found


def inputs_of(step: Experience, **changed: Any) -> dict[str, Any]:
    """The batch as TRL's trainers hand it from generation to the loss."""
    rollouts, old, reference = step.rollouts, step.old_logp, step.reference_logp
    assert reference is not None
    prompts = rollouts.prompts.select(rollouts.query)
    inputs = {
        "prompt_ids": prompts.tokens,
        "prompt_mask": prompts.mask.long(),
        "completion_ids": rollouts.tokens,
        "completion_mask": step.counted.long(),
        "advantages": step.advantage,
        "ref_per_token_logps": reference,
        "num_items_in_batch": step.counted.sum(),
    }
    if old is not None:
        inputs |= {"old_per_token_logps": old, "old_logps": (old * rollouts.mask).sum(1)}
    return {**inputs, **changed}


def trainer_of(kind: str, folder: Path, **changed: Any) -> Any:
    """TRL's trainer of this kind, its model the shipped one, its rewards the places of rollouts."""
    import trl
    import trl.experimental.gmpo as experimental
    from datasets import Dataset

    model, tokenizer = basemodels.load("tiny-llama")
    home = experimental if kind == "GMPO" else trl
    given = {
        "per_device_train_batch_size": ROWS,
        "num_generations": 2,
        "max_completion_length": 10,
        "gradient_checkpointing": False,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        **changed,
    }
    trainer = getattr(home, f"{kind}Trainer")(
        model=model,
        reward_funcs=lambda completions, **_: REWARDS[: len(completions)],
        args=getattr(home, f"{kind}Config")(output_dir=str(folder), **given),
        train_dataset=Dataset.from_dict({"prompt": ["a", "b", "c", "d"]}),
        processing_class=tokenizer.to_transformers(),
    )
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    return trainer


REWARDS = [1.0, 0.0, 1.0, 1.0, 0.25, 0.0, 0.0, -0.5]


def gradients_of(trainer: Any, *batches: Mapping[str, Any]) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of an optimizer step of these micro-batches."""
    model = trainer.model
    model.train()
    model.zero_grad()
    total = 0.0
    for inputs in batches:
        loss = trainer._compute_loss(model, inputs)
        loss.backward()
        total += float(loss.detach())
    found = {name: value.grad for name, value in model.named_parameters()}
    return total, {name: gradient for name, gradient in found.items() if gradient is not None}


def theirs(
    kind: str, step: Experience, folder: Path, **changed: Any
) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of TRL's trainer of this kind."""
    return gradients_of(trainer_of(kind, folder, **changed), inputs_of(step))


def ours(step: Experience, settings: Any) -> tuple[float, Mapping[str, Tensor]]:
    model, _ = basemodels.load("tiny-llama")
    policy = Policy(model, 0)
    found = StepLoss(settings, 10).accumulate(policy, step)
    parameters = policy.parameters
    gradients = {name: slot.view(parameters.gradient) for name, slot in parameters.slots.items()}
    kl = settings.kl_coefficient * found.kl if settings.kl_place != "none" else 0.0
    return found.policy + kl, gradients


TOKEN_MEAN = {"aggregation": "token_mean"}
SEQUENCE = {"importance_sampling_level": "sequence", "epsilon": 3e-2, "epsilon_high": 4e-2}
OUR_SEQUENCE = {"ratio_level": "sequence", "clip": "gspo", "clip_low": 3e-2, "clip_high": 4e-2}
GRPO: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "grpo": ({"loss_type": "grpo"}, {"clip": "ppo", "aggregation": "seq_mean_token_mean"}),
    "dapo": ({"loss_type": "dapo"}, {"clip": "ppo", **TOKEN_MEAN}),
    "bnpo": ({"loss_type": "bnpo"}, {"clip": "ppo", **TOKEN_MEAN}),
    "dr_grpo": ({"loss_type": "dr_grpo"}, {"clip": "ppo", "aggregation": "const_len"}),
    "cispo": (
        {"loss_type": "cispo", "epsilon_high": 1.2},
        {"clip": "cispo", "clip_high": 0.2, **TOKEN_MEAN},
    ),
    "sapo": (
        {"loss_type": "sapo", "sapo_temperature_pos": 1.4, "sapo_temperature_neg": 2.1},
        {
            "clip": "sapo",
            "sapo_positive": 1.4,
            "sapo_negative": 2.1,
            "aggregation": "seq_mean_token_mean",
        },
    ),
    "luspo": (
        {"loss_type": "luspo", **SEQUENCE},
        {**OUR_SEQUENCE, "aggregation": "seq_mean_token_sum"},
    ),
    "vespo": (
        {"loss_type": "vespo"},
        {"ratio_level": "sequence_sum", "clip": "vespo", **TOKEN_MEAN},
    ),
    "vespo_of_another_shape": (
        {"loss_type": "vespo", "vespo_k_pos": 1.5, "vespo_lambda_pos": 0.5}
        | {"vespo_k_neg": 0.5, "vespo_lambda_neg": 1.5},
        {"ratio_level": "sequence_sum", "clip": "vespo", **TOKEN_MEAN}
        | {"vespo_positive_power": 1.5, "vespo_positive_decay": 0.5}
        | {"vespo_negative_power": 0.5, "vespo_negative_decay": 1.5},
    ),
    "sapo_defaults": (
        {"loss_type": "sapo"},
        {"clip": "sapo", "aggregation": "seq_mean_token_mean"},
    ),
    "luspo_token": (
        {"loss_type": "luspo"},
        {"clip": "ppo", "aggregation": "seq_mean_token_sum"},
    ),
    "clip_higher": (
        {"loss_type": "dapo", "epsilon_high": 0.28},
        {"clip": "clip_higher", **TOKEN_MEAN},
    ),
    "delta": (
        {"loss_type": "dapo", "delta": 1.3},
        {"clip": "delta", "clip_bound": 1.3, **TOKEN_MEAN},
    ),
    "kl": (
        {"loss_type": "dapo", "beta": 0.1, "use_bias_correction_kl": False},
        {"clip": "ppo", "kl_place": "loss", "kl_coefficient": 0.1, **TOKEN_MEAN},
    ),
    "corrected_kl": (
        {"loss_type": "dr_grpo", "beta": 0.1, "use_bias_correction_kl": True},
        {"clip": "ppo", "aggregation": "const_len", "kl_place": "loss_is", "kl_coefficient": 0.1},
    ),
    "temperature": (
        {"loss_type": "dapo", "temperature": 0.7},
        {"clip": "ppo", "temperature": 0.7, **TOKEN_MEAN},
    ),
    "top_entropy": (
        {"loss_type": "dapo", "top_entropy_quantile": 0.4},
        {"clip": "ppo", "entropy": "top_tokens", "entropy_share": 0.4, **TOKEN_MEAN},
    ),
    "off_policy_mask": (
        {"loss_type": "dapo", "off_policy_mask_threshold": 0.1},
        {"clip": "ppo", "off_policy_mask": 0.1, **TOKEN_MEAN},
    ),
}
"""What TRL's trainer is told, and our settings for the same; `ratio_level: token` unless given."""

WITH_KL = (
    {"beta": 0.1, "use_bias_correction_kl": False},
    {"kl_place": "loss", "kl_coefficient": 0.1},
)
ACROSS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    f"{name}{what}": ({**GRPO[name][0], **theirs}, {**GRPO[name][1], **ours})
    for name in ("grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "vespo")
    for what, (theirs, ours) in {
        "_kl": WITH_KL,
        "_sequence": (
            {"importance_sampling_level": "sequence"},
            {} if name in ("vespo", "luspo") else {"ratio_level": "sequence"},
        ),
    }.items()
}
"""Every loss type with a KL term, and with the ratio of whole completions."""


def compare(
    left: tuple[float, Mapping[str, Tensor]], right: tuple[float, Mapping[str, Tensor]]
) -> None:
    assert left[0] == pytest.approx(right[0], abs=1e-5, rel=1e-5)
    assert set(left[1]) == set(right[1])
    for name, gradient in left[1].items():
        torch.testing.assert_close(gradient, right[1][name], atol=1e-5, rtol=1e-4, msg=name)
    assert max(float(gradient.abs().max()) for gradient in left[1].values()) > 1e-2


@pytest.mark.parametrize(
    "cell", [*GRPO, *(pytest.param(cell, marks=pytest.mark.full) for cell in ACROSS)]
)
def test_loss_and_gradient_are_those_of_trls_grpo(
    step: Experience, make_settings: Any, tmp_path: Path, cell: str
) -> None:
    changed, levels = {**GRPO, **ACROSS}[cell]
    settings = make_settings(**{"minibatches": 2, "ratio_level": "token", **levels})
    compare(ours(step, settings), theirs("GRPO", step, tmp_path, **{"beta": 0.0, **changed}))


LOSS_TYPES = ("grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "vespo")
PER_COMPLETION = ("grpo", "dr_grpo", "sapo", "luspo")
"""Their denominators count completions, masked ones included."""


def as_ours(cell: str, make_settings: Any, **changed: Any) -> Any:
    return make_settings(**{"ratio_level": "token", **GRPO[cell][1], **changed})


@pytest.mark.parametrize("cell", LOSS_TYPES)
def test_on_policy_every_loss_type_is_trls(
    step: Experience, make_settings: Any, tmp_path: Path, cell: str
) -> None:
    """Neither side knows other log-probabilities than the trained policy's own."""
    fresh = replace(step, old_logp=None)
    found = ours(fresh, as_ours(cell, make_settings))
    compare(found, theirs("GRPO", fresh, tmp_path, beta=0.0, **GRPO[cell][0]))


@pytest.mark.parametrize("cell", LOSS_TYPES)
def test_accumulated_micro_batches_are_one_step(
    step: Experience, make_settings: Any, tmp_path: Path, cell: str
) -> None:
    """TRL adds up two micro-batches; `bnpo` alone normalises each by its own tokens."""
    trainer = trainer_of(
        "GRPO",
        tmp_path,
        per_device_train_batch_size=ROWS // 2,
        gradient_accumulation_steps=2,
        beta=0.0,
        **GRPO[cell][0],
    )
    parts = [step.select(torch.arange(ROWS // 2) + first) for first in (0, ROWS // 2)]
    tokens = step.counted.sum()
    whole = gradients_of(trainer, *(inputs_of(part, num_items_in_batch=tokens) for part in parts))
    settings = as_ours(cell, make_settings, minibatches=2)
    if cell != "bnpo":
        compare(ours(step, settings), whole)
        return
    halves = [ours(part, settings) for part in parts]
    mean = {name: (gradient + halves[1][1][name]) / 2 for name, gradient in halves[0][1].items()}
    compare(((halves[0][0] + halves[1][0]) / 2, mean), whole)


@pytest.mark.parametrize("cell", LOSS_TYPES)
def test_minibatches_of_one_generation_differ_in_their_denominators(
    step: Experience, make_settings: Any, tmp_path: Path, cell: str
) -> None:
    """Two optimizer steps on one generation: where TRL divides by tokens, by those of the mean
    step; ours by the step's own."""
    trainer = trainer_of(
        "GRPO",
        tmp_path,
        per_device_train_batch_size=ROWS // 2,
        steps_per_generation=2,
        beta=0.0,
        **GRPO[cell][0],
    )
    part, tokens = step.select(torch.arange(ROWS // 2)), step.counted.sum()
    found = gradients_of(trainer, inputs_of(part, num_items_in_batch=tokens))
    factor = float(tokens / 2 / part.counted.sum())
    factor = factor if cell in ("dapo", "cispo", "vespo") else 1.0
    assert factor == 1.0 or abs(factor - 1) > 0.05
    scaled = {name: factor * gradient for name, gradient in found[1].items()}
    compare(ours(part, as_ours(cell, make_settings, minibatches=2)), (factor * found[0], scaled))


@pytest.mark.parametrize("cell", LOSS_TYPES)
def test_masked_truncations_leave_our_denominators_only(
    step: Experience, make_settings: Any, tmp_path: Path, cell: str
) -> None:
    rows = step.rollouts.truncated
    masked = replace(step, counted=step.counted & ~rows[:, None])
    found = theirs("GRPO", masked, tmp_path, beta=0.0, **GRPO[cell][0])
    factor = len(rows) / int((~rows).sum()) if cell in PER_COMPLETION else 1.0
    assert rows.any()
    scaled = {name: factor * gradient for name, gradient in found[1].items()}
    compare(ours(masked, as_ours(cell, make_settings, minibatches=2)), (factor * found[0], scaled))


def test_an_entropy_bonus_is_the_mean_over_tokens(
    step: Experience, make_settings: Any, tmp_path: Path
) -> None:
    settings = as_ours("dapo", make_settings, minibatches=2, entropy="bonus")
    settings = settings.model_copy(update={"entropy_coefficient": 0.3})
    _, found = ours(step, settings)
    _, expected = theirs("GRPO", step, tmp_path, beta=0.0, loss_type="dapo", entropy_coef=0.3)
    compare((0.0, found), (0.0, expected))


def test_what_masks_tokens_does_something(
    step: Experience, make_settings: Any, tmp_path: Path
) -> None:
    plain = theirs("GRPO", step, tmp_path, beta=0.0, loss_type="dapo")
    for cell in ("top_entropy", "off_policy_mask"):
        with pytest.raises(AssertionError):
            compare(ours(step, as_ours(cell, make_settings, minibatches=2)), plain)


def test_loss_and_gradient_are_those_of_trls_gmpo(
    step: Experience, make_settings: Any, tmp_path: Path
) -> None:
    settings = make_settings(
        minibatches=2,
        ratio_level="token",
        clip="gmpo",
        clip_low=0.1,
        aggregation="seq_mean_token_mean",
    )
    compare(ours(step, settings), theirs("GMPO", step, tmp_path, beta=0.0, epsilon=0.1))


def test_loss_and_gradient_are_those_of_trls_rloo(
    step: Experience, make_settings: Any, tmp_path: Path
) -> None:
    settings = make_settings(minibatches=2, ratio_level="sequence_sum", clip="ppo")
    compare(ours(step, settings), theirs("RLOO", step, tmp_path, beta=0.0))


ADVANTAGES = {
    "group_norm": ("GRPO", {"scale_rewards": "group"}),
    "group_mean_batch_std": ("GRPO", {"scale_rewards": "batch"}),
    "group_mean": ("GRPO", {"scale_rewards": "none"}),
    "rloo": ("RLOO", {}),
}


@pytest.mark.parametrize("name", ADVANTAGES)
def test_advantages_are_those_of_trls_trainers(
    make_settings: Any, tmp_path: Path, name: str
) -> None:
    """From rewards of completions that its trainer draws."""
    kind, changed = ADVANTAGES[name]
    trainer = trainer_of(kind, tmp_path, num_generations=4, beta=0.0, **changed)
    prompts = [{"prompt": prompt} for prompt in "aaaabbbb"]
    found = trainer._generate_and_score_completions(prompts)["advantages"]
    view = RewardView(
        torch.tensor(REWARDS), torch.arange(ROWS) // 4, torch.ones(ROWS, dtype=torch.int64)
    )
    expected = get_level("advantage", name).bound(make_settings(advantage_eps=1e-4))(view)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert float(expected.abs().min()) > 1e-3


def test_the_comparison_sees_a_difference(
    step: Experience, make_settings: Any, tmp_path: Path
) -> None:
    settings = make_settings(minibatches=2, ratio_level="token", clip="ppo")
    with pytest.raises(AssertionError):
        compare(ours(step, settings), theirs("GRPO", step, tmp_path, loss_type="dapo", beta=0.0))
