"""Which queries a round trains on, and what is drawn for them, as functions of the round alone.

No generator has a state that a checkpoint would have to keep: a round's queries and random numbers
follow from the run's seed and the round's number.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablatekit.seeds import Seeds


def round_queries(
    seeds: Seeds, items: int, queries_per_round: int, round_index: int
) -> NDArray[np.int64]:
    """Indices (Q,) of the train items of a round, counted from 0.

    Epochs are fresh permutations of all items, laid end to end and cut into rounds.
    """
    start = round_index * queries_per_round
    places = np.arange(start, start + queries_per_round)
    epochs, within = np.divmod(places, items)
    orders = {epoch: _permutation(seeds, items, epoch) for epoch in np.unique(epochs).tolist()}
    chosen = [orders[epoch][place] for epoch, place in zip(epochs.tolist(), within, strict=True)]
    return np.array(chosen, np.int64)


def round_uniforms(seeds: Seeds, round_index: int, rows: int, steps: int) -> Tensor:
    """Uniform numbers in [0, 1), (rows, steps) float32, for the rollouts of a round."""
    generator = np.random.default_rng(seeds.own(f"rollouts/{round_index}"))
    return torch.from_numpy(generator.random((rows, steps), dtype=np.float32))


def evaluation_uniforms(
    seeds: Seeds, keys: list[tuple[str, str]], samples: int, steps: int
) -> Tensor:
    """Uniform numbers (items, samples, steps), common to all runs of a context.

    keys: (split, item); each (split, item, sample) has numbers of its own, whatever else is
    evaluated with it.
    """
    drawn = [
        [_evaluation_row(seeds, split, item, sample, steps) for sample in range(samples)]
        for split, item in keys
    ]
    return torch.from_numpy(np.array(drawn, np.float32))


def _evaluation_row(
    seeds: Seeds, split: str, item: str, sample: int, steps: int
) -> NDArray[np.float32]:
    seed = seeds.common("evaluation", split, item, sample)
    return np.random.default_rng(seed).random(steps, dtype=np.float32)


def _permutation(seeds: Seeds, items: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng(seeds.own(f"queries/{epoch}")).permutation(items)
