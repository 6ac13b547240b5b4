"""The policy: a transformers causal LM with flat parameters, and its log-probabilities.

Dropout is off in training as in sampling (evaluation mode throughout), so that the policy that
samples, the one that is scored and the one that is trained are the same function.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from ablatekit_rft.policy.decoder import Decoder
from ablatekit_rft.policy.families import build_decoder, fused_groups, is_lean
from ablatekit_rft.policy.flat_parameters import FlatParameters
from ablatekit_rft.policy.packing import micro_batches, pack
from ablatekit_rft.policy.rollout import Rollouts
from ablatekit_rft.policy.scoring import (
    Head,
    TokenScores,
    scores_of_logits,
    tempered_log_softmax,
    token_scores,
)


class Policy:
    """A causal LM that can be sampled, scored and trained.

    `decoder` is the lean forward pass on the same memory, or None for a family without one.
    `vocabulary` is the number of ids that stand for tokens, where logits are padded beyond it: what
    is beyond is neither drawn nor part of any probability. `autocast`: matrix products in bfloat16.
    """

    def __init__(
        self,
        model: Any,
        pad_id: int,
        *,
        lean: bool = True,
        vocabulary: int | None = None,
        autocast: bool = False,
    ) -> None:
        self.model = model.eval()
        self.pad_id = pad_id
        self.vocabulary = vocabulary
        self.autocast = autocast
        self.parameters = FlatParameters(model, fused_groups(model))
        use_lean = lean and is_lean(model)
        self.decoder: Decoder | None = build_decoder(model, self.parameters) if use_lean else None

    @property
    def device(self) -> torch.device:
        return self.parameters.weights.device

    def precision(self) -> AbstractContextManager[None]:
        """The context of every forward pass: bfloat16 matrix products where they are wanted."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast)

    def frozen_copy(self) -> Policy:
        """An independent copy of the policy as it is now: the reference of KL terms.

        What is not trained is shared.
        """
        shared = {
            id(parameter): parameter
            for parameter in self.model.parameters()
            if not parameter.requires_grad
        }
        return Policy(
            copy.deepcopy(self.model, shared),
            self.pad_id,
            lean=self.decoder is not None,
            vocabulary=self.vocabulary,
            autocast=self.autocast,
        )

    def log_probabilities(self, logits: Tensor, temperature: float) -> Tensor:
        """(..., V) -> (..., at most `vocabulary`): the tempered distribution over tokens."""
        return tempered_log_softmax(self._known(logits), temperature)

    def logp(self, rollouts: Rollouts, temperature: float) -> Tensor:
        """Log-probability (N, T) of every generated token, 0 beyond the lengths, with gradient."""
        return self.score(rollouts, temperature).logp

    def score(
        self, rollouts: Rollouts, temperature: float, *, entropy: bool = False
    ) -> TokenScores:
        """`logp`, and the entropy (N, T) of the softmax that each token was drawn from."""
        with self.precision():
            if self.decoder is None:
                return self._padded_scores(rollouts, temperature, entropy)
            return self._packed_scores(self.decoder, rollouts, temperature, entropy)

    def _packed_scores(
        self, decoder: Decoder, rollouts: Rollouts, temperature: float, entropy: bool
    ) -> TokenScores:
        packed = pack(rollouts, self.pad_id)
        hidden = decoder.sequence_hidden(
            packed.tokens, packed.positions, packed.visible, packed.source
        )
        head = Head(decoder.head.weight, decoder.head.bias, self.vocabulary)
        scores = token_scores(hidden, head, packed.target, temperature, entropy=entropy)

        def padded(values: Tensor) -> Tensor:
            rows = torch.zeros(rollouts.tokens.shape, dtype=values.dtype, device=values.device)
            return rows.index_put((packed.row, packed.column), values)

        return TokenScores(
            padded(scores.logp), None if scores.entropy is None else padded(scores.entropy)
        )

    def _padded_scores(self, rollouts: Rollouts, temperature: float, entropy: bool) -> TokenScores:
        """Scores from the logits of the transformers module itself."""
        logits = padded_logits(self.model, rollouts)
        scores = scores_of_logits(
            self._known(logits), rollouts.tokens, temperature, entropy=entropy
        )
        of_softmax = scores.entropy
        return TokenScores(
            torch.where(rollouts.mask, scores.logp, 0.0),
            None if of_softmax is None else torch.where(rollouts.mask, of_softmax, 0.0),
        )

    def _known(self, logits: Tensor) -> Tensor:
        """Logits of ids that stand for tokens."""
        return logits if self.vocabulary is None else logits[..., : self.vocabulary]

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss to the parameters'. Raises FloatingPointError if not finite.

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
        return self.score_without_gradient(rollouts, temperature, budget).logp

    def score_without_gradient(
        self, rollouts: Rollouts, temperature: float, budget: int, *, entropy: bool = False
    ) -> TokenScores:
        """`score` in micro-batches of at most `budget` positions, without a graph."""
        logp = torch.zeros_like(rollouts.logp)
        of_softmax = torch.zeros_like(rollouts.logp) if entropy else None
        with torch.no_grad():
            for rows in micro_batches(rollouts, budget):
                scores = self.score(rollouts.select(rows), temperature, entropy=entropy)
                logp[rows] = scores.logp
                if of_softmax is not None and scores.entropy is not None:
                    of_softmax[rows] = scores.entropy
        return TokenScores(logp, of_softmax)

    @property
    def base_model(self) -> Any:
        """The transformers model, without adapters around it."""
        return self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model

    @property
    def compute_dtype(self) -> torch.dtype:
        """The format of matrix products."""
        return torch.bfloat16 if self.autocast else self.parameters.weights.dtype

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every weight under its Hugging Face name, a tied head too, cut to the vocabulary.

        Adapters are merged into a copy: the frozen weights never drift by merging and unmerging.
        """
        model = self.base_model
        modules = dict(model.named_modules())
        by_token = (model.get_input_embeddings(), model.get_output_embeddings())
        for key, tensor in model.state_dict().items():
            owner, _, kind = key.rpartition(".")
            if ".lora_" in f".{owner}.":
                continue
            delta = _delta(modules, owner, kind)
            merged = tensor if delta is None else (tensor.float() + delta).to(tensor.dtype)
            cut = modules.get(owner) in by_token
            # Wrappers of other parameters may stand around the owner, too.
            yield key.replace(".base_layer", ""), merged[: self.vocabulary] if cut else merged


def _delta(modules: Mapping[str, Any], owner: str, kind: str) -> Tensor | None:
    """What adapters add to parameter `kind` of the module named `owner`, in single precision.

    A layer's adapter stands around its weight; those of fused experts stand around each other, one
    for each parameter.
    """
    while owner.endswith(".base_layer"):
        owner = owner.removesuffix(".base_layer")
        adapted = modules[owner]
        if getattr(adapted, "parameter_name", "weight") == kind:
            delta: Tensor = adapted.get_delta_weight("default").float()
            return delta
    return None


def padded_logits(model: Any, rollouts: Rollouts) -> Tensor:
    """Logits (N, T, V) of every generated token: one padded row per rollout through the module."""
    prompts = rollouts.prompts.select(rollouts.query)
    mask = torch.cat((prompts.mask, rollouts.mask), dim=1)
    kept = rollouts.tokens.shape[1] + 1
    logits: Tensor = model(
        input_ids=torch.cat((prompts.tokens, rollouts.tokens), dim=1),
        attention_mask=mask.long(),
        position_ids=position_ids(mask),
        use_cache=False,
        logits_to_keep=kept,
    ).logits
    # Some modules take `logits_to_keep` and give all logits.
    return logits[:, -kept:-1]


def position_ids(mask: Tensor) -> Tensor:
    """Positions counted from each row's first real token; 0 at padding before it."""
    return (mask.long().cumsum(dim=1) - 1).clamp(min=0)
