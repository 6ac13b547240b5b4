"""The lean decoder with its backward pass written out.

At the size of the tiny models a training step costs what its calls cost, and half of autograd's are
bookkeeping: a graph, views, zeros to add to, one accumulation per weight. Here every operation of
the forward pass is followed backwards by the operation that autograd would call, on the same
operands and with sums in autograd's order, so that no bit of a gradient differs. Each function that
ends in `_backward` states the gradient that it computes; g is the gradient of what the forward
function gave. Gradients of weights are added where they belong, in the leaves' `grad`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.nn.attention import SDPBackend

from ablatekit_rft.policy.decoder import (
    Block,
    Decoder,
    Linear,
    Norm,
    attention_bias,
    rms_forward,
    rms_gradients,
)

aten = torch.ops.aten

ActivationGradient: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(g, input of the activation, where to write) -> g times the derivative at the input."""


def silu_backward(g: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """With s = sigmoid(x): g s (1 + x (1 - s))."""
    return aten.silu_backward.grad_input(g, x, grad_input=out)


def gelu_backward(g: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """With the normal distribution and density at x, F and f: g (F + x f)."""
    return aten.gelu_backward.grad_input(g, x, grad_input=out)


ACTIVATIONS: dict[str, ActivationGradient] = {"silu": silu_backward, "gelu": gelu_backward}
"""By transformers' name of the activation; a model with another one is left to autograd."""


@dataclass(slots=True)
class _NormTrace:
    """Of a root-mean-square norm: normal input, scale. Of a layer norm: input, mean, 1 / std."""

    saved: tuple[Tensor, ...]
    out: Tensor


@dataclass(slots=True)
class _BlockTrace:
    """What the backward pass of a block reads. Activations (M, width), heads (M, heads, D)."""

    attention_norm: _NormTrace
    heads_norm: _NormTrace | None
    attention: _Attention
    attended: Tensor
    mlp_norm: _NormTrace
    up: Tensor
    activated: Tensor
    product: Tensor


@dataclass(slots=True)
class _Pass:
    """What all blocks of a pass share: rows and columns, rotary tables, bias, rows to read."""

    shape: torch.Size
    cos: Tensor
    sin: Tensor
    bias: Tensor | None
    read: Tensor


def _norm(norm: Norm, x: Tensor) -> _NormTrace:
    if norm.bias is None:
        out, normal, scale = rms_forward(x, norm.weight, norm.eps)
        return _NormTrace((normal, scale), out)
    normal, mean, inverse = aten.native_layer_norm(x, norm.weight.shape, None, None, norm.eps)
    return _NormTrace((x, mean, inverse, normal), torch.addcmul(norm.bias, normal, norm.weight))


def _norm_backward(norm: Norm, trace: _NormTrace, g: Tensor) -> Tensor:
    """Of y = n w + b with the normal n of x: db = sum g, dw = sum g n; dx by n's own formula."""
    if norm.bias is None:
        normal, scale = trace.saved
        of_x, of_weight = rms_gradients(g, normal, scale, norm.weight)
        _add(norm.weight, of_weight)
        return of_x
    x, mean, inverse, normal = trace.saved
    _add(norm.bias, g.sum(0))
    _add(norm.weight, (g * normal).sum(0))
    wanted = [True, False, False]
    of_normal = g * norm.weight
    return aten.native_layer_norm_backward(
        of_normal, x, norm.weight.shape, mean, inverse, None, None, wanted
    )[0]


def _linear_backward(linear: Linear, x: Tensor, g: Tensor) -> Tensor:
    """Of y = x W' + b: dW = g' x, db = sum g, dx = g W."""
    assert linear.weight.grad is not None
    linear.weight.grad.addmm_(g.t(), x)
    if linear.bias is not None:
        _add(linear.bias, g.sum(0))
    return torch.mm(g, linear.weight)


def _add(leaf: Tensor, gradient: Tensor) -> None:
    assert leaf.grad is not None
    leaf.grad.add_(gradient)


def _rotate(x: Tensor, p: _Pass, size: int) -> Tensor:
    """y = x cos + swap(x) sin on the first `size` of each head; swap exchanges their halves."""
    part = x[..., :size]
    turned = torch.addcmul(part * p.cos, part.roll(size // 2, dims=-1), p.sin)
    return turned if size == x.shape[-1] else torch.cat((turned, x[..., size:]), dim=-1)


def _rotate_backward(g: Tensor, p: _Pass, size: int, out: Tensor) -> None:
    """dx = g cos + swap(g sin), written to `out`."""
    part = g[..., :size]
    swapped = (part * p.sin).roll(-(size // 2), dims=-1)
    torch.add(part * p.cos, swapped, out=out[..., :size])
    if size < g.shape[-1]:
        out[..., size:] = g[..., size:]


class _Attention:
    """softmax(q k' / sqrt(D) + bias) v by the kernel that torch chooses for these operands.

    On a CPU that is the flash kernel, whose backward pass can be called by name; the gradient of
    any other is left to autograd. Heads come in as (M, H, D), and go on as (R, H, S, D).
    """

    def __init__(self, p: _Pass, q: Tensor, k: Tensor, v: Tensor) -> None:
        self._heads = query, key, value = tuple(_by_row(part, p.shape) for part in (q, k, v))
        self._masked = {"dropout_p": 0.0, "is_causal": p.bias is None, "attn_mask": p.bias}
        grouped = query.shape[1] != key.shape[1]
        self._flash = (
            q.device.type == "cpu" and not grouped and _chooses_flash(*self._heads, self._masked)
        )
        if self._flash:
            self.out, self._normaliser = aten._scaled_dot_product_flash_attention_for_cpu(
                *self._heads, **self._masked
            )
            return
        self._heads = tuple(part.detach().requires_grad_() for part in self._heads)
        with torch.enable_grad():
            self.out = F.scaled_dot_product_attention(
                *self._heads, **self._masked, enable_gqa=grouped
            )

    def backward(self, g: Tensor) -> tuple[Tensor, ...]:
        """Gradients of q, k and v, (R, H, S, D) each."""
        if not self._flash:
            return torch.autograd.grad(self.out, self._heads, g)
        return aten._scaled_dot_product_flash_attention_for_cpu_backward(
            g, *self._heads, self.out, self._normaliser, **self._masked
        )


def _chooses_flash(q: Tensor, k: Tensor, v: Tensor, masked: dict[str, Any]) -> bool:
    return torch._fused_sdp_choice(q, k, v, **masked) == SDPBackend.FLASH_ATTENTION.value


def _by_row(part: Tensor, shape: torch.Size) -> Tensor:
    """(R * S, H, D) -> (R, H, S, D)."""
    return part.view(*shape, *part.shape[1:]).transpose(1, 2)


class _Hidden(torch.autograd.Function):
    """Final hidden states (K, width) as a function of the embedding, and in truth of all weights.

    Returning the embedding's gradient to autograd lets it be added to that of a tied head first, as
    autograd does.
    """

    @staticmethod
    def forward(
        context: Any,
        _table: Tensor,
        decoder: Decoder,
        tokens: Tensor,
        positions: Tensor,
        visible: Tensor | None,
        read: Tensor,
    ) -> Tensor:
        context.passed = TracedPass(decoder, tokens, positions, visible, read)
        return context.passed.hidden()

    @staticmethod
    def backward(context: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        passed, context.passed = context.passed, None
        return passed.backward(g), None, None, None, None, None


class TracedPass:
    """One pass of a decoder over rows, forwards and then backwards."""

    def __init__(
        self,
        decoder: Decoder,
        tokens: Tensor,
        positions: Tensor,
        visible: Tensor | None,
        read: Tensor,
    ) -> None:
        self._decoder, self._tokens = decoder, tokens.flatten()
        dtype = decoder.embedding.weight.dtype
        cos, sin = decoder.rotary(positions.flatten(), int(positions.max()) + 1)
        s = decoder.shape
        heads = (s.heads, 2) if s.interleaved else (s.heads + s.key_heads,)
        cos, sin = (
            part.view(-1, *(1,) * len(heads), s.rotary_dim).expand(-1, *heads, -1).contiguous()
            for part in (cos, sin)
        )
        bias = None if visible is None else attention_bias(visible, dtype)
        self._pass = _Pass(tokens.shape, cos, sin, bias, read)
        self._traces: list[_BlockTrace] = []

    def hidden(self) -> Tensor:
        """(K, width), what the head reads."""
        decoder = self._decoder
        x = decoder.embedding(self._tokens)
        for block in decoder.blocks:
            x = self._block(block, x, last=block is decoder.blocks[-1])
        self._final = _norm(decoder.final_norm, x)
        return self._final.out

    def _block(self, block: Block, x: Tensor, *, last: bool) -> Tensor:
        s = self._decoder.shape
        attention_norm = _norm(block.attention_norm, x)
        q, k, v, heads_norm = self._heads(block, attention_norm.out)
        attention = _Attention(self._pass, q, k, v)
        attended = attention.out.detach().transpose(1, 2).reshape(len(x), -1)
        if last:
            x = x.index_select(0, self._pass.read)
            attended = attended.index_select(0, self._pass.read)
        between = block.out(attended).add_(x)
        mlp_norm = _norm(block.mlp_norm, x if s.parallel else between)
        up = block.up(mlp_norm.out)
        gate, *gated = up.chunk(2, dim=-1) if s.gated else (up,)
        activated = s.activation(gate)
        product = activated * gated[0] if gated else activated
        self._traces.append(
            _BlockTrace(
                attention_norm, heads_norm, attention, attended, mlp_norm, up, activated, product
            )
        )
        return block.down(product).add_(between)

    def _heads(self, block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor, _NormTrace | None]:
        s = self._decoder.shape
        fused = block.qkv(x)
        if s.interleaved:
            parts = fused.view(-1, s.heads, 3, s.head_dim)
            both = _rotate(parts[:, :, :2], self._pass, s.rotary_dim)
            return both[:, :, 0], both[:, :, 1], parts[:, :, 2], None
        rotated = s.heads + s.key_heads
        parts = fused.view(-1, rotated + s.key_heads, s.head_dim)
        both, trace = parts[:, :rotated], None
        if block.query_norm is not None:
            out, *saved = rms_forward(both, self._decoder.head_weights(block), block.query_norm.eps)
            both, trace = out, _NormTrace(tuple(saved), out)
        both = _rotate(both, self._pass, s.rotary_dim)
        return both[:, : s.heads], both[:, s.heads :], parts[:, rotated:], trace

    def backward(self, g: Tensor) -> Tensor:
        """Add the gradients of all weights but the embedding's, which is given: (V, width)."""
        decoder, table = self._decoder, self._decoder.embedding
        g = _norm_backward(decoder.final_norm, self._final, g)
        for block in reversed(decoder.blocks):
            trace = self._traces.pop()
            g = self._block_backward(block, trace, g, last=block is decoder.blocks[-1])
        padding = -1 if table.padding_id is None else table.padding_id
        return aten.embedding_dense_backward(g, self._tokens, len(table.weight), padding, False)

    def _block_backward(self, block: Block, trace: _BlockTrace, g: Tensor, *, last: bool) -> Tensor:
        """The sum of the residual's gradients, in the order in which autograd finds them."""
        of_up = self._mlp_backward(block, trace, g)
        of_mlp = _norm_backward(
            block.mlp_norm, trace.mlp_norm, _linear_backward(block.up, trace.mlp_norm.out, of_up)
        )
        through = g if self._decoder.shape.parallel else g.add_(of_mlp)
        of_attended = _linear_backward(block.out, trace.attended, through)
        if self._decoder.shape.parallel:
            g = of_mlp.add_(g)
        if last:
            g, of_attended = (self._unread(part) for part in (g, of_attended))
        of_fused = self._attention_backward(block, trace, of_attended)
        of_normed = _linear_backward(block.qkv, trace.attention_norm.out, of_fused)
        return g.add_(_norm_backward(block.attention_norm, trace.attention_norm, of_normed))

    def _unread(self, g: Tensor) -> Tensor:
        """Of y = x[read]: g at the rows that were read, in sum where one was read twice."""
        rows = self._pass.shape.numel()
        return g.new_zeros(rows, g.shape[1]).index_add_(0, self._pass.read, g)

    def _mlp_backward(self, block: Block, trace: _BlockTrace, g: Tensor) -> Tensor:
        """Of y = a(gate) up: dgate = a'(gate, g up), dup = g a(gate); written over gate and up."""
        s = self._decoder.shape
        assert s.activation_gradient is not None
        g = _linear_backward(block.down, trace.product, g)
        if not s.gated:
            return s.activation_gradient(g, trace.up, trace.up)
        gate, up = trace.up.chunk(2, dim=-1)
        of_activated = g * up
        torch.mul(g, trace.activated, out=up)
        s.activation_gradient(of_activated, gate, gate)
        return trace.up

    def _attention_backward(self, block: Block, trace: _BlockTrace, g: Tensor) -> Tensor:
        """From the gradient of attended values to that of the fused projection."""
        s, p = self._decoder.shape, self._pass
        of_heads = trace.attention.backward(_by_row(g.view(len(g), s.heads, -1), p.shape))
        q, k, v = (part.transpose(1, 2).flatten(0, 1) for part in of_heads)
        fused = g.new_empty(len(g), (s.heads + 2 * s.key_heads) * s.head_dim)
        if s.interleaved:
            parts = fused.view(-1, s.heads, 3, s.head_dim)
            parts[:, :, 2] = v
            _rotate_backward(torch.stack((q, k), dim=2), p, s.rotary_dim, parts[:, :, :2])
            return fused
        rotated = s.heads + s.key_heads
        parts = fused.view(-1, rotated + s.key_heads, s.head_dim)
        parts[:, rotated:] = v
        both = parts[:, :rotated]
        _rotate_backward(torch.cat((q, k), dim=1), p, s.rotary_dim, both)
        if trace.heads_norm is not None:
            self._heads_norm_backward(block, trace.heads_norm, both)
        return fused

    def _heads_norm_backward(self, block: Block, trace: _NormTrace, g: Tensor) -> None:
        """The norms of queries and keys, whose weights all heads share; written over g."""
        assert block.query_norm is not None
        assert block.key_norm is not None
        normal, scale = trace.saved
        of_x, of_weight = rms_gradients(g, normal, scale, self._decoder.head_weights(block))
        heads = self._decoder.shape.heads
        _add(block.query_norm.weight, of_weight[:heads].sum(0))
        _add(block.key_norm.weight, of_weight[heads:].sum(0))
        g.copy_(of_x)


def is_differentiated(decoder: Decoder) -> bool:
    """Whether this module knows all gradients of a decoder."""
    return decoder.shape.activation_gradient is not None


def differentiated_hidden(
    decoder: Decoder, tokens: Tensor, positions: Tensor, visible: Tensor | None, read: Tensor
) -> Tensor:
    """`Decoder.sequence_hidden`, with the backward pass of this module."""
    table = decoder.embedding.weight
    hidden: Tensor = _Hidden.apply(table, decoder, tokens, positions, visible, read)  # type: ignore[no-untyped-call]
    return hidden
