"""Type I and II tables of least squares compare two fits, weights and aliasing included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import AnovaType
from ablatekit.analysis.engine.formula import parse_formula
from ablatekit.analysis.engine.frame import build_frame
from ablatekit.analysis.posthoc.ols import fit_ols, ols_anova, robust_vcov


@pytest.fixture
def table() -> pd.DataFrame:
    """Blocks of four cells that are confounded with the three-way interaction, some rows lost."""
    rng = np.random.default_rng(11)
    cells = [(r, n, p, k) for r in range(3) for n in (0, 1) for p in (0, 1) for k in (0, 1)]
    rows = [(n, p, k, 2 * r + (n + p + k) % 2) for r, n, p, k in cells for _ in range(2)]
    n, p, k, block = (np.array(column) for column in zip(*rows, strict=True))
    frame = pd.DataFrame({"N": n, "P": p, "K": k, "block": block}).astype(str)
    frame["y"] = 2.0 * n - k + rng.normal(size=6)[block] + rng.normal(size=len(frame))
    frame["x"], frame["w"] = rng.normal(size=len(frame)), rng.uniform(0.3, 3.0, len(frame))
    return frame.drop(index=[3, 10, 31])


def _error(table: pd.DataFrame, formula: str) -> tuple[float, int]:
    frame = build_frame(
        table, parse_formula(formula), weights="w", factors=["N", "P", "K", "block"]
    )
    fit = fit_ols(frame)
    return fit.sigma**2 * fit.df, fit.df


@pytest.mark.parametrize(
    ("kind", "term", "with_it", "without"),
    [
        ("I", "block", "y ~ block", "y ~ 1"),
        ("I", "K", "y ~ block + N + P + K", "y ~ block + N + P"),
        ("II", "block", "y ~ block + N*P*K", "y ~ N*P*K"),
        ("II", "N", "y ~ block + N + P*K", "y ~ block + P*K"),
        ("II", "N:K", "y ~ block + N*P + N*K + P*K", "y ~ block + N*P + P*K"),
    ],
)
def test_sums_of_squares_are_differences(
    kind: Any, term: str, with_it: str, without: str, table: pd.DataFrame
) -> None:
    formula = parse_formula("y ~ block + N*P*K")
    fit = fit_ols(build_frame(table, formula, weights="w", factors=["N", "P", "K", "block"]))
    assert fit.frame.aliased == ("N1:P1:K1",)
    row = next(row for row in ols_anova(fit, kind) if row["term"] == term)
    larger, smaller = _error(table, with_it), _error(table, without)
    assert row["num_df"] == smaller[1] - larger[1]
    assert row["sum_squares"] == pytest.approx(smaller[0] - larger[0])


def test_an_aliased_term_has_no_test(table: pd.DataFrame) -> None:
    fit = fit_ols(build_frame(table, parse_formula("y ~ block + N*P*K"), factors=["N", "P", "K"]))
    kinds: tuple[AnovaType, ...] = ("I", "II")
    for kind in kinds:
        row = next(row for row in ols_anova(fit, kind) if row["term"] == "N:P:K")
        assert row["num_df"] == 0
        assert row["p"] is None


def test_a_row_with_a_coefficient_of_its_own_has_no_leverage_to_correct() -> None:
    rows = pd.DataFrame({"a": ["u", "u", "v", "v", "w"], "y": [1.0, 2.0, 3.0, 5.0, 4.0]})
    fit = fit_ols(build_frame(rows, parse_formula("y ~ a")))
    assert np.isfinite([robust_vcov(fit, "hc0"), robust_vcov(fit, "hc1")]).all()
    assert np.isnan([robust_vcov(fit, "hc2"), robust_vcov(fit, "hc3")]).all()
