"""Broad rows: which scopes there are, their t's by scipy, and the widest of three intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ablatekit.analysis.cells.broad import broad, over_contexts, scopes
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.values import ContextValues
from ablatekit.analysis.study import analyse

BOTH = ("model", "dataset")


def _layout(contexts, names=BOTH):
    blocks = {name: tuple(row[i] for row in contexts) for i, name in enumerate(names)}
    labels = tuple(" / ".join(row) for row in contexts)
    nothing = np.zeros((0, 0), dtype=np.int64)
    return Layout((), nothing, nothing, (), labels, blocks, 2)


def _grid(*sizes):
    return [
        tuple(f"{'mdk'[i]}{level}" for i, level in enumerate(levels))
        for levels in np.ndindex(*sizes)
    ]


def _values(value):
    value = np.asarray(value, dtype=float)
    used = ~np.isnan(value)
    return ContextValues(
        value=value,
        factor=np.full(value.shape, 0.1),
        single=np.full(value.shape, 0.1),
        used=used,
        pairs=used.astype(np.int64),
        of_pairs=1,
    )


@pytest.mark.parametrize(
    ("contexts", "names", "expected"),
    [
        (_grid(3, 2), BOTH, (("model",), ("dataset",), BOTH)),
        (_grid(4, 1), BOTH, (("model",),)),
        (_grid(1, 1), BOTH, ((),)),
        ([("m0", "d0"), ("m1", "d0"), ("m2", "d1"), ("m3", "d1")], BOTH, (("dataset",),)),
        ([("m0", "d0"), ("m1", "d1"), ("m2", "d2")], BOTH, (("model",),)),
        (
            _grid(3, 3, 2),
            (*BOTH, "size"),
            (("model",), ("dataset",), ("size",), ("model", "dataset")),
        ),
    ],
)
def test_scopes_are_the_blocking_variables_that_vary(contexts, names, expected):
    assert scopes(_layout(contexts, names)) == expected


def test_over_one_variable_is_the_t_of_its_means():
    table = np.random.default_rng(1).normal(0.4, 1.0, size=(5, 4))
    table[0, 1] = table[3, 2] = np.nan
    design = _layout(_grid(5, 4))
    for axis, scope in ((1, "model"), (0, "dataset")):
        row = broad(_values(table.ravel()), (scope,), design, 0.05)
        means = np.nanmean(table, axis=axis)
        expected = stats.ttest_1samp(means, 0.0)
        assert (row.estimate, row.df) == (pytest.approx(means.mean()), len(means) - 1)
        assert row.p == pytest.approx(expected.pvalue)
        assert (row.low, row.high) == pytest.approx(tuple(expected.confidence_interval()))
        other = "dataset" if scope == "model" else "model"
        assert statement("own_levels", variable=scope, other=other) in row.notes


@pytest.mark.parametrize("seed", range(6))
def test_over_both_is_the_widest_of_three(seed):
    """Crossed by R's mean squares, t over models, t over data sets; the largest p."""
    rng = np.random.default_rng(seed)
    table = rng.normal(0.3, 0.3, (4, 3)) + rng.normal(0, seed % 3, (4, 1))
    m, d = table.shape
    rows, columns = d * table.mean(axis=1).var(ddof=1), m * table.mean(axis=0).var(ddof=1)
    rest = (table.var() * m * d - (m - 1) * rows - (d - 1) * columns) / ((m - 1) * (d - 1))
    total = rows + columns - rest
    spread = rows**2 / (m - 1) + columns**2 / (d - 1) + rest**2 / ((m - 1) * (d - 1))
    candidates = [
        (table.mean(axis=1).std(ddof=1) / m**0.5, m - 1),
        (table.mean(axis=0).std(ddof=1) / d**0.5, d - 1),
    ]
    if total > 0:
        candidates.append(((total / (m * d)) ** 0.5, max(total**2 / spread, 1.0)))
    row = broad(_values(table.ravel()), BOTH, _layout(_grid(m, d)), 0.05)
    for alpha, high in ((0.05, row.high), (0.1, row.high_equivalence)):
        widest = max(stats.t.ppf(1 - alpha / 2, df) * se for se, df in candidates)
        assert high - row.estimate == pytest.approx(widest)
    p = max(2 * stats.t.sf(abs(table.mean()) / se, df) for se, df in candidates)
    assert row.p == pytest.approx(p)
    assert {(round(part.se, 9), round(part.df, 9)) for part in row.parts} == {
        (round(se, 9), round(df, 9)) for se, df in candidates
    }
    for margin in (0.1, 1.0):
        beyond = [
            stats.t.sf((abs(table.mean()) - margin) / se, df)
            + stats.t.sf((abs(table.mean()) + margin) / se, df)
            for se, df in candidates
        ]
        assert row.beyond(margin) == pytest.approx(max(beyond))


