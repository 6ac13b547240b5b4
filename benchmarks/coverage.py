"""Coverage and type-I error of the effect table's shipped defaults, every estimand.

    OMP_NUM_THREADS=1 python benchmarks/coverage.py --draws 10000 \
        > benchmarks/results/coverage.txt

3 models x 2 data sets, a 2^4 factorial, S replicates, residual sd 1. The effect of the first factor
and its interaction with the second one vary over models (sd t_m), data sets (t_d) and contexts
(t_c) around 0. Narrow: the 95% interval covers the contrast of the true means of these contexts.
Broad: a true population value of 0 is rejected at 5%. Scenarios on complete tables are computed on
arrays of all draws at once and held against the shipped path on a few; scenarios that lose runs go
through the shipped path, broad ones (Kenward-Roger) on a fifth of the draws.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray
from scipy import stats

import ablatekit
from ablatekit.analysis.cells.contrasts import Contrast, effect_contrasts, interaction_contrasts
from ablatekit.analysis.cells.effects import UNEQUAL_VARIANCES, Evaluated, fit, infer
from ablatekit.analysis.core.layout import Layout, layout
from ablatekit.analysis.core.schema.vocabulary import Estimand
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.table import plan_from_table

Array = NDArray[np.float64]
ESTIMANDS: tuple[Estimand, ...] = ("average", "baseline", "removal", "shapley", "interaction")
FACTORS = ("first", "second", "third", "fourth")
MODEL, DATASET = np.array(list(itertools.product(range(3), range(2)))).T
CHUNK, ALPHA, LOWEST = 1000, 0.05, 0.93


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How studies are drawn; `ratio` is the seed sd at the level over that at the baseline.

    `rate`: the response is the share of 200 items right, at this rate. `diverged`: share of the
    runs of one cell that end early, under `policy`. `lost`: share of all runs without a value.
    """

    name: str
    seeds: int
    t_m: float = 0.0
    t_d: float = 0.0
    t_c: float = 0.0
    ratio: float = 1.0
    rate: float | None = None
    diverged: float = 0.0
    policy: str = ""
    lost: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every run has a value."""
        return self.lost == 0 and self.policy != "exclude"

    @property
    def null(self) -> bool:
        """Whether the population values of the contrasts are 0."""
        return self.rate is None and not self.diverged


SCENARIOS = (
    *(
        Scenario(name=f"{s} seeds, t_c = {t}", seeds=s, t_c=t)
        for s in (2, 5)
        for t in (0, 0.2, 0.4)
    ),
    *(
        Scenario(
            name=f"{s} seeds, t_m = t_d = .4: contexts not exchangeable", seeds=s, t_m=0.4, t_d=0.4
        )
        for s in (2, 5)
    ),
    *(
        Scenario(name=f"3 seeds, t_c = {t}, 20% of the runs lost", seeds=3, t_c=t, lost=0.2)
        for t in (0, 0.4)
    ),
    *(Scenario(name=f"3 seeds, {r:g} of 200 items right", seeds=3, rate=r) for r in (0.05, 0.95)),
    *(Scenario(name=f"{s} seeds, seed sd 3x at the level", seeds=s, ratio=3.0) for s in (2, 3, 5)),
    *(
        Scenario(name=f"3 seeds, 20% of one cell diverged, {p}", seeds=3, diverged=0.2, policy=p)
        for p in ("score", "worst", "exclude")
    ),
)


@dataclass(frozen=True)
class Draws:
    """Values (N, U, C, S), NaN for runs without one, and what runs give on average (N, U, C)."""

    y: Array
    truth: Array


def design(seeds: int) -> Layout:
    """The layout that the product derives from a table of this design."""
    levels = itertools.product(("no", "yes"), repeat=len(FACTORS))
    rows = [
        {**dict(zip(FACTORS, cell, strict=True)), "model": f"m{m}", "dataset": f"d{d}", "y": 0.0}
        for cell in levels
        for m, d in zip(MODEL.tolist(), DATASET.tolist(), strict=True)
        for _ in range(seeds)
    ]
    plan, _ = plan_from_table(pd.DataFrame(rows), "y", FACTORS, ("model", "dataset"), {})
    return layout(plan)


def draw(scenario: Scenario, cells: Array, count: int, rng: np.random.Generator) -> Draws:
    """`count` studies; cells (U, F) as 0 and 1."""
    contexts = len(MODEL)

    def varying() -> Array:
        parts = scenario.t_m * rng.normal(size=(count, 3))[:, MODEL]
        parts = parts + scenario.t_d * rng.normal(size=(count, 2))[:, DATASET]
        return parts + scenario.t_c * rng.normal(size=(count, contexts))

    base = (
        2.0 * rng.normal(size=(count, 3))[:, MODEL]
        + 1.5 * rng.normal(size=(count, 2))[:, DATASET]
        + 0.5 * rng.normal(size=(count, contexts))
    )
    first, both = cells[:, 0, None], (cells[:, 0] * cells[:, 1])[:, None]
    fixed = (cells @ np.array([0.0, 0.5, 0.0, 0.3]))[:, None]
    truth = base[:, None] + fixed + varying()[:, None] * first + varying()[:, None] * both
    noise = rng.normal(size=(*truth.shape, scenario.seeds))
    if scenario.rate is not None:
        return _items(scenario.rate, truth, noise, rng)
    if scenario.diverged:
        return _diverged(scenario, 0.6 + 0.03 * (truth - fixed) / 2, 0.05 * noise, rng)
    y = truth[..., None] + np.where(first == 1, scenario.ratio, 1.0)[..., None] * noise
    y[rng.random(y.shape) < scenario.lost] = np.nan
    return Draws(y, truth)


def _items(rate: float, latent: Array, noise: Array, rng: np.random.Generator) -> Draws:
    """Shares of 200 items; seeds vary by a logit of .25, choices and contexts by .2 of `latent`."""
    logit = np.log(rate / (1 - rate)) + 0.2 * latent
    node, weight = np.polynomial.hermite_e.hermegauss(15)
    spread = 1 / (1 + np.exp(-(logit[..., None] + 0.25 * node)))
    chance = 1 / (1 + np.exp(-(logit[..., None] + 0.25 * noise)))
    return Draws(rng.binomial(200, chance) / 200, spread @ (weight / weight.sum()))


def _diverged(scenario: Scenario, truth: Array, noise: Array, rng: np.random.Generator) -> Draws:
    """The cell of the first factor alone loses runs, which ended at .3 to .9 of their score."""
    y, truth = truth[..., None] + noise, truth.copy()
    cell, share = 8, scenario.diverged
    gone = rng.random((len(y), *y.shape[2:])) < share
    ended = {
        "score": y[:, cell] * rng.uniform(0.3, 0.9, size=gone.shape),
        "worst": np.zeros(gone.shape),
        "exclude": np.full(gone.shape, np.nan),
    }[scenario.policy]
    y[:, cell] = np.where(gone, ended, y[:, cell])
    truth[:, cell] *= {"score": 1 - 0.4 * share, "worst": 1 - share, "exclude": 1}[scenario.policy]
    return Draws(y, truth)


def wanted(space: Layout) -> dict[Estimand, Contrast]:
    """The contrasts of the first factor, and its interaction with the second one."""
    found = {e: effect_contrasts(space, space.codes, e)[0] for e in ESTIMANDS[:-1]}
    return {**found, "interaction": interaction_contrasts(space, space.codes)[0]}


@dataclass(frozen=True)
class Intervals:
    """Narrow limits, broad p and the narrow target of every draw, (N,)."""

    low: Array
    high: Array
    p: Array
    target: Array


def on_arrays(draws: Draws, weights: Array, own_cells: bool) -> Intervals:
    """The shipped inference on complete tables; weights (U,). `own_cells`: Welch if unequal."""
    contexts, seeds = draws.y.shape[2:]
    mean, variance = draws.y.mean(axis=3), draws.y.var(axis=3, ddof=1)
    values = np.einsum("u,nuc->nc", weights, mean)
    pooled = variance.mean(axis=(1, 2))
    se = np.sqrt(pooled * (weights**2).sum() / seeds / contexts)
    df = np.full(len(se), float(variance[0].size * (seeds - 1)))
    if own_cells:
        parts = (weights[:, None] / contexts) ** 2 * variance / seeds
        total = parts.sum(axis=(1, 2))
        unequal = (brown_forsythe_p(draws.y) < UNEQUAL_VARIANCES) & (total > 1e-20)
        se = np.where(unequal, np.sqrt(total), se)
        with np.errstate(invalid="ignore", divide="ignore"):
            own_df = total**2 / (parts**2 / (seeds - 1)).sum(axis=(1, 2))
        df = np.where(unequal, own_df, df)
    estimate, half = values.mean(axis=1), stats.t.ppf(1 - ALPHA / 2, df) * se
    p = stats.ttest_1samp(values, 0.0, axis=1).pvalue
    target = np.einsum("u,nuc->nc", weights, draws.truth).mean(axis=1)
    return Intervals(estimate - half, estimate + half, p, target)


def brown_forsythe_p(y: Array) -> Array:
    """The product's test on (N, U, C, S): without the structural zeros of Hines and Hines."""
    middle, ordered = y.shape[3] // 2, np.sort(y, axis=3)
    deviations = np.abs(ordered - np.median(ordered, axis=3, keepdims=True))
    kept = np.delete(deviations, middle, axis=3)
    if y.shape[3] % 2 == 0:
        kept[..., middle - 1] *= np.sqrt(2.0)
    samples = kept.reshape(*kept.shape[:2], -1)
    return np.asarray(stats.f_oneway(*np.moveaxis(samples, 1, 0), axis=1).pvalue)


