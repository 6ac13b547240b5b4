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

from ablatekit_rft.decoder import Decoder, SequenceAttention
from ablatekit_rft.policy import Policy, position_ids
from ablatekit_rft.rollout import Prompts, Rollouts, first_eos, is_eos, length_mask

DROP_FRACTION = 0.25
"""Finished rows are dropped once they are at least this share of the batch: dropping copies the
cache, decoding a finished row wastes its share of a step."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How completions are drawn; temperature 0 is greedy.

    Without `eos_ids` every completion has exactly `max_new_tokens` tokens.
    """

    max_new_tokens: int
    temperature: float
    eos_ids: tuple[int, ...]


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
    start = _lean_start if policy.decoder is not None else _module_start
    query = torch.arange(len(prompts.lengths), device=policy.device).repeat_interleave(rollouts)
    with torch.inference_mode():
        logits, cache = start(policy, prompts, rollouts, decoding.max_new_tokens)
        drawn = _decode(policy, logits, cache, decoding, _Running.all_of(uniforms, greedy))
        lengths, truncated = _ends(drawn.tokens, decoding)
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


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Drawn tokens (N, T) with log-probabilities and entropies; meaningless after an EOS."""

    tokens: Tensor
    logp: Tensor
    entropy: Tensor

    @classmethod
    def empty(cls, rows: int, steps: int, example: Tensor) -> _Drawn:
        """Zeros, to be filled step by step."""

        def zeros(dtype: torch.dtype) -> Tensor:
            return torch.zeros(rows, steps, dtype=dtype, device=example.device)

        return cls(zeros(torch.int64), zeros(example.dtype), zeros(example.dtype))

    def write(self, rows: Tensor, step: int, token: Tensor, log_probabilities: Tensor) -> None:
        """Record one step of the rows that still run."""
        at = (slice(None) if len(rows) == len(self.tokens) else rows, step)
        self.tokens[at] = token
        self.logp[at] = log_probabilities.gather(1, token.unsqueeze(1)).squeeze(1)
        self.entropy[at] = torch.special.entr(log_probabilities.exp()).sum(dim=-1)


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
        if decoding.temperature == 0:
            return log_probabilities.argmax(dim=-1)
        drawn = invert_cdf(log_probabilities.exp(), self.uniforms[:, step])
        if self.greedy is None:
            return drawn
        return torch.where(self.greedy, log_probabilities.argmax(dim=-1), drawn)


def invert_cdf(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """The first index whose cumulative probability exceeds u times the total: (B, V), (B,) -> (B,).

    A zero probability is never chosen.
    """
    cumulative = probabilities.cumsum(dim=-1)
    total = cumulative[:, -1:]
    index = torch.searchsorted(cumulative, uniforms.unsqueeze(1) * total, right=True)
    return index.squeeze(1).clamp_(max=probabilities.shape[1] - 1)


def _decode(
    policy: Policy, logits: Tensor, cache: Cache, decoding: Decoding, running: _Running
) -> _Drawn:
    steps = decoding.max_new_tokens
    drawn = _Drawn.empty(len(logits), steps, logits)
    for step in range(steps):
        log_probabilities = policy.log_probabilities(logits, decoding.temperature or 1.0)
        token = running.choose(log_probabilities, step, decoding)
        drawn.write(running.rows, step, token, log_probabilities)
        if step + 1 == steps:
            break
        if decoding.eos_ids:
            running.finished |= is_eos(token, decoding.eos_ids)
            done = int(running.finished.sum())
            if done == len(token):
                break
            if done >= DROP_FRACTION * len(token):
                active = (~running.finished).nonzero().squeeze(1)
                cache.keep(active)
                running.keep(active)
                token = token[active]
        logits = cache.step(token)
    return drawn


def _ends(tokens: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    if decoding.eos_ids:
        return first_eos(tokens, decoding.eos_ids)
    lengths = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
    return lengths, torch.ones_like(lengths, dtype=torch.bool)


def _lean_start(
    policy: Policy, prompts: Prompts, rollouts: int, steps: int
) -> tuple[Tensor, Cache]:
    assert policy.decoder is not None
    cache = LeanCache(policy.decoder, prompts, rollouts, steps)
    return cache.first_logits, cache


class LeanCache:
    """Keys and values of the lean decoder, in place: (B * K heads, columns, head dim) per layer."""

    def __init__(self, decoder: Decoder, prompts: Prompts, rollouts: int, steps: int) -> None:
        self._decoder = decoder
        rows, width = prompts.tokens.shape
        self._column, self._columns = width, width + steps
        attention = SequenceAttention(
            prompts.tokens.shape,
            _prompt_visible(prompts),
            decoder.embedding.weight.dtype,
            keep=True,
        )
        positions = position_ids(prompts.mask).flatten()
        last = torch.arange(1, rows + 1, device=positions.device) * width - 1
        hidden = decoder.hidden(prompts.tokens.flatten(), positions, width, attention, last)
        self.first_logits = decoder.logits(hidden).repeat_interleave(rollouts, dim=0)
        self._positions = prompts.lengths.repeat_interleave(rollouts)
        self._keys = [self._room(key, rollouts) for key, _ in attention.kept]
        self._values = [self._room(value, rollouts) for _, value in attention.kept]
        self._bias = self._padding_bias(prompts, rollouts)

    def _room(self, part: Tensor, rollouts: int) -> Tensor:
        """(Q, K, P, D) -> (Q * rollouts * K, columns, D), the columns of new tokens still empty."""
        queries, heads, width, size = part.shape
        room = part.new_empty(queries, rollouts, heads, self._columns, size)
        room[:, :, :, :width] = part.unsqueeze(1)
        return room.view(-1, self._columns, size)

    def _padding_bias(self, prompts: Prompts, rollouts: int) -> Tensor:
        """(B * K heads, 1, columns): -inf where a prompt is padded."""
        heads = self._decoder.shape.key_heads
        rows, width = prompts.tokens.shape
        bias = self._keys[0].new_zeros(rows, rollouts, heads, self._columns)
        bias[..., :width].masked_fill_(~prompts.mask[:, None, None, :], float("-inf"))
        return bias.view(-1, 1, self._columns)

    def step(self, tokens: Tensor) -> Tensor:
        """Feed one token (B,) per row; the next logits (B, V)."""
        hidden = self._decoder.hidden(tokens, self._positions, self._columns, self._attend)
        self._column += 1
        self._positions = self._positions + 1
        return self._decoder.logits(hidden)

    def keep(self, rows: Tensor) -> None:
        """Continue only the rows at these places (K,)."""
        heads = self._decoder.shape.key_heads
        places = (rows.unsqueeze(1) * heads + torch.arange(heads, device=rows.device)).flatten()
        self._positions = self._positions[rows]
        self._bias = self._bias[places]
        for layer in range(len(self._keys)):
            self._keys[layer] = self._keys[layer][places]
            self._values[layer] = self._values[layer][places]

    def _attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Each row's one query over its cached columns, after adding its key and value."""
        keys, values, seen = self._keys[layer], self._values[layer], self._column + 1
        size = q.shape[-1]
        keys[:, self._column] = k.reshape(-1, size)
        values[:, self._column] = v.reshape(-1, size)
        query = q.reshape(len(keys), -1, size)
        scores = torch.baddbmm(
            self._bias[:, :, :seen], query, keys[:, :seen].transpose(1, 2), alpha=size**-0.5
        )
        return torch.bmm(scores.softmax(dim=-1), values[:, :seen]).view(len(q), -1)


def _prompt_visible(prompts: Prompts) -> Tensor:
    """(Q, P, P): causal over real tokens; padding sees itself, so that no row is empty."""
    width = prompts.tokens.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool, device=prompts.tokens.device).tril()
    own = torch.eye(width, dtype=torch.bool, device=prompts.tokens.device)
    return (causal & prompts.mask.unsqueeze(1)) | own


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
