"""The engine against closed forms, itself in other modes, permutations, and hostile numbers."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from ablatekit.analysis.engine import sufficient
from ablatekit.analysis.engine.criterion import Criterion
from ablatekit.analysis.engine.fit import Engine, MixedFit, fit_formula, fit_mixed
from ablatekit.analysis.engine.formula import parse_formula
from ablatekit.analysis.engine.frame import build_frame
from ablatekit.analysis.engine.sufficient import cross_products, working_layout
from ablatekit.analysis.posthoc.coefficient_tests import linear_model
from ablatekit.errors import NotEstimableError, TableError

FORMULA = "y ~ a * b + (1 | run) + (1 | item)"


@pytest.fixture(scope="module")
def hard() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "hard_designs.py"
    spec = importlib.util.spec_from_file_location("hard_designs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def crossed(runs: int = 12, items: int = 20, missing: float = 0.0, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    run, item = np.divmod(np.arange(runs * items), items)
    a, b = run % 2, (run // 2) % 2
    y = rng.normal(0, 1, items)[item] + rng.normal(0, 0.6, runs)[run] + 0.5 * a
    y = y + rng.normal(0, 0.4, items)[item] * a + rng.normal(size=len(run))
    name = lambda prefix, codes: np.char.add(prefix, codes.astype(str))  # noqa: E731
    table = pd.DataFrame(
        {
            "y": y,
            "a": name("a", a),
            "b": name("b", b),
            "run": name("r", run),
            "item": name("i", item),
        }
    )
    return table[rng.random(len(table)) >= missing].reset_index(drop=True)


def test_balanced_one_way_closed_form() -> None:
    """REML in a balanced one-way layout is the ANOVA estimator (Searle 1992, section 4.3)."""
    rng = np.random.default_rng(2)
    groups, size = 8, 5
    y = rng.normal(0, 2, groups)[:, None] + rng.normal(0, 1, (groups, size))
    table = pd.DataFrame({"y": y.reshape(-1), "g": np.repeat(np.arange(groups), size).astype(str)})
    fit = fit_formula(table, "y ~ 1 + (1|g)")
    within = float(((y - y.mean(axis=1, keepdims=True)) ** 2).sum() / (groups * (size - 1)))
    between = float(size * y.mean(axis=1).var(ddof=1))
    assert fit.sigma**2 == pytest.approx(within, rel=1e-8)
    assert fit.components[0].variance == pytest.approx((between - within) / size, rel=1e-7)
    test = linear_model(fit).coefficients
    assert test.df[0] == pytest.approx(groups - 1, rel=1e-6)
    assert test.se[0] == pytest.approx(np.sqrt(between / (groups * size)), rel=1e-7)


def test_complete_crossing_equals_run_means() -> None:
    """For run-level factors the item model is least squares on run means, df = runs - p."""
    table = crossed()
    test = linear_model(fit_formula(table, FORMULA)).coefficients
    means = table.groupby(["run", "a", "b"], as_index=False)["y"].mean()
    ols = smf.ols("y ~ a * b", means).fit()
    assert test.estimate == pytest.approx(ols.params.to_numpy(), rel=1e-9)
    assert test.se[1:] == pytest.approx(ols.bse.to_numpy()[1:], rel=1e-7)
    assert test.df[1:] == pytest.approx([12 - 4] * 3, rel=1e-6)


def test_against_statsmodels() -> None:
    table = crossed(missing=0.2)
    fit = fit_formula(table, "y ~ a + (1 + a | item)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = smf.mixedlm("y ~ a", table, groups="item", re_formula="~a").fit(reml=True)
    assert fit.log_likelihood >= theirs.llf - 1e-6
    assert fit.beta == pytest.approx(theirs.fe_params.to_numpy(), abs=1e-4)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize(
    "formula",
    [
        FORMULA,
        "y ~ a + (1 + a | item) + (1 | run)",
        "y ~ a + (1 | item) + (1 | run) + (1 | item:b)",
    ],
)
def test_every_elimination_agrees(
    formula: str, missing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer from the direct, class, pair and dense ways of solving the same model."""
    table = crossed(missing=missing)
    direct = fit_formula(table, formula)
    assert direct.engine.criterion.elimination is None
    monkeypatch.setattr(sufficient, "DIRECT_LIMIT", 0)
    seen = set()
    for limits in ({}, {"CLASS_LIMIT": 0, "PAIR_LIMIT": 0.0}, {"CLASS_LIMIT": 0, "PAIR_FILL": 1.1}):
        for name, value in limits.items():
            monkeypatch.setattr(f"ablatekit.analysis.engine.schur.{name}", value)
        other = fit_formula(table, formula)
        elimination = other.engine.criterion.elimination
        assert elimination is not None
        seen.add(elimination.mode)
        assert other.criterion == pytest.approx(direct.criterion, abs=1e-8)
        for method in ("satterthwaite", "kenward-roger"):
            one = linear_model(direct, method).coefficients  # type: ignore[arg-type]
            two = linear_model(other, method).coefficients  # type: ignore[arg-type]
            assert two.se == pytest.approx(one.se, rel=1e-6)
            assert two.df == pytest.approx(one.df, rel=1e-5)
        monkeypatch.undo()
        monkeypatch.setattr(sufficient, "DIRECT_LIMIT", 0)
    assert {"dense", "pairs"} <= seen


