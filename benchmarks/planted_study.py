"""Does the whole answer table come out right? Planted effects, 200 seeds, every verdict.

    OMP_NUM_THREADS=1 python benchmarks/planted_study.py > benchmarks/results/planted_study.txt

Final scores are drawn from the `simulated` backend's own cell means plus its seed noise, and go
through the analysis in this process. Prints the expected verdicts, the power of each with the
effects planted, and in how many seeds the whole table is right.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
from scipy import stats

import ablatekit
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.table import analyse_table
from ablatekit.design.plan import PlannedResponse
from ablatekit.testing.simulated import planted_means

EFFECT, SEED_SD, SLOPE_SD, SMALLEST, ALPHA = 0.08, 0.04, 0.04, 0.02, 0.05
REPLICATES, NEEDED_POWER, NEEDED_SHARE = 2, 0.999, 0.95
FACTORS = (
    "helps_both", "helps_learning_only", "hurts_generalization", "null",
    "interacts_a", "interacts_b", "varies_by_model",
)  # fmt: skip
MODELS, DATASETS = ("m1", "m2", "m3"), ("d1", "d2")
RESPONSES = ("learning", "generalization", "gap")
EXPECTED: dict[str, tuple[str, str, str]] = {
    "helps_both": ("helps", "helps", "equivalent"),
    "helps_learning_only": ("helps", "equivalent", "widens"),
    "hurts_generalization": ("equivalent", "hurts", "widens"),
    "null": ("equivalent", "equivalent", "equivalent"),
    "interacts_a": ("helps", "helps", "equivalent"),
    "interacts_b": ("helps", "helps", "equivalent"),
    "varies_by_model": ("helps", "helps", "equivalent"),
}


@dataclass(frozen=True, slots=True)
class Truth:
    """True narrow average effects by (factor, response), and the standard error of each."""

    effects: Mapping[tuple[str, str], float]
    se: Mapping[str, float]
    df: int


def true_means() -> pd.DataFrame:
    """One row per cell and context with the backend's expected scores."""
    rows = []
    for model, dataset in itertools.product(MODELS, DATASETS):
        for levels in itertools.product((False, True), repeat=len(FACTORS)):
            cell = dict(zip(FACTORS, levels, strict=True))
            names = {"model": model, "dataset": dataset}
            planted = {"effect": EFFECT, "slope_sd": SLOPE_SD}
            means = planted_means({**cell, **names, **planted})
            scores = {"learning": means.learning, "generalization": means.generalization}
            rows.append({**cell, **names, **scores})
    return pd.DataFrame(rows)


def truth_of(means: pd.DataFrame) -> Truth:
    """Effects by their definition: equal-weight means over matched cells and contexts."""
    scores = means.assign(gap=means["learning"] - means["generalization"])
    effects = {}
    for factor, response in itertools.product(FACTORS, RESPONSES):
        sides = scores.groupby(factor)[response].mean()
        effects[factor, response] = float(sides.loc[True] - sides.loc[False])
    runs = REPLICATES * len(means)
    se = 2 * SEED_SD / np.sqrt(runs)
    errors = {"learning": se, "generalization": se, "gap": np.sqrt(2) * se}
    return Truth(effects, errors, runs - len(means))


def power(truth: Truth, factor: str, response: str, verdict: str) -> float:
    """Probability of the verdict: equivalence by two one-sided tests, else Bonferroni's share.

    Noncentral t; Holm rejects whenever Bonferroni does, so the second is a lower bound. It also
    loses the probability that the effect is called equivalent first.
    """
    effect, se, df = truth.effects[factor, response], truth.se[response], truth.df
    critical = float(stats.t.ppf(1 - ALPHA, df))
    below = stats.nct.cdf(-critical, df, (effect - SMALLEST) / se)
    above = stats.nct.sf(critical, df, (effect + SMALLEST) / se)
    equivalent = max(0.0, float(below + above - 1))
    if verdict == "equivalent":
        return equivalent
    strict = float(stats.t.ppf(1 - ALPHA / len(FACTORS) / 2, df))
    return float(stats.nct.sf(strict, df, abs(effect) / se)) - equivalent


