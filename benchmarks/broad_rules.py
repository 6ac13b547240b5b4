"""Type-I errors of rules for a contrast over models and data sets: why broad rows are as they are.

    OPENBLAS_NUM_THREADS=1 python benchmarks/broad_rules.py > benchmarks/results/broad_rules.txt

True effect 0; per-context values vary by model, by data set, by both or by neither, with a residual
sd of .2. Rates at 5% of the t over contexts, over models, over data sets, the crossed interval
alone, the wider of the two one-way t's, and the widest of all three (what the product does).
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
SHAPES = ((3, 2), (3, 3), (5, 4), (8, 5), (12, 8), (20, 2))
VARIATIONS = ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1), (0.4, 0.0), (0.0, 0.4), (0.4, 0.4))
RULES = ("contexts", "models", "data sets", "crossed", "one-way", "widest")
RESIDUAL, MISSING = 0.2, 0.2


def drawn(
    shape: tuple[int, int], spread: tuple[float, float], draws: int, rng: np.random.Generator
) -> Array:
    """Per-context values (draws, M, D)."""
    models = rng.normal(0.0, spread[0], (draws, shape[0], 1))
    data_sets = rng.normal(0.0, spread[1], (draws, 1, shape[1]))
    return np.asarray(models + data_sets + rng.normal(0.0, RESIDUAL, (draws, *shape)))


def mask(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Which contexts have the contrast (M, D): a fifth lacks it, each level keeps two."""
    while True:
        there = rng.random(shape) >= MISSING
        if there.sum(axis=0).min() >= 2 and there.sum(axis=1).min() >= 2 and not there.all():
            return there.astype(float)


def one_way(value: Array, there: Array, axis: int) -> tuple[Array, Array, int]:
    """Mean, standard error and df of the t over the means of a variable's levels."""
    means = (value * there).sum(axis=axis) / there.sum(axis=axis - 1)
    levels = means.shape[1]
    return means.mean(axis=1), means.std(axis=1, ddof=1) / levels**0.5, levels - 1


def p_values(value: Array, there: Array) -> dict[str, Array]:
    """P values (draws,) by rule."""
    flat = value[:, there > 0]
    count = flat.shape[1]
    ways = [one_way(value, there, axis) for axis in (2, 1)]
    columns = np.array([[i, j] for i, j in zip(*np.nonzero(there), strict=True)])
    design = np.hstack([columns[:, [k]] == np.arange(there.shape[k]) for k in (0, 1)]).astype(float)
    fitted = flat @ design @ np.linalg.pinv(design)
    df = count - (sum(there.shape) - 1)
    shared = np.square(flat - fitted).sum(axis=1) / df / count
    variance = sum(se**2 for _, se, _ in ways) - shared
    spread = sum(se**4 / d for _, se, d in ways) + shared**2 / df
    crossed_df = np.maximum(variance**2 / spread, 1.0)
    crossed = p_of(flat.mean(axis=1), np.sqrt(np.where(variance > 0, variance, np.nan)), crossed_df)
    tested = [p_of(*way) for way in ways]
    plain = p_of(flat.mean(axis=1), flat.std(axis=1, ddof=1) / count**0.5, count - 1)
    wider = np.maximum(*tested)
    widest = np.fmax(wider, crossed)
    return dict(zip(RULES, (plain, *tested, crossed, wider, widest), strict=True))


def p_of(estimate: Array, se: Array, df: Array | int) -> Array:
    """Two-sided t test."""
    return np.asarray(2.0 * stats.t.sf(np.abs(estimate / se), df))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20_000)
    draws = parser.parse_args().draws
    print(f"{draws} draws, seed 1; rates at 5%")
    for incomplete in (False, True):
        print("\na fifth of the contexts lacks the contrast" if incomplete else "complete tables")
        print(f"{'shape':8}{'sd over models, data sets':>28}" + "".join(f"{r:>11}" for r in RULES))
        for shape in SHAPES:
            if incomplete and min(shape) < 3:
                continue
            rng = np.random.default_rng([1, *shape])
            there = mask(shape, rng) if incomplete else np.ones(shape)
            for spread in VARIATIONS:
                p = p_values(drawn(shape, spread, draws, rng), there)
                rates = "".join(f"{np.mean(p[rule] < 0.05):11.3f}" for rule in RULES)
                print(f"{shape[0]}x{shape[1]:<6}{spread[0]:>16}{spread[1]:>12}{rates}")


if __name__ == "__main__":
    main()
