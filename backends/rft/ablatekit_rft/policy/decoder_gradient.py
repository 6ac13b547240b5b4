"""The lean decoder with its backward pass written out, for a CPU.

Autograd gives every weight a new gradient, which it then adds to the flat one; here products add to
it where it lies, and what a block no longer needs is written over. Every operation of the forward
pass is followed backwards by the operation that autograd would call, on the same operands and with
sums in autograd's order, so that no bit of a gradient differs. Functions named `..._backward` state
the gradient that they compute; g is the gradient of what the forward function gave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
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

aten: Any = torch.ops.aten

ActivationGradient: TypeAlias = Callable[[Tensor, Tensor, Tensor], object]
"""(g, input of the activation, where to write): g times the derivative at the input."""


def silu_backward(g: Tensor, x: Tensor, out: Tensor) -> None:
    """Of y = x s with s = sigmoid(x): dx = g s (1 + x (1 - s))."""
    aten.silu_backward.grad_input(g, x, grad_input=out)


def gelu_backward(g: Tensor, x: Tensor, out: Tensor) -> None:
    """Of y = x F with the normal distribution F and its density f at x: dx = g (F + x f)."""
    aten.gelu_backward.grad_input(g, x, grad_input=out)


ACTIVATIONS: Mapping[str, ActivationGradient] = MappingProxyType(
    {"silu": silu_backward, "gelu": gelu_backward}
)
"""By transformers' name of the activation; a model with another one is left to autograd."""


def is_differentiated(decoder: Decoder) -> bool:
    """Whether this module knows all gradients of a decoder."""
    on_cpu = decoder.embedding.weight.device.type == "cpu"
    return on_cpu and decoder.shape.activation_gradient is not None


def differentiated_hidden(
    decoder: Decoder, tokens: Tensor, positions: Tensor, visible: Tensor | None, read: Tensor
) -> Tensor:
    """`Decoder.sequence_hidden`, whose backward pass is this module's.

    It adds to the weights' gradients in place: to be used with `backward`, once, and not with
    `torch.autograd.grad`.
    """
    hidden: Tensor = _Hidden.apply(  # type: ignore[no-untyped-call]
        decoder.embedding.weight, decoder, tokens, positions, visible, read
    )
    return hidden


