"""Clipping and the optimizer step on flat parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ablatekit_rft.levels.types import OptimizerSpec
from ablatekit_rft.policy.flat_parameters import ALIGNMENT, FlatParameters

CLIP_EPS = 1e-6
"""Added to the norm before dividing, as in torch.nn.utils.clip_grad_norm_."""

NORM_ROWS = 2**14
"""Rows of a flat buffer whose norms are computed at once on a CPU: 1 MiB in float32."""


@dataclass(frozen=True, slots=True)
class Clipping:
    """The L2 norm of a gradient before clipping, and whether it was clipped."""

    norm: float
    clipped: bool


def flat_norm(flat: Tensor, origin: Tensor | None = None) -> float:
    """L2 norm of a flat buffer whose size is a multiple of `ALIGNMENT`, less `origin` if given.

    Rows are reduced one by one, so that the order of additions does not depend on the number of
    threads, as it does for a reduction of a large buffer to one number.
    """
    rows = flat.view(-1, ALIGNMENT)
    squares = torch.empty(len(rows), dtype=torch.float64, device=flat.device)
    start = None if origin is None else origin.view(-1, ALIGNMENT)
    # A difference as large as all weights would be new memory, which costs more than the norm.
    size = NORM_ROWS if flat.device.type == "cpu" else len(rows)
    for first in range(0, len(rows), size):
        part = slice(first, first + size)
        moved = rows[part] if start is None else rows[part] - start[part]
        squares[part] = torch.linalg.vector_norm(moved, dim=1, dtype=_wide(flat))
    return math.sqrt(squares.square_().cpu().numpy().sum())


def _wide(values: Tensor) -> torch.dtype:
    return torch.float64 if values.dtype == torch.float64 else torch.float32


def clip_gradient(gradient: Tensor, largest: float | None) -> Clipping:
    """Scale the gradient in place to at most `largest`. Raises FloatingPointError if not finite."""
    norm = flat_norm(gradient)
    if not norm < float("inf"):
        raise FloatingPointError(f"the gradient's norm is {norm}")
    clipped = largest is not None and norm > largest
    if largest is not None and clipped:
        gradient.mul_(largest / (norm + CLIP_EPS))
    return Clipping(norm, clipped)


class FlatOptimizer:
    """The optimizer of a run, on flat parameters; vectors (norms, biases) are not decayed.

    AdamW and SGD see two flat tensors. Muon sees every matrix on its own, but for embeddings and
    head, which with the vectors are left to AdamW.
    """

    def __init__(self, parameters: FlatParameters, spec: OptimizerSpec) -> None:
        build = _build_muon if spec.algorithm == "muon" else _build_flat
        self._optimizers = build(parameters, spec)

    def step(self, learning_rate: float) -> None:
        """Update the weights from the gradient, in place."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts, by name."""
        return {
            f"{place}.{index}.{name}": torch.as_tensor(value)
            for place, optimizer in enumerate(self._optimizers)
            for index, part in optimizer.state_dict()["state"].items()
            for name, value in part.items()
            if value is not None
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        for place, optimizer in enumerate(self._optimizers):
            parts: dict[int, dict[str, Tensor]] = {}
            for key, value in state.items():
                owner, index, name = key.split(".", 2)
                if int(owner) == place:
                    parts.setdefault(int(index), {})[name] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": parts})


def _leaf(parameters: FlatParameters, part: slice) -> Tensor:
    leaf = parameters.weights[part].detach().requires_grad_()
    leaf.grad = parameters.gradient[part]
    return leaf


def _build_flat(parameters: FlatParameters, spec: OptimizerSpec) -> list[torch.optim.Optimizer]:
    parts = (slice(0, parameters.decayed), slice(parameters.decayed, None))
    decays = (spec.weight_decay, 0.0)
    groups = [
        {"params": [_leaf(parameters, part)], "weight_decay": decay}
        for part, decay in zip(parts, decays, strict=True)
        if parameters.weights[part].numel()
    ]
    if spec.algorithm == "sgd":
        return [torch.optim.SGD(groups, lr=spec.learning_rate, momentum=spec.momentum)]
    return [_adamw(groups, spec)]


def _build_muon(parameters: FlatParameters, spec: OptimizerSpec) -> list[torch.optim.Optimizer]:
    matrices: list[Tensor] = []
    tables: list[Tensor] = []
    vectors: list[Tensor] = []
    for name, slot in parameters.slots.items():
        leaf = slot.view(parameters.weights).detach().requires_grad_()
        leaf.grad = slot.view(parameters.gradient)
        table = name in parameters.tables
        (vectors if leaf.dim() != 2 else tables if table else matrices).append(leaf)
    others: list[dict[str, Any]] = [
        {"params": leaves, "weight_decay": decay}
        for leaves, decay in ((tables, spec.weight_decay), (vectors, 0.0))
        if leaves
    ]
    muon = torch.optim.Muon(
        matrices,
        lr=spec.learning_rate,
        weight_decay=spec.weight_decay,
        momentum=spec.momentum,
        adjust_lr_fn="match_rms_adamw",
    )
    return [muon, _adamw(others, spec)] if others else [muon]


def _adamw(groups: list[dict[str, Any]], spec: OptimizerSpec) -> torch.optim.Optimizer:
    assert spec.betas is not None
    assert spec.eps is not None
    return torch.optim.AdamW(
        groups, lr=spec.learning_rate, betas=spec.betas, eps=spec.eps, fused=True
    )
