"""Decoding with the lean decoder: one token per row and step, over keys and values kept in place.

At a few rows of a small model a step costs what its calls cost, not what they compute. So all views
and buffers are made once for a set of rows, every projection adds into the residual in place, and
all layers' columns of the cache are cut with one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ablatekit_rft.policy.decoder import Block, Decoder, Linear, Norm, SequenceAttention
from ablatekit_rft.policy.policy import position_ids
from ablatekit_rft.policy.rollout import Prompts


class DecodeCache:
    """Prompts that the lean decoder has read, and the rows that continue them.

    Keys and values of all layers are one tensor (layers, 2, B, K, columns, D).
    """

    def __init__(self, decoder: Decoder, prompts: Prompts, rollouts: int, steps: int) -> None:
        rows, width = prompts.tokens.shape
        attention = SequenceAttention(
            prompts.tokens.shape,
            _prompt_visible(prompts),
            decoder.embedding.weight.dtype,
            keep=True,
        )
        positions = position_ids(prompts.mask).flatten()
        # Prompts are padded on the left: each one's last token stands in the last column.
        last = torch.arange(1, rows + 1, device=positions.device) * width - 1
        hidden = decoder.hidden(prompts.tokens.flatten(), positions, width, attention, last)
        # A prompt is read once; only what it led to is repeated for its rollouts.
        self.first_logits = decoder.logits(hidden).repeat_interleave(rollouts, dim=0)
        self._room = _room(attention, rollouts, width + steps)
        self._bias = _padding_bias(prompts, rollouts, self._room)
        self._turns = _turns(decoder, prompts.lengths.repeat_interleave(rollouts), steps)
        self._width = self._column = width
        self._layers = tuple(_Layer.of(decoder, block) for block in decoder.blocks)
        self._decoder = decoder
        self._begin()

    def _begin(self) -> None:
        """Make the buffers and views of the present rows."""
        self._step = _Step(self._decoder, self._layers, self._room.shape[2])
        # (layers * 2, B * K, columns, D): keys and values alternate, and one slice of the columns
        # cuts those of all layers; a slice per layer would cost what a small product costs.
        self._window = self._room.flatten(2, 3).flatten(0, 1)
        self._by_step = self._turns.unbind(1)

    def step(self, tokens: Tensor) -> Tensor:
        """Feed one token (B,) per row; the next logits (B, V)."""
        # The window includes the new token's column: it is written before it is attended to.
        column = self._column
        self._column += 1
        window = self._window[:, :, : self._column]
        return self._step.run(
            tokens,
            self._by_step[column - self._width],
            self._bias[:, :, : self._column],
            self._room[..., column, :].transpose(1, 2).unbind(0),
            window.transpose(2, 3).unbind(0)[::2],
            window.unbind(0)[1::2],
        )

    def keep(self, rows: Tensor) -> None:
        """Continue only the rows at these places (K,)."""
        heads, columns = self._room.shape[3:5]
        self._room, self._turns = self._room[:, :, rows], self._turns[:, :, rows]
        # The bias is per row and head, so that it can be added by the product over both.
        self._bias = self._bias.view(-1, heads, columns)[rows].view(-1, 1, columns)
        self._begin()


@dataclass(frozen=True, slots=True)
class _Affine:
    """A projection with its transposed weight (in, out).

    Autocast does not reach operations that write to a given tensor: under it, they are not used.
    """

    linear: Linear
    weight: Tensor
    autocast: bool

    @classmethod
    def of(cls, linear: Linear) -> _Affine:
        weight = linear.weight.t()
        return cls(linear, weight, torch.is_autocast_enabled(weight.device.type))

    def into(self, x: Tensor, out: Tensor) -> None:
        """Write the projection of `x` to `out`."""
        if self.autocast:
            out.copy_(self.linear(x))
        elif self.linear.bias is None:
            torch.mm(x, self.weight, out=out)
        else:
            torch.addmm(self.linear.bias, x, self.weight, out=out)

    def add_to(self, residual: Tensor, x: Tensor) -> None:
        """Add the projection of `x` to `residual`."""
        if self.autocast:
            residual.add_(self.linear(x))
            return
        residual.addmm_(x, self.weight)
        if self.linear.bias is not None:
            residual.add_(self.linear.bias)


@dataclass(frozen=True, slots=True)
class _RmsScale:
    """x w / sqrt(mean(x^2) + eps) as x (w sqrt(n)) / hypot(|x|, sqrt(n eps)): four operations.

    Computed in single precision at least, as the modules of transformers do.
    """

    weight: Tensor
    floor: Tensor

    @classmethod
    def of(cls, weight: Tensor, eps: float) -> _RmsScale:
        size = weight.shape[-1]
        precise = weight if weight.dtype == torch.float64 else weight.float()
        return cls(precise * size**0.5, precise.new_tensor((size * eps) ** 0.5))

    def into(self, x: Tensor, out: Tensor) -> Tensor:
        """Write the norm of `x` over its last axis to `out`, which may be `x`."""
        # The root of the sum of squares and n eps in one call.
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=self.weight.dtype)
        torch.hypot(length, self.floor, out=length)
        # A narrower buffer would round the quotient before the weight multiplies it.
        if x.dtype == self.weight.dtype:
            return torch.div(x, length, out=out).mul_(self.weight)
        return out.copy_(x / length * self.weight)


@dataclass(frozen=True, slots=True)
class _LayerNorm:
    """Layer norm with a bias."""

    norm: Norm

    def into(self, x: Tensor, _out: Tensor) -> Tensor:
        """The norm of `x` over its last axis."""
        norm = self.norm
        return torch.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps)


def _norm(norm: Norm) -> _RmsScale | _LayerNorm:
    return _LayerNorm(norm) if norm.bias is not None else _RmsScale.of(norm.weight, norm.eps)


@dataclass(frozen=True, slots=True)
class _Layer:
    """A block of the decoder, made ready for many steps with the same weights."""

    attention_norm: _RmsScale | _LayerNorm
    qkv: _Affine
    heads_norm: _RmsScale | None
    out: _Affine
    mlp_norm: _RmsScale | _LayerNorm
    up: _Affine
    down: _Affine

    @classmethod
    def of(cls, decoder: Decoder, block: Block) -> _Layer:
        heads = None
        if block.query_norm is not None:
            heads = _RmsScale.of(decoder.head_weights(block), block.query_norm.eps)
        return cls(
            _norm(block.attention_norm),
            _Affine.of(block.qkv),
            heads,
            _Affine.of(block.out),
            _norm(block.mlp_norm),
            _Affine.of(block.up),
            _Affine.of(block.down),
        )


class _Step:
    """The decoder's step for B rows: buffers and the views into them, reused in every step."""

    def __init__(self, decoder: Decoder, layers: Sequence[_Layer], rows: int) -> None:
        s, table = decoder.shape, decoder.embedding.weight
        self._shape, self._table, self._layers = s, table, layers
        self._final_norm, self._head = _norm(decoder.final_norm), _Affine.of(decoder.head)
        self._x = table.new_empty(rows, table.shape[1])
        self._normed = torch.empty_like(self._x)
        self._attended = table.new_empty(rows, s.heads * s.head_dim)
        # Query heads that share a key head become rows of one product with it, so that grouped
        # keys and values are never repeated.
        per_key = (rows * s.key_heads, s.heads // s.key_heads, s.head_dim)
        self._query = table.new_empty(per_key)
        self._query_rows = self._query.view(rows, s.heads, s.head_dim)
        self._attended_heads = self._attended.view(per_key)
        self._scale = s.head_dim**-0.5
        self._fused = table.new_empty(rows, (s.heads + 2 * s.key_heads) * s.head_dim)
        self._split_fused(rows)
        self._up = table.new_empty(rows, decoder.blocks[0].up.weight.shape[0])
        gate, *gated = self._up.chunk(2, dim=-1) if s.gated else (self._up,)
        self._gate, self._gated = gate, gated[0] if gated else None

    def _split_fused(self, rows: int) -> None:
        """Views of the fused projection: rotated heads, queries (B, H, D), new (B, 2, K, D)."""
        s = self._shape
        if s.interleaved:
            parts = self._fused.view(rows, s.heads, 3, s.head_dim)
            self._heads, self._queries = parts[:, :, :2], parts[:, :, 0]
            self._new = parts[:, :, 1:].transpose(1, 2)
        else:
            parts = self._fused.view(rows, -1, s.head_dim)
            self._heads, self._queries = parts[:, : s.heads + s.key_heads], parts[:, : s.heads]
            self._new = parts[:, s.heads :].view(rows, 2, s.key_heads, s.head_dim)
        self._rotated = self._heads[..., : s.rotary_dim]
        self._first, self._second = self._rotated.chunk(2, dim=-1)
        # Dense, although `_rotated` is a strided view into the fused projection.
        self._turned = torch.empty_like(self._rotated, memory_format=torch.contiguous_format)
        self._to_first, self._to_second = self._turned.chunk(2, dim=-1)

    def run(
        self,
        tokens: Tensor,
        turn: Tensor,
        bias: Tensor,
        new: Sequence[Tensor],
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
    ) -> Tensor:
        """Logits (B, V) after `tokens` (B,), rotated by `turn` (2, B, 1, rotary dim).

        By layer: `new` (B, 2, K, D) is where the tokens' keys and values go, `keys` (B * K, D,
        columns) and `values` (B * K, columns, D) are all of them so far. bias (B * K, 1, columns)
        hides padding.
        """
        x = torch.index_select(self._table, 0, tokens, out=self._x)
        # Interleaved heads have an axis more, over query and key.
        cos, sin = turn.unsqueeze(2).unbind(0) if self._shape.interleaved else turn.unbind(0)
        sines = sin.chunk(2, dim=-1)
        for layer, to, key, value in zip(self._layers, new, keys, values, strict=True):
            layer.qkv.into(layer.attention_norm.into(x, self._normed), self._fused)
            if layer.heads_norm is not None:
                layer.heads_norm.into(self._heads, self._heads)
            self._rotate(cos, *sines)
            to.copy_(self._new)
            self._attend(bias, key, value)
            # `x` is the residual and changes in place: a parallel block reads it for the MLP before
            # attention is added, a sequential one after.
            if self._shape.parallel:
                layer.up.into(layer.mlp_norm.into(x, self._normed), self._up)
                layer.out.add_to(x, self._attended)
            else:
                layer.out.add_to(x, self._attended)
                layer.up.into(layer.mlp_norm.into(x, self._normed), self._up)
            layer.down.add_to(x, self._activated())
        logits = x.new_empty(len(x), len(self._table))
        self._head.into(self._final_norm.into(x, self._normed), logits)
        return logits

    def _rotate(self, cos: Tensor, negative_sin: Tensor, sin: Tensor) -> None:
        """Rotate queries and keys where they are, in the fused projection."""
        # Both halves are multiplied into a buffer before either is overwritten.
        torch.mul(self._second, negative_sin, out=self._to_first)
        torch.mul(self._first, sin, out=self._to_second)
        torch.addcmul(self._turned, self._rotated, cos, out=self._rotated)

    def _attend(self, bias: Tensor, keys: Tensor, values: Tensor) -> None:
        self._query_rows.copy_(self._queries)
        # One call scales, multiplies and hides padding.
        scores = torch.baddbmm(bias, self._query, keys, alpha=self._scale)
        probabilities = scores.softmax(dim=-1, dtype=values.dtype)
        torch.bmm(probabilities, values, out=self._attended_heads)

    def _activated(self) -> Tensor:
        activated = self._shape.activation(self._gate)
        return activated if self._gated is None else activated.mul_(self._gated)


def _turns(decoder: Decoder, lengths: Tensor, steps: int) -> Tensor:
    """Cosines and signed sines of all steps: (2, steps, B, 1, rotary dim)."""
    positions = torch.arange(steps, device=lengths.device).unsqueeze(1) + lengths
    length = int(lengths.max()) + steps
    cos, sin = decoder.rotary(positions.flatten(), length)
    return torch.stack((cos, sin)).view(2, *positions.shape, *cos.shape[1:])


def _room(attention: SequenceAttention, rollouts: int, columns: int) -> Tensor:
    """Kept keys and values, each row `rollouts` times, with columns for new tokens."""
    key = attention.kept[0][0]
    rows, heads, width, size = key.shape
    room = key.new_empty(len(attention.kept), 2, rows, rollouts, heads, columns, size)
    for layer, kept in enumerate(attention.kept):
        for place, part in enumerate(kept):
            # The prompt's columns are copied for every rollout; a step writes those of its token
            # before it reads them.
            room[layer, place, :, :, :, :width] = part.unsqueeze(1)
    return room.flatten(2, 3)


def _padding_bias(prompts: Prompts, rollouts: int, room: Tensor) -> Tensor:
    """(B * K heads, 1, columns): -inf where a prompt is padded."""
    rows, width = prompts.tokens.shape
    bias = room.new_zeros(rows, rollouts, room.shape[3], room.shape[4])
    bias[..., :width].masked_fill_(~prompts.mask[:, None, None, :], float("-inf"))
    return bias.view(-1, 1, room.shape[4])


def _prompt_visible(prompts: Prompts) -> Tensor:
    """(Q, P, P): causal over real tokens; padding sees itself, so that no row is empty."""
    width = prompts.tokens.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool, device=prompts.tokens.device).tril()
    diagonal = torch.eye(width, dtype=torch.bool, device=prompts.tokens.device)
    return (causal & prompts.mask.unsqueeze(1)) | diagonal