def shipped(
    draws: Draws, space: Layout, contrasts: dict[Estimand, Contrast], broad: int
) -> dict[str, Intervals]:
    """The product's own path, draw by draw; the first `broad` draws have broad tests too."""
    units, contexts, seeds = draws.y.shape[1:]
    where = [grid.ravel() for grid in np.indices((units, contexts, seeds))[:2]]
    names = tuple(str(i) for i in range(units * contexts * seeds))
    rows: dict[str, list[tuple[float, ...]]] = {estimand: [] for estimand in contrasts}
    for number, (y, truth) in enumerate(zip(draws.y, draws.truth, strict=True)):
        known = ~np.isnan(y.ravel())
        runs = tuple(itertools.compress(names, known.tolist()))
        own = RunValues(y.ravel()[known], where[0][known], where[1][known], runs)
        fitted = fit(own, space, 2)
        for estimand, contrast in contrasts.items():
            one = Evaluated(contrast, fitted.model.evaluate(contrast))
            narrow = infer(fitted, one, "narrow", ALPHA)
            by_context = one.values  # noqa: PD011
            weights = np.zeros(units) if by_context.row is None else by_context.row
            used = by_context.used
            target = float((weights @ truth[:, used]).mean()) if used.any() else np.nan
            p = infer(fitted, one, "broad", ALPHA).p if number < broad else np.nan
            rows[estimand].append((narrow.low, narrow.high, p, target))
    return {name: Intervals(*np.array(found).T) for name, found in rows.items()}