class _Hidden(torch.autograd.Function):
    """Hidden states as a function of the embedding and, past autograd, of all other weights.

    Autograd is given the embedding's gradient, so that it is added to that of a tied head before
    both are added to what earlier micro-batches left.
    """

    @staticmethod
    def forward(context: Any, _table: Tensor, decoder: Decoder, *rows: Any) -> Tensor:
        passed = context.passed = _Pass(decoder, *rows)
        return passed.forward()

    @staticmethod
    def backward(context: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        passed, context.passed = context.passed, None
        if passed is None:
            raise RuntimeError("a backward pass writes over what it read: it cannot be repeated")
        return passed.backward(g), None, None, None, None, None


@dataclass(slots=True)
class _Normed:
    """What a norm gave, and what its backward pass reads."""

    out: Tensor
    saved: tuple[Tensor, ...]


@dataclass(slots=True)
class _BlockTrace:
    """What the backward pass of a block reads; activations are (M, width)."""

    attention_norm: _Normed
    heads_norm: _Normed | None
    attention: _Attention
    attended: Tensor
    mlp_norm: _Normed
    up: Tensor
    activated: Tensor
    product: Tensor


class _Pass:
    """One pass of a decoder over rows (R, S) of tokens, forwards and then backwards."""

    def __init__(
        self,
        decoder: Decoder,
        tokens: Tensor,
        positions: Tensor,
        visible: Tensor | None,
        read: Tensor,
    ) -> None:
        self._decoder, self._shape = decoder, decoder.shape
        self._rows, self._tokens, self._read = tokens.shape, tokens.flatten(), read
        dtype = decoder.embedding.weight.dtype
        self._bias = None if visible is None else attention_bias(visible, dtype)
        tables = decoder.rotary(positions.flatten(), int(positions.max()) + 1)
        self._cos, self._sin = (self._per_head(table) for table in tables)
        self._traces: list[_BlockTrace] = []

    def _per_head(self, table: Tensor) -> Tensor:
        """(M, 1, rotary dim), copied for every head that turns: products then run over rows."""
        s = self._shape
        heads = (s.heads, 2) if s.interleaved else (s.heads + s.key_heads, 1)
        wide = table.unsqueeze(2).expand(-1, *heads, -1).contiguous()
        return wide if s.interleaved else wide.squeeze(2)

    def forward(self) -> Tensor:
        """What the head reads: (K, width)."""
        decoder = self._decoder
        x = decoder.embedding(self._tokens)
        for block in decoder.blocks:
            x = self._block(block, x, last=block is decoder.blocks[-1])
        self._final = _norm(decoder.final_norm, x)
        return self._final.out

    def backward(self, g: Tensor) -> Tensor:
        """Add the gradients of all weights but the embedding's, which is given: (V, width)."""
        decoder, table = self._decoder, self._decoder.embedding
        g = _norm_backward(decoder.final_norm, self._final, g)
        for block in reversed(decoder.blocks):
            last = block is decoder.blocks[-1]
            g = self._block_backward(block, self._traces.pop(), g, last=last)
        padding = -1 if table.padding_id is None else table.padding_id
        of_table: Tensor = aten.embedding_dense_backward(
            g, self._tokens, len(table.weight), padding, False
        )
        return of_table

    def _block(self, block: Block, x: Tensor, *, last: bool) -> Tensor:
        s = self._shape
        attention_norm = _norm(block.attention_norm, x)
        q, k, v, heads_norm = self._heads(block, attention_norm.out)
        attention = _Attention(self._bias, *(self._by_row(part) for part in (q, k, v)))
        attended = attention.out.detach().transpose(1, 2).reshape(len(x), -1)
        if last:
            x, attended = (part.index_select(0, self._read) for part in (x, attended))
        between = block.out(attended).add_(x)
        mlp_norm = _norm(block.mlp_norm, x if s.parallel else between)
        up = block.up(mlp_norm.out)
        gate, *gated = up.chunk(2, dim=-1) if s.gated else (up,)
        activated = s.activation(gate)
        product = activated * gated[0] if gated else activated
        self._traces.append(
            _BlockTrace(
                attention_norm,
                heads_norm,
                attention,
                attended,
                mlp_norm,
                up,
                activated,
                product,
            )
        )
        return block.down(product).add_(between)

    def _block_backward(self, block: Block, trace: _BlockTrace, g: Tensor, *, last: bool) -> Tensor:
        """The residual's gradient: its own, the MLP's and attention's, added in this order."""
        of_up = self._mlp_backward(block, trace, g)
        of_normed = _linear_backward(block.up, trace.mlp_norm.out, of_up)
        of_mlp = _norm_backward(block.mlp_norm, trace.mlp_norm, of_normed)
        if self._shape.parallel:
            # The MLP reads what attention reads, so attention's output has no part in its gradient.
            of_attended = _linear_backward(block.out, trace.attended, g)
            g = g + of_mlp
        else:
            g = g.add_(of_mlp)
            of_attended = _linear_backward(block.out, trace.attended, g)
        if last:
            g, of_attended = (self._read_backward(part) for part in (g, of_attended))
        of_fused = self._attention_backward(block, trace, of_attended)
        of_normed = _linear_backward(block.qkv, trace.attention_norm.out, of_fused)
        return g.add_(_norm_backward(block.attention_norm, trace.attention_norm, of_normed))

    def _read_backward(self, g: Tensor) -> Tensor:
        """Of y = x[read]: g where a row was read, in sum where one was read twice."""
        return g.new_zeros(len(self._tokens), g.shape[1]).index_add_(0, self._read, g)

    def _mlp_backward(self, block: Block, trace: _BlockTrace, g: Tensor) -> Tensor:
        """Of y = a(gate) up: dgate = a'(gate) g up, dup = g a(gate); over gate and up."""
        s = self._shape
        assert s.activation_gradient is not None
        g = _linear_backward(block.down, trace.product, g)
        if s.gated:
            gate, up = trace.up.chunk(2, dim=-1)
            of_activated = g * up
            torch.mul(g, trace.activated, out=up)
            s.activation_gradient(of_activated, gate, gate)
        else:
            s.activation_gradient(g, trace.up, trace.up)
        return trace.up

    def _heads(self, block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor, _Normed | None]:
        """`Decoder._heads`, and what the norm of queries and keys left."""
        s = self._shape
        fused = block.qkv(x)
        if s.interleaved:
            parts = fused.view(-1, s.heads, 3, s.head_dim)
            both = self._rotate(parts[:, :, :2])
            return both[:, :, 0], both[:, :, 1], parts[:, :, 2], None
        turning = s.heads + s.key_heads
        parts = fused.view(-1, turning + s.key_heads, s.head_dim)
        both, normed = parts[:, :turning], None
        if block.query_norm is not None:
            out, *saved = rms_forward(both, self._decoder.head_weights(block), block.query_norm.eps)
            both = out
            normed = _Normed(out, tuple(saved))
        both = self._rotate(both)
        return both[:, : s.heads], both[:, s.heads :], parts[:, turning:], normed

    def _attention_backward(self, block: Block, trace: _BlockTrace, g: Tensor) -> Tensor:
        """From the gradient of attended values (M, H * D) to that of the fused projection."""
        s = self._shape
        of_heads = trace.attention.backward(self._by_row(g.view(len(g), s.heads, -1)))
        q, k, v = (part.transpose(1, 2).flatten(0, 1) for part in of_heads)
        fused = g.new_empty(len(g), (s.heads + 2 * s.key_heads) * s.head_dim)
        if s.interleaved:
            parts = fused.view(-1, s.heads, 3, s.head_dim)
            parts[:, :, 2] = v
            self._rotate_backward(torch.stack((q, k), dim=2), parts[:, :, :2])
            return fused
        turning = s.heads + s.key_heads
        parts = fused.view(-1, turning + s.key_heads, s.head_dim)
        parts[:, turning:] = v
        both = parts[:, :turning]
        self._rotate_backward(torch.cat((q, k), dim=1), both)
        if trace.heads_norm is not None:
            self._heads_norm_backward(block, trace.heads_norm, both)
        return fused

    def _heads_norm_backward(self, block: Block, normed: _Normed, g: Tensor) -> None:
        """As `rms_gradients`, over g; the weights of a norm are shared by its heads."""
        assert block.query_norm is not None
        assert block.key_norm is not None
        normal, scale = normed.saved
        of_x, of_weight = rms_gradients(g, normal, scale, self._decoder.head_weights(block))
        heads = self._shape.heads
        _add(block.query_norm.weight, of_weight[:heads].sum(0))
        _add(block.key_norm.weight, of_weight[heads:].sum(0))
        g.copy_(of_x)

    def _rotate(self, x: Tensor) -> Tensor:
        """y = x cos + swap(x) sin, where swap exchanges the halves of what turns of a head."""
        size = self._shape.rotary_dim
        part = x[..., :size]
        turned = torch.addcmul(part * self._cos, part.roll(size // 2, dims=-1), self._sin)
        return turned if size == x.shape[-1] else torch.cat((turned, x[..., size:]), dim=-1)

    def _rotate_backward(self, g: Tensor, out: Tensor) -> None:
        """dx = g cos + swap(g sin)."""
        size = self._shape.rotary_dim
        part = g[..., :size]
        swapped = (part * self._sin).roll(-(size // 2), dims=-1)
        torch.add(part * self._cos, swapped, out=out[..., :size])
        if size < g.shape[-1]:
            out[..., size:] = g[..., size:]

    def _by_row(self, part: Tensor) -> Tensor:
        """(R * S, H, D) -> (R, H, S, D)."""
        return part.view(*self._rows, *part.shape[1:]).transpose(1, 2)


class _Attention:
    """softmax(q k' / sqrt(D) + bias) v of (R, H, S, D), by the kernel that torch chooses for it.

    Where that is the flash kernel its backward pass is called by name; the gradient of any other
    is left to autograd.
    """

    def __init__(self, bias: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> None:
        self._heads: tuple[Tensor, ...] = (q, k, v)
        self._masked: dict[str, Any] = {
            "dropout_p": 0.0,
            "is_causal": bias is None,
            "attn_mask": bias,
        }
        grouped = q.shape[1] != k.shape[1]
        chosen = torch._fused_sdp_choice(q, k, v, **self._masked, enable_gqa=grouped)
        self._flash = not grouped and chosen == SDPBackend.FLASH_ATTENTION.value
        if self._flash:
            forward = aten._scaled_dot_product_flash_attention_for_cpu
            self.out, self._normaliser = forward(q, k, v, **self._masked)
            return
        self._heads = tuple(part.detach().requires_grad_() for part in self._heads)
        with torch.enable_grad():
            query, key, value = self._heads
            self.out = F.scaled_dot_product_attention(
                query, key, value, **self._masked, enable_gqa=grouped
            )

    def backward(self, g: Tensor) -> tuple[Tensor, ...]:
        """Gradients of q, k and v.

        With p = softmax(...): dv = p' g, ds = p (g v' - sum(g y)), dq = ds k / sqrt(D),
        dk = ds' q / sqrt(D).
        """
        if not self._flash:
            return torch.autograd.grad(self.out, self._heads, g)
        backward = aten._scaled_dot_product_flash_attention_for_cpu_backward
        of_heads: tuple[Tensor, ...] = backward(
            g, *self._heads, self.out, self._normaliser, **self._masked
        )
        return of_heads


def _norm(norm: Norm, x: Tensor) -> _Normed:
    if norm.bias is None:
        out, *saved = rms_forward(x, norm.weight, norm.eps)
        return _Normed(out, tuple(saved))
    normal, mean, inverse = aten.native_layer_norm(x, norm.weight.shape, None, None, norm.eps)
    out = torch.addcmul(norm.bias, normal, norm.weight)
    return _Normed(out, (x, mean, inverse, normal))


def _norm_backward(norm: Norm, normed: _Normed, g: Tensor) -> Tensor:
    """Of y = n w + b with x's normal n: dw = sum g n, db = sum g, dn = g w.

    Of n = (x - m) / s over D elements: dx = (dn - mean(dn) - n mean(dn n)) / s. For a
    root-mean-square norm see `rms_gradients`.
    """
    if norm.bias is None:
        normal, scale = normed.saved
        of_x, of_weight = rms_gradients(g, normal, scale, norm.weight)
        _add(norm.weight, of_weight)
        return of_x
    x, mean, inverse, normal = normed.saved
    _add(norm.bias, g.sum(0))
    _add(norm.weight, (g * normal).sum(0))
    backward, only_x = aten.native_layer_norm_backward, [True, False, False]
    gradients: tuple[Tensor, ...] = backward(
        g * norm.weight, x, norm.weight.shape, mean, inverse, None, None, only_x
    )
    return gradients[0]


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
