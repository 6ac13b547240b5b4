"""Families of one baseline, the best cells, ratios and doses on simulated tables.

Simultaneous intervals and claims of configurations against the baseline cell (Dunnett), comparisons
with the best (Hsu), carry-over (Fieller) and trends over doses. Every case gives rates with their
bounds, and whether the product says the same of its first draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from coverage_broad import ALPHA, Array, Interval, one_way
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtrit

from ablatekit.analysis.cells.configurations import AgainstBaseline
from ablatekit.analysis.cells.dose import dose
from ablatekit.analysis.cells.effects import fit
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.stats.best import compare_with_best
from ablatekit.analysis.stats.dunnett import dunnett_critical, shared_parts
from ablatekit.analysis.stats.inference import t_estimate
from ablatekit.analysis.stats.polynomial import slope_contrast, trend_contrasts
from ablatekit.analysis.stats.ratio import fieller
from ablatekit.analysis.stats.verdict import judge, rule_for
from ablatekit.analysis.table import plan_from_table
from ablatekit.analysis.tables.responses import respond
from ablatekit.design.plan import PlannedResponse

Case = tuple[str, dict[str, tuple[float, float]], bool]
"""Name; rate and bound by what errs (infinite: without one); whether the product agrees."""

SCORES = np.log2(np.array([1.0, 2.0, 4.0, 16.0]))


@dataclass(frozen=True)
class Cells:
    """Means of k + 1 cells, the baseline first: variance factors (k + 1,) and residual df."""

    name: str
    variance: Array
    df: float

    @property
    def shared(self) -> Array:
        """Correlation of every comparison with the baseline's error."""
        return np.asarray(shared_parts(self.variance[1:], float(self.variance[0])))

    @property
    def errors(self) -> Array:
        """Standard errors of the comparisons over sigma."""
        return np.asarray(np.sqrt(self.variance[1:] + self.variance[0]))


TABLES = (
    Cells("4 cells, 4 df", np.full(4, 1 / 2), 4.0),
    Cells("4 cells, 24 df", np.full(4, 1 / 12), 24.0),
    Cells("8 cells, 48 df", np.full(8, 1 / 12), 48.0),
    Cells("6 cells, unequal runs", 1 / np.array([24.0, 4, 6, 9, 12, 15]), 30.0),
)


def configuration_cases(count: int, checked: int, rng: np.random.Generator) -> Iterator[Case]:
    """Every table with all cells alike, at the margin, on either side of it, and in a row."""
    for table, size in itertools.product(TABLES, (2.0, 6.0)):
        k = len(table.variance) - 1
        margin = size * float(table.errors.max())
        truths: tuple[NDArray[Any], ...] = (
            np.zeros(k),
            np.full(k, margin),
            margin * (-1.0) ** np.arange(k),
            margin * np.linspace(0.0, 1.5, k),
        )
        for truth in truths:
            mean = np.concatenate([[0.0], truth])
            mean = mean + np.sqrt(table.variance) * rng.normal(size=(count, k + 1))
            sigma = np.sqrt(rng.chisquare(table.df, size=count) / table.df)
            yield table.name, *_configurations(table, mean, sigma, truth, margin, checked)
            yield f"{table.name}: best", *_best(table, mean, sigma, truth, checked)


def _configurations(
    table: Cells, mean: Array, sigma: Array, truth: Array, margin: float, checked: int
) -> tuple[dict[str, tuple[float, float]], bool]:
    gain, se = mean[:, 1:] - mean[:, :1], sigma[:, None] * table.errors
    two, one = (
        float(dunnett_critical(table.shared[None, :], table.df, 1 - ALPHA, sides)[0])
        for sides in ("two", "one")
    )
    claimed = np.abs(gain) > two * se
    more = claimed & (np.abs(gain) - margin > _margin_critical(table, gain) * se)
    inside = np.abs(gain) + stdtrit(table.df, 1 - ALPHA) * se < margin
    wrong = claimed & (np.sign(gain) != np.sign(truth))
    near, small = 1e-12, np.abs(truth) <= margin + 1e-12
    large = np.abs(truth) >= margin - near
    yes = (gain + one * se < margin).all(axis=1) & (truth.max() >= margin - near)
    no = (more & (gain > 0)).any(axis=1) & (truth.max() <= margin + near)
    rates = {
        "simultaneous interval": ((np.abs(gain - truth) > two * se).any(axis=1), ALPHA),
        "simultaneous bound": ((gain - truth < -one * se).any(axis=1), ALPHA),
        "wrong direction": (wrong.any(axis=1), ALPHA),
        "by more": ((more & (small | wrong)).any(axis=1), ALPHA / 2),
        "equivalent": (~claimed & inside & large, ALPHA),
        "less": (claimed & inside & large, ALPHA),
        "baseline suffices": (yes, ALPHA),
        "baseline does not": (no, ALPHA / 2),
    }
    numbers = {n: (float(e.mean(axis=0).max()), bound) for n, (e, bound) in rates.items()}
    directions = np.where(claimed, np.sign(gain), 0)
    said = (directions, more, ~claimed & inside)
    return numbers, _same_verdicts(table, gain, se, margin, said, checked)


