"""Coverage and type-I error of the inference that the engine ships, by simulation.

3 models x 2 data sets, a 2^4 factorial, S replicates. The effect of factor a varies over models (sd
t_m), data sets (t_d) and contexts (t_c); residual sd 1; model sd 2, data set sd 1.5, context sd .5.
Narrow: the 95% interval covers the realised mean effect in these contexts. Broad: the true
population effect is 0 and is rejected at 5%. Estimands: average, at the baseline, at removal, and
the interaction a:b.

    python benchmarks/coverage.py --draws 10000 --mixed-draws 2000
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ablatekit.analysis.mixed.fit import fit_mixed
from ablatekit.analysis.mixed.formula import parse_formula
from ablatekit.analysis.mixed.frame import build_frame
from ablatekit.analysis.mixed.information import Information
from ablatekit.analysis.mixed.ols import fit_ols
from ablatekit.analysis.mixed.tests import linear_model

Array = NDArray[np.float64]
CELLS = np.array(list(product((0, 1), repeat=4)))
CONTEXTS = np.array(list(product(range(3), range(2))))


@dataclass(frozen=True)
class Scenario:
    """How one study is drawn. `loss`: share of the runs lost; `high_sd`: residual sd at a1."""

    name: str
    seeds: int
    t_m: float = 0.0
    t_d: float = 0.0
    t_c: float = 0.0
    loss: float = 0.0
    high_sd: float = 1.0
    items: int = 0
    rate: float = 0.5
    diverged: float = 0.0
    policy: str = ""


SCENARIOS = (
    Scenario("S2 t=0", 2),
    Scenario("S2 t_c=.4", 2, t_c=0.4),
    Scenario("S2 t_m=.4", 2, t_m=0.4),
    Scenario("S2 t_m=t_d=.4", 2, t_m=0.4, t_d=0.4),
    Scenario("S5 t=0", 5),
    Scenario("S5 t_c=.4", 5, t_c=0.4),
    Scenario("S5 t_m=t_d=.4", 5, t_m=0.4, t_d=0.4),
    Scenario("unb t_c=.4", 3, t_c=0.4, loss=0.2),
    Scenario("unb .4/.4/.2", 3, t_m=0.4, t_d=0.4, t_c=0.2, loss=0.2),
    Scenario("seed sd 3x at a1", 3, high_sd=3.0),
    Scenario("items near .05", 3, items=200, rate=0.05),
    Scenario("items near .95", 3, items=200, rate=0.95),
    Scenario("20% of a cell diverged, score", 5, diverged=0.2, policy="score"),
    Scenario("20% of a cell diverged, worst", 5, diverged=0.2, policy="worst"),
    Scenario("20% of a cell diverged, exclude", 5, diverged=0.2, policy="exclude"),
)


def contrasts() -> dict[str, Array]:
    """Weights (16,) over the cells of one context, per estimand."""
    a, b, rest = CELLS[:, 0], CELLS[:, 1], CELLS[:, 1:]
    sign = 2.0 * a - 1.0
    return {
        "average": sign / 8.0,
        "baseline": sign * (rest.sum(axis=1) == 0),
        "removal": sign * (rest.sum(axis=1) == 3),
        "interaction": sign * (2.0 * b - 1.0) / 4.0,
    }


@dataclass(frozen=True)
class Study:
    """One drawn study: response, context, cell per run, and the true cell means (6, 16)."""

    y: Array
    context: NDArray[np.intp]
    cell: NDArray[np.intp]
    truth: Array


def draw(scenario: Scenario, rng: np.random.Generator) -> Study:
    context, cell, _ = (
        g.reshape(-1)
        for g in np.meshgrid(np.arange(6), np.arange(16), np.arange(scenario.seeds), indexing="ij")
    )
    model, data = CONTEXTS.T
    slope = rng.normal(0, scenario.t_m, 3)[model] + rng.normal(0, scenario.t_d, 2)[data]
    slope = slope + rng.normal(0, scenario.t_c, 6)
    base = rng.normal(0, 2, 3)[model] + rng.normal(0, 1.5, 2)[data] + rng.normal(0, 0.5, 6)
    truth = base[:, None] + CELLS @ np.array([0.0, 0.5, 0.0, 0.3]) + slope[:, None] * CELLS[:, 0]
    sd = np.where(CELLS[cell, 0] == 1, scenario.high_sd, 1.0)
    if scenario.items:
        logit = np.log(scenario.rate / (1 - scenario.rate)) + 0.1 * (truth - truth.mean())
        truth = 1.0 / (1.0 + np.exp(-logit))
        noisy = np.clip(truth[context, cell] + rng.normal(0, 0.01, len(cell)), 0.0, 1.0)
        y = rng.binomial(scenario.items, noisy) / scenario.items
    else:
        y = truth[context, cell] + sd * rng.normal(size=len(cell))
    keep = rng.random(len(y)) >= scenario.loss
    if scenario.diverged:
        lost = (cell == 15) & (rng.random(len(y)) < scenario.diverged)
        if scenario.policy == "exclude":
            keep &= ~lost
        elif scenario.policy == "worst":
            y = np.where(lost, y.min(), y)
        else:
            y = np.where(lost, y - np.abs(rng.normal(0, 1, len(y))), y)
    return Study(y[keep], context[keep], cell[keep], truth)


def narrow_covers(study: Study, weights: Array) -> bool | None:
    """Saturated cell means in every context, residual df; None when a cell is empty."""
    pair = study.context * 16 + study.cell
    count = np.bincount(pair, minlength=96).astype(float)
    if (count == 0).any():
        return None
    mean = np.bincount(pair, study.y, 96) / count
    df = len(study.y) - 96
    rss = float(((study.y - mean[pair]) ** 2).sum())
    full = np.tile(weights, 6) / 6.0
    half = stats.t.ppf(0.975, df) * float(np.sqrt(rss / df * (full**2 / count).sum()))
    return bool(abs(float(full @ (mean - study.truth.reshape(-1)))) <= half)


def context_effects(study: Study, weights: Array) -> Array | None:
    """The contrast in every context (6,); None when a cell that it needs is empty."""
    pair = study.context * 16 + study.cell
    count = np.bincount(pair, minlength=96).reshape(6, 16)
    if (count[:, weights != 0.0] == 0).any():
        return None
    mean = np.bincount(pair, study.y, 96).reshape(6, 16) / np.maximum(count, 1)
    return np.asarray(mean @ weights)


def broad_t(study: Study, weights: Array) -> bool | None:
    values = context_effects(study, weights)
    if values is None:
        return None
    return bool(stats.ttest_1samp(values, 0.0).pvalue < 0.05)


def broad_mixed(study: Study) -> dict[str, bool]:
    """`(1|ctx) + (0 + a|ctx)` with Kenward-Roger and Satterthwaite, df at most contexts - 1."""
    cells = CELLS[study.cell]
    table = pd.DataFrame(
        {
            "y": study.y,
            "a": cells[:, 0] - 0.5,
            **{name: cells[:, j] - 0.5 for j, name in enumerate("bcd", 1)},
            "ctx": np.char.add("c", study.context.astype(str)),
        }
    )
    fit = fit_mixed(build_frame(table, parse_formula("y ~ a*b*c*d + (1|ctx) + (0+a|ctx)")))
    information = Information(fit)
    out = {}
    for name, method in (("KR", "kenward-roger"), ("Satterthwaite", "satterthwaite")):
        test = linear_model(fit, method, information).coefficients  # type: ignore[arg-type]
        df = min(float(test.df[1]), 5.0)
        out[name] = bool(2.0 * stats.t.sf(abs(test.statistic[1]), df) < 0.05)
    return out


def check_narrow_against_engine(seed: int = 0) -> float:
    """The closed form above against `fit_ols` of the saturated model; the largest difference."""
    study = draw(replace(SCENARIOS[0], seeds=3), np.random.default_rng(seed))
    names = {"y": study.y, "cell": study.cell.astype(str), "ctx": study.context.astype(str)}
    fit = fit_ols(build_frame(pd.DataFrame(names), parse_formula("y ~ ctx:cell")))
    pair = study.context * 16 + study.cell
    mean = np.bincount(pair, study.y, 96) / np.bincount(pair, minlength=96)
    rss = float(((study.y - mean[pair]) ** 2).sum())
    return abs(fit.sigma**2 * fit.df - rss)


def simulate(scenario: Scenario, draws: int, mixed_draws: int, seed: int) -> dict[str, float]:
    """Rates of covering (narrow) and rejecting (broad), per estimand and method."""
    rng = np.random.default_rng(seed)
    hits: dict[str, list[bool]] = defaultdict(list)
    for i in range(draws):
        study = draw(scenario, rng)
        for name, weights in contrasts().items():
            covered = narrow_covers(study, weights)
            if covered is not None:
                hits[f"narrow {name}"].append(covered)
            rejected = (
                broad_t(study, weights) if not (scenario.items or scenario.diverged) else None
            )
            if rejected is not None:
                hits[f"broad t {name}"].append(rejected)
        if i < mixed_draws and not (scenario.items or scenario.diverged):
            for name, rejected in broad_mixed(study).items():
                hits[f"broad {name} average"].append(rejected)
    return {name: float(np.mean(values)) for name, values in hits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--mixed-draws", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"closed form against the engine: {check_narrow_against_engine():.1e}")
    names = [f"narrow {e}" for e in contrasts()] + [f"broad t {e}" for e in contrasts()]
    names += ["broad KR average", "broad Satterthwaite average"]
    print("| scenario | " + " | ".join(names) + " | seconds |")
    print("|---" * (len(names) + 2) + "|")
    for scenario in SCENARIOS:
        started = time.process_time()
        rates = simulate(scenario, options.draws, options.mixed_draws, options.seed)
        values = [f"{rates[name]:.3f}" if name in rates else "" for name in names]
        seconds = time.process_time() - started
        print(f"| {scenario.name} | " + " | ".join(values) + f" | {seconds:.0f} |", flush=True)
    for label, count in (("narrow", options.draws), ("mixed", options.mixed_draws)):
        print(f"Monte-Carlo SE at .05 ({label}): {np.sqrt(0.05 * 0.95 / count):.4f}")


if __name__ == "__main__":
    main()
