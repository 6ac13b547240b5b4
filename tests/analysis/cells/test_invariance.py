"""What an answer table must not depend on: names, orders, and runs of other contexts or cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ablatekit.analysis.cells.configurations import configurations
from ablatekit.analysis.cells.effects import (
    ESTIMANDS,
    effect_rows,
    evaluate,
    fit,
    infer_all,
)
from ablatekit.analysis.core.layout import context_label, layout
from ablatekit.analysis.stats.verdict import rule_for
from ablatekit.analysis.table import plan_from_table
from ablatekit.analysis.tables.responses import respond
from ablatekit.design.plan import PlannedResponse

FACTORS, CONTEXTS = ("A", "B", "C"), ("model", "dataset")
RESPONSE = PlannedResponse(
    name="y", metric="y", summary="final", direction="higher", smallest_effect=0.3, items=None,
    label="y",
)  # fmt: skip
EXACT = ("contexts", "of_contexts", "pairs", "of_pairs", "verdict", "size")
NUMBERS = (
    "estimate", "se", "df", "low", "high", "low_equivalence", "high_equivalence",
    "low_simultaneous", "high_simultaneous", "p", "p_adjusted", "p_margin_adjusted",
)  # fmt: skip


@st.composite
def unbalanced(draw):
    """Runs of two or three factors in up to nine contexts; cells, pairs and contexts are lost."""
    sizes = draw(st.lists(st.integers(2, 3), min_size=2, max_size=3))
    models, datasets = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    replicates = draw(st.integers(1, 2))
    share = draw(st.sampled_from([0.5, 0.8, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    grid = np.indices((*sizes, models, datasets, replicates)).reshape(len(sizes) + 3, -1).T
    cells = grid[rng.random(len(grid)) < share]
    names = FACTORS[: len(sizes)]
    frame = pd.DataFrame(
        {name: [f"{name}{i}" for i in cells[:, f]] for f, name in enumerate(names)}
    )
    frame["model"] = [f"m{i}" for i in cells[:, len(sizes)]]
    frame["dataset"] = [f"d{i}" for i in cells[:, len(sizes) + 1]]
    slope = rng.normal(size=(models, datasets))
    frame["y"] = rng.normal(size=len(frame)) + cells[:, 0] * slope[cells[:, -3], cells[:, -2]]
    assume(len(frame) > 3 and all(len(set(frame[name])) > 1 for name in names))
    assume(all(f"{name}0" in set(frame[name]) for name in names))
    return frame


def fitted(frame, names, contexts, baselines):
    """The model of a table, with its layout."""
    plan, tables = plan_from_table(frame, [RESPONSE], names, contexts, baselines)
    design = layout(plan)
    values = respond(RESPONSE, tables, design, "score").values  # noqa: PD011
    return fit(values, design, 2)


def numbers(frame, names, contexts, baselines):
    """Every row by its factors and levels, its estimand and its scope, whatever their order."""
    model = fitted(frame, names, contexts, baselines)
    rule, both = rule_for("higher", 0.05, "holm", 0.3), ("narrow", "broad")
    rows = effect_rows(infer_all(model, both, 0.05), "y", rule, model.layout)
    cells = configurations(model, "y", rule, both)
    named = [
        (zip(row["factor"].split(":"), row["level"].split(":"), strict=True), row) for row in rows
    ]
    named += [(row["levels"].items(), row) for row in (cells["rows"] if cells else ())]
    return {
        (frozenset(levels), row["estimand"], frozenset(row["scope"])): row for levels, row in named
    }


def new_names(labels, rng):
    """Other names in another order."""
    order = rng.permutation(len(labels))
    return {label: f"{place}{label}" for label, place in zip(labels, order, strict=True)}


@settings(max_examples=25, deadline=None)
@given(frame=unbalanced(), seed=st.integers(0, 10**6))
def test_names_and_orders_of_levels_rows_columns_and_contexts_change_nothing(frame, seed):
    rng = np.random.default_rng(seed)
    names = [name for name in FACTORS if name in frame]
    baselines = {name: f"{name}0" for name in names}
    renamed = {name: new_names(frame[name].unique(), rng) for name in (*names, *CONTEXTS)}
    other = frame.assign(**{name: frame[name].map(renamed[name]) for name in renamed})
    other = other.sample(frac=1.0, random_state=int(seed), ignore_index=True)
    given_names, given_contexts = (
        rng.permutation(names).tolist(),
        rng.permutation(CONTEXTS).tolist(),
    )
    stated = {name: renamed[name][level] for name, level in baselines.items()}
    before = numbers(frame, names, list(CONTEXTS), baselines)
    after = numbers(other, given_names, given_contexts, stated)
    assert len(before) == len(after)
    for (levels, estimand, scope), row in before.items():
        mapped = frozenset((factor, renamed[factor][level]) for factor, level in levels)
        same = after[mapped, estimand, scope]
        assert (row["reason"] or {}).get("code") == (same["reason"] or {}).get("code")
        for name in EXACT:
            assert row[name] == same[name], name
        limits = ("best_low", "best_high") if estimand == "configuration" else ()
        for name in (*NUMBERS, *limits):
            known = row[name] is not None
            near = pytest.approx(row[name], rel=1e-9, abs=1e-9) if known else None
            assert same[name] == near, name


def by_context(model):
    """Values and cell weights of every contrast by its name and context label."""
    return {
        (effect.contrast.factor, effect.contrast.level, estimand, label): (
            values.value[c],
            None if values.weights is None else values.weights[c],
        )
        for estimand in ESTIMANDS
        for effect in evaluate(model, estimand)
        for values in (effect.values,)  # noqa: PD011
        for c, label in enumerate(model.layout.contexts)
    }


@settings(max_examples=25, deadline=None)
@given(frame=unbalanced(), which=st.integers(0, 10**6))
def test_a_lost_run_changes_its_own_context_and_contrasts_of_its_cell_only(frame, which):
    names = [name for name in FACTORS if name in frame]
    baselines = {name: f"{name}0" for name in names}
    lost = frame.iloc[which % len(frame)]
    rest = frame.drop(index=lost.name).reset_index(drop=True)
    assume(all(set(rest[name]) == set(frame[name]) for name in names))
    whole = fitted(frame, names, list(CONTEXTS), baselines)
    less = fitted(rest, names, list(CONTEXTS), baselines)
    assume(whole.truncated == less.truncated)
    same_cell = (rest[names] == lost[names]).all(axis=1)
    assume(not whole.truncated or same_cell.any())
    label = context_label({name: lost[name] for name in CONTEXTS})
    cell = {name: lost[name] for name in names}
    unit = next(
        u for u, c in enumerate(whole.layout.unit_cells)
        if all(whole.layout.level(f, int(c[f])) == cell[name] for f, name in enumerate(names))
    )  # fmt: skip
    before, after = by_context(whole), by_context(less)
    for key, (value, weights) in before.items():
        uses = key[3] == label and (whole.truncated or (weights is not None and weights[unit] != 0))
        if uses or key not in after:
            continue
        assert after[key][0] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), key
