"""Broad inference on simulated tables, all draws at once: per-context values, scopes, predictions.

`python coverage.py` prints what these functions compute and holds them against the product's own
`broad` and `spread` on some draws of every shape. An array has the draws first; NaN stands where a
context lacks a contrast.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from ablatekit.analysis.cells.broad import broad
from ablatekit.analysis.cells.cell_means import fit_cell_means
from ablatekit.analysis.cells.contrasts import Contrast, effect_contrasts, interaction_contrasts
from ablatekit.analysis.cells.heterogeneity import spread
from ablatekit.analysis.core.layout import Layout, layout
from ablatekit.analysis.core.schema.vocabulary import Estimand
from ablatekit.analysis.core.values import ContextValues, ErrorTerm, RunValues
from ablatekit.analysis.table import plan_from_table

Array = NDArray[np.float64]
ESTIMANDS: tuple[Estimand, ...] = ("average", "baseline", "removal", "shapley", "interaction")
FACTORS, RUNS, SEED_SD, ALPHA = ("first", "second", "third"), 2, 0.4, 0.05
CELLS = np.array(list(itertools.product((0, 1), repeat=len(FACTORS))))


@dataclass(frozen=True)
class Crossing:
    """A table's contexts: models x data sets, less those that lack the first factor's level."""

    sizes: tuple[int, ...]
    lost: float = 0.0
    without: float = 0.0

    @property
    def name(self) -> str:
        """Such as `5x4, lost runs`."""
        extra = ["lost runs"] if self.lost else []
        extra += ["contexts without the level"] if self.without else []
        return ", ".join(["x".join(map(str, self.sizes)), *extra])

    @property
    def lacking(self) -> NDArray[np.bool_]:
        """Contexts without the level, at least two thirds left in every model and data set."""
        lacking = np.zeros(self.sizes, dtype=bool)
        wanted = int(self.without * lacking.size)
        for place in np.random.default_rng(7).permutation(lacking.size):
            where = np.unravel_index(place, self.sizes)
            lacking[where] = lacking.sum() < wanted
            for axis in range(lacking.ndim):
                others = tuple(a for a in range(lacking.ndim) if a != axis)
                if lacking.ndim > 1 and (lacking.mean(axis=others) > 0.5).any():
                    lacking[where] = False
        return lacking


@dataclass(frozen=True)
class Variation:
    """Sd of the first factor's effect over levels of every variable, and over contexts."""

    by: tuple[float, ...]
    context: float

    @property
    def name(self) -> str:
        """Such as `.4 .0 .2`."""
        return " ".join(f"{sd:.1f}" for sd in (*self.by, self.context))


@dataclass(frozen=True)
class Draws:
    """Cell means and numbers of runs (N, U, *sizes), and the true effects behind them.

    `others`, by variable, are the effect and the interaction (N, 2, *sizes) less what the variable
    itself and the context add; `new` the same at a new level of it, `new_everywhere` (N, 2) at new
    levels of all.
    """

    mean: Array
    count: Array
    others: tuple[Array, ...]
    new: tuple[Array, ...]
    new_everywhere: Array


def design(sizes: tuple[int, ...]) -> Layout:
    """The product's layout of a 2^3 factorial in contexts that are a product of variables."""
    names = tuple(f"v{i}" for i in range(len(sizes)))
    rows = [
        {
            **dict(zip(FACTORS, map(str, cell), strict=True)),
            **dict(zip(names, map("l{:02d}".format, context), strict=True)),
            "y": 0.0,
        }
        for cell in CELLS.tolist()
        for context in itertools.product(*map(range, sizes))
    ]
    plan, _ = plan_from_table(pd.DataFrame(rows), "y", FACTORS, names, {})
    return layout(plan)


def contrasts(space: Layout) -> dict[Estimand, Contrast]:
    """The contrasts of the first factor, and its interaction with the second one."""
    found = {e: effect_contrasts(space, space.codes, e)[0] for e in ESTIMANDS[:-1]}
    return {**found, "interaction": interaction_contrasts(space, space.codes)[0]}