def test_an_incomplete_table_takes_what_the_sum_of_both_variables_leaves():
    table = np.random.default_rng(4).normal(0.5, 1.0, size=(4, 4))
    table[1, 2] = np.nan
    row, column = np.nonzero(~np.isnan(table))
    columns = np.hstack([np.eye(4)[row], np.eye(4)[column]])
    left = table[row, column] - columns @ np.linalg.pinv(columns) @ table[row, column]
    shared = float(left @ left) / (15 - 7) / 15
    squares = [np.nanmean(table, axis=axis).var(ddof=1) / 4 for axis in (1, 0)]
    total = sum(squares) - shared
    df = total**2 / (sum(square**2 / 3 for square in squares) + shared**2 / 8)
    found = broad(_values(table.ravel()), BOTH, _layout(_grid(4, 4)), 0.05)
    crossed, *one_way = found.parts
    assert (crossed.by, crossed.estimate) == (BOTH, pytest.approx(np.nanmean(table)))
    assert (crossed.se, crossed.df) == (pytest.approx(total**0.5), pytest.approx(max(df, 1.0)))
    assert [part.se**2 for part in one_way] == pytest.approx(squares)
    widest = max(part.half_width(0.05) for part in found.parts)
    assert found.high - found.estimate == pytest.approx(widest)
    p = [2 * stats.t.sf(abs(part.estimate / part.se), part.df) for part in found.parts]
    assert found.p == pytest.approx(max(p))
    assert all(note["code"] != "widest_of_one_way" for note in found.notes)


def test_a_table_that_lacks_one_value_is_close_to_the_whole_one():
    """Losing a context must not change the rule: the interval moves by that context's value."""
    rng = np.random.default_rng(6)
    table = rng.normal(size=(6, 1)) + rng.normal(size=(1, 6)) + 0.01 * rng.normal(size=(6, 6))
    design = _layout(_grid(6, 6))
    whole = broad(_values(table.ravel()), BOTH, design, 0.05)
    table[2, 3] = np.nan
    less = broad(_values(table.ravel()), BOTH, design, 0.05)
    assert less.se == pytest.approx(whole.se, rel=0.2)
    assert less.df == pytest.approx(whole.df, rel=0.2)


def test_three_variables_take_the_widest_one_way_interval():
    table = np.random.default_rng(4).normal(0.5, 1.0, size=(3, 3, 3))
    names = (*BOTH, "size")
    found = broad(_values(table.ravel()), names, _layout(_grid(3, 3, 3), names), 0.05)
    others = ((1, 2), (0, 2), (0, 1))
    tests = [stats.ttest_1samp(table.mean(axis=axes), 0.0) for axes in others]
    widths = [float(np.diff(test.confidence_interval())[0]) for test in tests]
    assert found.high - found.low == pytest.approx(max(widths))
    assert found.p == pytest.approx(max(test.pvalue for test in tests))
    assert [part.by for part in found.parts] == [(name,) for name in names]
    assert statement("widest_of_one_way", scope=list(names)) in found.notes


