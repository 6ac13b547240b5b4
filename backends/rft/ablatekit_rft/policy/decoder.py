"""A lean forward pass for the Llama, Qwen2, Qwen3 and GPT-NeoX families.

It computes what the transformers module computes, on the module's own memory (its flat parameters),
with fused projections and one call per operation. Training, scoring and sampling share its blocks;
what differs between them is only how a block attends (`Attend`). Activations are (M, width) with
M = rows x columns, flattened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (arXiv:1910.07467).

    weight has the shape of the trailing axes of `x`.
    """
    if torch.is_grad_enabled():
        normed: Tensor = _RmsNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
        return normed
    # Without a graph the product is nobody else's: scaling it in place saves a copy.
    return (x * _scale(x, eps)).mul_(weight)


def _scale(x: Tensor, eps: float) -> Tensor:
    mean_square: Tensor = torch.linalg.vecdot(x, x).div_(x.shape[-1])
    return mean_square.add_(eps).rsqrt_().unsqueeze(-1)


class _RmsNorm(torch.autograd.Function):
    """With n = x s, s = 1 / sqrt(mean(x^2) + eps) and h = g w: dx = s (h - n mean(h n))."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = _scale(x, eps)
        normal = x * scale
        # Autograd through the single operations would keep `x` beside `normal`.
        context.save_for_backward(normal, scale, weight)
        return normal * weight

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        normal, scale, weight = context.saved_tensors
        weighted = gradient * weight
        along = torch.linalg.vecdot(weighted, normal).div_(normal.shape[-1]).unsqueeze(-1)
        of_x = torch.addcmul(weighted, normal, along, value=-1).mul_(scale)
        # A norm per head has one weight per head and element: the sum runs over the other axes.
        return of_x, (gradient * normal).sum_to_size(weight.shape), None


Attend: TypeAlias = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, q (M, H, D), k (M, K, D), v (M, K, D)) -> (M, H * D)."""


@dataclass(frozen=True, slots=True)
class Linear:
    """An affine map; weight (out, in)."""

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True, slots=True)
class Embedding:
    """A table (V, width). As in transformers, the row of `padding_id` is read but never trained.

    Freshly made models have zeros there, behind which a norm's gradient would be enormous.
    """

    weight: Tensor
    padding_id: int | None

    def __call__(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.weight, self.padding_id)


@dataclass(frozen=True, slots=True)
class Norm:
    """Root-mean-square norm, or layer norm when it has a bias, over the last axis."""

    weight: Tensor
    bias: Tensor | None
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return rms_norm(x, self.weight, self.eps)
        # The fused gradient of weight and bias adds up per thread; this one never depends on it.
        normal = F.layer_norm(x, self.weight.shape, eps=self.eps)
        return torch.addcmul(self.bias, normal, self.weight)


@dataclass(frozen=True, slots=True)
class Block:
    """The weights of one layer. `up` holds gate and up projection when the MLP is gated."""

    attention_norm: Norm
    qkv: Linear
    query_norm: Norm | None
    key_norm: Norm | None
    out: Linear
    mlp_norm: Norm
    up: Linear
    down: Linear


@dataclass(frozen=True, slots=True)
class Shape:
    """What a family fixes besides its weights.

    `interleaved`: the fused projection holds (q, k, v) head by head instead of all q, all k, all v.
    `parallel`: attention and MLP read the same residual.
    """

    heads: int
    key_heads: int
    head_dim: int
    rotary_dim: int
    activation: Callable[[Tensor], Tensor]
    gated: bool
    interleaved: bool
    parallel: bool