def draw(shape: Crossing, variation: Variation, count: int, rng: np.random.Generator) -> Draws:
    """`count` tables; the first factor's effect and its interaction vary around 0."""
    sizes, axes = shape.sizes, range(len(shape.sizes))

    def parts(sizes: tuple[int, ...]) -> list[Array]:
        """One array per variable, then per context: broadcastable (N, 2, *sizes)."""
        widths = [tuple(s if a == axis else 1 for a, s in enumerate(sizes)) for axis in axes]
        sds = (*variation.by, variation.context)
        return [
            sd * rng.normal(size=(count, 2, *width))
            for sd, width in zip(sds, [*widths, sizes], strict=True)
        ]

    own = parts(sizes)
    total = sum(own[1:], own[0])
    total = np.broadcast_to(total, (count, 2, *sizes)).copy()
    mean = by_cell(total[:, 0], total[:, 1])
    runs = rng.binomial(RUNS + (shape.lost > 0), 1 - shape.lost, size=mean.shape).astype(float)
    runs[:, CELLS[:, 0] == 1] *= ~shape.lacking
    with np.errstate(divide="ignore", invalid="ignore"):
        mean += SEED_SD * rng.normal(size=mean.shape) / np.sqrt(runs)
    mean[runs == 0] = np.nan
    others = tuple(total - own[axis] - own[-1] for axis in axes)
    fresh = parts(tuple(1 for _ in sizes))
    new = tuple(
        others[axis]
        + fresh[axis]
        + variation.context * rng.normal(size=(count, 2, *_but(sizes, axis)))
        for axis in axes
    )
    everywhere = sum(fresh[1:], fresh[0])
    everywhere = everywhere.reshape(count, 2) + variation.context * rng.normal(size=(count, 2))
    return Draws(mean, runs, others, new, everywhere)


def by_cell(effect: Array, interaction: Array) -> Array:
    """Cell means (N, U, *sizes) of the first factor's effect and its interaction, (N, *sizes)."""
    expand = (slice(None), *(None for _ in effect.shape[1:]))
    first, both = CELLS[:, 0][expand], (CELLS[:, 0] * CELLS[:, 1])[expand]
    return np.asarray(first * effect[:, None] + both * interaction[:, None])


