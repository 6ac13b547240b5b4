"""Sampling completions with a key-value cache.

One uniform number per (rollout, step), given by the caller, decides each token by inverting the
cumulative distribution: what a rollout draws depends neither on the other rollouts of its batch nor
on when finished ones are dropped from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ablatekit_rft.engines.decode_cache import DecodeCache
from ablatekit_rft.engines.decoding import Decoding, Stop, ends
from ablatekit_rft.policy.policy import Policy, position_ids
from ablatekit_rft.policy.rollout import Prompts, Rollouts, is_eos, length_mask

DROP_FRACTION = 0.25
"""Finished rows are dropped once they are at least this share of the batch: dropping copies the
cache, decoding a finished row wastes its share of a step."""

RECORD_ELEMENTS = 2**21
"""Probabilities of past steps that are kept at most: 8 MiB in float32."""


class Cache(Protocol):
    """Prompts that have been read, and the rows that continue them."""

    def step(self, tokens: Tensor) -> Tensor:
        """Feed one token (B,) per row; the next logits (B, V)."""

    def keep(self, rows: Tensor) -> None:
        """Continue only the rows at these places (K,)."""


def sample(
    policy: Policy,
    prompts: Prompts,
    rollouts: int,
    uniforms: Tensor,
    decoding: Decoding,
    greedy: Tensor | None = None,
) -> Rollouts:
    """Draw `rollouts` completions of each of Q prompts; row q * rollouts + j is prompt q's j-th.

    uniforms: (Q * rollouts, T) in [0, 1), T >= max_new_tokens. greedy: (Q * rollouts,) bool, rows
    that take the most probable token instead. Raises FloatingPointError when the policy's
    probabilities are not finite.
    """
    # The decode cache writes products into buffers of the weights' type, which autocast changes.
    lean = policy.decoder is not None and not policy.autocast
    start = _decoder_start if lean else _module_start
    query = torch.arange(len(prompts.lengths), device=policy.device).repeat_interleave(rollouts)
    with torch.inference_mode(), policy.precision():
        logits, cache = start(policy, prompts, rollouts, decoding.max_new_tokens)
        drawn = _decode(policy, logits, cache, decoding, _Running.all_of(uniforms, greedy))
        lengths, truncated = ends(drawn.tokens, decoding)
        mask = length_mask(lengths, drawn.tokens.shape[1])
        tokens = torch.where(mask, drawn.tokens, policy.pad_id)
        logp, entropy = torch.where(mask, drawn.logp, 0.0), torch.where(mask, drawn.entropy, 0.0)
        if not bool(logp.isfinite().all()):
            raise FloatingPointError("the policy's log-probabilities are not finite")
    # Tensors made in inference mode cannot take part in autograd; clones can.
    return Rollouts(
        prompts,
        query,
        tokens.clone(),
        lengths.clone(),
        truncated.clone(),
        logp.clone(),
        entropy.clone(),
    )


class _Record:
    """Drawn tokens (N, T) with log-probabilities and entropies; meaningless after an EOS.

    Distributions are kept until they fill `RECORD_ELEMENTS` or rows are dropped, so that what is
    recorded of them is computed for many steps at once.
    """

    def __init__(self, steps: int, logits: Tensor) -> None:
        self.tokens = torch.zeros(len(logits), steps, dtype=torch.int64, device=logits.device)
        precise = torch.promote_types(logits.dtype, torch.float32)
        self.logp, self.entropy = (
            logits.new_zeros(len(logits), steps, dtype=precise) for _ in range(2)
        )
        self._written = 0
        self._kept: list[tuple[Tensor, Tensor]] = []

    def add(self, rows: Tensor, token: Tensor, log_probabilities: Tensor) -> None:
        """Record the next step of the rows that still run."""
        self._kept.append((token, log_probabilities))
        if (len(self._kept) + 1) * log_probabilities.numel() > RECORD_ELEMENTS:
            self.write(rows)

    def write(self, rows: Tensor) -> None:
        """Compute what is recorded of the kept steps; before the rows that run are changed."""
        if not self._kept:
            return
        tokens, kept = (torch.stack(parts, dim=1) for parts in zip(*self._kept, strict=True))
        # For all rows a slice is a plain copy, where an index of rows is a scatter.
        whole = len(rows) == len(self.tokens)
        end = self._written + len(self._kept)
        at = (slice(None) if whole else rows, slice(self._written, end))
        self.tokens[at] = tokens
        self.logp[at] = kept.gather(2, tokens.unsqueeze(2)).squeeze(2)
        self.entropy[at] = -(kept.exp() * kept).sum(dim=-1)
        self._kept, self._written = [], end


@dataclass(slots=True)
class _Running:
    """The rows that are still being decoded: their places (B,), randomness, and who is done."""

    rows: Tensor
    uniforms: Tensor
    greedy: Tensor | None
    finished: Tensor

    @classmethod
    def all_of(cls, uniforms: Tensor, greedy: Tensor | None) -> _Running:
        """Every row, none of them finished."""
        rows = torch.arange(len(uniforms), device=uniforms.device)
        return cls(rows, uniforms, greedy, torch.zeros_like(rows, dtype=torch.bool))

    def keep(self, places: Tensor) -> None:
        """Drop all rows but those at these places (K,)."""
        self.rows, self.uniforms = self.rows[places], self.uniforms[places]
        self.finished = self.finished[places]
        self.greedy = None if self.greedy is None else self.greedy[places]

    def choose(self, log_probabilities: Tensor, step: int, decoding: Decoding) -> Tensor:
        """The next token (B,) of every row."""
        # Greedy decoding uses up no uniform numbers: they are read by step, not in turn.
        if decoding.temperature == 0:
            return log_probabilities.argmax(dim=-1)
        drawable = decoding.drawable(log_probabilities.exp())
        # Row and step pick the number, so a dropped row takes its numbers with it.
        drawn = invert_cdf(drawable, self.uniforms[:, step])
        if self.greedy is None:
            return drawn
        return torch.where(self.greedy, log_probabilities.argmax(dim=-1), drawn)


def invert_cdf(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """The first index whose cumulative probability exceeds u times the total: (B, V), (B,) -> (B,).

    A zero probability is never chosen.
    """
    cumulative = probabilities.cumsum(dim=-1)
    total = cumulative[:, -1:]
    # u * total may round up to the total, beyond which only zeros lie.
    largest = torch.nextafter(total, torch.zeros_like(total))
    threshold = torch.minimum(uniforms.unsqueeze(1) * total, largest)
    index = torch.searchsorted(cumulative, threshold, right=True).squeeze(1)
    # Without a total (a broken policy) the index is outside.
    return index.clamp_(max=probabilities.shape[1] - 1)


def _decode(
    policy: Policy, logits: Tensor, cache: Cache, decoding: Decoding, running: _Running
) -> _Record:
    steps = decoding.max_new_tokens
    record = _Record(steps, logits)
    for step in range(steps):
        log_probabilities = policy.log_probabilities(logits, decoding.temperature or 1.0)
        token = running.choose(log_probabilities, step, decoding)
        record.add(running.rows, token, log_probabilities)
        # The last token needs no logits after it.
        if step + 1 == steps:
            break
        if decoding.eos_ids or decoding.stop:
            running.finished |= is_eos(token, decoding.eos_ids)
            # Stop texts are looked for in the record, so what was drawn must stand there.
            if decoding.stop:
                record.write(running.rows)
                running.finished |= _stopped(record.tokens[running.rows, : step + 1], decoding.stop)
            # A finished row goes on drawing until it is dropped; `ends` cuts what it drew.
            done = int(running.finished.sum())
            if done == len(token):
                break
            if done >= DROP_FRACTION * len(token):
                active = (~running.finished).nonzero().squeeze(1)
                # Kept distributions have a row for every row that still runs: record them first.
                record.write(running.rows)
                cache.keep(active)
                running.keep(active)
                token = token[active]
        logits = cache.step(token)
    record.write(running.rows)
    return record


def _stopped(tokens: Tensor, stop: Stop) -> Tensor:
    """Which of the rows (B, steps so far) end with what they drew last."""
    flags = [stop.in_tail(row) for row in tokens.tolist()]
    return torch.tensor(flags, device=tokens.device)


def _decoder_start(
    policy: Policy, prompts: Prompts, rollouts: int, steps: int
) -> tuple[Tensor, Cache]:
    assert policy.decoder is not None
    cache = DecodeCache(policy.decoder, prompts, rollouts, steps)
    return cache.first_logits, cache


def _module_start(
    policy: Policy, prompts: Prompts, rollouts: int, _steps: int
) -> tuple[Tensor, Cache]:
    cache = ModuleCache(policy.model, prompts, rollouts)
    return cache.first_logits, cache


class ModuleCache:
    """Any transformers causal LM with its own `DynamicCache`."""

    def __init__(self, model: Any, prompts: Prompts, rollouts: int) -> None:
        self._model = model
        mask = prompts.mask
        output = model(
            input_ids=prompts.tokens,
            attention_mask=mask.long(),
            position_ids=position_ids(mask),
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache = output.past_key_values
        self._cache.batch_repeat_interleave(rollouts)
        self._mask = mask.long().repeat_interleave(rollouts, dim=0)
        self._positions = prompts.lengths.repeat_interleave(rollouts)
        self.first_logits: Tensor = output.logits[:, -1].repeat_interleave(rollouts, dim=0)

    def step(self, tokens: Tensor) -> Tensor:
        """Feed one token (B,) per row; the next logits (B, V)."""
        # The module's cache is as long as the mask: padding stays hidden, new tokens are visible.
        self._mask = torch.cat((self._mask, self._mask.new_ones(len(tokens), 1)), dim=1)
        output = self._model(
            input_ids=tokens.unsqueeze(1),
            attention_mask=self._mask,
            position_ids=self._positions.unsqueeze(1),
            past_key_values=self._cache,
            use_cache=True,
        )
        self._positions = self._positions + 1
        logits: Tensor = output.logits[:, -1]
        return logits

    def keep(self, rows: Tensor) -> None:
        """Continue only the rows at these places (K,)."""
        self._cache.batch_select_indices(rows)
        self._mask, self._positions = self._mask[rows], self._positions[rows]
