from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

from ablatekit.analysis.engine import sufficient
from ablatekit.analysis.engine.formula import parse_formula
from ablatekit.analysis.engine.frame import build_frame
from ablatekit.analysis.engine.glmm import fit_logistic
from ablatekit.analysis.engine.laplace import Laplace
from ablatekit.analysis.posthoc.marginal import marginal_effects
from ablatekit.errors import NotEstimableError, TableError


def outcomes(seed: int = 0, runs: int = 8, items: int = 25) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    run, item = np.divmod(np.arange(runs * items), items)
    a = run % 2
    eta = rng.normal(0, 1, items)[item] + rng.normal(0, 0.5, runs)[run] + 0.6 * a
    eta = eta + rng.normal(0, 0.6, items)[item] * a
    y = (rng.random(len(run)) < special.expit(eta)).astype(int)
    return pd.DataFrame(
        {"y": y, "a": np.where(a, "a1", "a0"), "x": rng.normal(size=len(run)),
         "run": np.char.add("r", run.astype(str)), "item": np.char.add("i", item.astype(str))}
    )  # fmt: skip


@pytest.mark.parametrize("limit", [0, 150])
@pytest.mark.parametrize(
    "formula",
    ["y ~ a + x + (1|run) + (1|item)", "y ~ a + (1 + a|item) + (1|run)", "y ~ a + (1|run)"],
)
def test_gradient_is_exact(formula: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sufficient, "DIRECT_LIMIT", limit)
    laplace = Laplace(build_frame(outcomes(), parse_formula(formula)))
    p = laplace.x.shape[1]
    c = sum(t.p * (t.p + 1) // 2 for t in laplace.layout.terms)
    point = np.append(np.full(c, 0.7), np.linspace(-3.0, 2.0, p))
    gradient = laplace.value(point)[1]
    for j in range(len(point)):
        step = np.zeros(len(point))
        step[j] = 1e-5
        numeric = (laplace.value(point + step)[0] - laplace.value(point - step)[0]) / 2e-5
        assert gradient[j] == pytest.approx(numeric, abs=2e-5)


def test_laplace_is_close_to_the_exact_likelihood() -> None:
    """One grouping: the marginal likelihood by quadrature at the fitted parameters."""
    data = outcomes(runs=6, items=60)
    fit = fit_logistic(build_frame(data, parse_formula("y ~ 1 + (1|run)")))
    total = 0.0
    for _, group in data.groupby("run"):
        k, n = int(group["y"].sum()), len(group)

        def density(u: float, k: int = k, n: int = n) -> float:
            eta = fit.beta[0] + fit.theta[0] * u
            return float(np.exp(k * eta - n * np.logaddexp(0.0, eta)) * stats.norm.pdf(u))

        total += np.log(integrate.quad(density, -8, 8, epsabs=0.0, epsrel=1e-10)[0])
    assert fit.minus2ll == pytest.approx(-2.0 * total, abs=0.05)


def test_proportions_equal_their_rows() -> None:
    """Counts per item as proportions with trials: the same fit up to the binomial constant."""
    data = outcomes()
    rows = fit_logistic(build_frame(data, parse_formula("y ~ a + (1|run)")))
    counts = data.groupby(["a", "run"], as_index=False).agg(p=("y", "mean"), m=("y", "size"))
    counts["m"] = counts["m"].astype(float)
    grouped = fit_logistic(build_frame(counts, parse_formula("p ~ a + (1|run)"), weights="m"))
    assert grouped.beta == pytest.approx(rows.beta, abs=1e-5)
    assert grouped.se == pytest.approx(rows.se, rel=1e-4)


def test_failures_may_be_written_as_a_difference() -> None:
    """`cbind(incidence, size - incidence)`, as lme4's manual writes it."""
    data = outcomes()
    counts = data.groupby(["a", "run"], as_index=False).agg(hits=("y", "sum"), n=("y", "size"))
    counts["misses"] = counts["n"] - counts["hits"]
    plain, difference = (
        fit_logistic(build_frame(counts, parse_formula(f"cbind(hits, {text}) ~ a + (1|run)")))
        for text in ("misses", "n - hits")
    )
    assert difference.minus2ll == plain.minus2ll


def test_items_all_right_or_all_wrong_are_fine() -> None:
    data = outcomes()
    data.loc[data["item"] == "i0", "y"] = 1
    data.loc[data["item"] == "i1", "y"] = 0
    assert fit_logistic(build_frame(data, parse_formula("y ~ a + (1|item)"))).converged


def test_marginal_effect_is_the_mean_difference_of_probabilities() -> None:
    data = outcomes()
    fit = fit_logistic(build_frame(data, parse_formula("y ~ a + x + (1|run) + (1|item)")))
    effects = {e.factor: e for e in marginal_effects(fit)}
    eta = fit.linear_predictor - fit.beta[1] * (data["a"] == "a1").to_numpy()
    expected = (special.expit(eta + fit.beta[1]) - special.expit(eta)).mean()
    assert effects["a"].estimate == pytest.approx(expected, abs=1e-10)
    mu = special.expit(fit.linear_predictor)
    assert effects["x"].estimate == pytest.approx((mu * (1 - mu)).mean() * fit.beta[2], rel=1e-5)
    assert effects["a"].low < effects["a"].estimate < effects["a"].high


@pytest.mark.parametrize(
    ("change", "formula", "error", "message"),
    [
        (lambda d: d.assign(y=1), "y ~ a + (1|run)", NotEstimableError, "every outcome is 1"),
        (
            lambda d: d.assign(y=d["y"].where(d["a"] == "a0", 1)),
            "y ~ a + (1|item)", NotEstimableError, r"separate the outcomes .*aa1",
        ),
        (lambda d: d.assign(y=d["y"] + 0.5), "y ~ a + (1|run)", TableError, "0 or 1, or a prop"),
        (lambda d: d, "y ~ a", TableError, "needs a random term"),
    ],
)  # fmt: skip
def test_refusals(change: Any, formula: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fit_logistic(build_frame(change(outcomes()), parse_formula(formula)))