def _but(sizes: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(1 if a == axis else s for a, s in enumerate(sizes))


SHARE: dict[Estimand, tuple[float, float]] = {
    "average": (1.0, 0.5), "baseline": (1.0, 0.0), "removal": (1.0, 1.0), "shapley": (1.0, 0.5),
    "interaction": (0.0, 1.0),
}  # fmt: skip
"""How much of the effect and of the interaction an estimand is, where all its pairs are there."""


def values(mean: Array, space: Layout, contrast: Contrast) -> Array:
    """A contrast in every context, (N, *sizes): the mean over combinations that are complete."""
    units = np.vectorize(space.unit_of.__getitem__)(contrast.codes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # contexts that lack the contrast
        return np.asarray(
            np.nanmean(
                [
                    np.einsum("m,nm...->n...", weights, mean[:, members])
                    for members, weights in zip(units, contrast.weights, strict=True)
                ],
                axis=0,
            )
        )


def quantile(df: Array, probability: float) -> Array:
    """Student's quantiles; most families have the same df in every draw."""
    if len(df) and (df == df[0]).all():
        return np.full(len(df), float(stdtrit(df[0], probability)))
    return np.asarray(stdtrit(df, probability))


@dataclass(frozen=True)
class Interval:
    """t inference of every draw, (N,); NaN where it is refused."""

    estimate: Array
    se: Array
    df: Array

    def at(self, draws: NDArray[np.bool_]) -> Interval:
        """The inference of some draws."""
        return Interval(self.estimate[draws], self.se[draws], self.df[draws])

    def half(self, alpha: float) -> Array:
        """Half of the interval at 1 - alpha."""
        return np.asarray(quantile(self.df, 1 - alpha / 2) * self.se)

    def p(self, margin: float | Array = 0.0) -> Array:
        """P values of effects within +-margin."""
        size = np.abs(self.estimate)
        near, far = (stdtr(self.df, -(size + m) / self.se) for m in (-margin, margin))
        return np.minimum(near + far, 1.0)

    def misses(self, truth: Array | float) -> Array:
        """Whether the 95% interval leaves out the truth; NaN where there is none."""
        outside = np.abs(self.estimate - truth) > self.half(ALPHA)
        return np.where(np.isnan(self.se), np.nan, outside)


@dataclass(frozen=True)
class Widest:
    """The widest of several intervals, and the largest p, of every draw."""

    parts: tuple[Interval, ...]

    @cached_property
    def decides(self) -> Interval:
        """The widest part at 1 - alpha; NaN where a one-way part is refused."""
        halves = np.stack([part.half(ALPHA) for part in self.parts])
        which = np.where(np.isnan(halves), -1.0, halves).argmax(axis=0)
        refused = np.isnan(halves[1:]).any(axis=0)
        chosen = (
            np.choose(which, [getattr(part, name) for part in self.parts])
            for name in ("estimate", "se", "df")
        )
        return Interval(*(np.where(refused, np.nan, numbers) for numbers in chosen))

    def half(self, alpha: float) -> Array:
        """The widest half at 1 - alpha."""
        return np.asarray(np.nanmax([part.half(alpha) for part in self.parts], axis=0))

    def p(self, margin: float | Array = 0.0) -> Array:
        """The largest p."""
        p = np.nanmax([part.p(margin) for part in self.parts], axis=0)
        return np.where(np.isnan(self.decides.se), np.nan, p)

    @property
    def estimate(self) -> Array:
        """The estimate of the part that decides."""
        return self.decides.estimate

    def misses(self, truth: Array | float) -> Array:
        """Whether the interval that decides leaves out the truth."""
        return self.decides.misses(truth)


def level_means(value: Array, axis: int) -> Array:
    """Means (N, L) of one variable's levels over their contexts that have the contrast."""
    others = tuple(a + 1 for a in range(value.ndim - 1) if a != axis)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(value, axis=others)) if others else value


def mean_of_known(means: Array) -> Array:
    """Means (N,) over the levels that have one, (N, L); NaN where none has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(means, axis=1))


def one_way(value: Array, axis: int) -> Interval:
    """t over the levels of a variable that have the contrast, at least three."""
    means = level_means(value, axis)
    levels = (~np.isnan(means)).sum(axis=1).astype(float)
    levels[levels < 3] = np.nan
    sd = np.nanstd(np.where(np.isnan(levels)[:, None], 0.0, means), axis=1, ddof=1)
    return Interval(mean_of_known(means), sd / np.sqrt(levels), levels - 1)


def mean_squares(value: Array) -> tuple[Array, Array, Array, Array]:
    """MS of rows, columns and rest, and rows x columns (2, N), of complete tables (N, M, D)."""
    there = ~np.isnan(value)
    rows, columns = there.any(axis=2), there.any(axis=1)
    size = np.stack([rows.sum(axis=1), columns.sum(axis=1)]).astype(float)
    whole = there.sum(axis=(1, 2)) == size[0] * size[1]
    size[:, ~whole] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        grand = np.nanmean(value, axis=(1, 2))
        by_row = np.nanmean(value, axis=2) - grand[:, None]
        by_column = np.nanmean(value, axis=1) - grand[:, None]
    rest = value - by_row[:, :, None] - by_column[:, None, :] - grand[:, None, None]
    return (
        size[1] * np.nansum(by_row**2, axis=1) / (size[0] - 1),
        size[0] * np.nansum(by_column**2, axis=1) / (size[1] - 1),
        np.nansum(rest**2, axis=(1, 2)) / ((size[0] - 1) * (size[1] - 1)),
        size,
    )


def crossed(value: Array) -> Interval:
    """The crossed interval of complete tables (N, M, D), NaN where the variance is not positive."""
    rows, columns, rest, (m, d) = mean_squares(value)
    total = rows + columns - rest
    total = np.where(total > 0, total, np.nan)
    spread = rows**2 / (m - 1) + columns**2 / (d - 1) + rest**2 / ((m - 1) * (d - 1))
    df = np.fmax(total**2 / spread, np.where(np.isnan(total), np.nan, 1.0))
    return Interval(np.nanmean(value, axis=(1, 2)), np.sqrt(total / (m * d)), df)


def incomplete(value: Array, ways: list[Interval]) -> Interval:
    """What the crossed interval becomes in tables (N, M, D) that lack some pairs of levels."""
    contexts = (~np.isnan(value)).sum(axis=(1, 2)).astype(float)
    rest, df = additive_rest(value)
    shared = rest / contexts
    total = ways[0].se ** 2 + ways[1].se ** 2 - shared
    total = np.where((total > 0) & (df > 0), total, np.nan)
    spread = sum(way.se**4 / way.df for way in ways) + shared**2 / np.where(df > 0, df, np.nan)
    own = np.fmax(total**2 / spread, np.where(np.isnan(total), np.nan, 1.0))
    return Interval(np.nanmean(value, axis=(1, 2)), np.sqrt(total), own)


def additive_rest(value: Array) -> tuple[Array, Array]:
    """Mean square, with its df, of what levels of two variables leave over, (N,)."""
    there = (~np.isnan(value)).astype(float)
    known = np.where(there > 0, value, 0.0)
    m, d = value.shape[1:]
    normal = np.zeros((len(value), m + d, m + d))
    normal[:, np.arange(m), np.arange(m)] = there.sum(axis=2)
    normal[:, m + np.arange(d), m + np.arange(d)] = there.sum(axis=1)
    normal[:, :m, m:] = there
    normal[:, m:, :m] = there.transpose(0, 2, 1)
    sums = np.concatenate([known.sum(axis=2), known.sum(axis=1)], axis=1)
    values, vectors = np.linalg.eigh(normal)
    kept = values > 1e-9 * values[:, -1:]
    inside = np.einsum("nij,ni->nj", vectors, sums)
    inside = np.where(kept, inside / np.where(kept, values, 1.0), 0.0)
    solution = np.einsum("nij,nj->ni", vectors, inside)
    rest = known - there * (solution[:, :m, None] + solution[:, None, m:])
    df = there.sum(axis=(1, 2)) - kept.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.square(rest).sum(axis=(1, 2)) / np.where(df > 0, df, np.nan), df


def over_all(value: Array) -> Widest:
    """The widest of the interval over all variables and the one-way ones."""
    ways = [one_way(value, axis) for axis in range(value.ndim - 1)]
    none = np.full(len(value), np.nan)
    whole = crossed(value) if value.ndim == 3 else Interval(none, none, none)
    lacking = np.isnan(mean_squares(value)[0]) if value.ndim == 3 else np.zeros(len(value), bool)
    if lacking.any():
        part = incomplete(value[lacking], [way.at(lacking) for way in ways])
        for name in ("estimate", "se", "df"):
            getattr(whole, name)[lacking] = getattr(part, name)
    return Widest((whole, *ways))


def prediction(value: Array, axis: int) -> tuple[Array, Array]:
    """Middle and half-width of the interval for a new level of one variable."""
    way = one_way(value, axis)
    return way.estimate, way.half(ALPHA) * np.sqrt(way.df + 2.0)


def prediction_over_all(value: Array, whole: Widest) -> tuple[Array, Array]:
    """The same for new levels of both variables of a complete crossing."""
    decides = whole.decides
    rows, columns, rest, (m, d) = mean_squares(value)
    between = np.maximum((rows - rest) / d, 0.0) + np.maximum((columns - rest) / m, 0.0)
    reach = np.sqrt(decides.se**2 + between + rest)
    return decides.estimate, np.asarray(quantile(decides.df, 1 - ALPHA / 2) * reach)


def shares(draws: Draws, space: Layout, contrast: Contrast, value: Array) -> tuple[Array, Array]:
    """How much of the effect and of the interaction a contrast is in every context; NaN if none."""
    if not np.isnan(draws.mean[:, CELLS[:, 0] == 0]).any():
        of_effect, of_interaction = SHARE[contrast.estimand]
        known = np.where(np.isnan(value), np.nan, 1.0)
        return of_effect * known, of_interaction * known
    there = np.where(draws.count > 0, 1.0, np.nan)
    ones, zeros = np.ones_like(value[:1]), np.zeros_like(value[:1])
    effect, interaction = by_cell(ones, zeros), by_cell(zeros, ones)
    return (
        values(there * effect, space, contrast),
        values(there * interaction, space, contrast),
    )


def truth_over(draws: Draws, share: tuple[Array, Array], axis: int) -> Array:
    """What the scope of one variable estimates, (N,): means over its levels' own contexts."""
    part = draws.others[axis]
    own = share[0] * part[:, 0] + share[1] * part[:, 1]
    return mean_of_known(level_means(own, axis))


def new_level(draws: Draws, estimand: Estimand, axis: int) -> Array:
    """The true effect at a new level of one variable, at the drawn levels of the others, (N,)."""
    effect, interaction = SHARE[estimand]
    part = draws.new[axis]
    return np.asarray(
        (effect * part[:, 0] + interaction * part[:, 1]).reshape(len(part), -1).mean(axis=1)
    )


def product_values(draws: Draws, number: int, space: Layout, contrast: Contrast) -> ContextValues:
    """The product's values of one draw: its cell means stand for one run each."""
    table = draws.mean[number].reshape(len(CELLS), -1)
    unit, context = np.nonzero(~np.isnan(table))
    names = tuple(map(str, range(len(unit))))
    runs = RunValues(table[unit, context], unit, context, names)
    return fit_cell_means(runs, space).evaluate(contrast)


def check(draws: Draws, space: Layout, numbers: int) -> Iterator[float]:
    """Largest difference of every number from the product's, over the first draws."""
    names, error = space.blocking, ErrorTerm(
        variance=1.0, df=10, cells=1, parameters=1, method={"code": "cell_means_t", "arguments": {}}
    )  # fmt: skip
    for contrast in contrasts(space).values():
        value = values(draws.mean[:numbers], space, contrast)
        whole, several = over_all(value), value.ndim > 2
        for number in range(numbers):
            own = product_values(draws, number, space, contrast)
            yield _apart(own.value, value[number].ravel())
            scopes: dict[tuple[str, ...], Interval | Widest] = {
                (name,): one_way(value, axis) for axis, name in enumerate(names)
            }
            if several:
                scopes[names] = whole
            for scope, interval in scopes.items():
                theirs = broad(own, scope, space, ALPHA)
                decides = interval.decides if isinstance(interval, Widest) else interval
                for name in ("estimate", "se", "df"):
                    yield _apart(
                        getattr(theirs, name) if theirs.reason is None else np.nan,
                        getattr(decides, name)[number] + 0.0 * decides.se[number],
                    )
                yield _apart(theirs.p, interval.p()[number])
                yield _apart(
                    theirs.beyond(0.1) if theirs.reason is None else np.nan, interval.p(0.1)[number]
                )
                if len(scope) < 3:
                    middle, half = (
                        prediction(value, names.index(scope[0])) if len(scope) == 1
                        else prediction_over_all(value, whole)
                    )  # fmt: skip
                    yield _apart(
                        spread(own, scope, error, space, ALPHA).prediction_low,
                        (middle - half)[number],
                    )


def _apart(left: Array | float, right: Array | float) -> float:
    """The largest difference, relative above 1; infinite where only one is NaN."""
    left, right = np.broadcast_arrays(left, right)
    if not np.array_equal(np.isnan(left), np.isnan(right)):
        return np.inf
    difference = np.abs(left - right) / np.maximum(np.abs(right), 1.0)
    return float(np.nan_to_num(difference).max(initial=0.0))
