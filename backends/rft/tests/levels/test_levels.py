"""What levels say about themselves, and what their gradients are by exact enumeration."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from ablatekit_rft.levels.registry import LEVELS, get_level, levels_of, stage_metadata
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.levels.token_views import StepView
from ablatekit_rft.levels.types import Level
from ablatekit_rft.settings import RftSettings
from torch import Tensor

from ablatekit.errors import UsageError

ALL_LEVELS = [level for levels in LEVELS.values() for level in levels]


def test_every_stage_is_in_the_table() -> None:
    assert set(LEVELS) == set(get_args(Stage))


@pytest.mark.parametrize("stage", sorted(LEVELS))
def test_levels_belong_to_their_stage_under_unique_names(stage: Stage) -> None:
    assert {level.stage for level in LEVELS[stage]} == {stage}
    assert len(levels_of(stage)) == len(LEVELS[stage])


@pytest.mark.parametrize("level", ALL_LEVELS, ids=lambda level: f"{level.stage}-{level.name}")
def test_metadata_is_complete(level: Level) -> None:
    assert set(level.peers) == {"TRL", "verl", "OpenRLHF"}
    assert all(level.peers.values())
    assert len(level.doc) > 15
    assert level.formula
    assert level.source
    assert level.min_group >= (2 if "groups" in level.needs else 1)


@pytest.mark.parametrize("stage", sorted(LEVELS))
def test_settings_offer_exactly_the_levels_of_the_table(stage: Stage) -> None:
    field = RftSettings.model_fields[stage]
    if field.annotation is not str:
        assert get_args(field.annotation) == tuple(levels_of(stage))
    for name in levels_of(stage):
        assert getattr(RftSettings.model_validate({stage: name}), stage) == name
    assert field.default in levels_of(stage)
    assert isinstance(field.json_schema_extra, dict)
    assert field.json_schema_extra["levels"] == stage_metadata(stage)


def test_an_unknown_level_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'group_norm'"):
        get_level("advantage", "group_norms")


def policy_and_reference() -> tuple[Tensor, Tensor]:
    logits = torch.tensor([0.3, -1.0, 0.8, 0.1], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([-0.2, 0.4, 0.5, -0.9], dtype=torch.float64).log_softmax(0)
    return logits, reference


def gradient(value: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(value, logits)[0]


def expected_loss_gradient(name: str) -> Tensor:
    """The expectation over on-policy tokens of the gradient of the estimator as a loss."""
    logits, reference = policy_and_reference()
    logp = logits.log_softmax(0)
    values = get_level("kl_estimator", name).function(logp[:, None], reference[:, None])[:, 0]
    return gradient((logp.exp().detach() * values).sum(), logits)


def kl_gradient() -> Tensor:
    logits, reference = policy_and_reference()
    logp = logits.log_softmax(0)
    return gradient((logp.exp() * (logp - reference)).sum(), logits)


def reverse_kl_gradient() -> Tensor:
    logits, reference = policy_and_reference()
    return gradient((reference.exp() * (reference - logits.log_softmax(0))).sum(), logits)


@pytest.mark.parametrize("name", ["k1", "k3"])
def test_k1_and_k3_are_unbiased(name: str) -> None:
    logits, reference = policy_and_reference()
    logp = logits.log_softmax(0).detach()
    values = get_level("kl_estimator", name).function(logp[:, None], reference[:, None])[:, 0]
    expected = (logp.exp() * (logp - reference)).sum()
    assert (logp.exp() * values).sum().item() == pytest.approx(expected.item(), abs=1e-12)


def test_k1_as_a_loss_is_a_placebo() -> None:
    assert kl_gradient().abs().max() > 0.05
    assert expected_loss_gradient("k1").abs().max() < 1e-12


def test_k2_as_a_loss_has_the_gradient_of_kl() -> None:
    assert torch.allclose(expected_loss_gradient("k2"), kl_gradient(), atol=1e-12)


def test_k3_as_a_loss_has_the_gradient_of_the_reverse_kl() -> None:
    assert torch.allclose(expected_loss_gradient("k3"), reverse_kl_gradient(), atol=1e-12)
    assert not torch.allclose(expected_loss_gradient("k3"), kl_gradient(), atol=1e-3)


def test_k1_in_the_reward_has_the_gradient_of_kl() -> None:
    logits, reference = policy_and_reference()
    logp = logits.log_softmax(0)
    kl = get_level("kl_estimator", "k1").function(logp[:, None], reference[:, None])
    losses = kl.detach() * logp[:, None]
    expected = gradient((logp.exp().detach()[:, None] * losses).sum(), logits)
    assert torch.allclose(expected, kl_gradient(), atol=1e-12)


COMPLETIONS = ((1,), (0, 0), (0, 1))
"""All completions of at most two letters where the letter 1 ends a completion."""
OUTCOMES = torch.tensor([0.0, 1.0, 0.0])


def toy_token_logp(logits: Tensor) -> Tensor:
    """(3, 2): log-probabilities of the tokens of every completion, 0 after its end."""
    logp = logits.log_softmax(1)
    absent = logp.new_zeros(())
    rows = [[logp[t, token] for t, token in enumerate(tokens)] for tokens in COMPLETIONS]
    return torch.stack([torch.stack([*row, absent][:2]) for row in rows])


def test_reference_loss_has_the_gradient_of_the_expected_reward() -> None:
    logits = torch.tensor([[0.2, -0.4], [0.5, 0.1]], dtype=torch.float64, requires_grad=True)
    exact = gradient((toy_token_logp(logits).sum(1).exp() * OUTCOMES).sum(), logits)
    token_logp = toy_token_logp(logits)
    losses = -OUTCOMES[:, None] * token_logp
    view = StepView(torch.tensor([1, 2, 2]), torch.arange(3), 2)
    weights = get_level("aggregation", "seq_mean_token_sum").function(view)
    # Of N draws each completion gets its expected share: N times its probability.
    share = 3 * token_logp.detach().sum(1).exp()
    loss = (share * weights * losses.sum(1)).sum()
    assert exact.abs().max() > 0.05
    assert torch.allclose(-gradient(loss, logits), exact, atol=1e-7)
