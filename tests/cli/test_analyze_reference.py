"""Every case of the R corpora through `ablatekit analyze --json`, to the corpus' tolerances.

The means and contrasts of the mixed models in stats/ are left to the library, whose tests compare
each of them (tests/analysis/posthoc/test_reference.py); those in second/ go through the command.

Tolerances: criterion 1e-6 or lower; coefficients 1e-5 SE; SE, F, effect sizes, R2, LRT 1e-5; df and
variances 1e-4; p 1e-6 (Tukey 1e-5, exact Dunnett 1e-4); least squares 1e-9; meta-analysis 1e-6.
Looser ones, each for a reason in the reference:
- limits by `dunnettx`: emmeans solves for the critical value to 5e-4; by `tukey`: R's qtukey stops
  its secant search early, so least squares agree to 1e-6 SE;
- limits of eta2 and its like: effectsize minimises with Nelder-Mead (about 1e-5);
- Q-profile limits and Paule-Mandel's tau2: metafor's uniroot stops at 1.2e-4;
- ranova of sim_p2_crossed, (1 | model): lme4 stopped 1.6 above the lower value found here;
- r2_nakagawa and icc of sleep_indep leave the independent slope out (performance 0.10.2); the plain
  formula is matched; they are missing in R for singular fits;
- type III of aliased least squares: car falls back to treatment coding; its F are those of the
  plain coefficients (tests/analysis/posthoc/test_reference.py);
- type II and III of factors that interact with a covariate: lmerTest and car test them where the
  covariate is 0; compared with both on centred covariates (tests/reference/estimable);
- logistic fits: glmer stops up to 3e-8 above the lower value found here, so b agree to 1e-4 SE and
  its numerically differentiated covariance to 1e-3, p values accordingly to 5e-4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablatekit.cli.main import invoke

REFERENCE = Path(__file__).parents[1] / "reference"
BOOKS = {"stats": "reference_public.json", "second": "second.json"}
ADJUST = ("none", "holm", "bonferroni", "BH", "sidak", "tukey", "dunnettx")


@cache
def _book(folder: str) -> dict[str, Any]:
    text = (REFERENCE / folder / BOOKS[folder]).read_text(encoding="utf-8")
    cases: dict[str, Any] = json.loads(text)["cases"]
    return cases


@cache
def _at_mean() -> dict[str, Any]:
    text = (REFERENCE / "estimable" / "reference.json").read_text(encoding="utf-8")
    tables: dict[str, Any] = json.loads(text)["at_mean"]
    return tables


def _names(*kinds: str) -> list[tuple[str, str]]:
    return [
        (folder, name)
        for folder in BOOKS
        for name, case in _book(folder).items()
        if case["kind"] in kinds
    ]


class Case:
    """One reference case and the ways to ask `ablatekit analyze` for its values."""

    def __init__(self, folder: str, name: str, capsys: Any) -> None:
        self.folder, self.name, self.capsys = folder, name, capsys
        self.reference = _book(folder)[name]

    def __getitem__(self, key: str) -> Any:
        return self.reference[key]

    def get(self, key: str) -> Any:
        """The reference value; None where R had an error."""
        value = self.reference.get(key)
        return None if isinstance(value, dict) and "error" in value else value

    def anova(self, key: str, table: Any = None) -> Any:
        """The table of that name, with factors tested at the mean of covariates."""
        moved = _at_mean().get(f"{self.folder}/{self.name}", {})
        return moved.get(key, self.get(key) if table is None else table)

    def run(self, *options: str, formula: str | None = None) -> dict[str, Any]:
        data = str(REFERENCE / self.folder / self["data"])
        command = ["analyze", data, "--formula", formula or self["formula"], *options]
        if self.get("factors"):
            command += ["--categorical", ",".join(self["factors"])]
        if self.get("weights"):
            command += ["--weights", self["weights"]]
        if self.get("coding"):
            command += ["--coding", self["coding"]]
        self.capsys.readouterr()
        assert invoke([*command, "--json", "-"]) == 0, self.capsys.readouterr().err
        found = json.loads(self.capsys.readouterr().out)["responses"]
        response: dict[str, Any] = next(iter(found.values()))
        return response


@pytest.fixture
def case(request: Any, capsys: Any) -> Case:
    return Case(*request.param, capsys)


def over(*kinds: str, folders: Collection[str] = tuple(BOOKS)) -> Any:
    names = [(folder, name) for folder, name in _names(*kinds) if folder in folders]
    return pytest.mark.parametrize("case", names, indirect=True, ids=[n for _, n in names])


def column(rows: list[dict[str, Any]], *names: str) -> np.ndarray[Any, Any]:
    name = next(n for n in names if n in rows[0])
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)


def close(ours: Any, theirs: Any, tolerance: float, unit: Any = None) -> None:
    """Relative to `theirs`, or to `unit`; missing values must agree."""
    a, b = (np.array(x, dtype=float) for x in (ours, theirs))
    assert a.shape == b.shape
    assert np.array_equal(np.isnan(a), np.isnan(b))
    scale = np.abs(b) if unit is None else np.asarray(unit, dtype=float)
    gap = np.abs(a - b) / np.where(scale == 0.0, 1.0, scale)
    assert np.nanmax(gap, initial=0.0) <= tolerance


def check_coefficients(found: dict[str, Any], rows: list[dict[str, Any]], tight: float) -> None:
    own = found["fixed"]
    assert [row["term"] for row in own] == [row[".row"] for row in rows]
    se = column(rows, "Std. Error")
    close(column(own, "estimate"), column(rows, "Estimate"), tight, se)
    close(column(own, "se"), se, tight)
    close(
        column(own, "statistic"),
        column(rows, "t value"),
        10 * tight,
        1.0 + np.abs(column(rows, "t value")),
    )
    close(column(own, "p"), column(rows, "Pr(>|t|)"), 1e-6, 1.0)


def check_matrix(found: dict[str, Any], theirs: Any, tolerance: float) -> None:
    size = len(found["terms"])
    values = np.array(theirs, dtype=float).reshape(size, size)
    close(found["values"], values, tolerance, np.abs(values).max())


def check_effect_table(case: Case, blocks: dict[str, Any], tight: float, *options: str) -> None:
    """Marginal means and every family of contrasts under every adjustment."""
    means = [part for spec in blocks for part in ("--means", spec)]
    for adjust in ADJUST:
        found = case.run("--pairwise", "--adjust", adjust.lower(), *means, *options)
        for spec, block in blocks.items():
            for name, rows in block.items():
                kind, _, method = name.rpartition("_")
                if name in ("emmeans", "eff"):
                    kind, method = name, "none"
                if method == adjust:
                    own = _family(found, spec, kind)
                    _check_family(own, rows, tight, name, asymptotic="asymptotic" in options)


def _family(found: dict[str, Any], spec: str, kind: str) -> list[dict[str, Any]]:
    if kind == "emmeans":
        return [row for row in found["means"] if row["factor"] == spec]
    wanted = {"vs_baseline": "baseline", "eff": "mean"}.get(kind, kind)
    rows = found["contrasts"]
    return [row for row in rows if row["factor"] == spec and row["kind"] == wanted]


def _check_family(
    own: list[dict[str, Any]], rows: list[dict[str, Any]], tight: float, name: str, asymptotic: bool
) -> None:
    se = column(rows, "SE")
    close(
        column(own, "estimate"),
        column(rows, "emmean", "estimate"),
        tight,
        np.nan_to_num(se, nan=1.0),
    )
    close(column(own, "se"), se, tight)
    assert all((row["estimate"] is None) == bool(row["reason"]) for row in own)
    if not asymptotic:
        close(column(own, "df"), column(rows, "df"), 10 * tight)
    adjusted = name not in ("emmeans", "eff")
    p = column(own, "p_adjusted" if adjusted else "p")
    close(p, column(rows, "p.value"), 1e-5 if "tukey" in name else 1e-6, 1.0)
    low, high = ("low_simultaneous", "high_simultaneous") if adjusted else ("low", "high")
    unit = np.nan_to_num(se, nan=1.0)
    loose = 1e-3 if name.endswith("dunnettx") else max(10 * tight, 1e-6 * name.endswith("tukey"))
    close(column(own, low), column(rows, *_limit("lower")), loose, unit)
    close(column(own, high), column(rows, *_limit("upper")), loose, unit)


def _limit(side: str) -> tuple[str, str]:
    return f"{side}.CL", "asymp.LCL" if side == "lower" else "asymp.UCL"


def _method(case: Case) -> tuple[str, ...]:
    return ("--method", "reml" if case["REML"] else "ml")


@over("lmm")
def test_fit(case: Case) -> None:
    found = case.run(*_method(case), "--random-tests")
    model = found["model"]
    assert model["criterion"] < case["criterion"] + 1e-6
    assert model["converged"]
    assert model["singular"] == case["singular"]
    assert model["n"] == case["n"]
    dropped = case.get("dropped") or []
    aliased = [row["term"] for row in found["aliased"] if row["reason"]]
    assert aliased == ([dropped] if isinstance(dropped, str) else dropped)
    own = [found[key] for key in ("log_likelihood", "aic", "bic", "parameters")]
    close(own, [case[key] for key in ("logLik", "AIC", "BIC", "npar")], 1e-8)
    check_coefficients(found, case["coef"], 1e-5)
    close(column(found["fixed"], "df"), column(case["coef"], "df"), 1e-4)
    check_matrix(found["vcov"], case["vcov"], 1e-5)
    limits = [column(found["fixed"], side) for side in ("low", "high")]
    theirs = [column(case["ci_satt"], side) for side in ("lo", "hi")]
    close(limits, theirs, 1e-4, column(case["coef"], "Std. Error"))
    check_variances(found, case)
    check_joint(found, case.get("joint_satterthwaite"))
    check_random_effects(found, case)
    fitted = dict(zip(found["diagnostics"]["residuals"]["row"],
                      found["diagnostics"]["residuals"]["fitted"], strict=True))  # fmt: skip
    head = {row: value for row, value in enumerate(case["fitted_head"]) if row in fitted}
    close([fitted[row] for row in head], list(head.values()), 1e-5, case["sigma"])
    assert len(head) >= 5
    check_random_tests(found, case)


def check_theta(found: dict[str, Any], case: Case, tolerance: float) -> None:
    own = {_sorted_group(name): value for name, value in found["theta"].items()}
    theirs = {_sorted_group(name): value for name, value in case["theta"].items()}
    assert set(own) == set(theirs)
    close([own[name] for name in theirs], list(theirs.values()), tolerance, 1.0)


def _sorted_group(name: str) -> str:
    """lme4 names the group of `(1 | a/b)` b:a."""
    group, dot, rest = name.partition(".")
    return ":".join(sorted(group.split(":"))) + dot + rest


def check_variances(found: dict[str, Any], case: Case) -> None:
    close(found["residual_sd"], case["sigma"], 1e-5)
    check_theta(found, case, 1e-5)
    own = {
        (_sorted_group(r["group"]), r["name"], None): (r["variance"], r["sd"])
        for r in found["random"]
    }
    for row in found["correlations"]:
        key = (_sorted_group(row["group"]), row["name"], row["other"])
        own[key] = (row["covariance"], row["correlation"])
    rows = case["varcorr"]
    if rows[-1]["grp"] == "Residual":
        rows = rows[:-1]
    assert len(rows) == len(own)
    floor = 1e-2 * case["sigma"] ** 2
    for row in rows:
        # R makes the groups of two terms distinct: g:h becomes g.h and g.h.1
        plain = _sorted_group(re.sub(r"\.\d$", "", row["grp"]))
        dotted = _sorted_group(re.sub(r"\.\d$", "", row["grp"]).replace(".", ":"))
        keys = [(group, row["var1"], row["var2"]) for group in (plain, dotted)]
        variance, sd = next(own[key] for key in keys if key in own)
        close(variance, row["vcov"], 1e-4, max(abs(row["vcov"]), floor))
        if row["var2"] is None:
            close(sd, row["sdcor"], 1e-4, max(row["sdcor"], 0.1 * case["sigma"]))
        elif not case["singular"]:
            close(sd, row["sdcor"], 1e-4, 1.0)
    groups = {_sorted_group(row["group"]): row["levels"] for row in found["random"]}
    assert groups == {_sorted_group(group): size for group, size in case["ngrps"].items()}


def check_joint(found: dict[str, Any], rows: Any) -> None:
    if rows is None or "joint_test" not in found:
        return
    row = rows[0]
    own = found["joint_test"]
    close([own["statistic"], own["num_df"]], [row["F value"], row["NumDF"]], 1e-5)
    close(own["den_df"], row["DenDF"], 1e-4)
    close(own["p"], row["Pr(>F)"], 1e-6, 1.0)


def check_random_effects(found: dict[str, Any], case: Case) -> None:
    own = {}
    for block in found["random_effects"]:
        for name, modes in block["columns"].items():
            for level, mode in zip(block["levels"], modes, strict=True):
                own[_sorted_group(block["group"]), _sorted_group(level), name] = mode
    for group, rows in case["ranef"].items():
        for name in [key for key in rows[0] if key != ".row"]:
            ours = [own[_sorted_group(group), _sorted_group(row[".row"]), name] for row in rows]
            theirs = column(rows, name)
            close(ours, theirs, 1e-5, max(np.abs(theirs).max(), case["sigma"]))


def check_random_tests(found: dict[str, Any], case: Case) -> None:
    rows = case["ranova"][1:]
    assert len(found["random_tests"]) == len(rows)
    # lme4 expands (1 | a/b) from the inside, so rows are paired by their likelihoods
    tests = sorted(found["random_tests"], key=lambda own: own["log_likelihood"])
    rows = sorted(rows, key=lambda row: row["logLik"])
    if case.name == "sim_p2_crossed":
        tests, rows = found["random_tests"], case["ranova"][1:]
    for own, row in zip(tests, rows, strict=True):
        assert own["parameters"] == row["npar"]
        assert own["log_likelihood"] > row["logLik"] - 1e-6
        if (case.name, row[".row"]) != ("sim_p2_crossed", "(1 | model)"):
            close(own["log_likelihood"], row["logLik"], 1e-5, 1.0)
            close(own["p"], row["Pr(>Chisq)"], 1e-5, 1.0)
            assert own["df"] == row["Df"]


@over("lmm")
def test_kenward_roger(case: Case) -> None:
    if case.get("kr_df") is None:
        assert not case["REML"] or case.get("weights") or case["n"] > 700, "R gives it otherwise"
        return
    found = case.run("--df", "kenward-roger")
    check_matrix(found["vcov"], case["kr_vcov"], 1e-5)
    close(column(found["fixed"], "df"), np.atleast_1d(case["kr_df"]), 1e-4)
    joint = case.get("kr_joint")
    if joint is not None:
        own = found["joint_test"]
        close(own["statistic"], joint["Fstat"], 1e-5)
        close(own["den_df"], joint["ddf"], 1e-4)
        close(own["p"], joint["p.value"], 1e-6, 1.0)
        unscaled = own["sum_squares"] / own["num_df"] / found["residual_sd"] ** 2
        close(unscaled, joint["FstatU"], 1e-5)


@over("lmm")
def test_anova(case: Case) -> None:
    for df, suffix in (("satterthwaite", "satterthwaite"), ("kenward-roger", "kr")):
        for kind in ("I", "II", "III"):
            rows = case.anova(f"anova_{kind}_{suffix}")
            if not rows:
                continue
            found = case.run(*_method(case), "--df", df, "--anova-type", kind)["anova"]
            assert [row["term"] for row in found] == [row[".row"] for row in rows]
            pairs = {"statistic": "F value", "sum_squares": "Sum Sq", "mean_square": "Mean Sq",
                     "num_df": "NumDF"}  # fmt: skip
            for ours, theirs in pairs.items():
                close(column(found, ours), column(rows, theirs), 1e-5)
            close(column(found, "den_df"), column(rows, "DenDF"), 1e-4)
            close(column(found, "p"), column(rows, "Pr(>F)"), 1e-6, 1.0)
    sizes = case.get("effect_sizes")
    if sizes is not None and case.anova("anova_III_satterthwaite") == case.get(
        "anova_III_satterthwaite"
    ):
        found = case.run(*_method(case))["anova"]
        for name in ("eta2", "omega2", "epsilon2"):
            ours = column(found, f"partial_{name}")
            close(ours, column(sizes, f"{name}p"), 1e-5, np.maximum(ours, 1e-6))
            limits = column(found, f"partial_{name}_low"), column(found, f"partial_{name}_high")
            assert np.all((limits[0] >= 0.0) & (limits[0] <= limits[1]))


@over("lmm", folders=["second"])
def test_means_and_contrasts(case: Case) -> None:
    for df in ("satterthwaite", "kenward-roger", "asymptotic"):
        blocks = case.get(f"emm_{'kr' if df == 'kenward-roger' else df}")
        if blocks is not None:
            check_effect_table(case, blocks, 1e-5, *_method(case), "--df", df)


@over("lmm")
def test_explained_variance_and_likelihood_ratio(case: Case) -> None:
    found = case.run(*_method(case))["explained"]
    manual = case["r2_manual"]
    pairs = {"fixed_variance": "var_fixed", "random_variance": "var_random",
             "residual_variance": "var_resid", "marginal": "marginal",
             "conditional": "conditional"}  # fmt: skip
    for ours, theirs in pairs.items():
        close(found[ours], manual[theirs], 1e-5, max(abs(manual[theirs]), 1e-8))
    close(sum(row["share"] for row in found["shares"]), 1.0, 1e-12)
    nakagawa, icc = case.get("r2_nakagawa"), case.get("icc")
    if nakagawa and nakagawa.get("conditional") is not None and case.name != "sleep_indep":
        close(found["conditional"], nakagawa["conditional"], 1e-5)
        close(found["marginal"], nakagawa["marginal"], 1e-5, max(nakagawa["marginal"], 1e-8))
        close(found["icc"], icc["adjusted"], 1e-5)
        close(found["icc_unadjusted"], icc["unadjusted"], 1e-5)
    if case.get("lrt") is not None:
        ratio = case.run("--method", "ml", "--against", case["lrt_null"])["likelihood_ratio"]
        row = case["lrt"][1]
        close([ratio["statistic"], ratio["df"]], [row["Chisq"], row["Df"]], 1e-5)
        close(ratio["p"], row["Pr(>Chisq)"], 1e-6, 1.0)


@over("ols")
def test_least_squares(case: Case) -> None:
    found = case.run()
    check_coefficients(found, case["coef"], 1e-9)
    assert [row["term"] for row in found["aliased"]] == case["aliased"]
    own = [found["residual_sd"], found["explained"]["marginal"], found["explained"]["adjusted"],
           *(found[key] for key in ("log_likelihood", "aic", "bic", "residual_df"))]  # fmt: skip
    keys = ("sigma", "r2", "adj_r2", "logLik", "AIC", "BIC", "df_residual")
    close(own, [case[key] for key in keys], 1e-9)
    check_matrix(found["vcov"], case["vcov"], 1e-9)
    for kind in ("hc0", "hc1", "hc2", "hc3"):
        if case.get(kind) is not None:
            values = {"terms": found["vcov"]["terms"], "values": found["vcov_robust"][kind]}
            check_matrix(values, case[kind], 1e-9)
    limits = [column(found["fixed"], side) for side in ("low", "high")]
    rows = [row for row in case["confint"] if row["2.5 %"] is not None]
    theirs = [column(rows, "2.5 %"), column(rows, "97.5 %")]
    close(limits, theirs, 1e-9, column(case["coef"], "Std. Error"))


@over("ols")
@pytest.mark.parametrize("kind", ["I", "II", "III"])
def test_least_squares_anova(kind: str, case: Case) -> None:
    key = "anova_III_sumcontrasts" if kind == "III" else f"anova_{kind}"
    table = case.anova(key) if kind != "III" else case.anova("anova_III", case[key])
    rows = [r for r in table if r[".row"] not in ("Residuals", "(Intercept)")]
    found = case.run("--anova-type", kind)["anova"]
    assert [row["term"] for row in found] == [row[".row"] for row in rows]
    if not (kind == "III" and any(case["aliased"])):
        close(column(found, "statistic"), column(rows, "F value"), 1e-9)
        close(column(found, "sum_squares"), column(rows, "Sum Sq"), 1e-9)
        close(column(found, "p"), column(rows, "Pr(>F)"), 1e-9, 1.0)
    names = {"partial_eta2": ("eta2_partial", "Eta2_partial"), "eta2": ("eta2", "Eta2"),
             "partial_omega2": ("omega2_partial", "Omega2_partial"),
             "partial_epsilon2": ("epsilon2_partial", "Epsilon2_partial"),
             "cohens_f": ("cohens_f", "Cohens_f_partial")}  # fmt: skip
    for ours, (table, theirs) in names.items():
        sizes = case.get(f"{table}_type{len(kind)}")
        if sizes is None:
            continue
        close(column(found, ours), column(sizes, theirs), 1e-8, 1.0)
        close(column(found, f"{ours}_low"), column(sizes, "CI_low"), 1e-4, 1.0)
        if ours != "cohens_f":
            close(column(found, f"{ours}_high"), column(sizes, "CI_high"), 1e-4, 1.0)


@over("ols")
def test_least_squares_means(case: Case) -> None:
    if case.get("emm") is not None:
        check_effect_table(case, case["emm"], 1e-9)
    for factor, exact in (case.get("dunnett_exact") or {}).items():
        found = case.run("--means", factor, "--adjust", "mvt")
        own = _family(found, factor, "vs_baseline")
        if "error" in exact:
            assert all(row["reason"] for row in own)
            continue
        close(column(own, "p_adjusted"), np.atleast_1d(exact["p_exact"]), 1e-4, 1.0)


@over("glmm_binomial")
def test_logistic(case: Case) -> None:
    found = case.run("--family", "binomial")
    assert found["model"]["criterion"] < case["minus2ll"] + 1e-6
    assert found["model"]["converged"]
    rows = case["coef"]
    se = column(rows, "Std. Error")
    assert [row["term"] for row in found["fixed"]] == [row[".row"] for row in rows]
    close(column(found["fixed"], "estimate"), column(rows, "Estimate"), 1e-4, se)
    close(column(found["fixed"], "se"), se, 1e-3)
    close(column(found["fixed"], "p"), column(rows, "Pr(>|z|)"), 5e-4, 1.0)
    check_matrix(found["vcov"], case["vcov"], 1e-3)
    check_matrix(found["vcov_conditional"], case["vcov_rx"], 1e-4)
    check_theta(found, case, 1e-4)
    own = [row["variance"] for row in found["random"]]
    own += [row["covariance"] for row in found["correlations"]]
    close(sorted(own), sorted(row["vcov"] for row in case["varcorr"]), 1e-3, 1.0)
    if case.get("r2") is not None:
        close(found["explained"]["marginal"], case["r2"]["marginal"], 1e-4)
        close(found["explained"]["conditional"], case["r2"]["conditional"], 1e-4)
    for row in case.get("ame") or []:
        own_row = next(
            e
            for e in found["effects"]
            if (e["factor"], e["level"]) == (row["factor"], row["level"])
        )
        close(own_row["estimate"], row["estimate"], 1e-4)
        close(own_row["se"], row["se"], 1e-3)


@over("meta")
@pytest.mark.parametrize("test", ["z", "knha"])
@pytest.mark.parametrize("method", ["EE", "DL", "REML", "ML", "PM", "HE", "SJ"])
def test_meta_analysis(method: str, test: str, case: Case) -> None:
    reference = case.get(f"{method}_{test}")
    if reference is None:
        assert (method, test) == ("EE", "knha"), "only equal effects have no Knapp-Hartung test"
        return
    formula = f"{case['yi']} ~ {(case.get('mods') or '~1').strip('~')}"
    options = ["--variances", case["vi"], "--method", method.lower()]
    found = case.run(*options, *(["--df", "asymptotic"] if test == "z" else []), formula=formula)
    loose = 2e-3 if method == "PM" else 1e-6
    rows, meta = found["fixed"], found["meta"]
    pairs = {
        "beta": "estimate",
        "se": "se",
        "stat": "statistic",
        "p": "p",
        "ci_lb": "low",
        "ci_ub": "high",
    }
    for theirs, ours in pairs.items():
        close(
            column(rows, ours), np.atleast_1d(reference[theirs]), loose, np.abs(column(rows, ours))
        )
    pairs = {"tau2": "tau2", "se_tau2": "tau2_se", "I2": "i2", "H2": "h2", "QE": "q", "QEp": "q_p",
             "QM": "moderator_statistic", "QMp": "moderator_p", "R2": "r2",
             "pi_lb": "prediction_low", "pi_ub": "prediction_high"}  # fmt: skip
    for theirs, ours in pairs.items():
        if reference.get(theirs) is not None:
            close(meta[ours], reference[theirs], loose, max(abs(reference[theirs]), 1e-8))
    close(found["log_likelihood"], reference["logLik"], loose)
    if isinstance(reference.get("blup"), list):
        close(meta["blup"], column(reference["blup"], "pred"), loose)
        close(meta["blup_se"], column(reference["blup"], "se"), loose)
    limits = reference.get("confint_tau2")
    if isinstance(limits, list) and meta["tau2_low"] is not None:
        theirs = [limits[0]["ci.lb"], limits[0]["ci.ub"]]
        close([meta["tau2_low"], meta["tau2_high"]], theirs, 3e-4, np.maximum(theirs, 0.1))
