from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ablatekit_rft.levels.types import OptimizerSpec
from ablatekit_rft.policy.flat_parameters import ALIGNMENT, FlatParameters
from ablatekit_rft.policy.optimizer import NORM_ROWS, FlatOptimizer, clip_gradient, flat_norm


@pytest.mark.parametrize("algorithm", ["adamw", "sgd"])
def test_the_flat_optimizer_is_torchs_on_separate_parameters(
    causal_lm: Any, algorithm: Any
) -> None:
    flat_model, plain_model = causal_lm("gpt_neox"), causal_lm("gpt_neox")
    flat_parameters = FlatParameters(flat_model)
    adam = {"betas": (0.9, 0.95), "eps": 1e-8} if algorithm == "adamw" else {}
    spec = OptimizerSpec(algorithm=algorithm, learning_rate=1e-2, weight_decay=0.1, **adam)
    flat = FlatOptimizer(flat_parameters, spec)
    parameters = list(plain_model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if algorithm == "adamw" else torch.optim.SGD
    plain = kind(groups, lr=1e-2, **adam)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for name, parameter in plain_model.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            flat_parameters.slots[name].view(flat_parameters.gradient).copy_(parameter.grad)
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        assert clip_gradient(flat_parameters.gradient, 1.0).norm == pytest.approx(
            float(norm), rel=1e-5
        )
        plain.step()
        flat.step(1e-2)
    for ours, theirs in zip(flat_model.parameters(), parameters, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_flat_norm_is_the_norm() -> None:
    flat = torch.arange(64, dtype=torch.float32)
    assert flat_norm(flat) == pytest.approx(float(flat.norm()), rel=1e-6)
    assert not clip_gradient(flat, None).clipped
    with pytest.raises(FloatingPointError, match="nan"):
        clip_gradient(torch.full((16,), float("nan")), 1.0)


@pytest.mark.parametrize("rows", [1, NORM_ROWS - 1, NORM_ROWS + 1, 3 * NORM_ROWS])
def test_a_norm_in_pieces_is_bitwise_that_of_the_whole(rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    end, start = (torch.randn(rows * ALIGNMENT, generator=generator) for _ in range(2))

    def at_once(flat: torch.Tensor) -> float:
        norms = torch.linalg.vector_norm(flat.view(-1, ALIGNMENT), dim=1).double()
        return math.sqrt(norms.square().numpy().sum())

    assert flat_norm(end) == at_once(end)
    assert flat_norm(end, start) == at_once(end - start)
