"""Every case of the R corpus, to the tolerances of its specification or tighter.

Looser ones, each for a reason in the reference:
- CI limits of `dunnettx`: emmeans solves for the critical value to 5e-4.
- eta2-type interval limits: effectsize minimises with Nelder-Mead (about 1e-5).
- Q-profile limits and Paule-Mandel's tau2: metafor's uniroot stops at 1.2e-4; ours solve the
  defining equation to 1e-9, which is tested instead.
- ranova of sim_p2_crossed, (1 | model): lme4 stopped 1.6 above the lower value found here.
- r2_nakagawa and icc of sleep_indep: performance 0.10.2 leaves the independent slope out; the plain
  formula (r2_manual) is matched.
- type III of sim_p2_blocks: for an aliased model car falls back to treatment coding; its F are
  those of the plain coefficients. Estimable hypotheses are compared with Goodnight's
  (test_hypotheses.py).
- type II and III of factors that interact with a covariate: lmerTest and car test them where the
  covariate is 0; compared with both on centred covariates (tests/reference/estimable).
- the logistic fit: glmer stopped 3e-8 above the lower value found here, so b agree to 1e-4 SE and
  its numerically differentiated covariance to 1e-3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ablatekit.analysis.engine.fit import MixedFit, fit_formula
from ablatekit.analysis.engine.formula import parse_formula
from ablatekit.analysis.engine.frame import build_frame
from ablatekit.analysis.engine.glmm import fit_logistic
from ablatekit.analysis.posthoc.anova import anova
from ablatekit.analysis.posthoc.coefficient_tests import LinearModel, linear_model
from ablatekit.analysis.posthoc.emm import contrast_table, means_table
from ablatekit.analysis.posthoc.likelihood import likelihood_ratio, random_term_tests
from ablatekit.analysis.posthoc.ols import fit_ols, ols_anova, robust_vcov
from ablatekit.analysis.posthoc.variance import variance_explained
from ablatekit.analysis.stats.effectsize import partial_size
from ablatekit.analysis.stats.meta import meta_analysis

_FITS: dict[str, MixedFit] = {}


@pytest.fixture
def fit_of(corpus: Any) -> Any:
    def fit(name: str) -> MixedFit:
        if name not in _FITS:
            case = corpus.case(name)
            method = "reml" if case["REML"] else "ml"
            _FITS[name] = fit_formula(
                corpus.table(case), case["formula"], method=method, weights=case.get("weights")
            )
        return _FITS[name]

    return fit


def test_lmm_fit(lmm_case: str, corpus: Any, fit_of: Any) -> None:
    case, fit = corpus.case(lmm_case), fit_of(lmm_case)
    p = len(fit.beta)
    assert fit.criterion < case["criterion"] + 1e-6
    assert list(fit.names) == list(case["fixef"])
    dropped = case.get("dropped") or []
    assert list(fit.frame.aliased) == ([dropped] if isinstance(dropped, str) else dropped)
    vcov = np.array(case["vcov"], dtype=float).reshape(p, p)
    se = np.sqrt(vcov.diagonal())
    assert np.abs((fit.beta - np.array(list(case["fixef"].values()))) / se).max() < 1e-6
    assert corpus.error(np.sqrt(fit.vcov.diagonal()), se) < 2e-6
    assert np.abs(fit.vcov - vcov).max() < 1e-5 * np.abs(vcov).max()
    assert np.abs(fit.theta - np.array(list(case["theta"].values()))).max() < 1e-5
    assert corpus.error(fit.sigma, case["sigma"]) < 1e-6
    components = [row["vcov"] for row in case["varcorr"]][:-1]
    ours = [component.variance for component in fit.components]
    assert corpus.error(ours, components, floor=1e-2 * case["sigma"] ** 2) < 1e-4
    likelihood = (fit.log_likelihood, fit.aic, fit.bic)
    assert corpus.error(likelihood, [case["logLik"], case["AIC"], case["BIC"]]) < 1e-9
    assert fit.parameters == case["npar"]
    assert fit.singular == case["singular"]
    assert fit.convergence.converged
    assert np.abs(fit.fitted()[:10] - case["fitted_head"]).max() < 1e-5 * case["sigma"]


def test_lmm_random_effects(lmm_case: str, corpus: Any, fit_of: Any) -> None:
    case, fit = corpus.case(lmm_case), fit_of(lmm_case)
    columns: dict[tuple[str, str], tuple[tuple[str, ...], Any]] = {}
    for effects in fit.random_effects():
        for j, name in enumerate(effects.names):
            columns[effects.group, name] = effects.levels, effects.modes[:, j]
    for group, rows in case["ranef"].items():
        for name in [key for key in rows[0] if key != ".row"]:
            levels, modes = columns[group, name]
            own = [modes[levels.index(row[".row"])] for row in rows]
            theirs = corpus.column(rows, name)
            assert np.abs(own - theirs).max() < 1e-5 * max(np.abs(theirs).max(), case["sigma"])


def test_lmm_coefficients(lmm_case: str, corpus: Any, fit_of: Any) -> None:
    case, fit = corpus.case(lmm_case), fit_of(lmm_case)
    model = linear_model(fit)
    test = model.coefficients
    p = len(fit.beta)
    assert corpus.error(test.df, corpus.column(case["coef"], "df")) < 1e-5
    assert np.abs(test.p - corpus.column(case["coef"], "Pr(>|t|)")).max() < 1e-6
    low, high = test.interval()
    limits = np.array([low, high])
    theirs = np.array([corpus.column(case["ci_satt"], "lo"), corpus.column(case["ci_satt"], "hi")])
    assert np.abs((limits - theirs) / test.se).max() < 1e-4
    if p > 1:
        joint, reference = model.joint(np.eye(p)[1:]), case["joint_satterthwaite"][0]
        assert corpus.error(joint.statistic, reference["F value"]) < 1e-5
        assert corpus.error(joint.den_df, reference["DenDF"]) < 1e-5
        assert abs(joint.p - reference["Pr(>F)"]) < 1e-6
    if "kr_df" not in case:
        return
    robust = linear_model(fit, "kenward-roger")
    vcov = np.array(case["kr_vcov"], dtype=float).reshape(p, p)
    assert np.abs(robust.vcov - vcov).max() < 1e-5 * np.abs(vcov).max()
    assert corpus.error(robust.coefficients.df, case["kr_df"]) < 1e-5
    if p > 1:
        joint, reference = robust.joint(np.eye(p)[1:]), case["kr_joint"]
        assert corpus.error(joint.statistic, reference["Fstat"]) < 1e-5
        assert corpus.error(joint.den_df, reference["ddf"]) < 1e-6
        assert abs(joint.p - reference["p.value"]) < 1e-6


def test_lmm_anova(lmm_case: str, corpus: Any, fit_of: Any) -> None:
    case, fit = corpus.case(lmm_case), fit_of(lmm_case)
    compared = 0
    for method, suffix in (("satterthwaite", "satterthwaite"), ("kenward-roger", "kr")):
        for kind in ("I", "II", "III"):
            key = f"anova_{kind}_{suffix}"
            rows = corpus.at_mean(f"stats/{lmm_case}", key, case.get(key))
            if not isinstance(rows, list):
                continue
            table = anova(linear_model(fit, method), kind)
            assert [term.term for term in table] == [row[".row"] for row in rows]
            tests = [term.test for term in table]
            ours = np.array([[t.statistic, t.den_df, t.sum_squares, t.num_df] for t in tests])
            for j, name in enumerate(("F value", "DenDF", "Sum Sq", "NumDF")):
                assert corpus.error(ours[:, j], corpus.column(rows, name)) < 1e-5
            assert np.abs([t.p for t in tests] - corpus.column(rows, "Pr(>F)")).max() < 1e-6
            compared += 1
    sizes = case.get("effect_sizes")
    if isinstance(sizes, list) and lmm_case != "cake_temp":  # whose recipe lmerTest tests at 0
        tests = [term.test for term in anova(linear_model(fit), "III")]
        for name, key in (("eta2", "eta2p"), ("omega2", "omega2p"), ("epsilon2", "epsilon2p")):
            ours = [partial_size(name, t.statistic, t.num_df, t.den_df) for t in tests]
            assert corpus.error(ours, corpus.column(sizes, key), floor=1e-6) < 1e-5
    assert compared > 0 or len(fit.beta) == 1


def _emm_family(model: LinearModel, factors: list[str], name: str) -> Any:
    if name == "emmeans":
        return means_table(model, factors)
    if name == "eff":
        return contrast_table(model, factors, "mean")
    kind, adjustment = name.rsplit("_", 1)
    kind = {"vs_baseline": "baseline"}.get(kind, kind)
    return contrast_table(model, factors, kind, adjustment=adjustment.lower())


def _check_emm(corpus: Any, model: LinearModel, blocks: dict[str, Any], tight: float) -> int:
    for spec, block in blocks.items():
        for name, rows in block.items():
            family = _emm_family(model, spec.split(":"), name)
            test = family.test
            se = np.nan_to_num(test.se, nan=1.0)
            estimate = corpus.column(rows, "estimate", "emmean")
            assert np.array_equal(np.isnan(test.estimate), np.isnan(estimate))
            assert all(
                (reason is None) != np.isnan(e)
                for reason, e in zip(family.reason, estimate, strict=True)
            )
            assert np.nanmax(np.abs(test.estimate - estimate) / se, initial=0.0) < tight
            assert corpus.error(test.se, corpus.column(rows, "SE")) < tight
            if model.method != "asymptotic":
                assert corpus.error(test.df, corpus.column(rows, "df")) < 10 * tight
            p = corpus.column(rows, "p.value")
            assert np.nanmax(np.abs(family.p - p), initial=0.0) < 1e-6
            loose = 1e-3 if name.endswith("dunnettx") else 10 * tight
            for side, limits in (("lower.CL", family.low), ("upper.CL", family.high)):
                theirs = corpus.column(
                    rows, side, side.replace("lower.", "asymp.L").replace("upper.", "asymp.U")
                )
                assert np.nanmax(np.abs(limits - theirs) / se, initial=0.0) < loose
    return len(blocks)


def test_lmm_marginal_means(lmm_case: str, corpus: Any, fit_of: Any) -> None:
    case, fit = corpus.case(lmm_case), fit_of(lmm_case)
    checked = 0
    for method, key in (
        ("satterthwaite", "emm_satterthwaite"),
        ("kenward-roger", "emm_kr"),
        ("asymptotic", "emm_asymptotic"),
    ):
        if key in case:
            checked += _check_emm(corpus, linear_model(fit, method), case[key], 1e-5)
    assert (checked > 0) == ("emm_satterthwaite" in case)


def test_lmm_variance_explained(lmm_case: str, corpus: Any, fit_of: Any) -> None:
    case, fit = corpus.case(lmm_case), fit_of(lmm_case)
    ours, manual = variance_explained(fit), case["r2_manual"]
    variances = (ours.fixed, ours.random, ours.residual, ours.marginal, ours.conditional)
    names = ("var_fixed", "var_random", "var_resid", "marginal", "conditional")
    assert corpus.error(variances, [manual[n] for n in names], floor=1e-9) < 1e-5
    nakagawa, icc = case["r2_nakagawa"], case["icc"]
    if nakagawa.get("conditional") is None or lmm_case == "sleep_indep":
        return
    theirs = [nakagawa["marginal"], nakagawa["conditional"]]
    assert corpus.error((ours.marginal, ours.conditional), theirs, floor=1e-9) < 1e-5
    theirs = [icc["adjusted"], icc["unadjusted"]]
    assert corpus.error((ours.icc_adjusted, ours.icc_unadjusted), theirs) < 1e-5


def test_lmm_likelihood_ratios(lmm_case: str, corpus: Any, fit_of: Any) -> None:
    case, fit = corpus.case(lmm_case), fit_of(lmm_case)
    rows = case["ranova"][1:]
    table = random_term_tests(fit)
    assert [test.parameters for test in table] == [row["npar"] for row in rows]
    for test, row in zip(table, rows, strict=True):
        assert test.log_likelihood > row["logLik"] - 1e-6
        if (lmm_case, row[".row"]) != ("sim_p2_crossed", "(1 | model)"):
            assert abs(test.log_likelihood - row["logLik"]) < 1e-6
            assert abs(test.p - row["Pr(>Chisq)"]) < 1e-6
    if "lrt" in case:
        data = corpus.table(case)
        small = fit_formula(data, case["lrt_null"], method="ml", weights=case.get("weights"))
        large = fit_formula(data, case["formula"], method="ml", weights=case.get("weights"))
        ratio, row = likelihood_ratio(small, large), case["lrt"][1]
        assert corpus.error(ratio.statistic, row["Chisq"]) < 1e-6
        assert ratio.df == row["Df"]
        assert abs(ratio.p - row["Pr(>Chisq)"]) < 1e-8


def _ols(corpus: Any, name: str) -> Any:
    case = corpus.case(name)
    return fit_ols(build_frame(corpus.table(case), parse_formula(case["formula"])))


def test_ols_fit(ols_case: str, corpus: Any) -> None:
    case, fit = corpus.case(ols_case), _ols(corpus, ols_case)
    p = len(fit.beta)
    test = fit.model.coefficients
    assert list(fit.frame.aliased) == case["aliased"]
    assert corpus.error(fit.beta, corpus.column(case["coef"], "Estimate")) < 1e-9
    assert corpus.error(test.se, corpus.column(case["coef"], "Std. Error")) < 1e-9
    assert np.abs(test.p - corpus.column(case["coef"], "Pr(>|t|)")).max() < 1e-10
    own = (fit.sigma, fit.r2, fit.adjusted_r2, fit.log_likelihood, fit.aic, fit.bic)
    names = ("sigma", "r2", "adj_r2", "logLik", "AIC", "BIC")
    assert corpus.error(own, [case[n] for n in names]) < 1e-10
    assert fit.df == case["df_residual"]
    for kind in ("hc0", "hc1", "hc2", "hc3"):
        theirs = np.array(case[kind], dtype=float).reshape(p, p)
        assert np.abs(robust_vcov(fit, kind) - theirs).max() < 1e-9 * np.abs(theirs).max()


def test_ols_anova(ols_case: str, corpus: Any) -> None:
    case, fit = corpus.case(ols_case), _ols(corpus, ols_case)
    keys = {"I": "anova_I", "II": "anova_II", "III": "anova_III_sumcontrasts"}
    for kind, key in keys.items():
        rows = [row for row in case[key] if row[".row"] not in ("Residuals", "(Intercept)")]
        table = ols_anova(fit, kind)
        assert [row["term"] for row in table] == [row[".row"] for row in rows]
        ours = {key: _column(table, key) for key in ("statistic", "sum_squares", "p")}
        if fit.frame.aliased and kind == "III":
            owners = np.array([fit.frame.columns.term[j] for j in fit.frame.kept])
            plain = [
                fit.model.joint(np.eye(len(fit.beta))[owners == position]).statistic
                for position in range(len(rows))
            ]
            assert corpus.error(plain, corpus.column(rows, "F values")) < 1e-9
            continue
        assert corpus.error(ours["statistic"], corpus.column(rows, "F value")) < 1e-9
        assert corpus.error(ours["sum_squares"], corpus.column(rows, "Sum Sq")) < 1e-9
        assert np.abs(ours["p"] - corpus.column(rows, "Pr(>F)")).max() < 1e-10


def _column(table: Any, key: str) -> Any:
    return np.array([row[key] for row in table], dtype=float)


@pytest.mark.parametrize("kind", ["II", "III"])
def test_ols_effect_sizes(kind: str, ols_case: str, corpus: Any) -> None:
    case, fit = corpus.case(ols_case), _ols(corpus, ols_case)
    number = len(kind)
    if f"eta2_type{number}" not in case:
        assert any(case["aliased"]), "only an aliased model has no effect sizes in R"
        return
    table = ols_anova(fit, kind)
    for key, theirs, column in (
        ("partial_eta2", "eta2_partial", "Eta2_partial"),
        ("eta2", "eta2", "Eta2"),
        ("partial_omega2", "omega2_partial", "Omega2_partial"),
        ("partial_epsilon2", "epsilon2_partial", "Epsilon2_partial"),
        ("cohens_f", "cohens_f", "Cohens_f_partial"),
    ):
        rows = case[f"{theirs}_type{number}"]
        assert corpus.error(_column(table, key), corpus.column(rows, column), 1e-9) < 1e-9
        ends = ("low",) if key == "cohens_f" else ("low", "high")
        for end in ends:
            limits = corpus.column(rows, f"CI_{end}")
            ours = np.nan_to_num(_column(table, f"{key}_{end}"))  # R: [0, 0] for an empty set
            assert corpus.error(ours, limits, 1e-2) < 1e-4


def test_ols_marginal_means(ols_case: str, corpus: Any) -> None:
    case, fit = corpus.case(ols_case), _ols(corpus, ols_case)
    checked = _check_emm(corpus, fit.model, case.get("emm") or {}, 1e-9)
    assert (checked > 0) == ("emm" in case)
    for factor, exact in (case.get("dunnett_exact") or {}).items():
        family = contrast_table(fit.model, [factor], "baseline", adjustment="mvt")
        assert np.abs(family.p - np.atleast_1d(exact["p_exact"])).max() < 2e-5


@pytest.mark.parametrize("test", ["z", "knha"])
@pytest.mark.parametrize("method", ["EE", "DL", "REML", "ML", "PM", "HE", "SJ"])
def test_meta_analysis(method: Any, test: Any, meta_case: str, corpus: Any) -> None:
    case = corpus.case(meta_case)
    reference = case.get(f"{method}_{test}")
    if reference is None:
        assert (method, test) == ("EE", "knha"), "only equal effects have no Knapp-Hartung test"
        return
    data = corpus.table(case)
    columns = data[[case["mods"].strip("~")]].to_numpy() if case["mods"] else None
    ours = meta_analysis(
        data[case["yi"]].to_numpy(), data[case["vi"]].to_numpy(),
        moderators=columns, method=method, test=test,
    )  # fmt: skip
    values = {
        "beta": ours.beta, "se": ours.se, "stat": ours.statistic, "p": ours.p, "ci_lb": ours.low,
        "ci_ub": ours.high, "tau2": ours.tau2, "se_tau2": ours.tau2_se, "I2": ours.i2,
        "H2": ours.h2, "QE": ours.q, "QEp": ours.q_p, "QM": ours.moderator_q,
        "QMp": ours.moderator_p, "logLik": ours.log_likelihood, "R2": ours.r2,
        "pi_lb": ours.prediction_low, "pi_ub": ours.prediction_high,
    }  # fmt: skip
    loose = 2e-3 if method == "PM" else 1e-7
    compared = 0
    for name, value in values.items():
        if reference.get(name) is not None:
            assert corpus.error(value, reference[name]) < loose, name
            compared += 1
    assert compared >= 14
    if isinstance(reference.get("blup"), list):
        assert corpus.error(ours.blup, corpus.column(reference["blup"], "pred")) < loose
        assert corpus.error(ours.blup_se, corpus.column(reference["blup"], "se")) < loose
    if ours.heterogeneity is not None and "confint_tau2" in reference:
        rows = reference["confint_tau2"]
        theirs = [rows[0]["ci.lb"], rows[0]["ci.ub"]]
        assert corpus.error(ours.heterogeneity.tau2, theirs, floor=0.1) < 3e-4


def test_paule_mandel_and_q_profile_solve_their_equations(meta_case: str, corpus: Any) -> None:
    from scipy import stats

    case = corpus.case(meta_case)
    data = corpus.table(case)
    y, v = data[case["yi"]].to_numpy(), data[case["vi"]].to_numpy()
    ours = meta_analysis(y, v, method="PM")

    def q(tau2: float) -> float:
        w = 1.0 / (v + tau2)
        return float((w * (y - (w * y).sum() / w.sum()) ** 2).sum())

    assert q(ours.tau2) == pytest.approx(len(y) - 1, abs=1e-9)
    assert ours.heterogeneity is not None
    low, high = ours.heterogeneity.tau2
    for tau2, quantile in ((low, 0.975), (high, 0.025)):
        if tau2 > 0.0:
            assert q(tau2) == pytest.approx(stats.chi2.ppf(quantile, len(y) - 1), abs=1e-9)


def test_logistic_mixed_model(corpus: Any) -> None:
    case = corpus.case("verbagg_glmm")
    fit = fit_logistic(build_frame(corpus.table(case), parse_formula(case["formula"])))
    vcov = np.array(case["vcov"], dtype=float).reshape(7, 7)
    se = np.sqrt(vcov.diagonal())
    assert fit.converged
    assert fit.minus2ll < case["minus2ll"] + 1e-6
    assert list(fit.names) == [row[".row"] for row in case["coef"]]
    assert np.abs((fit.beta - corpus.column(case["coef"], "Estimate")) / se).max() < 1e-4
    assert corpus.error(fit.se, se) < 1e-3
    conditional = np.array(case["vcov_rx"], dtype=float).reshape(7, 7)
    assert np.abs(fit.vcov_conditional - conditional).max() < 1e-5 * np.abs(conditional).max()
    assert np.abs(fit.theta - np.array(list(case["theta"].values()))).max() < 1e-5
