"""Which train items come next: `(view) -> (count,)` item indices.

Every draw follows from the run's seed and the number of queries drawn so far; what the run has
learnt about its items is in the view.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ablatekit.runs.seeds import Seeds
from ablatekit_rft.levels.types import SamplerView, level


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


Items: TypeAlias = NDArray[np.int64]
SubsetBy: TypeAlias = Literal["first", "easiest", "middle", "hardest"]

_SHUFFLED = {"TRL": "default (shuffle_dataset)", "verl": "data.shuffle (default)"}


@level(
    "sample_policy",
    "epochs",
    formula="fresh permutations of all items, laid end to end",
    source="The minimalist reference, arXiv:2601.22532",
    traits={"without_replacement"},
    peers={**_SHUFFLED, "OpenRLHF": "default"},
)
def epochs(view: SamplerView) -> Items:
    """Without replacement until the train set is used up, reshuffled every epoch."""
    return epoch_items(view.seeds, np.arange(view.items), view.position, view.count)


@level(
    "sample_policy",
    "iid",
    formula="each query uniform over all items, with replacement",
    source="The setting of stochastic approximation, Robbins and Monro 1951",
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def iid(view: SamplerView) -> Items:
    """Independent draws: some items come twice in an epoch's worth of queries, some not at all."""
    generator = np.random.default_rng(view.seeds.own(f"queries/iid/{view.position}"))
    return generator.integers(0, view.items, view.count)


@level(
    "sample_policy",
    "easy_to_hard",
    formula="every epoch in falling order of the base model's pass rate, ties in an order drawn"
    " once",
    source="Curriculum learning, Bengio et al. 2009",
    needs=frozenset({"difficulty"}),
    traits={"without_replacement"},
    peers={"TRL": "none", "verl": "data.sampler (user-supplied)", "OpenRLHF": "none"},
)
def easy_to_hard(view: SamplerView) -> Items:
    """Items come as often as without a curriculum, only in another order."""
    order = _by_difficulty(view)
    return order[(view.position + np.arange(view.count)) % view.items]


@level(
    "sample_policy",
    "pools",
    formula="easy_share and hard_share of a round from the items with running pass rate 1 and 0,"
    " the rest from all others; a pool that is too small is filled up from the others",
    source="prime-rl, DifficultyPoolSampler",
    needs=frozenset({"rates"}),
    traits={"without_replacement"},
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def pools(view: SamplerView, *, easy_share: float, hard_share: float) -> Items:
    """Items that are always solved or never solved come less often."""
    generator = np.random.default_rng(view.seeds.own(f"queries/pools/{view.position}"))
    easy, hard = view.rates == 1, view.rates == 0
    wanted = np.zeros(view.items)
    order = generator.permutation(view.items)
    for pool, share in ((easy, easy_share), (hard, hard_share)):
        chosen = order[pool[order]][: round(share * view.count)]
        wanted[chosen] = 2
    wanted[~(easy | hard)] = 1
    ranked = order[np.argsort(-wanted[order], kind="stable")]
    return generator.permutation(ranked[: view.count])


@level(
    "sample_policy",
    "priority",
    formula="without replacement within a round, with weight sqrt(v (1 - v)) + priority_floor,"
    " v = running pass rate, 1/2 for items not yet answered",
    source="SPO, arXiv:2509.13232 (floor 0.05)",
    needs=frozenset({"rates"}),
    traits={"without_replacement"},
    peers={"TRL": "none", "verl": "recipe spo", "OpenRLHF": "none"},
)
def priority(view: SamplerView, *, priority_floor: float) -> Items:
    """Items of medium pass rate come more often."""
    generator = np.random.default_rng(view.seeds.own(f"queries/priority/{view.position}"))
    rates = np.where(np.isnan(view.rates), 0.5, view.rates)
    weights = np.sqrt(rates * (1 - rates)) + priority_floor
    keys = np.log1p(-generator.random(view.items)) / weights
    return np.argsort(-keys, kind="stable")[: view.count]


@level(
    "sample_policy",
    "subset",
    formula="epochs over subset_items items, chosen by subset_by",
    source="One-example training, arXiv:2504.20571 and arXiv:2601.14599",
    needs=frozenset({"difficulty"}),
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def subset(
    view: SamplerView,
    *,
    subset_items: int,
    subset_by: SubsetBy,
) -> Items:
    """A few items only, while learning is still measured on the whole train probe."""
    chosen = _ranked(view, subset_by)[:subset_items]
    return epoch_items(view.seeds, chosen, view.position, view.count)


def _ranked(view: SamplerView, by: SubsetBy) -> Items:
    """All items, those that `subset_by` wants first; `first` knows no difficulty."""
    if by == "first":
        return np.arange(view.items)
    order = _by_difficulty(view)
    if by == "middle":
        return order[np.argsort(np.abs(view.difficulty[order] - 0.5), kind="stable")]
    return order[::-1] if by == "hardest" else order


def _by_difficulty(view: SamplerView) -> Items:
    """All items from easy to hard."""
    order = fixed_order(view.seeds, view.items)
    return order[np.argsort(-view.difficulty[order], kind="stable")]


LEVELS = (epochs, iid, easy_to_hard, pools, priority, subset)