def _margin_critical(table: Cells, gain: Array) -> Array:
    """One-sided critical values at alpha / 2, comparisons turned to the side of their estimates."""
    signs, which = np.unique(np.where(gain < 0, -1.0, 1.0), axis=0, return_inverse=True)
    critical = dunnett_critical(signs * table.shared, table.df, 1 - ALPHA / 2, "one")
    return np.asarray(critical[which.ravel()][:, None])


def _same_verdicts(
    table: Cells, gain: Array, se: Array, margin: float, said: Sequence[NDArray[Any]], checked: int
) -> bool:
    """Whether the product says so of the first draws."""
    rule, tests = rule_for("higher", ALPHA, "holm", margin), AgainstBaseline(table.shared, table.df)
    for number in range(checked):
        family = [
            t_estimate(float(d), float(s), table.df, ALPHA, statement("cell_means_t"))
            for d, s in zip(gain[number], se[number], strict=True)
        ]
        for k, judgement in enumerate(judge(family, rule, tests)):
            direction = {"helps": 1, "hurts": -1}.get(judgement.verdict, 0)
            theirs = (direction, judgement.size == "by_more", judgement.verdict == "equivalent")
            if theirs != tuple(array[number, k] for array in said):
                return False
    return True


def _best(
    table: Cells, mean: Array, sigma: Array, truth: Array, checked: int
) -> tuple[dict[str, tuple[float, float]], bool]:
    """Hsu's intervals, and the set that should hold the best cell."""
    true = np.concatenate([[0.0], truth])
    critical = compare_with_best(mean[0], table.variance, 1.0, table.df, 1 - ALPHA).critical
    error = sigma[:, None, None] * np.sqrt(table.variance[:, None] + table.variance)
    ahead = mean[:, :, None] - mean[:, None, :]
    same = np.eye(len(true)) > 0
    upper = np.where(same, np.inf, ahead + critical[:, None] * error).min(axis=2)
    high = np.maximum(upper, 0.0)
    rivals = (high > 0.0)[:, None, :] & ~same
    low = np.where(rivals, ahead - critical[None, :] * error, np.inf).min(axis=2)
    low = np.where(rivals.any(axis=2), np.minimum(low, 0.0), 0.0)
    against = np.array([value - np.delete(true, i).max() for i, value in enumerate(true)])
    outside = (low > against + 1e-12) | (high < against - 1e-12)
    lost = ~(high > 0.0)[:, true == true.max()]
    agrees = True
    for number in range(checked):
        theirs = compare_with_best(
            mean[number], table.variance, float(sigma[number]), table.df, 1 - ALPHA
        )
        agrees &= np.allclose(theirs.low, low[number], atol=1e-10)
        agrees &= np.allclose(theirs.high, high[number], atol=1e-10)
    rates = {
        "interval": float(outside.any(axis=1).mean()),
        "best left out": float(lost.mean(axis=0).max()),
    }
    return {name: (value, ALPHA) for name, value in rates.items()}, bool(agrees)


