"""Claims of the verdict rule on simulated families: how often a false one is made (DESIGN 5).

Three effects a family. Narrow estimates share the pooled error; broad ones are per-context values
that vary over models, data sets and contexts. `python coverage.py` prints the worst of all cases.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from coverage_broad import ALPHA, Array, Interval, Widest, design, one_way, over_all
from numpy.typing import NDArray

from ablatekit.analysis.cells.broad import broad
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.values import ContextValues
from ablatekit.analysis.stats.inference import Estimate, t_estimate
from ablatekit.analysis.stats.verdict import judge, rule_for

NOISE, BY_CONTEXT, BY_LEVEL = 0.2, 0.1, 0.4
TRUTHS = ((0, 0, 0), (1, 1, 1), (1, -1, 1), (0, 1, 1.5), (0.5, 1, 4), (0, 0, 1))
"""True effects in margins."""
MARGINS = (1.0, 3.0, 6.0)
"""Smallest effects in standard errors."""
CLAIMS = ("wrong direction", "by more", "equivalent", "less")
BOUNDS = {"wrong direction": ALPHA, "by more": ALPHA / 2, "equivalent": ALPHA, "less": ALPHA}
FROM_PRODUCT = {"helps": 1, "hurts": -1}

Rows = Sequence[Interval | Widest]


@dataclass(frozen=True)
class Claims:
    """What is said of every row, (N, K): direction -1, 0 or 1, and whether a claim is made."""

    direction: Array
    more: NDArray[np.bool_]
    equivalent: NDArray[np.bool_]
    less: NDArray[np.bool_]


def holm(p: Array) -> Array:
    """Holm's adjusted p (N, K)."""
    order = np.argsort(p, axis=1)
    ranked = np.take_along_axis(p, order, axis=1) * np.arange(p.shape[1], 0, -1)
    adjusted = np.empty_like(p)
    stepped = np.minimum(np.maximum.accumulate(ranked, axis=1), 1.0)
    np.put_along_axis(adjusted, order, stepped, axis=1)
    return adjusted


def claims(rows: Rows, margin: float) -> Claims:
    """The verdict rule on arrays; Holm within the family."""
    p = holm(np.stack([row.p() for row in rows], axis=1))
    beyond = holm(np.stack([row.p(margin) for row in rows], axis=1))
    estimate = np.stack([row.estimate for row in rows], axis=1)
    inner = np.stack([row.half(2 * ALPHA) for row in rows], axis=1)
    claimed, inside = p < ALPHA, np.abs(estimate) + inner < margin
    more = claimed & (beyond < ALPHA / 2)
    return Claims(
        direction=np.sign(estimate) * claimed,
        more=more,
        equivalent=~claimed & inside,
        less=claimed & inside & ~more,
    )


def false_claims(made: Claims, truth: Array, margin: float) -> dict[str, float]:
    """How often each claim is false: in a family for the first two, per row for the others."""
    near = 1e-12
    wrong = (made.direction != 0) & (made.direction != np.sign(truth))
    small, large = np.abs(truth) <= margin + near, np.abs(truth) >= margin - near
    return {
        "wrong direction": float(wrong.any(axis=1).mean()),
        "by more": float((made.more & (small | wrong)).any(axis=1).mean()),
        "equivalent": float((made.equivalent & large).mean(axis=0).max()),
        "less": float((made.less & large).mean(axis=0).max()),
    }


def agrees(made: Claims, families: Sequence[Sequence[Estimate]], margin: float) -> bool:
    """Whether the product says the same of the first families."""
    rule = rule_for("higher", ALPHA, "holm", margin)
    for number, family in enumerate(families):
        for k, judgement in enumerate(judge(family, rule)):
            said = (
                FROM_PRODUCT.get(judgement.verdict, 0),
                judgement.size == "by_more",
                judgement.verdict == "equivalent",
                judgement.size == "less",
            )
            ours = (made.direction, made.more, made.equivalent, made.less)
            if said != tuple(array[number, k] for array in ours):
                return False
    return True


def narrow_cases(
    count: int, checked: int, rng: np.random.Generator
) -> Iterator[tuple[str, dict[str, float], bool]]:
    """Averages (independent but for the error) and effects at the baseline (correlated)."""
    for df, correlation in itertools.product((8, 96), (0.0, 0.5)):
        for truths, margin in itertools.product(TRUTHS, MARGINS):
            shared, own = rng.normal(size=(count, 1)), rng.normal(size=(count, 3))
            noise = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
            truth = np.array(truths) * margin
            estimate, sd = truth + noise, np.sqrt(rng.chisquare(df, size=count) / df)
            rows = [Interval(estimate[:, k], sd, np.full(count, float(df))) for k in range(3)]
            made = claims(rows, margin)
            families = [
                [
                    t_estimate(float(value), float(sd[n]), df, ALPHA, statement("cell_means_t"))
                    for value in estimate[n]
                ]
                for n in range(checked)
            ]
            name = f"narrow, {df} df, correlation {correlation:g}"
            yield name, false_claims(made, truth, margin), agrees(made, families, margin)


def broad_cases(
    sizes: tuple[int, int], scope: str, count: int, checked: int, rng: np.random.Generator
) -> Iterator[tuple[str, dict[str, float], bool]]:
    """Effects that vary over what the scope generalises over, whatever the rest of the table."""
    space = design(sizes)
    by = (BY_LEVEL * (scope != "dataset"), BY_LEVEL * (scope != "model"))
    per_value = BY_CONTEXT**2 + NOISE**2
    error = by[0] ** 2 / sizes[0] + by[1] ** 2 / sizes[1] + per_value / np.prod(sizes)
    for truths, margin in itertools.product(TRUTHS, MARGINS):
        smallest = margin * float(np.sqrt(error))
        truth = np.array(truths) * smallest
        value = (
            truth[:, None, None]
            + by[0] * rng.normal(size=(count, 3, sizes[0], 1))
            + by[1] * rng.normal(size=(count, 3, 1, sizes[1]))
            + np.sqrt(per_value) * rng.normal(size=(count, 3, *sizes))
        )
        rows = [_over(value[:, k], scope) for k in range(3)]
        made = claims(rows, smallest)
        families = [[_estimate(v, scope, space) for v in value[n]] for n in range(checked)]
        name = f"over {scope}, {sizes[0]}x{sizes[1]}"
        yield name, false_claims(made, truth, smallest), agrees(made, families, smallest)


def _over(value: Array, scope: str) -> Interval | Widest:
    return over_all(value) if scope == "both" else one_way(value, int(scope == "dataset"))


def _estimate(value: Array, scope: str, space: Layout) -> Estimate:
    flat = value.ravel()
    values = ContextValues(
        value=flat,
        factor=np.ones_like(flat),
        single=np.ones_like(flat),
        used=np.ones(len(flat), dtype=bool),
        pairs=np.ones(len(flat), dtype=np.int64),
        of_pairs=1,
    )
    names = {"model": ("v0",), "dataset": ("v1",), "both": ("v0", "v1")}[scope]
    return broad(values, names, space, ALPHA)
