"""The order in which runs are executed: randomised within blocks, so that time is no confounder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def run_order(
    replicates: int, contexts: int, units: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Triples (replicate, context, unit) in execution order.

    Blocks: all of a replicate comes before the next one, and within a replicate every stretch of
    `contexts` runs holds each context once, in random order (a randomised complete block design in
    time; Box, Hunter and Hunter, Statistics for Experimenters, chapter 4). Which unit a context
    runs at its turn is random.
    """
    order: list[tuple[int, int, int]] = []
    for replicate in range(replicates):
        queues = [rng.permutation(units).tolist() for _ in range(contexts)]
        for turn in range(units):
            order += [
                (replicate, context, queues[context][turn])
                for context in rng.permutation(contexts).tolist()
            ]
    return order


def order_seed(parts: Sequence[str]) -> np.random.Generator:
    """A generator seeded by text, so that the same study gives the same order everywhere."""
    entropy = [byte for part in parts for byte in (*part.encode(), 0)]
    return np.random.default_rng(np.random.SeedSequence(entropy))
