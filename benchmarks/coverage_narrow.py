"""Narrow intervals on simulated tables: 3 models x 2 data sets, a 2^4 factorial, residual sd 1.

Complete tables are computed on arrays of all draws at once and held against the product on a few;
those that lose runs go through the product.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

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
CHUNK, ALPHA, CHECKED = 1000, 0.05, 20


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How studies are drawn; `ratio` is the seed sd at the level over that at the baseline.

    `rate`: the response is the share of 200 items right, at this rate. `diverged`: share of the
    runs of one cell that end early, under `policy`. `lost`: share of all runs without a value.
    """

    name: str
    seeds: int
    context: float = 0.4
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
    def as_assumed(self) -> bool:
        """Normal runs of equal variance: what the intervals assume."""
        return self.rate is None and not self.diverged and self.ratio == 1.0


SCENARIOS = (
    *(Scenario(name=f"{s} seeds", seeds=s) for s in (2, 5)),
    Scenario(name="3 seeds, 20% of the runs lost", seeds=3, lost=0.2),
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


@dataclass(frozen=True)
class Intervals:
    """Narrow limits and target of every draw, (N,)."""

    low: Array
    high: Array
    target: Array

    @property
    def misses(self) -> Array:
        """Whether an interval leaves out its target; NaN where there is none."""
        outside = (self.low > self.target) | (self.target > self.high)
        return np.where(np.isnan(self.low), np.nan, outside)


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
    base = rng.normal(size=(count, contexts))
    first, both = cells[:, 0, None], (cells[:, 0] * cells[:, 1])[:, None]
    fixed = (cells @ np.array([0.0, 0.5, 0.0, 0.3]))[:, None]
    truth = base[:, None] + fixed
    for place in (first, both):
        truth = truth + scenario.context * rng.normal(size=(count, 1, contexts)) * place
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


def on_arrays(draws: Draws, weights: Array, own_cells: bool) -> Intervals:
    """The product's inference on complete tables; weights (U,). `own_cells`: Welch if unequal."""
    contexts, seeds = draws.y.shape[2:]
    mean, variance = draws.y.mean(axis=3), draws.y.var(axis=3, ddof=1)
    estimate = np.einsum("u,nuc->nc", weights, mean).mean(axis=1)
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
    half = stats.t.ppf(1 - ALPHA / 2, df) * se
    target = np.einsum("u,nuc->nc", weights, draws.truth).mean(axis=1)
    return Intervals(estimate - half, estimate + half, target)


def brown_forsythe_p(y: Array) -> Array:
    """The product's test on (N, U, C, S): without the structural zeros of Hines and Hines."""
    middle, ordered = y.shape[3] // 2, np.sort(y, axis=3)
    deviations = np.abs(ordered - np.median(ordered, axis=3, keepdims=True))
    kept = np.delete(deviations, middle, axis=3)
    if y.shape[3] % 2 == 0:
        kept[..., middle - 1] *= np.sqrt(2.0)
    samples = kept.reshape(*kept.shape[:2], -1)
    return np.asarray(stats.f_oneway(*np.moveaxis(samples, 1, 0), axis=1).pvalue)


def by_product(
    draws: Draws, space: Layout, contrasts: dict[Estimand, Contrast]
) -> dict[Estimand, Intervals]:
    """The product's own path, draw by draw."""
    units, contexts, seeds = draws.y.shape[1:]
    where = [grid.ravel() for grid in np.indices((units, contexts, seeds))[:2]]
    names = tuple(str(i) for i in range(units * contexts * seeds))
    rows: dict[Estimand, list[tuple[float, ...]]] = {estimand: [] for estimand in contrasts}
    for y, truth in zip(draws.y, draws.truth, strict=True):
        known = ~np.isnan(y.ravel())
        runs = tuple(itertools.compress(names, known.tolist()))
        fitted = fit(RunValues(y.ravel()[known], where[0][known], where[1][known], runs), space, 2)
        for estimand, contrast in contrasts.items():
            effect = Evaluated(contrast, fitted.model.evaluate(contrast))
            narrow = infer(fitted, effect, "narrow", ALPHA)
            in_contexts = effect.values  # noqa: PD011
            used, weights = in_contexts.used, in_contexts.weights
            target = np.nan
            if weights is not None and used.any():
                target = float(np.einsum("cu,uc->c", weights[used], truth[:, used]).mean())
            rows[estimand].append((narrow.low, narrow.high, target))
    return {name: Intervals(*np.array(found).T) for name, found in rows.items()}


def simulate(scenario: Scenario, count: int, seed: int) -> dict[Estimand, Intervals]:
    """Intervals per estimand; on arrays in chunks where the table is complete."""
    space, rng = design(scenario.seeds), np.random.default_rng(seed)
    cells = space.unit_cells.astype(float)
    contrasts = wanted(space)
    if not scenario.complete:
        return by_product(draw(scenario, cells, count, rng), space, contrasts)
    weights = {estimand: _weights(space, contrast) for estimand, contrast in contrasts.items()}
    parts: dict[Estimand, list[Intervals]] = {e: [] for e in contrasts}
    for start in range(0, count, CHUNK):
        draws = draw(scenario, cells, min(CHUNK, count - start), rng)
        for estimand, own in weights.items():
            part = on_arrays(draws, own, estimand in ("baseline", "removal"))
            parts[estimand].append(part)
        if start == 0:
            few = Draws(draws.y[:CHECKED], draws.truth[:CHECKED])
            _agree(by_product(few, space, contrasts), {e: part[0] for e, part in parts.items()})
    return {e: _joined(part) for e, part in parts.items()}


def _weights(space: Layout, contrast: Contrast) -> Array:
    """Weights over units (U,) of the mean over all combinations."""
    weights = np.zeros(len(space.units))
    units = np.vectorize(space.unit_of.__getitem__)(contrast.codes)
    np.add.at(weights, units, contrast.weights / len(units))
    return weights


def _joined(parts: list[Intervals]) -> Intervals:
    names = ("low", "high", "target")
    return Intervals(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _agree(product: dict[Estimand, Intervals], arrays: dict[Estimand, Intervals]) -> None:
    for estimand, own in product.items():
        for name in ("low", "high", "target"):
            left, right = getattr(own, name), getattr(arrays[estimand], name)[: len(own.low)]
            np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-10)
