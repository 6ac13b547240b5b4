"""How many threads compute a run.

MKL splits matrix products between threads in ways that change their last bits, in its reproducible
modes (`MKL_CBWR`) too. One thread computes a small model whatever `threads` says, so that its runs
repeat bit for bit; several of them use the cores of a machine side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_MODEL = 10_000_000
"""Weights below which one thread computes a model."""


@contextmanager
def steady_threads(weights: torch.Tensor) -> Iterator[None]:
    """While open, one thread computes if the model of these weights is small and on a CPU."""
    threads = torch.get_num_threads()
    if weights.device.type != "cpu" or weights.numel() >= SMALL_MODEL:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
