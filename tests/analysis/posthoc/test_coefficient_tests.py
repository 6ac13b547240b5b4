"""Contrasts, estimability, likelihood ratios, intervals, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.engine.fit import fit_formula
from ablatekit.analysis.engine.information import Information
from ablatekit.analysis.posthoc.anova import anova
from ablatekit.analysis.posthoc.coefficient_tests import linear_model, pooled_df
from ablatekit.analysis.posthoc.emm import (
    contrast_table,
    interaction,
    marginal_means,
    pairwise,
    versus_baseline,
)
from ablatekit.analysis.posthoc.likelihood import likelihood_ratio
from ablatekit.analysis.posthoc.variance import (
    bootstrap_intervals,
    profile_intervals,
    simulate,
    variance_explained,
)
from ablatekit.analysis.stats.effectsize import partial_size, with_interval
from ablatekit.analysis.stats.meta import meta_analysis
from ablatekit.errors import NotEstimableError, UsageError


def table(seed: int = 0, groups: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (g, a, b, r) for g in range(groups) for a in range(3) for b in range(2) for r in range(2)
    ]
    g, a, b, _ = (np.array(c) for c in zip(*rows, strict=True))
    y = rng.normal(0, 1, groups)[g] + 0.7 * a + 0.5 * b * (a == 2) + rng.normal(size=len(g))
    label = lambda p, c: np.char.add(p, c.astype(str))  # noqa: E731
    return pd.DataFrame({"y": y, "a": label("a", a), "b": label("b", b), "g": label("g", g)})


@pytest.fixture(scope="module")
def balanced() -> Any:
    return fit_formula(table(), "y ~ a * b + (1 | g)")


def test_contrasts_of_a_balanced_design_are_cell_mean_differences(balanced: Any) -> None:
    cells = table().groupby(["a", "b"])["y"].mean()
    model = linear_model(balanced)
    family = contrast_table(model, ["a"], "baseline")
    own = cells.groupby("a").mean()
    assert family.labels == ("a1 - a0", "a2 - a0")
    assert family.test.estimate == pytest.approx((own - own["a0"]).to_numpy()[1:], abs=1e-10)
    crossed = contrast_table(model, ["a", "b"], "interaction")
    expected = [
        cells[f"a{i}", "b1"] - cells[f"a{i}", "b0"] - cells["a0", "b1"] + cells["a0", "b0"]
        for i in (1, 2)
    ]
    assert crossed.test.estimate == pytest.approx(expected, abs=1e-10)
    assert contrast_table(model, ["a"], "baseline", baselines=["a1"]).labels == (
        "a0 - a1",
        "a2 - a1",
    )


def test_contrast_matrices() -> None:
    assert np.array_equal(pairwise(3), [[1, -1, 0], [1, 0, -1], [0, 1, -1]])
    assert np.array_equal(versus_baseline(3, 1), [[1, -1, 0], [0, -1, 1]])
    assert np.array_equal(interaction([2, 2]), [[1, -1, -1, 1]])
    assert interaction([3, 2, 2]).sum() == 0


def test_empty_cell_makes_means_not_estimable() -> None:
    data = table()
    data = data[(data["a"] != "a2") | (data["b"] != "b1")]
    model = linear_model(fit_formula(data, "y ~ a * b + (1 | g)"))
    family = contrast_table(model, ["a"], "baseline", adjustment="holm")
    assert np.isfinite(family.test.estimate[0])
    assert np.isnan([family.test.estimate[1], family.p[1], family.low[1]]).all()
    assert family.reason[1] is not None
    assert family.reason[1] == statement("not_estimable")
    additive = linear_model(fit_formula(data, "y ~ a + b + (1 | g)"))
    assert np.isfinite(contrast_table(additive, ["a"], "baseline").test.estimate).all()


def test_aliased_term_has_no_test() -> None:
    data = table().assign(twin=lambda t: t["a"].str.replace("a", "t"))
    rows = anova(linear_model(fit_formula(data, "y ~ a + twin + (1 | g)")), "II")
    assert rows[0].test is not None
    assert rows[1].test is None


def test_likelihood_ratio_refusals() -> None:
    data = table()

    def fit(formula: str, method: str = "ml", rows: int = 1000) -> Any:
        return fit_formula(data.head(rows), formula, method=method)  # type: ignore[arg-type]

    large = fit("y ~ a * b + (1 | g)")
    assert likelihood_ratio(fit("y ~ a + b + (1 | g)"), large).df == 2
    cases = [
        (fit("y ~ a + (1 | g)", "reml"), fit("y ~ a * b + (1 | g)", "reml"), "restricted likel"),
        (fit("y ~ a + (1 | g)", rows=100), large, "the same response and rows"),
        (fit("y ~ a + (1 | g)", "reml"), large, "one model is fitted by REML"),
        (fit("y ~ a * b + (1 | g:b)"), large, "not nested"),
        (large, large, "same number of parameters"),
    ]
    for small, big, message in cases:
        with pytest.raises(UsageError, match=message):
            likelihood_ratio(small, big)


def test_kenward_roger_needs_reml() -> None:
    fit = fit_formula(table(), "y ~ a + (1 | g)", method="ml")
    with pytest.raises(UsageError, match="Kenward-Roger needs a REML fit"):
        linear_model(fit, "kenward-roger")
    with pytest.raises(UsageError, match="no residual df"):
        linear_model(fit, "residual")


def test_unknown_names_are_refused(balanced: Any) -> None:
    model = linear_model(balanced)
    with pytest.raises(UsageError, match="categorical variable of the model; received c"):
        contrast_table(model, ["c"])
    with pytest.raises(UsageError, match="unknown contrasts"):
        contrast_table(model, ["a"], "helmert")
    with pytest.raises(UsageError, match="no such level; received zz"):
        contrast_table(model, ["a"], "baseline", baselines=["zz"])


def test_marginal_means_average_with_equal_weight() -> None:
    data = table().drop(index=[0, 1, 2, 3, 8]).reset_index(drop=True)
    means = marginal_means(fit_formula(data, "y ~ a * b + (1 | g)").frame, ["a"])
    assert means.averaged_over == ("b",)
    assert np.allclose(means.rows.sum(axis=0)[0], 3.0)


def test_hessian_against_finite_differences() -> None:
    """The Hessian in (theta, sigma) from numerical derivatives of the unprofiled criterion."""
    data = table()
    data["x"] = np.random.default_rng(9).normal(size=len(data))
    fit = fit_formula(data, "y ~ a + (1 + x | g)")
    state, criterion = fit.engine.state, fit.engine.criterion
    sigma0 = np.sqrt(state.r2 / criterion.df)

    def value(v: Any) -> float:
        s = criterion.evaluate(v[:-1])
        sigma2 = (sigma0 * v[-1]) ** 2
        base = s.value - criterion.df * (1.0 + np.log(2.0 * np.pi * s.r2 / criterion.df))
        return float(base + criterion.df * np.log(2.0 * np.pi * sigma2) + s.r2 / sigma2)

    centre = np.append(state.theta, 1.0)
    size, h = len(centre), 1e-4
    numeric = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            e, f = h * np.eye(size)[i], h * np.eye(size)[j]
            numeric[i, j] = (
                value(centre + e + f) - value(centre + e - f) - value(centre - e + f)
                + value(centre - e - f)
            ) / (4.0 * h * h)  # fmt: skip
    ours = Information(fit).hessian
    assert np.abs(ours - numeric).max() < 1e-4 * np.abs(numeric).max()


def test_pooled_df() -> None:
    assert pooled_df(np.array([7.0])) == 7.0
    assert pooled_df(np.array([7.0, 7.0])) == pytest.approx(7.0)
    assert pooled_df(np.array([4.0, 8.0])) == pytest.approx(2 * (2 + 4 / 3) / (2 + 4 / 3 - 2))
    assert pooled_df(np.array([1.5, 30.0])) == 2.0


def test_effect_size_interval_inverts_the_noncentral_f() -> None:
    from scipy import stats

    size = with_interval(0.3, 2, 40)
    f = (0.3 / 2) / (0.7 / 40)
    for limit, probability in ((size.low, 0.975), (size.high, 0.025)):
        ncp = limit / (1.0 - limit) * 40
        assert stats.ncf.cdf(f, 2, 40, ncp) == pytest.approx(probability, abs=1e-6)
    assert partial_size("omega2", 0.5, 2, 40) == 0.0
    assert np.isnan(partial_size("eta2", np.nan, 2, 40))


def test_profile_of_a_zero_variance_starts_at_zero() -> None:
    data = table()
    data["y"] -= data.groupby("g")["y"].transform("mean")
    intervals = profile_intervals(fit_formula(data, "y ~ a + (1 | g)"))
    assert (intervals[0].estimate, intervals[0].low) == (0.0, 0.0)
    assert 0.0 < intervals[0].high < 1.0


def test_bootstrap_agrees_with_the_profile() -> None:
    fit = fit_formula(table(groups=20), "y ~ a + (1 | g)")
    profile = profile_intervals(fit)
    boot = bootstrap_intervals(fit, np.random.default_rng(1), draws=200)
    for one, two in zip(profile, boot, strict=True):
        assert two.low == pytest.approx(one.low, abs=0.35 * one.estimate)
        assert two.high == pytest.approx(one.high, abs=0.35 * one.estimate)
    with pytest.raises(UsageError, match="too few bootstrap draws"):
        bootstrap_intervals(fit, np.random.default_rng(1), draws=5)


def test_slopes_have_no_profile_and_say_so() -> None:
    data = table()
    data["x"] = np.random.default_rng(9).normal(size=len(data))
    intervals = profile_intervals(fit_formula(data, "y ~ a + (1 + x | g)"))
    assert intervals[0].reason is not None
    assert intervals[0].reason == statement("correlated_slope")


def test_simulation_has_the_fitted_moments() -> None:
    fit = fit_formula(table(), "y ~ a + (1 | g)")
    rng = np.random.default_rng(2)
    draws = np.array([simulate(fit, rng) for _ in range(400)])
    explained = variance_explained(fit)
    total = explained.random + explained.residual
    assert draws.var(axis=0).mean() == pytest.approx(total, rel=0.1)


def test_one_study_has_no_heterogeneity() -> None:
    with pytest.raises(NotEstimableError, match="1 studies cannot estimate"):
        meta_analysis(np.array([1.0]), np.array([0.1]))
    with pytest.raises(UsageError, match="variances must be positive"):
        meta_analysis(np.array([1.0, 2.0]), np.array([0.1, 0.0]))


def _dense_kenward_roger(fit: Any, weights: Any) -> tuple[Any, Any]:
    """Kenward & Roger's covariance and df of every coefficient from n x n matrices."""
    frame = fit.frame
    x = frame.x[frame.cell]
    parts, values = [np.diag(1.0 / weights)], [fit.sigma**2]
    for position, term in enumerate(frame.random):
        z = np.zeros((len(x), len(term.levels), len(term.names)))
        z[np.arange(len(x)), term.codes] = term.columns[frame.cell]
        covariance = fit.covariance(position)
        for a in range(len(term.names)):
            for b in range(a, len(term.names)):
                product = z[:, :, a] @ z[:, :, b].T
                parts.append(product if a == b else product + product.T)
                values.append(covariance[a, b])
    v = sum(g * part for g, part in zip(values, parts, strict=True))
    inverse = np.linalg.inv(v)
    phi = np.linalg.inv(x.T @ inverse @ x)
    projection = inverse - inverse @ x @ phi @ x.T @ inverse
    size = len(parts)
    traces = np.array([[np.trace(projection @ p @ projection @ q) for q in parts] for p in parts])
    w = 2.0 * np.linalg.inv(traces)
    slopes = [-x.T @ inverse @ p @ inverse @ x for p in parts]
    middle = np.zeros_like(phi)
    for i in range(size):
        for j in range(size):
            q = x.T @ inverse @ parts[i] @ inverse @ parts[j] @ inverse @ x
            middle += w[i, j] * (q - slopes[i] @ phi @ slopes[j])
    df = []
    for row in np.eye(len(phi)):
        theta = np.outer(row, row) / (row @ phi @ row)
        u = [float(np.trace(theta @ phi @ p @ phi)) for p in slopes]
        df.append(2.0 / (np.array(u) @ w @ np.array(u)))
    return phi + 2.0 * phi @ middle @ phi, np.array(df)


@pytest.mark.parametrize("formula", ["y ~ a + (1 | g)", "y ~ a + x + (1 + x | g) + (1 | b)"])
@pytest.mark.parametrize("limit", [0, 150])
def test_weighted_kenward_roger_against_dense_matrices(
    formula: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No R reference exists: pbkrtest ignores weights."""
    monkeypatch.setattr("ablatekit.analysis.engine.sufficient.DIRECT_LIMIT", limit)
    rng = np.random.default_rng(11)
    data = table(groups=8).iloc[::2].reset_index(drop=True)
    data["x"], data["w"] = rng.normal(size=len(data)), rng.uniform(0.5, 2.0, len(data))
    data["y"] += data["x"] * rng.normal(0, 0.8, 8)[data["g"].str[1:].astype(int)]
    data["y"] += (data["b"] == "b1") * 0.5
    fit = fit_formula(data, formula, weights="w")
    vcov, df = _dense_kenward_roger(fit, data["w"].to_numpy())
    ours = linear_model(fit, "kenward-roger")
    assert ours.vcov == pytest.approx(vcov, rel=1e-6, abs=1e-10)
    assert ours.coefficients.df == pytest.approx(df, rel=1e-5)
