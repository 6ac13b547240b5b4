from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.engine.formula import parse_formula
from ablatekit.analysis.engine.frame import build_frame
from ablatekit.errors import TableError


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 48
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "a": np.tile(["a1", "a2", "a3"], 16),
            "b": np.repeat(["b1", "b2"], 24),
            "k": np.tile([10, 20, 3], 16),
            "x": rng.normal(size=n),
            "g": np.tile(np.repeat(["g1", "g2", "g3", "g4"], 3), 4),
            "h": np.repeat(["h1", "h2", "h3"], 16),
        }
    )


@pytest.mark.parametrize(
    ("text", "random"),
    [
        ("y ~ a*b + (1|g)", ["(1 | g)"]),
        ("y ~ a + (1+x|h)", ["(1 + x | h)"]),
        ("y ~ a + (x|h)", ["(1 + x | h)"]),
        ("y ~ a + (0+a|g)", ["(0 + a | g)"]),
        ("y ~ (1|g:h) + a", ["(1 | g:h)"]),
        ("y ~ a + (1|g/h)", ["(1 | g)", "(1 | g:h)"]),
        ("y ~ a + (x||h)", ["(1 | h)", "(0 + x | h)"]),
        ("y ~ a + (a + x||h)", ["(1 | h)", "(0 + a | h)", "(0 + x | h)"]),
        ("y ~ (1|g) + (1|h)", ["(1 | g)", "(1 | h)"]),
        ("y ~ log(k) + I(x**2) + (1|g)", ["(1 | g)"]),
    ],
)
def test_random_terms(text: str, random: list[str], table: pd.DataFrame) -> None:
    formula = parse_formula(text)
    assert [spec.text for spec in formula.random] == random
    frame = build_frame(table, formula)
    assert [term.codes.max() + 1 for term in frame.random] == [len(t.levels) for t in frame.random]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("y ~ 1", "(Intercept)"),
        ("y ~ a*b", "(Intercept) aa2 aa3 bb2 aa2:bb2 aa3:bb2"),
        ("y ~ 0 + a + b", "aa1 aa2 aa3 bb2"),
        ("y ~ a - 1", "aa1 aa2 aa3"),
        ("y ~ b + b:a", "(Intercept) bb2 bb1:aa2 bb2:aa2 bb1:aa3 bb2:aa3"),
        ("y ~ a:x", "(Intercept) aa1:x aa2:x aa3:x"),
        ("y ~ a*x", "(Intercept) aa2 aa3 x aa2:x aa3:x"),
        ("y ~ C(k)", "(Intercept) C(k)3 C(k)20"),
        ("y ~ C(b, Sum)", "(Intercept) C(b, Sum)1"),
        (
            "y ~ C(a, Treatment('a2'))",
            "(Intercept) C(a, Treatment('a2'))a1 C(a, Treatment('a2'))a3",
        ),
        ("y ~ (a + b)**2", "(Intercept) aa2 aa3 bb2 aa2:bb2 aa3:bb2"),
        ("y ~ g/b", "(Intercept) gg2 gg3 gg4 gg1:bb2 gg2:bb2 gg3:bb2 gg4:bb2"),
    ],
)
def test_columns_follow_r(text: str, names: str, table: pd.DataFrame) -> None:
    frame = build_frame(table, parse_formula(text))
    assert " ".join(frame.names) == names


def test_numeric_column_read_as_factor(table: pd.DataFrame) -> None:
    frame = build_frame(table, parse_formula("y ~ k"), factors=["k"])
    assert frame.variables["k"].levels == ("3", "10", "20")
    assert frame.names == ("(Intercept)", "k3", "k20")


def test_sum_coding_spans_the_same_space(table: pd.DataFrame) -> None:
    treatment = build_frame(table, parse_formula("y ~ a*b")).x
    summed = build_frame(table, parse_formula("y ~ a*b"), coding="sum").x
    both = np.linalg.matrix_rank(np.hstack([treatment, summed]))
    assert both == treatment.shape[1] == summed.shape[1]


def test_rank_deficiency_drops_the_later_column(table: pd.DataFrame) -> None:
    table = table[(table["a"] != "a3") | (table["b"] != "b2")]
    frame = build_frame(table, parse_formula("y ~ a*b"))
    assert frame.aliased == ("aa3:bb2",)
    table = table.assign(x2=2.0 * table["x"] + 1.0)
    assert build_frame(table, parse_formula("y ~ x + x2")).aliased == ("x2",)


def test_a_large_offset_alone_drops_nothing(table: pd.DataFrame) -> None:
    table = table.assign(x=1e9 + table["x"])
    assert build_frame(table, parse_formula("y ~ x")).aliased == ()


def test_missing_rows_are_dropped_and_counted(table: pd.DataFrame) -> None:
    table.loc[3, "x"] = np.nan
    table.loc[5, "h"] = None
    frame = build_frame(table, parse_formula("y ~ x + (1|h)"))
    assert (frame.rows_dropped, len(frame.y)) == (2, 46)
    assert build_frame(table, parse_formula("y ~ a")).rows_dropped == 0


def test_category_order_is_kept(table: pd.DataFrame) -> None:
    table["a"] = pd.Categorical(table["a"], categories=["a3", "a1", "a2", "never"])
    frame = build_frame(table, parse_formula("y ~ a + (1|a)"))
    assert frame.variables["a"].levels == ("a3", "a1", "a2", "never")
    assert frame.aliased == ("anever",)
    assert frame.random[0].levels == ("a3", "a1", "a2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a + b", "a formula has one ~ between response and terms"),
        ("~ a + b", "a formula needs a response"),
        ("y ~ a + (1|g", "unbalanced parentheses"),
        ("y ~ a + (|g)", "a random term needs columns and a group"),
        ("y ~ a + (0|g)", "a random term without columns"),
        ("y ~ a + (1|log(g))", "a grouping factor is a column name"),
        ("y ~ a +* b", "cannot be parsed"),
    ],
)
def test_bad_formulas(text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        parse_formula(text)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("y ~ aa", {}, "no such column; received aa. Did you mean 'a'"),
        ("a ~ b", {}, "a response must be numeric"),
        ("y ~ a", {"weights": "x"}, "weights must be positive and finite"),
        ("y ~ a", {"weights": "nope"}, "no such column"),
        ("y ~ C(a, helmert)", {}, "an unknown coding"),
        ("y ~ C(a, Treatment('z'))", {}, "no such level of"),
        ("y ~ nope(x)", {}, "an unknown function"),
        ("y ~ a + (1|one)", {}, "a grouping factor needs at least two levels"),
        ("y ~ void", {}, "no row is complete"),
    ],
)
def test_bad_tables(text: str, options: dict[str, str], message: str, table: pd.DataFrame) -> None:
    table = table.assign(one="only", void=np.nan)
    with pytest.raises(TableError, match=message):
        build_frame(table, parse_formula(text), **options)  # type: ignore[arg-type]
