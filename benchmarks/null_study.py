"""How often does a study in which nothing matters claim that something does? 2,000 seeds.

    OMP_NUM_THREADS=1 python benchmarks/null_study.py > benchmarks/results/null_study.txt

Every run is its context's mean plus seed noise, so every helps or hurts is false. The verdicts are
those of the analysis; what it adds beside them (companions, diagnostics) is not computed. A family
is the average effects on one response in one seed, narrow or over one scope; Holm promises that at
most alpha of them hold a false claim. No smallest effect is declared: none may hide behind
`equivalent`.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections import Counter

import numpy as np
import pandas as pd
import scipy

import ablatekit
from ablatekit.analysis.cells.effects import effect_rows, fit, infer_all
from ablatekit.analysis.cells.gap import gap_comparisons
from ablatekit.analysis.core.layout import Layout, layout
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.stats.verdict import VerdictRule
from ablatekit.analysis.study import inferences
from ablatekit.analysis.table import plan_from_table
from ablatekit.analysis.tables.responses import respond
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan, PlannedAnalysis, PlannedResponse

FACTORS = ("first", "second", "third", "fourth")
MODELS, DATASETS, REPLICATES = ("m1", "m2", "m3"), ("d1", "d2"), 2
SEED_SD, CONTEXT_SD = 0.02, 0.03
RESPONSES = ("learning", "generalization")
SCOPES: dict[str, tuple[str, ...]] = {"narrow": (), "over models": ("model",)}
"""What has an answer: two data sets are too few to generalise over."""
CLAIMS = ("helps", "hurts", "widens", "narrows")
LOWEST, HIGHEST = 0.04, 0.06


def design() -> pd.DataFrame:
    """One row per run of a full two-level factorial."""
    rows = [
        {**dict(zip(FACTORS, levels, strict=True)), "model": model, "dataset": dataset}
        for model, dataset in itertools.product(MODELS, DATASETS)
        for levels in itertools.product(("no", "yes"), repeat=len(FACTORS))
        for _ in range(REPLICATES)
    ]
    return pd.DataFrame(rows)


def noise(runs: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Scores that depend on the context and on nothing else, as long results."""
    generator = np.random.default_rng(seed)
    context = runs["context"].astype("category").cat.codes.to_numpy()
    parts = []
    for response in RESPONSES:
        level = 0.5 + CONTEXT_SD * generator.standard_normal(context.max() + 1)[context]
        value = level + SEED_SD * generator.standard_normal(len(runs))
        parts.append(pd.DataFrame({"run": runs["run"], "metric": response, "value": value}))
    return pd.concat(parts, ignore_index=True)


def families(plan: Plan, design: Layout, tables: StudyTables) -> dict[str, list[Effect]]:
    """The effects on every response and on the gap."""
    part, both = plan.analysis, inferences(plan)
    responses = {r.name: respond(r, tables, design, part.diverged) for r in part.responses}
    fitted = {name: fit(r.values, design, part.interactions) for name, r in responses.items()}
    found = {
        r.name: effect_rows(
            infer_all(fitted[r.name], both, part.alpha), r.name, _rule(r, part), design
        )
        for r in part.responses
    }
    gaps = gap_comparisons(responses, design, part, both)
    return {**found, **{name: gap["effects"] for name, gap in gaps.items()}}


def _rule(response: PlannedResponse, part: PlannedAnalysis) -> VerdictRule:
    return VerdictRule(
        alpha=part.alpha, adjust=part.adjust, smallest_effect=response.smallest_effect
    )


def claims(found: dict[str, list[Effect]]) -> dict[tuple[str, str], bool]:
    """Whether a family (response or gap, scope) holds any claim."""
    return {
        (name, named): any(
            effect["verdict"] in CLAIMS
            for effect in effects
            if effect["estimand"] == "average" and tuple(effect["scope"]) == scope
        )
        for name, effects in found.items()
        for named, scope in SCOPES.items()
    }


def planned(name: str) -> PlannedResponse:
    """A response without a smallest effect."""
    return PlannedResponse(
        name=name, metric=name, summary="final", direction="higher", smallest_effect=None,
        items=None, label=name, unit="proportion",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    seeds = parser.parse_args().seeds
    versions = {"ablatekit": ablatekit.__version__, "python": platform.python_version()}
    versions |= {"numpy": np.__version__, "scipy": scipy.__version__, "pandas": pd.__version__}
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    frame = design()
    frame[list(RESPONSES)] = 0.5
    responses = [planned(name) for name in RESPONSES]
    plan, tables = plan_from_table(frame, responses, FACTORS, ("model", "dataset"), {})
    structure = layout(plan)
    start, found = time.perf_counter(), Counter[tuple[str, str]]()
    for seed in range(seeds):
        results = noise(tables.runs, seed)
        seen = families(plan, structure, StudyTables(tables.runs, tables.history, results))
        found.update(family for family, claimed in claims(seen).items() if claimed)
    seconds = time.perf_counter() - start
    print(f"{len(FACTORS)} two-level factors, {len(frame)} runs, {seeds} seeds ({seconds:.0f} s)")
    for family in itertools.product((*RESPONSES, "gap"), SCOPES):
        print(f"  {' '.join(family):<28}{found[family] / seeds:.4f} of seeds with a claim")
    rate = sum(found[name, "narrow"] for name in RESPONSES) / (len(RESPONSES) * seeds)
    error = (rate * (1 - rate) / (len(RESPONSES) * seeds)) ** 0.5
    inside = LOWEST <= rate <= HIGHEST
    print(f"narrow (seed, response) families with any helps/hurts: {rate:.4f} +- {error:.4f}")
    print(f"within {LOWEST:.0%} to {HIGHEST:.0%}: {'yes' if inside else 'NO'}")
    if not inside:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
