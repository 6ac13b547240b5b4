"""All trainable parameters of a model in one buffer, all gradients in another.

What does not require a gradient (the weights beneath low-rank adapters) stays where it is.

One buffer makes clipping, the optimizer step and checkpoints single operations, and lets
adjacent weight matrices be read as one fused matrix without a copy: the fused view, the module's
parameters and the buffer are the same memory, so none of them can be stale.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ALIGNMENT = 16
"""Slots start at multiples of this many elements: 64 bytes in float32, one cache line."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one parameter lies in the buffer."""

    offset: int
    shape: torch.Size

    @property
    def end(self) -> int:
        return self.offset + self.shape.numel()

    def view(self, buffer: Tensor) -> Tensor:
        """This parameter's part of `buffer`, in its own shape."""
        return buffer[self.offset : self.end].view(self.shape)


class FlatParameters:
    """The parameters of `module`, moved into one flat buffer that the module then reads.

    Matrices come first, vectors (norms, biases) after them: `decayed` elements are subject to
    weight decay; `tables` names embeddings and head. Parameters named together in `groups` lie side
    by side, so that `fused` can give them as one tensor.
    """

    def __init__(self, module: nn.Module, groups: Sequence[Sequence[str]] = ()) -> None:
        parameters = {
            name: parameter
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }
        self.tables = _tables(module, parameters)
        followers = {name for group in groups for name in group[1:]}
        order = _order(parameters, groups, followers)
        self.slots, size = _layout(parameters, order, followers)
        example = next(iter(parameters.values()))
        self.weights = torch.zeros(size, dtype=example.dtype, device=example.device)
        self.gradient = torch.zeros_like(self.weights)
        vectors = [slot.offset for slot in self.slots.values() if len(slot.shape) < 2]
        self.decayed = min(vectors, default=size)
        for name, parameter in parameters.items():
            self._adopt(parameter, self.slots[name])

    def _adopt(self, parameter: nn.Parameter, slot: Slot) -> None:
        home = slot.view(self.weights)
        home.copy_(parameter.detach())
        parameter.data = home
        parameter.grad = slot.view(self.gradient)

    def fused(self, names: Sequence[str]) -> Tensor:
        """The named parameters, stacked along their first axis, as one leaf tensor.

        Gradients of the leaf accumulate into `gradient`. Raises ValueError when the
        parameters do not lie side by side.
        """
        slots = [self.slots[name] for name in names]
        if any(left.end != right.offset for left, right in itertools.pairwise(slots)):
            raise ValueError(f"not adjacent in the buffer: {', '.join(names)}")
        rows = sum(slot.shape[0] for slot in slots)
        joint = Slot(slots[0].offset, torch.Size((rows, *slots[0].shape[1:])))
        leaf = joint.view(self.weights).detach().requires_grad_()
        leaf.grad = joint.view(self.gradient)
        return leaf

    def zero_gradient(self) -> None:
        """Set every gradient to zero, in place."""
        self.gradient.zero_()


def _tables(module: nn.Module, parameters: dict[str, nn.Parameter]) -> frozenset[str]:
    """Names of embeddings and of the head, found by identity: they may be one matrix."""
    tables = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
    head = getattr(module, "get_output_embeddings", lambda: None)()
    if head is not None:
        tables.add(id(head.weight))
    return frozenset(name for name, value in parameters.items() if id(value) in tables)


def _order(
    parameters: dict[str, nn.Parameter], groups: Sequence[Sequence[str]], followers: set[str]
) -> list[str]:
    """Matrices before vectors; the members of a group in its order, where its first one stands."""
    leader = {group[0]: group for group in groups}
    expanded: list[str] = []
    for name in parameters:
        if name not in followers:
            expanded.extend(leader.get(name, (name,)))
    return sorted(expanded, key=lambda name: parameters[name].dim() < 2)


def _layout(
    parameters: dict[str, nn.Parameter], order: Iterable[str], followers: set[str]
) -> tuple[dict[str, Slot], int]:
    """Aligned slots, except that a follower starts where its group's previous member ends."""
    slots: dict[str, Slot] = {}
    end = 0
    for name in order:
        slots[name] = Slot(end if name in followers else _aligned(end), parameters[name].shape)
        end = slots[name].end
    return slots, _aligned(end)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