class RotaryTables:
    """Cosines and signed sines of the module's own rotary embedding, by position, grown on demand.

    With sines of the first half negated, rotate_half(x) * sin is roll(x, half) * signed sin.
    """

    def __init__(self, rotary: Any, example: Tensor) -> None:
        self._rotary, self._example = rotary, example
        self._cos = self._sin = example.new_empty(0, 0)

    def __call__(self, positions: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Tables at `positions` (M,), all below `length`: two tensors (M, 1, rotary_dim)."""
        if len(self._cos) < length:
            # Twice what is asked for: completions of growing length then seldom make new tables.
            self._grow(max(64, 2 * length))
        return self._cos[positions], self._sin[positions]

    def _grow(self, length: int) -> None:
        positions = torch.arange(length, device=self._example.device).unsqueeze(0)
        cos, sin = self._rotary(self._example, positions)
        half = sin.shape[-1] // 2
        signed = torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)
        self._cos, self._sin = cos[0].unsqueeze(1).clone(), signed[0].unsqueeze(1).clone()


@dataclass(frozen=True, slots=True)
class Decoder:
    """A decoder-only transformer as functions of its weights."""

    shape: Shape
    embedding: Embedding
    blocks: Sequence[Block]
    final_norm: Norm
    head: Linear
    rotary: RotaryTables

    def hidden(
        self,
        tokens: Tensor,
        positions: Tensor,
        length: int,
        attend: Attend,
        read: Tensor | None = None,
    ) -> Tensor:
        """Hidden states before the last norm: tokens, positions (M,) below `length` -> (M, width).

        Only the positions `read` (K,) with their (K, width), if given: the last block then computes
        nothing that nobody reads but keys and values.
        """
        x = self.embedding(tokens)
        cos, sin = self.rotary(positions, length)
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            q, k, v = self._heads(block, block.attention_norm(x), cos, sin)
            attended = attend(layer, q, k, v)
            # Attention needs all positions, but what comes after it in the last block does not:
            # most positions of a prompt predict no token that is scored.
            if layer == last and read is not None:
                x, attended = x.index_select(0, read), attended.index_select(0, read)
            x = self._after_attention(block, x, attended)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """(M, width) -> (M, V)."""
        return self.head(self.final_norm(hidden))

    def sequence_hidden(
        self, tokens: Tensor, positions: Tensor, visible: Tensor | None, read: Tensor
    ) -> Tensor:
        """What the head reads, (K, width), at flat positions `read` (K,) of rows (R, S).

        visible: (R, S, S) bool, or None where attention is causal.
        """
        attend = SequenceAttention(tokens.shape, visible, self.embedding.weight.dtype)
        length = int(positions.max()) + 1
        hidden = self.hidden(tokens.flatten(), positions.flatten(), length, attend, read)
        return self.final_norm(hidden)

    def _after_attention(self, block: Block, x: Tensor, attended: Tensor) -> Tensor:
        out = block.out(attended)
        if self.shape.parallel:
            return x + out + self._mlp(block, block.mlp_norm(x))
        x = x + out
        return x + self._mlp(block, block.mlp_norm(x))

    def _mlp(self, block: Block, x: Tensor) -> Tensor:
        up = block.up(x)
        if self.shape.gated:
            gate, up = up.chunk(2, dim=-1)
            return block.down(self.shape.activation(gate) * up)
        return block.down(self.shape.activation(up))

    def _heads(
        self, block: Block, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries (M, H, D), rotated keys and values (M, K, D).

        Queries and keys are normed and rotated together: half as many operations.
        """
        s = self.shape
        fused = block.qkv(x)
        if s.interleaved:
            # (M, H, 3, D): the first two of the three are turned by the same angle.
            parts = fused.view(-1, s.heads, 3, s.head_dim)
            both = self._rotate(parts[:, :, :2], cos.unsqueeze(1), sin.unsqueeze(1))
            return both[:, :, 0], both[:, :, 1], parts[:, :, 2]
        # Queries, keys and values lie in this order: the first H + K heads are those that turn.
        rotated = s.heads + s.key_heads
        parts = fused.view(-1, rotated + s.key_heads, s.head_dim)
        both = parts[:, :rotated]
        if block.query_norm is not None and block.key_norm is not None:
            both = rms_norm(both, self.head_weights(block), block.query_norm.eps)
        both = self._rotate(both, cos, sin)
        return both[:, : s.heads], both[:, s.heads :], parts[:, rotated:]

    def head_weights(self, block: Block) -> Tensor:
        """Norm weights of all query heads, then of all key heads: (H + K, D)."""
        assert block.query_norm is not None
        assert block.key_norm is not None
        query = block.query_norm.weight.expand(self.shape.heads, -1)
        return torch.cat((query, block.key_norm.weight.expand(self.shape.key_heads, -1)))

    def _rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        size = self.shape.rotary_dim
        # rotate_half swaps the halves and negates one: the roll swaps, the signed sine negates.
        if size == self.shape.head_dim:
            return torch.addcmul(x * cos, x.roll(size // 2, dims=-1), sin)
        # Partial rotary embedding: the rest of each head carries no position.
        part = x[..., :size]
        turned = torch.addcmul(part * cos, part.roll(size // 2, dims=-1), sin)
        return torch.cat((turned, x[..., size:]), dim=-1)


class SequenceAttention:
    """Attention within whole rows of a batch; keeps keys and values when asked to."""

    def __init__(
        self, shape: torch.Size, visible: Tensor | None, dtype: torch.dtype, *, keep: bool = False
    ) -> None:
        self._rows, self._columns = shape
        self._bias = None if visible is None else attention_bias(visible, dtype)
        self._keep = keep
        self.kept: list[tuple[Tensor, Tensor]] = []

    def __call__(self, _layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        query, key, value = (self._by_head(part) for part in (q, k, v))
        if self._keep:
            self.kept.append((key, value))
        # Without a bias the kernel has none to read and may skip what causality hides.
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=self._bias,
            is_causal=self._bias is None,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return attended.transpose(1, 2).reshape(self._rows * self._columns, -1)

    def _by_head(self, part: Tensor) -> Tensor:
        return part.view(self._rows, self._columns, *part.shape[1:]).transpose(1, 2)


def attention_bias(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """(R, S, S) bool -> (R, 1, S, S): 0 where visible, -inf elsewhere; made once for all layers."""
    bias = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return bias.masked_fill_(~visible, float("-inf")).unsqueeze(1)
