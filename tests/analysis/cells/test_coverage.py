"""A fast, seeded subset of benchmarks/coverage.py: four Monte-Carlo errors of slack."""

from __future__ import annotations

import itertools
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

DRAWS = 2000


@pytest.fixture(scope="module")
def part():
    """A module of the benchmark by the end of its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
        yield lambda name: import_module(f"coverage_{name}")


def _highest(bound, draws=DRAWS):
    return bound + 4 * np.sqrt(bound * (1 - bound) / draws)


SLACK = _highest(0.05) - 0.05


def _misses(narrow, name, seed):
    scenario = next(scenario for scenario in narrow.SCENARIOS if scenario.name == name)
    found = narrow.simulate(scenario, DRAWS if scenario.complete else 100, seed)
    return {estimand: float(np.nanmean(i.misses)) for estimand, i in found.items()}


@pytest.mark.parametrize("name", ["2 seeds", "5 seeds"])
def test_every_narrow_estimand_keeps_its_level(part, name):
    narrow = part("narrow")
    misses = _misses(narrow, name, 7)
    assert misses.keys() == set(narrow.ESTIMANDS)
    assert list(misses.values()) == pytest.approx([0.05] * len(misses), abs=SLACK)


@pytest.mark.parametrize(
    "name", ["3 seeds, 0.05 of 200 items right", "3 seeds, seed sd 3x at the level"]
)
def test_average_effects_stand_bounds_and_unequal_variances(part, name):
    assert _misses(part("narrow"), name, 8)["average"] == pytest.approx(0.05, abs=SLACK)


def test_effects_at_a_cell_that_diverges_are_too_sure(part):
    """What docs/statistics.md and the report's warning say: below 93%."""
    misses = _misses(part("narrow"), "3 seeds, 20% of one cell diverged, worst", 9)
    assert misses["baseline"] > 0.07
    assert misses["average"] < 0.09


def test_lost_runs_go_through_the_product(part):
    misses = _misses(part("narrow"), "3 seeds, 20% of the runs lost", 10)
    assert misses["average"] < _highest(0.05, 100)


@pytest.mark.parametrize(
    ("sizes", "lost", "without"),
    [((5,), 0.0, 0.3), ((3, 3), 0.2, 0.0), ((5, 4), 0.0, 0.3), ((3, 3, 3), 0.0, 0.0)],
)
def test_scopes_keep_their_level_and_are_the_products_own(part, sizes, lost, without):
    broad = part("broad")
    shape, space = broad.Crossing(sizes, lost, without), broad.design(sizes)
    variation = broad.Variation((0.4,) * len(sizes), 0.2)
    draws = broad.draw(shape, variation, DRAWS, np.random.default_rng(11))
    assert max(broad.check(draws, space, 5)) < 1e-10
    for contrast in broad.contrasts(space).values():
        value = broad.values(draws.mean, space, contrast)
        share = broad.shares(draws, space, contrast, value)
        for axis in range(len(sizes)):
            truth = broad.truth_over(draws, share, axis)
            assert np.nanmean(broad.one_way(value, axis).misses(truth)) < _highest(0.05)
        if len(sizes) > 1:
            assert (broad.over_all(value).p() < 0.05).mean() < _highest(0.05)


def test_false_claims_stay_below_their_bounds(part):
    claims, rng = part("claims"), np.random.default_rng(12)
    narrow = itertools.islice(claims.narrow_cases(DRAWS, 2, rng), 6)
    both = itertools.islice(claims.broad_cases((5, 4), "both", DRAWS, 2, rng), 6)
    for name, rates, agrees in itertools.chain(narrow, both):
        assert agrees, name
        for claim, rate in rates.items():
            assert rate < _highest(claims.BOUNDS[claim]), (name, claim)


@pytest.mark.parametrize("cases", ["configuration_cases", "carry_over_cases", "dose_cases"])
def test_families_of_configurations_ratios_and_doses_stay_below_theirs(part, cases):
    families, rng = part("families"), np.random.default_rng(13)
    drawn = getattr(families, cases)(DRAWS, 3, rng)
    for name, rates, agrees in itertools.islice(drawn, 9):
        assert agrees, name
        for error, (rate, bound) in rates.items():
            assert np.isinf(bound) or rate < _highest(bound), (name, error)
