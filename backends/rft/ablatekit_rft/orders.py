"""Orders in which train items come, as functions of the run's seed and a count of draws alone.

No generator has a state that a checkpoint would have to keep. Imports no torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablatekit.seeds import Seeds

WITHOUT_REPLACEMENT = ("epochs", "easy_to_hard", "pools", "priority")
"""Sample policies under which no item comes twice in a round."""


def round_queries(
    seeds: Seeds, items: int, queries_per_round: int, round_index: int
) -> NDArray[np.int64]:
    """Indices (Q,) of the train items of a round, counted from 0, in epochs over all items."""
    start = round_index * queries_per_round
    return epoch_items(seeds, np.arange(items), start, queries_per_round)


def epoch_items(
    seeds: Seeds, items: NDArray[np.int64], start: int, count: int
) -> NDArray[np.int64]:
    """The `count` draws from the `start`-th on of epochs over `items` laid end to end.

    Epochs are fresh permutations.
    """
    epochs, within = np.divmod(np.arange(start, start + count), len(items))
    orders = {epoch: _permutation(seeds, len(items), epoch) for epoch in np.unique(epochs).tolist()}
    places = [orders[epoch][place] for epoch, place in zip(epochs.tolist(), within, strict=True)]
    return items[np.array(places, np.int64)]


def fixed_order(seeds: Seeds, items: int) -> NDArray[np.int64]:
    """One permutation of all items for the whole run."""
    return np.random.default_rng(seeds.own("queries/order")).permutation(items)


def _permutation(seeds: Seeds, items: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng(seeds.own(f"queries/{epoch}")).permutation(items)
