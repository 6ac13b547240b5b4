from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ablatekit.design.order import order_seed, run_order


@pytest.mark.parametrize(("replicates", "contexts", "units"), [(2, 6, 16), (1, 1, 5), (3, 4, 1)])
def test_every_run_comes_once_in_blocks(replicates: int, contexts: int, units: int) -> None:
    order = run_order(replicates, contexts, units, np.random.default_rng(3))
    assert set(Counter(order).values()) == {1}
    assert len(order) == replicates * contexts * units
    assert [one[0] for one in order] == sorted(one[0] for one in order)
    for start in range(0, len(order), contexts):
        block = order[start : start + contexts]
        assert {context for _, context, _ in block} == set(range(contexts))


def test_order_is_random_but_repeatable() -> None:
    first = run_order(2, 6, 16, order_seed(["study"]))
    assert first == run_order(2, 6, 16, order_seed(["study"]))
    assert first != run_order(2, 6, 16, order_seed(["other"]))
    assert first != sorted(first)


def test_units_are_spread_over_time_without_bias() -> None:
    rng = np.random.default_rng(11)
    places = np.zeros(4)
    studies = 4000
    for _ in range(studies):
        for turn, (_, _, unit) in enumerate(run_order(1, 1, 4, rng)):
            places[unit] += turn
    # The mean turn of a unit is 1.5 with variance 1.25 a study; six standard errors.
    assert np.abs(places / studies - 1.5).max() < 6 * np.sqrt(1.25 / studies)


def test_seeds_do_not_confuse_boundaries() -> None:
    draws = [order_seed(parts).integers(2**60) for parts in (["ab", "c"], ["a", "bc"], ["abc"])]
    assert len(set(draws)) == 3