def simulate(means: pd.DataFrame, seed: int) -> Analysis:
    """One study's worth of runs, analysed."""
    generator = np.random.default_rng(seed)
    runs = means.loc[means.index.repeat(REPLICATES)].reset_index(drop=True)
    for response in ("learning", "generalization"):
        runs[response] += SEED_SD * generator.standard_normal(len(runs))
    return analyse_table(
        runs, PLANNED, FACTORS, ("model", "dataset"), dict.fromkeys(FACTORS, "False")
    )


PLANNED = tuple(
    PlannedResponse(
        name=name, metric=name, summary="final", direction="higher", smallest_effect=SMALLEST,
        items=None, label=name, unit="proportion",
    )
    for name in ("learning", "generalization")
)  # fmt: skip


def effects_by_response(analysis: Analysis) -> dict[str, list[Effect]]:
    """The effects on both responses and on the gap."""
    gap = next(iter(analysis["comparisons"].values()))
    found = {name: response["effects"] for name, response in analysis["responses"].items()}
    return {**found, "gap": gap["effects"]}


def narrow_verdict(effects: list[Effect], factor: str, inference: str = "narrow") -> str:
    """The verdict on a factor's average effect."""
    key = (factor, "average", inference)
    return next(
        effect["verdict"]
        for effect in effects
        if (effect["factor"], effect["estimand"], effect["inference"]) == key
    )


def mistakes(analysis: Analysis) -> list[str]:
    """Every entry of the table that is not as expected."""
    effects = effects_by_response(analysis)
    wrong = [
        f"{factor} on {response}: {found} instead of {expected}"
        for factor, verdicts in EXPECTED.items()
        for response, expected in zip(RESPONSES, verdicts, strict=True)
        if (found := narrow_verdict(effects[response], factor)) != expected
    ]
    for name, response in analysis["responses"].items():
        if narrow_verdict(response["effects"], "varies_by_model", "broad") == "equivalent":
            wrong.append(f"varies_by_model on {name}: broadly equivalent")
        rows: list[Any] = [r for r in response["heterogeneity"] if r["factor"] == "varies_by_model"]
        if not any(row["warning"] and "by model" in row["warning"] for row in rows):
            wrong.append(f"varies_by_model on {name}: no warning that it varies by model")
    return wrong


def print_design(truth: Truth) -> bool:
    """Expected verdicts with their power; whether every one has enough."""
    runs = truth.df * REPLICATES // (REPLICATES - 1)
    print(
        f"{len(FACTORS)} factors, {2 ** len(FACTORS)} cells,"
        f" {len(MODELS) * len(DATASETS)} contexts,"
        f" {REPLICATES} replicates: {runs} runs; seed sd {SEED_SD}, planted effect {EFFECT},"
        f" slope sd {SLOPE_SD}, smallest effect {SMALLEST}, alpha {ALPHA}"
    )
    enough = True
    print(f"{'factor':<22}{'response':<16}{'true effect':>12}{'se':>9}  {'expected':<12}power")
    for factor, verdicts in EXPECTED.items():
        for response, verdict in zip(RESPONSES, verdicts, strict=True):
            chance = power(truth, factor, response, verdict)
            enough &= chance >= NEEDED_POWER
            effect, se = truth.effects[factor, response], truth.se[response]
            print(
                f"{factor:<22}{response:<16}{effect:>+12.4f}{se:>9.5f}  {verdict:<12}{chance:.6f}"
            )
    print(
        "varies_by_model, broad: anything but equivalent, with the warning that it varies by model"
    )
    return enough


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args().seeds
    versions = {"ablatekit": ablatekit.__version__, "python": platform.python_version()}
    versions |= {"numpy": np.__version__, "scipy": scipy.__version__, "pandas": pd.__version__}
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    means = true_means()
    enough = print_design(truth_of(means))
    print(f"every power >= {NEEDED_POWER}: {'yes' if enough else 'NO'}")
    start, right, errors = time.perf_counter(), 0, Counter[str]()
    for seed in range(seeds):
        wrong = mistakes(simulate(means, seed))
        right += not wrong
        errors.update(wrong)
    print(f"whole table right in {right} of {seeds} seeds ({time.perf_counter() - start:.0f} s)")
    for text, count in errors.most_common():
        print(f"  {count} x {text}")
    if not enough or right < NEEDED_SHARE * seeds:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
