"""Does the answer table say what was planted, and nothing else? 200 tables, every verdict.

    OPENBLAS_NUM_THREADS=1 python benchmarks/planted_study.py > benchmarks/results/planted_study.txt

Seven two-level factors have effects of 0, .5, 1.5 and 4 smallest effects on learning and on
generalization, one of them on learning varying over models; runs are contexts' means plus seed
noise. Verdicts are those of the analysis of the table; what it adds beside them is not computed.
Each non-zero narrow effect, planted with a power of at least .999, must get its direction in 99% of
the tables; false claims are counted against the bounds of the verdict rule.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import scipy
from null_study import SCOPES, families
from scipy import stats

import ablatekit
from ablatekit.analysis.core.layout import Layout, layout
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.table import plan_from_table
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan, PlannedResponse

SMALLEST, SEED_SD, SLOPE_SD, CONTEXT_SD, ALPHA = 0.02, 0.02, 0.01, 0.03, 0.05
REPLICATES, NEEDED_POWER, NEEDED_SHARE = 2, 0.999, 0.99
MODELS, DATASETS = ("m1", "m2", "m3"), ("d1", "d2")
PLANTED: dict[str, tuple[float, float]] = {
    "large_on_both": (4.0, 4.0),
    "medium_on_both": (1.5, 1.5),
    "small_on_both": (0.5, 0.5),
    "large_on_learning": (4.0, 0.0),
    "hurts_generalization": (0.0, -0.5),
    "varies_by_model": (1.5, 0.0),
    "null": (0.0, 0.0),
}
"""True effects on learning and on generalization, in smallest effects; the gap's is the rest."""
RESPONSES = ("learning", "generalization", "gap")
WORDS = ("by_more", "less", "open")
SIGNS = {"helps": 1, "hurts": -1, "widens": 1, "narrows": -1}


@dataclass(frozen=True)
class Design:
    """A table's runs and what its responses are made of."""

    plan: Plan
    tables: StudyTables
    layout: Layout
    on: np.ndarray
    model: np.ndarray
    context: np.ndarray


@dataclass
class Tally:
    """Counts over all tables, by response and scope and, for single rows, factor."""

    tables: int = 0
    right: Counter[tuple[str, str]] = field(default_factory=Counter)
    sized: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    families: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    rows: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)


def planned(name: str) -> PlannedResponse:
    """A response whose smallest effect is `SMALLEST`."""
    return PlannedResponse(
        name=name, metric=name, summary="final", direction="higher", smallest_effect=SMALLEST,
        items=None, label=name, unit="proportion",
    )  # fmt: skip


def design() -> Design:
    """A full factorial in every context."""
    levels = itertools.product(("no", "yes"), repeat=len(PLANTED))
    rows = [
        {**dict(zip(PLANTED, cell, strict=True)), "model": model, "dataset": dataset}
        for cell in levels
        for model, dataset in itertools.product(MODELS, DATASETS)
        for _ in range(REPLICATES)
    ]
    frame = pd.DataFrame(rows).assign(learning=0.5, generalization=0.5)
    responses = [planned(name) for name in RESPONSES[:2]]
    plan, tables = plan_from_table(frame, responses, tuple(PLANTED), ("model", "dataset"), {})
    context = frame["model"] + frame["dataset"]
    return Design(
        plan=plan,
        tables=tables,
        layout=layout(plan),
        on=(frame[list(PLANTED)] == "yes").to_numpy(dtype=float),
        model=frame["model"].astype("category").cat.codes.to_numpy(),
        context=context.astype("category").cat.codes.to_numpy(),
    )