def carry_over_cases(count: int, checked: int, rng: np.random.Generator) -> Iterator[Case]:
    """Ratios of correlated effects, with covariances on few and many df; learning of 1 to 8 se."""
    for df, ratio, size in itertools.product((2, 4, 7, 96), (0.0, 0.5, 1.5), (1.0, 3.0, 8.0)):
        covariance = np.array([[1.0, 0.5], [0.5, 1.0]])
        factor = np.linalg.cholesky(covariance)
        draws = rng.normal(size=(count, df, 2)) @ factor.T
        estimated = np.einsum("nij,nik->njk", draws, draws) / df
        noise = rng.normal(size=(count, 2)) @ factor.T
        above, below = ratio * size + noise[:, 0], size + noise[:, 1]
        square = stdtrit(df, 1 - ALPHA / 2) ** 2
        variance = (
            estimated[:, 0, 0] - 2 * ratio * estimated[:, 0, 1] + ratio**2 * estimated[:, 1, 1]
        )
        missed = (above - ratio * below) ** 2 > square * variance
        shown = below**2 > square * estimated[:, 1, 1]
        agrees = all(
            _holds(above[n], below[n], estimated[n], df, ratio) != missed[n]
            for n in range(checked)
            if shown[n]
        )
        rates = {
            "shown and wrong": (float((shown & missed).mean()), ALPHA),
            "wrong where shown": (float(missed[shown].mean()), np.inf),
        }
        yield f"carry-over, {df} df, learning {size:g} se", rates, agrees


def _holds(above: float, below: float, covariance: Array, df: int, ratio: float) -> bool:
    variances = (float(covariance[0, 0]), float(covariance[1, 1]))
    shown = fieller(float(above), float(below), variances, float(covariance[0, 1]), df)
    return shown.low <= ratio <= shown.high


def dose_cases(count: int, checked: int, rng: np.random.Generator) -> Iterator[Case]:
    """F tests and slopes of four doses in 4 models x 3 data sets with 2 runs; no true trend.

    Slopes vary over models, so that the narrow truth is theirs and that over models is 0.
    """
    models, datasets, runs = 4, 3, 2
    for by_model in (0.0, 0.2):
        slope = by_model * rng.normal(size=(count, models, 1, 1, 1))
        slope = slope - (slope.mean(axis=1, keepdims=True) if by_model == 0.0 else 0.0)
        noise = rng.normal(size=(count, models, datasets, len(SCORES), runs))
        y = slope * (SCORES - SCORES.mean())[:, None] + noise
        mean = y.mean(axis=4)
        df = models * datasets * len(SCORES) * (runs - 1)
        variance = y.var(axis=4, ddof=1).mean(axis=(1, 2, 3))
        contexts = models * datasets
        trends = np.einsum("cl,nmdl->nc", trend_contrasts(SCORES), mean) / contexts
        statistic = (trends**2).sum(axis=1) / 2 / (variance / runs / contexts)
        each = np.einsum("l,nmdl->nmd", slope_contrast(SCORES), mean)
        se = np.sqrt(variance * (slope_contrast(SCORES) ** 2).sum() / runs / contexts)
        narrow = Interval(each.mean(axis=(1, 2)), se, np.full(count, float(df)))
        over = one_way(each, 0)
        rates = {
            "slope, narrow": (float(narrow.misses(slope.mean(axis=(1, 2, 3, 4))).mean()), ALPHA),
            "slope, over models": (float(over.misses(0.0).mean()), ALPHA),
        }
        p = fdtrc(2, df, statistic)
        if by_model == 0.0:
            rates["F test"] = (float((p < ALPHA).mean()), ALPHA)
        numbers = np.stack([p, narrow.p(), over.p()], axis=1)
        yield f"four doses, slopes vary by {by_model:g}", rates, _same_doses(y[:checked], numbers)


def _same_doses(y: Array, numbers: Array) -> bool:
    """Whether the product's F test and slopes have the same p."""
    where = np.indices(y.shape[1:]).reshape(4, -1)
    frame = pd.DataFrame(
        {
            "dose": [f"{2.0 ** SCORES[i]:g}" for i in where[2]],
            "model": [f"m{i}" for i in where[0]],
            "dataset": [f"d{i}" for i in where[1]],
        }
    )
    response = PlannedResponse(
        name="y", metric="y", summary="final", direction="higher", smallest_effect=None, items=None,
        label="y",
    )  # fmt: skip
    rule = rule_for("higher", ALPHA, "holm", None)
    for table, own in zip(y, numbers, strict=False):
        frame["y"] = table.ravel()
        plan, tables = plan_from_table(frame, [response], ["dose"], ["model", "dataset"], {})
        design = layout(plan)
        fitted = fit(respond(response, tables, design, "score").values, design, 2)
        found = dose(fitted, "y", rule, ("narrow", "broad"))
        assert found is not None
        slopes = {tuple(row["scope"]): row["p"] for row in found["slopes"]}
        theirs = (found["tests"][0]["p"], slopes[()], slopes["model",])
        if not np.allclose(np.array(theirs, dtype=float), own, atol=1e-10):
            return False
    return True