def test_fewer_than_three_levels_with_the_contrast_are_refused():
    table = np.random.default_rng(5).normal(size=(3, 3))
    table[2] = np.nan
    design = _layout(_grid(3, 3))
    few = statement("too_few_levels", variable="model", levels=2, fewest=3, of_levels=3)
    assert broad(_values(table.ravel()), ("model",), design, 0.05).reason == few
    assert broad(_values(table.ravel()), BOTH, design, 0.05).reason == few
    assert broad(_values(table.ravel()), ("dataset",), design, 0.05).reason is None


def test_contexts_without_the_level_lend_nothing(study, pick):
    """Effects 0 to 2 in five contexts; six others ran the baseline only, about 2 lower."""
    rows = []
    for i in range(5):
        for r in (-0.05, 0.05):
            rows += [("a", f"c{i}", i / 7 + r), ("b", f"c{i}", i / 7 + 0.5 * i - r)]
    rows += [("a", f"d{i}", -2 + i / 9 + r) for i in range(6) for r in (-0.05, 0.05)]
    frame = pd.DataFrame(rows, columns=["f", "model", "y"])
    effects = analyse(*study(frame, "f", ("model",)), {}, [])["responses"]["y"]["effects"]
    narrow = pick(effects, estimand="average", inference="narrow")
    over = pick(effects, estimand="average", inference="broad")
    assert narrow["estimate"] == pytest.approx(1.0)
    assert over["estimate"] == pytest.approx(1.0)
    assert over["se"] == pytest.approx(0.3535534, abs=1e-7)
    assert (over["df"], over["contexts"], over["of_contexts"]) == (4, 5, 11)
    assert over["p"] == pytest.approx(0.0474207, abs=1e-7)


def test_without_spread_there_is_no_broad_row():
    row = broad(_values(np.full(6, 0.5)), ("model",), _layout(_grid(3, 2)), 0.05)
    assert row.reason == statement("same_in_every_level", variable="model")
    assert row.estimate == 0.5


def test_the_plain_t_takes_contexts_as_they_are():
    value = np.array([0.2, 0.5, np.nan, 0.1, 0.9])
    row = over_contexts(_values(value), 0.05)
    expected = stats.ttest_1samp(value[~np.isnan(value)], 0.0)
    assert (row.p, row.df) == (pytest.approx(expected.pvalue), 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(12)))
def test_the_order_of_contexts_changes_nothing(seed, order):
    rng = np.random.default_rng(seed)
    value = rng.normal(size=12)
    value[rng.random(12) < 0.15] = np.nan
    contexts = _grid(4, 3)
    shuffled = [contexts[i] for i in order]
    for scope in (("model",), ("dataset",), BOTH):
        straight = broad(_values(value), scope, _layout(contexts), 0.05)
        mixed = broad(_values(value[list(order)]), scope, _layout(shuffled), 0.05)
        assert (straight.reason is None) == (mixed.reason is None)
        for key in ("estimate", "se", "df", "low", "high", "p"):
            expected = pytest.approx(getattr(straight, key), rel=1e-9, nan_ok=True)
            assert getattr(mixed, key) == expected


def test_differences_that_are_rounding_are_the_same_in_every_context(study, pick):
    """The runs of both levels are the same numbers in another order: their sums differ by bits."""
    orders = [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)]
    values = np.array([0.1, 0.2, 0.3])
    rows = [
        (level, f"c{place}", value * (place + 1))
        for place, order in enumerate(orders)
        for level, chosen in (("a", (0, 1, 2)), ("b", order))
        for value in values[list(chosen)]
    ]
    plan, tables = study(pd.DataFrame(rows, columns=["f", "model", "y"]), ("f",), ("model",))
    effects = analyse(plan, tables, {}, [])["responses"]["y"]["effects"]
    row = pick(effects, factor="f", estimand="average", inference="broad")
    assert row["reason"] == statement("same_in_every_level", variable="model")
    assert (row["se"], row["p"]) == (None, None)
