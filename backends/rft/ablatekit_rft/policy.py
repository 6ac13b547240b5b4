"""The policy: a transformers causal LM with its parameters in an arena, and its log-probabilities.

Dropout is off in training as in sampling (evaluation mode throughout), so that the policy that
samples, the one that is scored and the one that is trained are the same function.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ablatekit_rft.arena import ParameterArena
from ablatekit_rft.decoder import Decoder
from ablatekit_rft.families import build_decoder, fused_groups, is_lean
from ablatekit_rft.packing import micro_batches, pack
from ablatekit_rft.rollout import Rollouts


def tempered_log_softmax(logits: Tensor, temperature: float) -> Tensor:
    """log softmax(logits / temperature) over the last axis.

    The one place where a temperature meets logits: sampling, scoring and the reference share it.
    """
    scaled = logits if temperature == 1.0 else logits / temperature
    return torch.log_softmax(scaled, dim=-1)


class Policy:
    """A causal LM that can be sampled, scored and trained.

    `decoder` is the lean forward pass on the same memory, or None for a family without one.
    `vocabulary` is the number of ids that stand for tokens, where logits are padded beyond it: what
    is beyond is neither drawn nor part of any probability.
    """

    def __init__(
        self, model: Any, pad_id: int, *, lean: bool = True, vocabulary: int | None = None
    ) -> None:
        self.model = model.eval().requires_grad_(True)
        self.pad_id = pad_id
        self.vocabulary = vocabulary
        self.arena = ParameterArena(model, fused_groups(model))
        use_lean = lean and is_lean(model)
        self.decoder: Decoder | None = build_decoder(model, self.arena) if use_lean else None

    @property
    def device(self) -> torch.device:
        return self.arena.weights.device

    def frozen_copy(self) -> Policy:
        """An independent copy of the policy as it is now: the reference of KL terms."""
        lean = self.decoder is not None
        model = copy.deepcopy(self.model)
        return Policy(model, self.pad_id, lean=lean, vocabulary=self.vocabulary)

    def log_probabilities(self, logits: Tensor, temperature: float) -> Tensor:
        """(..., V) -> (..., at most `vocabulary`): the tempered distribution over tokens."""
        if self.vocabulary is not None and logits.shape[-1] > self.vocabulary:
            logits = logits[..., : self.vocabulary]
        return tempered_log_softmax(logits, temperature)

    def logp(self, rollouts: Rollouts, temperature: float) -> Tensor:
        """Log-probability (N, T) of every generated token, 0 beyond the lengths, with gradient."""
        if self.decoder is None:
            return self._padded_logp(rollouts, temperature)
        return self._packed_logp(self.decoder, rollouts, temperature)

    def _packed_logp(self, decoder: Decoder, rollouts: Rollouts, temperature: float) -> Tensor:
        packed = pack(rollouts, self.pad_id)
        logits = decoder.sequence_logits(
            packed.tokens, packed.positions, packed.visible, packed.source
        )
        chosen = _chosen(self.log_probabilities(logits, temperature), packed.target)
        padded = torch.zeros(rollouts.tokens.shape, dtype=chosen.dtype, device=chosen.device)
        return padded.index_put((packed.row, packed.column), chosen)

    def _padded_logp(self, rollouts: Rollouts, temperature: float) -> Tensor:
        """One padded row per rollout through the transformers module itself."""
        prompts = rollouts.prompts.select(rollouts.query)
        tokens = torch.cat((prompts.tokens, rollouts.tokens), dim=1)
        mask = torch.cat((prompts.mask, rollouts.mask), dim=1)
        logits = self.model(
            input_ids=tokens,
            attention_mask=mask.long(),
            position_ids=position_ids(mask),
            use_cache=False,
            logits_to_keep=rollouts.tokens.shape[1] + 1,
        ).logits[:, :-1]
        chosen = _chosen(self.log_probabilities(logits, temperature), rollouts.tokens)
        return torch.where(rollouts.mask, chosen, 0.0)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss to the arena's. Raises FloatingPointError if not finite.

        Some modules of transformers add gradients up per thread (layer norm): without a lean
        decoder one thread computes them, so that no bit depends on the number of threads.
        """
        if not bool(loss.isfinite()):
            raise FloatingPointError(f"the loss is {float(loss.detach())}")
        threads = torch.get_num_threads()
        if self.decoder is not None or threads == 1:
            torch.autograd.backward(loss)
            return
        torch.set_num_threads(1)
        try:
            torch.autograd.backward(loss)
        finally:
            torch.set_num_threads(threads)

    def logp_without_gradient(self, rollouts: Rollouts, temperature: float, budget: int) -> Tensor:
        """`logp` in micro-batches of at most `budget` positions, without a graph."""
        scored = torch.zeros_like(rollouts.logp)
        with torch.no_grad():
            for rows in micro_batches(rollouts, budget):
                scored[rows] = self.logp(rollouts.select(rows), temperature)
        return scored


def position_ids(mask: Tensor) -> Tensor:
    """Positions counted from each row's first real token; 0 at padding before it."""
    return (mask.long().cumsum(dim=1) - 1).clamp(min=0)


def _chosen(log_probabilities: Tensor, target: Tensor) -> Tensor:
    return log_probabilities.gather(-1, target.unsqueeze(-1)).squeeze(-1)
