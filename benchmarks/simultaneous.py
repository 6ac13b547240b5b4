"""Errors of families of configurations, of the set of best cells, of ratios and of doses.

    OMP_NUM_THREADS=1 python benchmarks/simultaneous.py --draws 2000 \
        > benchmarks/results/simultaneous.txt

Five configurations beside the baseline in four contexts, residual sd 1, through the shipped path.
Every rate stands beside the bound that DESIGN 5 gives it; above the bound by more than three
Monte-Carlo standard errors it is printed as a miss.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

import ablatekit
from ablatekit.analysis.cells.carry_over import carry_over
from ablatekit.analysis.cells.configurations import configurations
from ablatekit.analysis.cells.dose import dose
from ablatekit.analysis.cells.effects import fit
from ablatekit.analysis.core.layout import Layout, layout
from ablatekit.analysis.core.schema.effects import Configurations
from ablatekit.analysis.core.schema.vocabulary import InferenceName
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.stats.verdict import rule_for
from ablatekit.analysis.table import DEFAULTS, plan_from_table

Array = NDArray[np.float64]
CELLS, CONTEXTS, ALPHA, MARGIN = 6, 4, 0.05, 0.5
INFERENCES: tuple[InferenceName, ...] = ("narrow", "broad")
Rates = Mapping[str, tuple[float, float]]
"""A rate with its bound, by what is counted."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """True gains (5,) of the configurations, runs per cell and context (6, 4), spread of gains."""

    name: str
    gains: tuple[float, ...]
    runs: NDArray[np.int64]
    models: float = 0.0


SAME = np.full((CELLS, CONTEXTS), 3)
UNEQUAL = np.array([[2, 6, 3, 2], [2, 2, 2, 2], [5, 3, 2, 4], [3, 3, 3, 3], [8, 2, 2, 2], [2] * 4])
HOLES = np.where(np.eye(CELLS, CONTEXTS, k=-1, dtype=bool), 0, UNEQUAL)
NULL, EDGE, MIXED = (0.0,) * 5, (MARGIN,) * 5, (MARGIN, -MARGIN, MARGIN, -MARGIN, MARGIN)
SCENARIOS = [
    Scenario(name="no gain, 3 runs", gains=NULL, runs=SAME),
    Scenario(name="no gain, 2 to 8 runs", gains=NULL, runs=UNEQUAL),
    Scenario(name="no gain, cells lost", gains=NULL, runs=HOLES),
    Scenario(name="gains of the margin, 3 runs", gains=EDGE, runs=SAME),
    Scenario(name="gains of the margin, 2 to 8 runs", gains=EDGE, runs=UNEQUAL),
    Scenario(name="both margins, 2 to 8 runs", gains=MIXED, runs=UNEQUAL),
    Scenario(name="both margins, cells lost", gains=MIXED, runs=HOLES),
    Scenario(name="one gain of the margin, models vary", gains=(MARGIN, 0, 0, 0, 0), runs=SAME,
             models=0.3),
]  # fmt: skip


def design(runs: NDArray[np.int64]) -> tuple[Layout, RunValues]:
    """The layout of a table of one factor, and its runs without values."""
    unit, context = (np.repeat(grid.ravel(), runs.ravel()) for grid in np.indices(runs.shape))
    frame = pd.DataFrame({"f": unit.astype(str), "model": context.astype(str), "y": 0.0})
    frame.loc[0, "y"] = 1.0  # a table whose response never varies is refused
    plan, _ = plan_from_table(frame, "y", ["f"], ["model"], {"f": "0"}, DEFAULTS)
    space = layout(plan)
    number = {level: i for i, level in enumerate(space.factors[0].levels)}
    of_unit = space.unit_cells[:, 0].tolist()
    units = np.array([of_unit.index(number[str(level)]) for level in unit])
    return space, RunValues(
        frame["y"].to_numpy(), units, context, tuple(map(str, range(len(unit))))
    )


def family_errors(scenario: Scenario, draws: int, rng: np.random.Generator) -> Rates:
    """How often anything that a family of configurations says is wrong, narrow and broad."""
    space, blank = design(scenario.runs)
    truth = np.array([0.0, *scenario.gains])
    rule = rule_for("higher", ALPHA, "holm", MARGIN)
    order = [int(space.factors[0].levels[int(cell)]) for cell in space.unit_cells[:, 0]]
    counts: dict[str, list[bool]] = {}
    for _ in range(draws):
        gains = truth[:, None] + scenario.models * rng.normal(size=(CELLS, CONTEXTS))
        y = gains[np.array(order)[blank.unit], blank.context] + rng.normal(size=len(blank.y))
        values = RunValues(y, blank.unit, blank.context, blank.run)
        section = configurations(fit(values, space, 2), "y", rule, ("narrow", "broad"))
        assert section is not None
        for inference in INFERENCES:
            if inference == "narrow" and scenario.models:
                continue
            for name, wrong in _wrong(section, inference, truth):
                counts.setdefault(f"{inference}: {name}", []).append(wrong)
    bounds = {"by more than matters": ALPHA / 2}
    return {
        name: (float(np.mean(wrong)), bounds.get(name.split(": ")[1], ALPHA))
        for name, wrong in counts.items()
    }


def _wrong(
    section: Configurations, inference: InferenceName, truth: Array
) -> Iterator[tuple[str, bool]]:
    """Whether what a section says is wrong, by what it says."""
    rows = [row for row in section["rows"] if row["inference"] == inference]
    true = [truth[int(row["levels"]["f"])] for row in rows]
    told = list(zip(rows, true, strict=True))
    yield (
        "direction",
        any(
            row["verdict"] == ("helps" if gain <= 0.0 else "hurts")
            or (gain == 0.0 and row["verdict"] in ("helps", "hurts"))
            for row, gain in told
        ),
    )
    yield (
        "by more than matters",
        any(row["size"] == "by_more" and abs(gain) <= MARGIN for row, gain in told),
    )
    held = (_holds(row["low_simultaneous"], row["high_simultaneous"], gain) for row, gain in told)
    yield "simultaneous interval", not all(held)
    answer = next(row for row in section["suffices"] if row["inference"] == inference)
    if truth.max() >= MARGIN:
        yield "the baseline suffices", answer["answer"] == "yes"
    if inference == "narrow" and section["best_reason"] is None:
        best = {0: section["baseline_may_be_best"]}
        best.update({int(row["levels"]["f"]): row["may_be_best"] for row in rows})
        yield "a best cell left out", not best[int(truth.argmax())]


def _holds(low: float | None, high: float | None, value: float) -> bool:
    return low is not None and high is not None and low <= value <= high


def _significant(p: float | None) -> bool:
    return p is not None and p < ALPHA


def ratio_errors(draws: int, rng: np.random.Generator) -> Rates:
    """How often the interval of a ratio misses it, over draws in which a ratio is shown."""
    space, blank = design(UNEQUAL[:2])
    missed: dict[str, list[bool]] = {"narrow": [], "broad": []}
    for _ in range(draws):
        tilt = 0.2 * rng.normal(size=CONTEXTS)[blank.context]
        noise = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]], len(blank.y))
        learning = blank.unit * (2.0 + tilt) + noise[:, 0]
        generalization = blank.unit * (1.2 + 0.6 * tilt) + noise[:, 1]
        below, above = (
            RunValues(y, blank.unit, blank.context, blank.run) for y in (learning, generalization)
        )
        for row in carry_over(below, above, space, 2, ALPHA, INFERENCES):
            if row["reason"] is None:
                missed[row["inference"]].append(not _holds(row["low"], row["high"], 0.6))
    return {f"{name}: ratio": (float(np.mean(wrong)), ALPHA) for name, wrong in missed.items()}


def dose_errors(draws: int, rng: np.random.Generator) -> Rates:
    """How often a trend is found where none is; slopes of models vary around 0."""
    space, blank = design(UNEQUAL)
    score = np.arange(CELLS)[[int(space.factors[0].levels[c]) for c in space.unit_cells[:, 0]]]
    found: dict[str, list[bool]] = {"narrow: trend": [], "narrow: slope": [], "broad: slope": []}
    rule = rule_for("higher", ALPHA, "holm", None)
    asked: tuple[tuple[float, InferenceName], ...] = ((0.0, "narrow"), (0.3, "broad"))
    for spread, inference in asked:
        for _ in range(draws):
            slope = spread * rng.normal(size=CONTEXTS)[blank.context]
            y = slope * score[blank.unit] + rng.normal(size=len(blank.y))
            values = RunValues(y, blank.unit, blank.context, blank.run)
            section = dose(fit(values, space, 2), "y", rule, (inference,))
            assert section is not None
            found[f"{inference}: slope"].append(_significant(section["slopes"][0]["p"]))
            if section["tests"]:
                found["narrow: trend"].append(_significant(section["tests"][0]["p"]))
    return {name: (float(np.mean(wrong)), ALPHA) for name, wrong in found.items()}


def report(name: str, rates: Rates, draws: int) -> None:
    """One line per rate; a miss is marked."""
    for counted, (rate, bound) in rates.items():
        miss = rate > bound + 3.0 * np.sqrt(bound * (1.0 - bound) / draws)
        print(
            f"{name:38}{counted:34}{rate:8.4f} <= {bound:.3f}{'  MISS' if miss else ''}", flush=True
        )


def main() -> None:
    """Print every rate beside its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print(
        f"ablatekit {ablatekit.__version__}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"Python {platform.python_version()}; {options.draws:,} draws, seed {options.seed}\n"
    )
    for scenario in SCENARIOS:
        report(scenario.name, family_errors(scenario, options.draws, rng), options.draws)
    others: dict[str, Callable[[int, np.random.Generator], Rates]] = {
        "carry-over": ratio_errors, "dose": dose_errors
    }  # fmt: skip
    for name, rates in others.items():
        report(name, rates(options.draws, rng), options.draws)


if __name__ == "__main__":
    main()
