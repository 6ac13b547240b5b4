"""R values of `tests/reference/mixed/make.R`: what the corpus leaves out.

Profile limits agree to 1e-3 of the estimate: lme4 interpolates its profile by splines.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.engine.fit import MixedFit, fit_formula
from ablatekit.analysis.engine.formula import parse_formula
from ablatekit.analysis.engine.frame import build_frame
from ablatekit.analysis.engine.glmm import fit_logistic
from ablatekit.analysis.posthoc.anova import anova
from ablatekit.analysis.posthoc.coefficient_tests import linear_model
from ablatekit.analysis.posthoc.emm import means_table
from ablatekit.analysis.posthoc.ols import fit_ols, ols_anova
from ablatekit.analysis.posthoc.variance import profile_intervals

FOLDER = Path(__file__).parents[2] / "reference" / "mixed"
CASES: dict[str, Any] = json.loads((FOLDER / "reference.json").read_text(encoding="utf-8"))["cases"]
MIXED = [name for name, case in CASES.items() if "REML" in case]
LINEAR = [name for name in CASES if name.startswith("lm_")]
LOGISTIC = [name for name, case in CASES.items() if "minus2ll" in case]


def _fit(name: str) -> MixedFit:
    case = CASES[name]
    return fit_formula(
        pd.read_csv(FOLDER / case["data"]),
        case["formula"],
        method="reml" if case["REML"] else "ml",
        weights=case["weights"],
        coding="sum" if name == "sum_coded" else "treatment",
    )


@pytest.mark.parametrize("name", MIXED)
def test_fit_and_df(name: str, corpus: Any) -> None:
    case, fit = CASES[name], _fit(name)
    test = linear_model(fit).coefficients
    assert fit.criterion < case["criterion"] + 1e-6
    if name != "sleep_poly":
        assert list(fit.names) == [row[".row"] for row in case["coef"]]
    assert np.abs((test.estimate - corpus.column(case["coef"], "Estimate")) / test.se).max() < 1e-6
    assert corpus.error(test.se, corpus.column(case["coef"], "Std. Error")) < 1e-6
    assert corpus.error(test.df, corpus.column(case["coef"], "df")) < 1e-5
    assert np.abs(fit.theta - np.atleast_1d(case["theta"])).max() < 1e-5
    if "kr_df" in case:
        robust = linear_model(fit, "kenward-roger").coefficients
        assert corpus.error(robust.df, case["kr_df"]) < 1e-6


@pytest.mark.parametrize("kind", ["I", "II", "III"])
@pytest.mark.parametrize("name", [n for n in MIXED if CASES[n]["anova_I"]])
def test_anova(name: str, kind: Any, corpus: Any) -> None:
    plain = CASES[name][f"anova_{kind}"]
    rows = corpus.at_mean(f"mixed/{name}", f"anova_{kind}_satterthwaite", plain)
    tests = [term.test for term in anova(linear_model(_fit(name)), kind)]
    if name == "no_intercept":  # lmerTest tests A at the first level of B (test_hypotheses.py)
        tests, rows = tests[1:], rows[1:]
    assert corpus.error([t.statistic for t in tests], corpus.column(rows, "F value")) < 1e-5
    assert corpus.error([t.den_df for t in tests], corpus.column(rows, "DenDF")) < 1e-5
    assert corpus.error([t.num_df for t in tests], corpus.column(rows, "NumDF")) == 0.0


@pytest.mark.parametrize("name", [n for n in CASES if CASES[n].get("emm")])
def test_marginal_means_with_covariates(name: str, corpus: Any) -> None:
    case = CASES[name]
    if name in LINEAR:
        frame = build_frame(pd.read_csv(FOLDER / case["data"]), parse_formula(case["formula"]))
        model = fit_ols(frame).model
    else:
        model = linear_model(_fit(name))
    for factor, rows in case["emm"].items():
        test = means_table(model, [factor]).test
        assert corpus.error(test.estimate, corpus.column(rows, "emmean")) < 1e-6
        assert corpus.error(test.se, corpus.column(rows, "SE")) < 1e-6
        assert corpus.error(test.df, corpus.column(rows, "df")) < 1e-5


@pytest.mark.parametrize("kind", ["I", "II", "III"])
@pytest.mark.parametrize("name", LINEAR)
def test_linear_anova(name: str, kind: Any, corpus: Any) -> None:
    case = CASES[name]
    frame = build_frame(pd.read_csv(FOLDER / case["data"]), parse_formula(case["formula"]))
    rows = corpus.at_mean(f"mixed/{name}", f"anova_{kind}", case[f"anova_{kind}"])
    rows = [r for r in rows if r[".row"] not in ("Residuals", "(Intercept)")]
    ours = [row["statistic"] for row in ols_anova(fit_ols(frame), kind)]
    assert corpus.error(ours, corpus.column(rows, "F value")) < 1e-9


@pytest.mark.parametrize("name", [n for n in MIXED if CASES[n].get("profile")])
def test_profile_intervals(name: str) -> None:
    case, fit = CASES[name], _fit(name)
    theirs = {}
    for row in case["profile"]:
        group = row[".row"].rpartition("|")[2] if "|" in row[".row"] else "Residual"
        theirs[frozenset(group.split(":"))] = (row["2.5 %"], row["97.5 %"])
    ours = profile_intervals(fit)
    assert len(ours) == len(theirs)
    for interval in ours:
        low, high = theirs[frozenset(interval.group.split(":"))]
        assert interval.low == pytest.approx(low, abs=1e-3 * interval.estimate)
        assert interval.high == pytest.approx(high, abs=1e-3 * interval.estimate)


@pytest.mark.parametrize("name", LOGISTIC)
def test_logistic(name: str, corpus: Any) -> None:
    case = CASES[name]
    weights = "size" if name == "cbpp" else None
    frame = build_frame(
        pd.read_csv(FOLDER / case["data"]), parse_formula(case["formula"]), weights=weights
    )
    fit = fit_logistic(frame)
    assert fit.converged
    assert fit.minus2ll < case["minus2ll"] + 1e-6
    assert np.abs((fit.beta - corpus.column(case["coef"], "Estimate")) / fit.se).max() < 1e-5
    assert corpus.error(fit.se, corpus.column(case["coef"], "Std. Error")) < 1e-4
    assert np.abs(fit.theta - np.atleast_1d(case["theta"])).max() < 1e-4
