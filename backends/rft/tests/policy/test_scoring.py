"""Scores of tokens: in chunks as from all logits at once, with their gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ablatekit_rft.policy import scoring
from ablatekit_rft.policy.scoring import Head, token_scores
from torch import Tensor

ROWS, WIDTH, VOCABULARY = 13, 6, 11


def problem(bias: bool) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(3)

    def drawn(*shape: int) -> Tensor:
        values = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return values.requires_grad_()

    parts = [drawn(ROWS, WIDTH), drawn(VOCABULARY, WIDTH), *([drawn(VOCABULARY)] if bias else [])]
    return parts, torch.randint(0, VOCABULARY - 2, (ROWS,), generator=generator)


def scored(parts: list[Tensor], target: Tensor, vocabulary: int | None, entropy: bool) -> Any:
    head = Head(parts[1], parts[2] if len(parts) > 2 else None, vocabulary)
    return token_scores(parts[0], head, target, 0.7, entropy=entropy)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("vocabulary", [None, VOCABULARY - 2])
@pytest.mark.parametrize("entropy", [False, True])
def test_chunks_change_neither_scores_nor_gradients(
    monkeypatch: pytest.MonkeyPatch, bias: bool, vocabulary: int | None, entropy: bool
) -> None:
    found = []
    for elements in (scoring.CHUNK_ELEMENTS, 3 * VOCABULARY, 1):
        monkeypatch.setattr(scoring, "CHUNK_ELEMENTS", elements)
        parts, target = problem(bias)
        scores = scored(parts, target, vocabulary, entropy)
        weights = torch.linspace(-1, 2, ROWS, dtype=torch.float64)
        loss = (weights * scores.logp).sum()
        values = [scores.logp]
        if entropy:
            loss = loss + (weights.flip(0) * scores.entropy).sum()
            values.append(scores.entropy)
        loss.backward()
        found.append([*values, *(part.grad for part in parts)])
    for chunked in found[1:]:
        for value, expected in zip(chunked, found[0], strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    assert all(float(value.detach().abs().max()) > 1e-3 for value in found[0])


def test_the_chunked_gradient_is_that_of_finite_differences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scoring, "CHUNK_ELEMENTS", 2 * VOCABULARY)
    parts, target = problem(True)

    def both(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        scores = scored(list(inputs), target, None, entropy=True)
        return scores.logp, scores.entropy

    assert torch.autograd.gradcheck(both, parts)


def test_entropy_of_a_uniform_softmax_is_the_logarithm_of_its_size() -> None:
    head = Head(torch.zeros(8, 3), None, None)
    scores = token_scores(torch.ones(2, 3), head, torch.tensor([0, 7]), 1.0, entropy=True)
    assert scores.entropy is not None
    torch.testing.assert_close(scores.entropy, torch.full((2,), 8.0).log())
    torch.testing.assert_close(scores.logp, -torch.full((2,), 8.0).log())


def test_half_precision_logits_are_normalised_in_single_precision() -> None:
    head = Head(torch.randn(8, 3).bfloat16(), None, None)
    hidden = torch.ones(2, 3, dtype=torch.bfloat16)
    scores = token_scores(hidden, head, torch.tensor([0, 7]), 1.0, entropy=True)
    assert scores.logp.dtype == torch.float32
