"""Loss and gradient of a step against TRL's trainers, on one batch of their own format."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from ablatekit_rft import basemodels
from ablatekit_rft.learning.loss import StepLoss
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
        logp = Policy(model, 0).logp(plain, 1.0)
    noise = torch.randn(ROWS, STEPS, generator=generator) * mask
    advantage = torch.tensor([1.5, -0.5, 0.75, -2.0, 1.0, -1.0, 0.25, -0.25])
    old, reference = logp + 0.3 * noise, logp - 0.2 * noise.flip(0) * mask
    found = experience_of(plain, advantage, old_logp=old, reference_logp=reference)
    assert isinstance(found, Experience)
    return found


def inputs_of(step: Experience) -> dict[str, Any]:
    """The batch as TRL's trainers hand it from generation to the loss."""
    rollouts, old, reference = step.rollouts, step.old_logp, step.reference_logp
    assert old is not None
    assert reference is not None
    prompts = rollouts.prompts.select(rollouts.query)
    return {
        "prompt_ids": prompts.tokens,
        "prompt_mask": prompts.mask.long(),
        "completion_ids": rollouts.tokens,
        "completion_mask": rollouts.mask.long(),
        "advantages": step.advantage,
        "old_per_token_logps": old,
        "old_logps": (old * rollouts.mask).sum(1),
        "ref_per_token_logps": reference,
        "num_items_in_batch": rollouts.lengths.sum(),
    }


def theirs(
    kind: str, step: Experience, folder: Path, **changed: Any
) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of TRL's trainer of this kind."""
    import trl
    from datasets import Dataset

    model, tokenizer = basemodels.load("tiny-llama")
    configuration = getattr(trl, f"{kind}Config")(
        output_dir=str(folder),
        per_device_train_batch_size=ROWS,
        num_generations=2,
        max_completion_length=10,
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        **changed,
    )
    trainer = getattr(trl, f"{kind}Trainer")(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=configuration,
        train_dataset=Dataset.from_dict({"prompt": ["a", "b", "c", "d"]}),
        processing_class=tokenizer.to_transformers(),
    )
    trainer.current_gradient_accumulation_steps = 1
    model.train()
    model.zero_grad()
    loss = trainer._compute_loss(model, inputs_of(step))
    loss.backward()
    gradients = {name: value.grad for name, value in model.named_parameters()}
    return float(loss.detach()), {
        name: found for name, found in gradients.items() if found is not None
    }


def ours(step: Experience, settings: Any) -> tuple[float, Mapping[str, Tensor]]:
    model, _ = basemodels.load("tiny-llama")
    policy = Policy(model, 0)
    found = StepLoss(settings, 10).accumulate(policy, step)
    parameters = policy.parameters
    gradients = {name: slot.view(parameters.gradient) for name, slot in parameters.slots.items()}
    kl = settings.kl_coefficient * found.kl if settings.kl_place != "none" else 0.0
    return found.policy + kl, gradients


GRPO: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "grpo": ({"loss_type": "grpo"}, {"clip": "ppo", "aggregation": "seq_mean_token_mean"}),
    "dapo": ({"loss_type": "dapo"}, {"clip": "ppo", "aggregation": "token_mean"}),
    "dr_grpo": ({"loss_type": "dr_grpo"}, {"clip": "ppo", "aggregation": "const_len"}),
    "clip_higher": (
        {"loss_type": "dapo", "epsilon_high": 0.28},
        {"clip": "clip_higher", "aggregation": "token_mean"},
    ),
    "delta": (
        {"loss_type": "dapo", "delta": 1.3},
        {"clip": "delta", "clip_bound": 1.3, "aggregation": "token_mean"},
    ),
    "cispo": (
        {"loss_type": "cispo", "epsilon_high": 1.2},
        {"clip": "cispo", "clip_high": 0.2, "aggregation": "token_mean"},
    ),
    "gspo": (
        {
            "loss_type": "grpo",
            "importance_sampling_level": "sequence",
            "epsilon": 3e-2,
            "epsilon_high": 4e-2,
        },
        {
            "ratio_level": "sequence",
            "clip": "gspo",
            "clip_low": 3e-2,
            "clip_high": 4e-2,
            "aggregation": "seq_mean_token_mean",
        },
    ),
    "kl": (
        {"loss_type": "dapo", "beta": 0.1, "use_bias_correction_kl": False},
        {"clip": "ppo", "aggregation": "token_mean", "kl_place": "loss", "kl_coefficient": 0.1},
    ),
    "corrected_kl": (
        {"loss_type": "dr_grpo", "beta": 0.1, "use_bias_correction_kl": True},
        {"clip": "ppo", "aggregation": "const_len", "kl_place": "loss_is", "kl_coefficient": 0.1},
    ),
    "temperature": (
        {"loss_type": "dapo", "temperature": 0.7},
        {"clip": "ppo", "aggregation": "token_mean", "temperature": 0.7},
    ),
}


def compare(
    left: tuple[float, Mapping[str, Tensor]], right: tuple[float, Mapping[str, Tensor]]
) -> None:
    assert left[0] == pytest.approx(right[0], abs=1e-5)
    assert set(left[1]) == set(right[1])
    for name, gradient in left[1].items():
        torch.testing.assert_close(gradient, right[1][name], atol=1e-5, rtol=1e-4, msg=name)
    assert max(float(gradient.abs().max()) for gradient in left[1].values()) > 1e-2


@pytest.mark.parametrize("cell", GRPO)
def test_loss_and_gradient_are_those_of_trls_grpo(
    step: Experience, make_settings: Any, tmp_path: Path, cell: str
) -> None:
    changed, levels = GRPO[cell]
    settings = make_settings(**{"minibatches": 2, "ratio_level": "token", **levels})
    compare(ours(step, settings), theirs("GRPO", step, tmp_path, **{"beta": 0.0, **changed}))


def test_loss_and_gradient_are_those_of_trls_rloo(
    step: Experience, make_settings: Any, tmp_path: Path
) -> None:
    settings = make_settings(minibatches=2, ratio_level="sequence_sum", clip="ppo")
    compare(ours(step, settings), theirs("RLOO", step, tmp_path, beta=0.0))


def test_the_comparison_sees_a_difference(
    step: Experience, make_settings: Any, tmp_path: Path
) -> None:
    settings = make_settings(minibatches=2, ratio_level="token", clip="ppo")
    with pytest.raises(AssertionError):
        compare(ours(step, settings), theirs("GRPO", step, tmp_path, loss_type="dapo", beta=0.0))