def draw(study: Design, seed: int) -> tuple[StudyTables, dict[tuple[str, str], float]]:
    """One table's runs, and the true narrow average effects on its own three models."""
    generator = np.random.default_rng(seed)
    truth: dict[tuple[str, str], float] = {}
    parts = []
    slopes = SLOPE_SD * generator.standard_normal((1, len(MODELS))) * np.array([[1.0], [0.0]])
    for number, response in enumerate(RESPONSES[:2]):
        slope = slopes[number]
        effects = SMALLEST * np.array([planted[number] for planted in PLANTED.values()])
        per_run = study.on * effects
        varies = list(PLANTED).index("varies_by_model")
        per_run[:, varies] += study.on[:, varies] * slope[study.model]
        context = CONTEXT_SD * generator.standard_normal(study.context.max() + 1)[study.context]
        noise = SEED_SD * generator.standard_normal(len(per_run))
        value = 0.4 + context + per_run.sum(axis=1) + noise
        parts.append(
            pd.DataFrame({"run": study.tables.runs["run"], "metric": response, "value": value})
        )
        effects[varies] += slope.mean()
        truth |= {(name, response): float(e) for name, e in zip(PLANTED, effects, strict=True)}
    truth |= {(n, "gap"): truth[n, "learning"] - truth[n, "generalization"] for n in PLANTED}
    tables = StudyTables(
        study.tables.runs, study.tables.history, pd.concat(parts, ignore_index=True)
    )
    return tables, truth


def population(truth: Mapping[tuple[str, str], float], scope: str) -> dict[tuple[str, str], float]:
    """The true effects under a scope: over models, those planted."""
    if scope == "narrow":
        return dict(truth)
    own = {(n, r): SMALLEST * PLANTED[n][i] for n in PLANTED for i, r in enumerate(RESPONSES[:2])}
    return own | {(n, "gap"): own[n, "learning"] - own[n, "generalization"] for n in PLANTED}


def false_claims(effect: Effect, truth: float) -> Iterator[str]:
    """What a row claims that is not so."""
    sign, near = SIGNS.get(effect["verdict"], 0), 1e-9
    if sign and sign != np.sign(round(truth, 9)):
        yield "direction"
    if effect["size"] == "by_more" and (abs(truth) <= SMALLEST + near or sign != np.sign(truth)):
        yield "by more"
    if abs(truth) >= SMALLEST - near:
        if effect["verdict"] == "equivalent":
            yield "equivalent"
        if effect["size"] == "less":
            yield "less"


def count(
    tally: Tally, found: Mapping[str, list[Effect]], truth: dict[tuple[str, str], float]
) -> None:
    """Add one table."""
    tally.tables += 1
    for (response, effects), (named, scope) in itertools.product(found.items(), SCOPES.items()):
        true, wrong = population(truth, named), set()
        for effect in effects:
            if effect["estimand"] != "average" or tuple(effect["scope"]) != scope:
                continue
            factor = effect["factor"]
            size = abs(true[factor, response])
            for claim in false_claims(effect, true[factor, response]):
                wrong.add(claim)
                tally.rows[response, named, claim, factor] += 1
            said = SIGNS.get(effect["verdict"], 0)
            if named == "narrow" and said and said == np.sign(true[factor, response]):
                tally.right[factor, response] += 1
            tally.sized[named, f"{size / SMALLEST:.1f}", effect["size"] or effect["verdict"]] += 1
        tally.families.update((response, named, claim) for claim in wrong)


def power(response: str, effect: float, df: int) -> float:
    """Of a narrow direction: Bonferroni's share of alpha, which Holm exceeds; noncentral t."""
    runs = 2 ** len(PLANTED) * len(MODELS) * len(DATASETS) * REPLICATES
    se = 2 * SEED_SD / np.sqrt(runs) * (np.sqrt(2) if response == "gap" else 1)
    strict = float(stats.t.ppf(1 - ALPHA / len(PLANTED) / 2, df))
    return float(stats.nct.sf(strict, df, abs(effect) / se))