@pytest.mark.parametrize("mode", ["class", "dense"])
def test_gradient_is_the_slope_of_the_criterion(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sufficient, "DIRECT_LIMIT", 0)
    if mode == "dense":
        monkeypatch.setattr("ablatekit.analysis.engine.schur.CLASS_LIMIT", 0)
    frame = build_frame(crossed(), parse_formula("y ~ a * b + (1 + a | item) + (1 | run)"))
    criterion = Criterion(cross_products(working_layout(frame), nest=True), True, 0.0)
    assert criterion.elimination is not None
    assert criterion.elimination.mode == mode
    theta = np.array([0.9, -0.3, 0.5, 0.7])
    gradient = criterion.slope(criterion.evaluate(theta)).gradient
    for j, step in enumerate(1e-5 * np.eye(len(theta))):
        rise = criterion.evaluate(theta + step).value - criterion.evaluate(theta - step).value
        assert gradient[j] == pytest.approx(rise / 2e-5, rel=1e-5, abs=1e-5)


def same_inference(one: MixedFit, two: MixedFit) -> None:
    """Criterion, variances, modes and both kinds of df agree to 1e-9 at the same theta."""
    assert two.criterion == pytest.approx(one.criterion, abs=1e-9)
    assert two.beta == pytest.approx(one.beta, abs=1e-9)
    for ours, theirs in zip(one.random_effects(), two.random_effects(), strict=True):
        assert theirs.modes == pytest.approx(ours.modes, abs=1e-9)
    for method in ("satterthwaite", "kenward-roger"):
        left, right = (linear_model(f, method).coefficients for f in (one, two))  # type: ignore[arg-type]
        assert right.se == pytest.approx(left.se, rel=1e-9)
        assert right.df == pytest.approx(left.df, rel=1e-8)


def at_theta(data: pd.DataFrame, formula: str, theta: dict[str, float], nest: bool) -> MixedFit:
    """The fit of intercept terms at given theta, by grouping."""
    frame = build_frame(data, parse_formula(formula))
    layout = working_layout(frame)
    criterion = Criterion(cross_products(layout, nest=nest), True, 0.0)
    groups = [frame.random[k].spec.grouping for k in criterion.blocks.order]
    state = criterion.evaluate(np.array([theta[group] for group in groups]))
    whole = Engine(layout, criterion, state, criterion.slope(state))
    return replace(fit_mixed(frame, starts=(1.0,)), engine=whole, criterion=state.value)


