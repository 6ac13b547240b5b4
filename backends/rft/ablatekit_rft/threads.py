"""How many threads compute a run.

The matrix products of MKL are split between threads in ways that change their last bits: with 2
threads products of 5 to 11 rows differ from those of one thread, with 4 others too (MKL 2024.2 on
an AMD EPYC; its reproducible modes, `MKL_CBWR=AVX2,STRICT` too, differ there as well). A small
model gains nothing from a second thread, so one computes it and its runs repeat bit for bit
whatever `threads` says.
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
