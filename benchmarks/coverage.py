"""How often do intervals, tests, claims and predictions err? Each against its bound of DESIGN 5.

    OPENBLAS_NUM_THREADS=1 python benchmarks/coverage.py > benchmarks/results/coverage.txt

Truth by scope: over one variable it is the mean, over the levels drawn of the others at which each
of its levels has the contrast, averaged over its levels; over both it is 0. A rate above its bound
and three Monte-Carlo errors is drawn again, five times as often with other numbers; what is above
then too is a MISS. Numbers computed on arrays of all draws are held against the product's own on
200 draws of every shape.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import coverage_broad as broad
import coverage_claims
import coverage_families as families
import coverage_narrow as narrow
import numpy as np
import scipy

import ablatekit
from ablatekit.analysis.core.layout import Layout

ALPHA = 0.05
SHAPES = ((3, 3), (5, 4), (8, 5), (8, 3), (20, 3))
OTHER_SHAPES = ((3,), (5,), (20,), (3, 3, 3))
GAPS = ((0.0, 0.0), (0.2, 0.0), (0.0, 0.3))
"""Share of runs lost, share of contexts without the level."""
CHECKED, AGAIN, CHUNK = 200, 5, 5000
TOLERANCE = 1e-10
CASES = len(coverage_claims.TRUTHS) * len(coverage_claims.MARGINS)
SHORT = {"average": "aver", "baseline": "base", "removal": "remo", "shapley": "shap",
         "interaction": "inte"}  # fmt: skip

Rates = dict[str, float]


class Record:
    """Prints rates against their bounds and counts what misses them."""

    def __init__(self, draws: int) -> None:
        self.draws = draws
        self.compared = 0
        self.again: list[str] = []
        self.missed: list[str] = []

    def above(self, rate: float, bound: float, draws: float | None = None) -> bool:
        """Whether a rate is above its bound by more than three Monte-Carlo errors."""
        return rate > bound + 3 * error(bound, draws or self.draws)

    def marked(self, name: str, rates: Rates, bound: float, repeat: Callable[[], Rates]) -> str:
        """The rates as text; what is above its bound is drawn again and named if it stays there."""
        self.compared += len(rates)
        high = [key for key, rate in rates.items() if self.above(rate, bound)]
        marks = dict.fromkeys(high, "+")
        if high:
            second = repeat()
            for key in high:
                text = f"{name}, {key}: {rates[key]:.4f}, again {second[key]:.4f}, bound {bound:g}"
                stays = self.above(second[key], bound, AGAIN * self.draws)
                (self.missed if stays else self.again).append(text)
                marks[key] = "!" if stays else "+"
        return " ".join(f"{short(rate)}{marks.get(key, ' ')}" for key, rate in rates.items())


def error(rate: float, draws: float) -> float:
    """The Monte-Carlo error of a rate."""
    return float(np.sqrt(rate * (1 - rate) / draws))


def variations(variables: int) -> list[broad.Variation]:
    """Nothing varies, contexts alone, one variable alone, some or all together."""
    alone = [tuple(0.4 * (i == j) for j in range(variables)) for i in range(variables)]
    small = [tuple(0.1 * (i == j) for j in range(variables)) for i in range(variables)]
    nothing, everything = (0.0,) * variables, (0.4,) * variables
    pairs = [(by, 0.0) for by in (nothing, *alone, *small, everything)]
    pairs += [(nothing, 0.4), (everything, 0.2)]
    return [broad.Variation(by, context) for by, context in dict.fromkeys(pairs)]


def broad_rates(
    shape: broad.Crossing, variation: broad.Variation, draws: int, seed: int
) -> dict[str, Rates]:
    """False rejections by scope, and missed predictions by scope; keys are estimands.

    In parts that fit into memory.
    """
    rng, count = np.random.default_rng(seed), min(draws, CHUNK)
    parts = [_broad_part(shape, variation, count, rng) for _ in range(draws // count)]
    return {
        scope: {key: float(np.mean([part[scope][key] for part in parts])) for key in rates}
        for scope, rates in parts[0].items()
    }


def _broad_part(
    shape: broad.Crossing, variation: broad.Variation, draws: int, rng: np.random.Generator
) -> dict[str, Rates]:
    space = broad.design(shape.sizes)
    table = broad.draw(shape, variation, draws, rng)
    found: dict[str, Rates] = defaultdict(dict)
    for estimand, contrast in broad.contrasts(space).items():
        key, value = SHORT[estimand], broad.values(table.mean, space, contrast)
        share = broad.shares(table, space, contrast, value)
        for axis in range(len(shape.sizes)):
            truth = broad.truth_over(table, share, axis)
            found[f"over v{axis}"][key] = rate(broad.one_way(value, axis).misses(truth))
            new = broad.new_level(table, estimand, axis)
            found[f"new v{axis}"][key] = rate(outside(*broad.prediction(value, axis), new))
        if len(shape.sizes) > 1:
            whole = broad.over_all(value)
            p = whole.p()
            found["over all"][key] = rate(np.where(np.isnan(p), np.nan, p < ALPHA))
        if len(shape.sizes) == 2:
            effect, interaction = broad.SHARE[estimand]
            new = table.new_everywhere @ np.array([effect, interaction])
            middle, half = broad.prediction_over_all(value, whole)
            found["new all"][key] = rate(outside(middle, half, new))
    return found


def outside(middle: broad.Array, half: broad.Array, truth: broad.Array) -> broad.Array:
    """Whether intervals leave out the truth; NaN where there is none."""
    return np.where(np.isnan(half), np.nan, np.abs(middle - truth) > half)


def rate(events: broad.Array) -> float:
    """Share of the draws, of those that have an answer."""
    return float(np.nanmean(events)) if not np.isnan(events).all() else np.nan


def print_broad(record: Record, seed: int) -> None:
    """Type-I errors by scope and estimand, and how often predictions miss a new level."""
    print("\nBroad: type-I errors at .05, one line per variation (sd over v0, v1 ..., contexts);")
    print("over one variable (v0, v1 ...), then over all of them, each for the estimands", end=" ")
    print(" ".join(SHORT.values()) + ".")
    print("Last lines: how often the prediction interval of a new level, or of a new level of each")
    print("variable, misses: the largest rate over the variations.")
    for sizes, (lost, without) in itertools.product(SHAPES + OTHER_SHAPES, GAPS):
        shape = broad.Crossing(sizes, lost, without)
        apart = max(broad.check(*checked(shape), CHECKED // len(GAPS) + 1))
        if apart > TOLERANCE:
            raise SystemExit(f"{shape.name}: arrays differ from the product by {apart:.1e}")
        print(f"\n{shape.name} (arrays and product differ by {apart:.0e})")
        print_shape(record, shape, seed)


def print_shape(record: Record, shape: broad.Crossing, seed: int) -> None:
    """The lines of one shape."""
    largest: dict[str, Rates] = {}
    for variation in variations(len(shape.sizes)):
        texts = []
        for scope, row in broad_rates(shape, variation, record.draws, seed).items():
            if any(np.isnan(value) for value in row.values()):
                continue
            again = repeat_broad(shape, variation, AGAIN * record.draws, seed + 1, scope)
            name = f"{shape.name}, varies {variation.name}, {scope}"
            text = record.marked(name, row, ALPHA, again)
            if scope.startswith("new"):
                before = largest.get(scope, row)
                largest[scope] = {key: max(before[key], row[key]) for key in row}
            else:
                texts.append(f"{scope.removeprefix('over ')}: {text}")
        print(f"  {variation.name}  {' '.join(texts)}", flush=True)
    for scope, row in largest.items():
        print(f"  {scope} " + " ".join(short(value) for value in row.values()))


def short(rate: float) -> str:
    """A rate without its zero."""
    return f"{rate:.3f}".removeprefix("0")


def repeat_broad(
    shape: broad.Crossing, variation: broad.Variation, draws: int, seed: int, scope: str
) -> Callable[[], Rates]:
    """The rates of one scope with other draws."""
    return lambda: broad_rates(shape, variation, draws, seed)[scope]


def checked(shape: broad.Crossing) -> tuple[broad.Draws, Layout]:
    """Some draws to hold against the product."""
    variation = broad.Variation((0.4,) * len(shape.sizes), 0.2)
    drawn = broad.draw(shape, variation, CHECKED, np.random.default_rng(0))
    return drawn, broad.design(shape.sizes)


def print_narrow(record: Record, seed: int, product_draws: int) -> None:
    """How often narrow intervals miss the contrast of the true means of their contexts."""
    print("\nNarrow: intervals at .95 that miss; as assumed: .05 +- 3 Monte-Carlo errors")
    print(f"{'':44}{' '.join(f'{name:>5}' for name in SHORT.values())}")
    for scenario in narrow.SCENARIOS:
        draws = record.draws if scenario.complete else product_draws
        rates = narrow_rates(scenario, draws, seed)
        if scenario.as_assumed and scenario.complete:
            low = [key for key, value in rates.items() if value < ALPHA - 3 * error(ALPHA, draws)]
            record.missed += [f"narrow, {scenario.name}, {key}: below .05" for key in low]
            again = repeat_narrow(scenario, AGAIN * draws, seed + 1)
            line = record.marked(f"narrow, {scenario.name}", rates, ALPHA, again)
        else:
            high = ("!" if record.above(value, ALPHA, draws) else " " for value in rates.values())
            line = " ".join(
                f"{short(v)}{mark}" for v, mark in zip(rates.values(), high, strict=True)
            )
        print(f"  {scenario.name:<42} {line}", flush=True)
    print("  ! above .05 beyond what intervals assume (normal runs of equal variance): no bound")


def narrow_rates(scenario: narrow.Scenario, draws: int, seed: int) -> Rates:
    """Misses by estimand."""
    return {
        SHORT[e]: rate(found.misses) for e, found in narrow.simulate(scenario, draws, seed).items()
    }


def repeat_narrow(scenario: narrow.Scenario, draws: int, seed: int) -> Callable[[], Rates]:
    """The rates with other draws."""
    return lambda: narrow_rates(scenario, draws, seed)


def claim_cases(draws: int, seed: int, few: int) -> Iterator[families.Case]:
    """Every family of every inference, shape, truth and margin."""
    rng, bounds = np.random.default_rng(seed), coverage_claims.BOUNDS
    shapes = itertools.product(((3, 3), (5, 4), (8, 3)), ("model", "dataset", "both"))
    cases = itertools.chain(
        coverage_claims.narrow_cases(draws, few, rng),
        *(coverage_claims.broad_cases(sizes, scope, draws, few, rng) for sizes, scope in shapes),
    )
    for name, rates, agreed in cases:
        yield name, {claim: (value, bounds[claim]) for claim, value in rates.items()}, agreed


def family_cases(draws: int, seed: int, few: int) -> Iterator[families.Case]:
    """Configurations, best cells, ratios and doses."""
    rng = np.random.default_rng(seed)
    yield from families.configuration_cases(draws, few, rng)
    yield from families.carry_over_cases(draws, few, rng)
    yield from families.dose_cases(draws, few, rng)


def worst(cases: Iterable[families.Case]) -> dict[str, dict[str, tuple[float, float]]]:
    """The largest rate of every error by name; stops where the product says otherwise."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name, rates, agreed in cases:
        if not agreed:
            raise SystemExit(f"{name}: arrays and the product differ")
        before = found.setdefault(name, rates)
        found[name] = {key: max(before[key], rates[key]) for key in rates}
    return found