@pytest.mark.parametrize("missing", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("extra", ["", " + (1 | run)", " + (1 | run) + (1 | model)"])
def test_nested_intercepts_are_eliminated_together(extra: str, missing: float) -> None:
    """item:model inside item, with R = runs left, against one elimination with R = runs + items."""
    table = crossed(runs=18, items=60, missing=missing)
    table["model"] = "m" + (table["run"].str[1:].astype(int) % 3).astype(str)
    formula = "y ~ a * b + (1 | item) + (1 | item:model)" + extra
    theta = {"item": 0.9, "item:model": 0.3, "run": 0.5, "model": 0.2}
    plain = at_theta(table, formula, theta, nest=False)
    nested = at_theta(table, formula, theta, nest=True)
    assert plain.engine.criterion.first == 1
    assert nested.engine.criterion.first == 2
    assert nested.engine.criterion.rows == plain.engine.criterion.rows - 60
    same_inference(plain, nested)
    one, two = plain.engine.slope, nested.engine.slope
    order = [
        nested.engine.criterion.blocks.order.index(k) for k in plain.engine.criterion.blocks.order
    ]
    assert two.gradient[order] == pytest.approx(one.gradient, abs=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_nearly_complete_crossing(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant plus a sparse rest against the dense crosstab."""
    table = crossed(runs=60, items=120, missing=0.04)
    formula = "y ~ a * b + (1 | run) + (1 | item)"
    if weighted:
        table = pd.concat([table, table.head(50).assign(y=lambda t: t["y"] + 0.1)])
    theta = {"run": 0.5, "item": 0.9}
    monkeypatch.setattr("ablatekit.analysis.engine.schur.CLASS_LIMIT", 0)
    sparse = at_theta(table, formula, theta, nest=True)
    monkeypatch.setattr("ablatekit.analysis.engine.schur.PAIR_LIMIT", 0.0)
    dense = at_theta(table, formula, theta, nest=True)
    modes = [fit.engine.criterion.elimination for fit in (sparse, dense)]
    assert [one.mode for one in modes if one is not None] == ["complement", "dense"]
    same_inference(dense, sparse)
    assert sparse.engine.slope.gradient == pytest.approx(dense.engine.slope.gradient, abs=1e-8)


def test_many_pairs_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    table = crossed(runs=60, items=120, missing=0.8)
    formula = "y ~ a * b + (1 | run) + (1 + a | item)"
    whole = fit_formula(table, formula)
    assert whole.engine.criterion.elimination is not None
    assert whole.engine.criterion.elimination.mode == "pairs"
    monkeypatch.setattr("ablatekit.analysis.engine.schur.PAIR_CHUNK", 7)
    assert fit_formula(table, formula).criterion == whole.criterion


@pytest.mark.parametrize("seed", range(24))
def test_no_better_optimum_is_known(seed: int, hard: ModuleType) -> None:
    """A seeded subset of benchmarks/hard_designs.py."""
    formula, table = hard.hard_design(seed)
    fit = fit_formula(table, formula)
    assert fit.criterion < hard.restarted(formula, table, seed, count=4) + 1e-4
    assert fit.convergence.converged


@pytest.mark.parametrize("seed", range(8))
def test_row_and_level_permutation(seed: int, hard: ModuleType) -> None:
    formula, table = hard.hard_design(seed)
    one, two = fit_formula(table, formula), fit_formula(hard.permuted(table, seed), formula)
    assert two.criterion == pytest.approx(one.criterion, abs=1e-8)
    assert two.beta == pytest.approx(one.beta, abs=1e-6)
    df = linear_model(one).coefficients.df
    assert linear_model(two).coefficients.df == pytest.approx(df, rel=1e-4)


def test_zero_start_is_left() -> None:
    """theta = 0 is stationary, so a descent from there must be tested in the variance."""
    frame = build_frame(crossed(), parse_formula(FORMULA))
    stuck = fit_mixed(frame, starts=(0.0,))
    assert stuck.convergence.escapes > 0
    assert stuck.criterion == pytest.approx(fit_mixed(frame).criterion, abs=1e-7)


def test_singular_fit_is_flagged_and_satterthwaite_drops_the_zero() -> None:
    rng = np.random.default_rng(3)
    table = crossed()
    table["y"] = rng.normal(size=len(table))
    table["y"] -= table.groupby("run")["y"].transform("mean")
    fit = fit_formula(table, FORMULA)
    assert fit.singular
    assert fit.theta[fit.theta_names.index("run.(Intercept)")] == 0.0
    assert linear_model(fit).coefficients.df[1] > 100.0


@pytest.mark.parametrize("shift", [1e4, 1e6, 1e8])
def test_covariate_far_from_zero(shift: float) -> None:
    table = crossed(missing=0.1)
    table["x"] = np.random.default_rng(4).normal(size=len(table))
    near = fit_formula(table, "y ~ a + x + (1 | run)")
    table["x"] += shift
    far = fit_formula(table, "y ~ a + x + (1 | run)")
    assert far.criterion == pytest.approx(near.criterion, abs=1e-5 * max(1.0, shift / 1e6))
    assert far.beta[1:] == pytest.approx(near.beta[1:], rel=1e-6 * max(1.0, shift / 1e6))
    se = np.sqrt(np.array([far.vcov.diagonal()[1:], near.vcov.diagonal()[1:]]))
    assert se[0] == pytest.approx(se[1], rel=1e-5)


def test_slope_column_far_from_zero() -> None:
    table = crossed(missing=0.1)
    table["x"] = np.random.default_rng(4).normal(size=len(table))
    formula = "y ~ x + (1 + x | item)"
    near = fit_formula(table, formula)
    table["x"] += 1e6
    far = fit_formula(table, formula)
    assert far.criterion == pytest.approx(near.criterion, abs=1e-4)
    assert far.covariance(0)[1, 1] == pytest.approx(near.covariance(0)[1, 1], rel=1e-4)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_rescaled_covariate_and_response(scale: float) -> None:
    table = crossed(missing=0.1)
    table["x"] = np.random.default_rng(4).normal(size=len(table))
    formula = "y ~ x + (1 + x | item)"
    near = fit_formula(table, formula)
    moved = table.assign(x=table["x"] * scale, y=table["y"] / scale)
    far = fit_formula(moved, formula)
    assert far.beta[1] * scale**2 == pytest.approx(near.beta[1], rel=1e-7)
    assert far.sigma * scale == pytest.approx(near.sigma, rel=1e-7)
    one, two = linear_model(near).coefficients, linear_model(far).coefficients
    assert two.df == pytest.approx(one.df, rel=1e-4)


@pytest.mark.parametrize("offset", [1e6, 1e9])
def test_response_offset(offset: float) -> None:
    table = crossed()
    near = fit_formula(table, FORMULA)
    far = fit_formula(table.assign(y=table["y"] + offset), FORMULA)
    assert far.criterion == pytest.approx(near.criterion, abs=1e-4)
    assert far.beta[1:] == pytest.approx(near.beta[1:], abs=1e-5)


@pytest.mark.parametrize("noise", [1e-6, 1e-9])
def test_nearly_exact_fixed_part(noise: float) -> None:
    table = crossed()
    signal = (table["a"] == "a1") * 3.0
    residual = np.random.default_rng(5).normal(size=len(table))
    plain = fit_formula(table.assign(y=residual), FORMULA)
    tiny = fit_formula(table.assign(y=signal + noise * residual), FORMULA)
    assert tiny.sigma / noise == pytest.approx(plain.sigma, rel=1e-5)


@pytest.mark.parametrize("noise", [1e-4, 1e-6])
def test_groups_that_explain_nearly_everything(noise: float) -> None:
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(10), 5)
    residual, level = rng.normal(size=50), rng.normal(size=10)
    table = pd.DataFrame({"g": group.astype(str)})
    within = residual - np.bincount(group, residual)[group] / 5.0
    fit = fit_formula(table.assign(y=level[group] + noise * residual), "y ~ 1 + (1 | g)")
    assert fit.sigma / noise == pytest.approx(np.sqrt((within**2).sum() / 40), rel=1e-3)
    with pytest.raises(NotEstimableError, match="reproduce the response exactly"):
        fit_formula(table.assign(y=level[group] + 1e-9 * residual), "y ~ 1 + (1 | g)")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(y=1.0), "the response is constant"),
        (lambda t: t.assign(y=(t["a"] == "a1") * 2.0), "copies of one another"),
        (lambda t: t.assign(y=(t["a"] == "a1") * 1.0), "--factors answers such a table"),
        (
            lambda t: t.assign(y=t["run"].str[1:].astype(float) ** 2),
            "reproduce the response exactly",
        ),
        (
            lambda t: t.groupby(["a", "b"]).head(1).assign(run=["p", "p", "q", "q"]),
            "cannot estimate",
        ),
    ],
)
def test_refusals(change: Any, message: str) -> None:
    with pytest.raises(NotEstimableError, match=message):
        fit_formula(change(crossed()), "y ~ a * b + (1 | run)")


def test_infinite_response_is_refused() -> None:
    with pytest.raises(TableError, match="values must be finite"):
        fit_formula(crossed().assign(y=np.inf), "y ~ a * b + (1 | run)")


def test_one_level_per_row_is_refused() -> None:
    table = crossed().assign(each=lambda t: t.index.astype(str))
    with pytest.raises(TableError, match="cannot be told from the residual"):
        fit_formula(table, "y ~ a + (1 | each)")


def test_ml_deviance_and_weights_of_one() -> None:
    table = crossed(missing=0.2).assign(w=1.0)
    plain = fit_formula(table, FORMULA, method="ml")
    weighted = fit_formula(table, FORMULA, method="ml", weights="w")
    assert weighted.criterion == pytest.approx(plain.criterion, abs=1e-9)
    assert weighted.vcov == pytest.approx(plain.vcov, rel=1e-7)


def test_weights_equal_repeated_rows_in_beta() -> None:
    """A row of weight 2 counts like two rows when the residual is fixed by the other rows."""
    table = crossed().assign(w=2.0)
    double = fit_formula(table, FORMULA, weights="w")
    single = fit_formula(table, FORMULA)
    assert double.beta == pytest.approx(single.beta, abs=1e-9)
    assert double.sigma**2 == pytest.approx(2.0 * single.sigma**2, rel=1e-6)
    assert double.vcov == pytest.approx(single.vcov, rel=1e-6)
