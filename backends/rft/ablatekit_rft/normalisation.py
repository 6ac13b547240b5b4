"""The root-mean-square norm, with a gradient in fewer passes over memory than autograd's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (arXiv:1910.07467).

    weight has the shape of the trailing axes of `x`.
    """
    if torch.is_grad_enabled():
        normed: Tensor = _RmsNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
        return normed
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
        context.save_for_backward(normal, scale, weight)
        return normal * weight

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        normal, scale, weight = context.saved_tensors
        weighted = gradient * weight
        along = torch.linalg.vecdot(weighted, normal).div_(normal.shape[-1]).unsqueeze(-1)
        of_x = torch.addcmul(weighted, normal, along, value=-1).mul_(scale)
        return of_x, (gradient * normal).sum_to_size(weight.shape), None