def print_directions(tally: Tally, df: int) -> bool:
    """Every planted narrow effect, and how often it gets its direction."""
    good = True
    print(f"{'factor':<22}{'response':<16}{'planted':>9}  {'power':<9}right direction in")
    for factor, (number, response) in itertools.product(PLANTED, enumerate(RESPONSES)):
        learning, generalization = PLANTED[factor]
        effect = SMALLEST * (learning, generalization, learning - generalization)[number]
        if effect == 0:
            continue
        chance, right = power(response, effect, df), tally.right[factor, response]
        enough = right >= NEEDED_SHARE * tally.tables and chance >= NEEDED_POWER
        good &= enough
        text = f"{right} of {tally.tables}{'' if enough else '  MISS'}"
        print(f"{factor:<22}{response:<16}{effect:>+9.3f}  {chance:<9.6f}{text}")
    return good


def print_claims(tally: Tally) -> bool:
    """False claims against their bounds, each with three Monte-Carlo errors."""
    good = True
    print("\nfalse claims: share of tables (in a family for direction and `by more`; worst row)")
    bounds = {"direction": ALPHA, "by more": ALPHA / 2, "equivalent": ALPHA, "less": ALPHA}
    for claim, bound in bounds.items():
        highest = bound + 3 * (bound * (1 - bound) / tally.tables) ** 0.5
        for response, named in itertools.product(RESPONSES, SCOPES):
            if claim in ("direction", "by more"):
                times = tally.families[response, named, claim]
            else:
                times = max(tally.rows[response, named, claim, factor] for factor in PLANTED)
            rate = times / tally.tables
            good &= rate <= highest
            miss = "" if rate <= highest else "  MISS"
            print(f"  {claim:<12}{response:<16}{named:<14}{rate:.4f}  bound {bound:g}{miss}")
    return good


def print_sizes(tally: Tally) -> None:
    """What is said of effects of each size, with the share of rows that have a size claim."""
    print("\nwhat rows say, by scope and size of the planted effect in smallest effects")
    for named in SCOPES:
        sizes = sorted({size for scope, size, _ in tally.sized if scope == named}, key=float)
        for low, high in ((0, 0.05), (0.05, 1.0), (1.0, 2.6), (2.6, np.inf)):
            inside = [size for size in sizes if low <= float(size) < high]
            said: Counter[str] = Counter()
            for (scope, size, word), times in tally.sized.items():
                if scope == named and size in inside:
                    said[word] += times
            total = sum(said.values())
            if total:
                words = ", ".join(
                    f"{word} {times / total:.3f}" for word, times in said.most_common()
                )
                print(f"  {named:<12} {inside[0]:>4} to {inside[-1]:<4} {total:>6} rows: {words}")
        counts = Counter[str]()
        for (scope, _, word), times in tally.sized.items():
            if scope == named and word in WORDS:
                counts[word] += times
        claimed = (counts["by_more"] + counts["less"]) / max(1, sum(counts.values()))
        print(f"  {named:<12} rows with a direction that claim a size: {claimed:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=200)
    tables = parser.parse_args().tables
    versions = {"ablatekit": ablatekit.__version__, "python": platform.python_version()}
    versions |= {"numpy": np.__version__, "scipy": scipy.__version__, "pandas": pd.__version__}
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    study, tally, start = design(), Tally(), time.process_time()
    for seed in range(tables):
        runs, truth = draw(study, seed)
        count(tally, families(study.plan, study.layout, runs), truth)
    cells = 2 ** len(PLANTED) * len(MODELS) * len(DATASETS)
    print(
        f"{len(PLANTED)} factors, {cells * REPLICATES} runs, seed sd {SEED_SD},"
        f" slope sd {SLOPE_SD}, smallest effect {SMALLEST}, alpha {ALPHA}; {tables} tables"
        f" ({time.process_time() - start:.0f} CPU s)"
    )
    good = print_directions(tally, cells * (REPLICATES - 1))
    good &= print_claims(tally)
    print_sizes(tally)
    print(f"\nall as required: {'yes' if good else 'NO'}")
    if not good:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