def simulate(scenario: Scenario, count: int, seed: int) -> dict[str, Intervals]:
    """Intervals per estimand; on arrays in chunks where the table is complete."""
    space, rng = design(scenario.seeds), np.random.default_rng(seed)
    cells = space.unit_cells.astype(float)
    contrasts = wanted(space)
    if not scenario.complete:
        broad = max(1, count // 5) if scenario.null else 0
        return shipped(draw(scenario, cells, count, rng), space, contrasts, broad)
    probe = fit(_flat(draw(scenario, cells, 1, rng)), space, 2).model
    weights = {e: probe.evaluate(contrast).row for e, contrast in contrasts.items()}
    parts: dict[str, list[Intervals]] = {e: [] for e in contrasts}
    for start in range(0, count, CHUNK):
        draws = draw(scenario, cells, min(CHUNK, count - start), rng)
        for e, own in weights.items():
            assert own is not None
            parts[e].append(on_arrays(draws, own, e in ("baseline", "removal")))
        if start == 0:
            few = Draws(draws.y[:3], draws.truth[:3])
            _agree(shipped(few, space, contrasts, 3), {e: part[0] for e, part in parts.items()})
    return {e: _joined(part) for e, part in parts.items()}


def _flat(draws: Draws) -> RunValues:
    unit, context, _ = (grid.ravel() for grid in np.indices(draws.y.shape[1:]))
    return RunValues(draws.y[0].ravel(), unit, context, tuple(map(str, range(len(unit)))))


def _joined(parts: list[Intervals]) -> Intervals:
    names = ("low", "high", "p", "target")
    return Intervals(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _agree(product: dict[str, Intervals], arrays: dict[str, Intervals]) -> None:
    for estimand, own in product.items():
        for name in ("low", "high", "p", "target"):
            left, right = getattr(own, name), getattr(arrays[estimand], name)[: len(own.p)]
            np.testing.assert_allclose(left, right, rtol=1e-8, atol=1e-10)


def coverage(found: Intervals) -> float:
    """Share of the narrow intervals, of those there are, that hold their target."""
    known = ~np.isnan(found.low)
    inside = (found.low <= found.target) & (found.target <= found.high)
    return float(inside[known].mean())


def rejected(found: Intervals) -> float:
    """Share of the broad tests, of those there are, that reject."""
    return float((found.p[~np.isnan(found.p)] < ALPHA).mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(
        f"ablatekit {ablatekit.__version__}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"Python {platform.python_version()}; {options.draws:,} draws, seed {options.seed}; "
        "Monte-Carlo SE at .05 and .95: "
        f"{np.sqrt(0.05 * 0.95 / options.draws):.4f} on complete tables\n"
    )
    width = max(len(scenario.name) for scenario in SCENARIOS)
    head = " ".join(f"{e[:8]:>8}" for e in ESTIMANDS)
    print(f"{'':{width}}  narrow coverage{'':{len(head) - 13}}broad type-I error")
    print(f"{'scenario':{width}}  {head}  {head}  seconds")
    for scenario in SCENARIOS:
        started = time.process_time()
        found = simulate(scenario, options.draws, options.seed)
        narrow = [coverage(found[e]) for e in ESTIMANDS]
        marks = [f"{value:7.4f}{'*' if value < LOWEST else ' '}" for value in narrow]
        broad = [f"{rejected(found[e]):8.4f}" if scenario.null else f"{'':8}" for e in ESTIMANDS]
        took = time.process_time() - started
        line = f"{scenario.name:{width}}  {' '.join(marks)}  {' '.join(broad)}  {took:7.1f}"
        print(line, flush=True)
    print(f"\n* below {LOWEST:.0%}")


if __name__ == "__main__":
    main()