def print_worst(
    record: Record, seed: int, cases: Callable[[int, int, int], Iterator[families.Case]], few: int
) -> None:
    """The worst rate of every error with its bound, one line per name."""
    found, again = worst(cases(record.draws, seed, few)), dict[str, Rates]()
    for name, rates in found.items():
        print(f"  {name}")
        for key, (value, bound) in rates.items():
            if np.isinf(bound):
                print(f"    {key:<22} {short(value)}   no bound")
                continue
            if record.above(value, bound) and not again:
                second = worst(cases(AGAIN * record.draws, seed + 1, 0))
                again = {n: {k: pair[0] for k, pair in row.items()} for n, row in second.items()}
            line = record.marked(name, {key: value}, bound, _giving(again.get(name, {})))
            print(f"    {key:<22} {line}  {bound:g}", flush=True)


def _giving(rates: Rates) -> Callable[[], Rates]:
    return lambda: rates


def main() -> None:
    """Print every table, then what is above its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--product-draws", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.process_time()
    print(
        f"ablatekit {ablatekit.__version__}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"Python {platform.python_version()}; {options.draws:,} draws, seed {options.seed}; "
        f"Monte-Carlo error at .05: {error(ALPHA, options.draws):.4f}, "
        f"three above the bound: {ALPHA + 3 * error(ALPHA, options.draws):.4f}"
    )
    record = Record(options.draws)
    print_narrow(record, options.seed, options.product_draws)
    print("\nClaims of the verdict: largest rate over all truths and margins, and its bound")
    print_worst(record, options.seed, claim_cases, CHECKED // CASES + 1)
    print("\nConfigurations, carry-over, doses: largest rate over all truths, and its bound")
    print_worst(record, options.seed, family_cases, CHECKED // len(families.TABLES))
    print_broad(record, options.seed)
    print(f"\n{record.compared} rates against bounds, {time.process_time() - started:.0f} CPU s")
    print(f"above at first, not when drawn again {AGAIN} times as often (+): {len(record.again)}")
    for text in record.again:
        print(f"  {text}")
    print(f"MISS (!): {len(record.missed)}")
    for text in record.missed:
        print(f"  {text}")


if __name__ == "__main__":
    main()
