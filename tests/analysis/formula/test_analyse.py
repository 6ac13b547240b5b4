from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.model import AnovaRow, FixedRow, ModelRecord, RandomRow
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.formula.analyse import analyse_formula
from ablatekit.analysis.formula.options import FormulaOptions
from ablatekit.errors import NotEstimableError, TableError, UsageError


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [(c, a, b) for c in range(6) for a in range(2) for b in range(3) for _ in range(3)]
    c, a, b = (np.array(column) for column in zip(*rows, strict=True))
    y = 60 + rng.normal(0, 2, 6)[c] + 3.0 * a - 2.0 * (b == 2) + rng.normal(size=len(c))
    return pd.DataFrame(
        {"y": y, "a": np.where(a, "on", "off"), "b": np.char.add("b", b.astype(str)), "k": b,
         "ctx": np.char.add("c", c.astype(str)), "hit": (y > 60).astype(int), "w": 1.0}
    )  # fmt: skip


def test_one_response_with_the_keys_of_the_schema(table: pd.DataFrame) -> None:
    out = analyse_formula(table, "y ~ a * b + (1 | ctx) + (0 + a | ctx)")
    json.dumps(out, allow_nan=False)
    assert set(ModelRecord.__annotations__) <= set(out["model"])
    for key, row in (
        ("random", RandomRow),
        ("fixed", FixedRow),
        ("anova", AnovaRow),
        ("effects", Effect),
    ):
        assert out[key]
        assert all(_required(row) <= set(item) for item in out[key])
    assert out["model"]["converged"]
    assert [row["term"] for row in out["anova"]] == ["a", "b", "a:b"]
    kinds = [(e["factor"], e["level"], e["estimand"], e["inference"]) for e in out["effects"]]
    assert kinds == [
        ("a", "on", "average", "broad"),
        ("b", "b1", "average", "narrow"),
        ("b", "b2", "average", "narrow"),
        ("a:b", "on:b1", "interaction", "broad"),
        ("a:b", "on:b2", "interaction", "broad"),
    ]


def _required(row: Any) -> set[str]:
    return {key for key, kind in row.__annotations__.items() if "NotRequired" not in str(kind)}


def test_verdicts(table: pd.DataFrame) -> None:
    def sizes(**options: Any) -> list[str | None]:
        out = analyse_formula(table, "y ~ a + b + (1 | ctx)", FormulaOptions(**options))
        return [effect["size"] for effect in out["effects"]]

    assert sizes() == [None, None, None]
    assert sizes(smallest_effect=0.01) == ["by_more", None, "by_more"]
    assert sizes(smallest_effect=50.0) == ["less", None, "less"]

    def verdicts(**options: Any) -> list[str]:
        out = analyse_formula(table, "y ~ a + b + (1 | ctx)", FormulaOptions(**options))
        return [effect["verdict"] for effect in out["effects"]]

    def sizes(smallest: float) -> list[str | None]:
        options = FormulaOptions(smallest_effect=smallest)
        out = analyse_formula(table, "y ~ a + b + (1 | ctx)", options)
        return [effect["size"] for effect in out["effects"]]

    assert verdicts() == ["helps", "inconclusive", "hurts"]
    assert verdicts(direction="lower") == ["hurts", "inconclusive", "helps"]
    assert verdicts(smallest_effect=1.0) == ["helps", "equivalent", "hurts"]
    assert verdicts(smallest_effect=50.0) == ["helps", "equivalent", "hurts"]
    assert sizes(50.0) == ["less", None, "less"]


def test_holm_family_is_all_levels(table: pd.DataFrame) -> None:
    effects = analyse_formula(table, "y ~ a + b + (1 | ctx)")["effects"]
    p = np.array([e["p"] for e in effects])
    assert effects[1]["p_adjusted"] == pytest.approx(p.max())
    assert effects[int(p.argmin())]["p_adjusted"] == pytest.approx(3 * p.min())
    assert all(e["low_simultaneous"] < e["low"] < e["low_equivalence"] for e in effects)


def test_contrasts_pick_factor_and_baseline(table: pd.DataFrame) -> None:
    out = analyse_formula(table, "y ~ a + b + (1 | ctx)", FormulaOptions(contrasts=["b:b2"]))
    assert [(e["level"], e["baseline"]) for e in out["effects"]] == [("b0", "b2"), ("b1", "b2")]
    with pytest.raises(UsageError, match="has no such level; received zz"):
        analyse_formula(table, "y ~ a + b + (1 | ctx)", FormulaOptions(contrasts=["b:zz"]))
    with pytest.raises(UsageError, match="contrasts and means need a categorical variable"):
        analyse_formula(table, "y ~ a + k + (1 | ctx)", FormulaOptions(contrasts=["k"]))


def test_numeric_factor_by_option_or_wrapper(table: pd.DataFrame) -> None:
    one = analyse_formula(table, "y ~ k + (1 | ctx)", FormulaOptions(categorical=["k"]))
    two = analyse_formula(table, "y ~ C(k) + (1 | ctx)", FormulaOptions(contrasts=["C(k)"]))
    assert [e["estimate"] for e in one["effects"]] == [e["estimate"] for e in two["effects"]]
    assert len(analyse_formula(table, "y ~ k + (1 | ctx)")["fixed"]) == 2


def test_kenward_roger_and_ml(table: pd.DataFrame) -> None:
    out = analyse_formula(table, "y ~ a + (1 | ctx)", FormulaOptions(df="kenward-roger"))
    assert out["effects"][0]["method"] == statement("kenward_roger")
    assert out["fixed"][1]["df"] == pytest.approx(108 - 7, rel=1e-6)
    with pytest.raises(UsageError, match="Kenward-Roger needs a REML fit"):
        analyse_formula(table, "y ~ a + (1 | ctx)", FormulaOptions(method="ml", df="kenward-roger"))


def test_without_random_terms_it_is_least_squares(table: pd.DataFrame) -> None:
    out = analyse_formula(table, "y ~ a * b + ctx", FormulaOptions(contrasts=["a"]))
    assert out["model"]["method"] == statement("ols")
    assert "random" not in out
    assert out["fixed"][0]["df"] == 108 - 11
    shares = [row["share"] for row in out["anova"]]
    assert sum(shares) + out["residual_sd"] ** 2 * 97 / _total(table) == pytest.approx(1.0)


def _total(table: pd.DataFrame) -> float:
    return float(((table["y"] - table["y"].mean()) ** 2).sum())


def test_logistic_response(table: pd.DataFrame) -> None:
    out = analyse_formula(table, "hit ~ a + b + (1 | ctx)", FormulaOptions(family="binomial"))
    json.dumps(out, allow_nan=False)
    assert out["model"]["method"] == statement("laplace")
    assert out["unit"] == "fraction"
    assert out["fixed"][1]["df"] is None
    assert 0.0 < out["effects"][0]["estimate"] < 1.0
    compared = statement("baselines", factors=["a", "b"], levels=["off", "b0"])
    assert out["footers"]["effects"] == [statement("probability_effects"), compared]


def test_what_is_unusual_is_said(table: pd.DataFrame) -> None:
    table.loc[0, "y"] = np.nan
    holes = table[(table["a"] == "off") | (table["b"] != "b2")].assign(
        two=table["ctx"].isin(["c0"])
    )
    out = analyse_formula(holes, "y ~ a * b + (1 | two)")
    messages = out["model"]["messages"]
    assert statement("rows_left_out", rows=1) in messages
    assert statement("terms_aliased", terms=["aon:bb2"]) in messages
    assert statement("few_levels", groups=["two"], levels=[2]) in messages
    lost = [e for e in out["effects"] if e["reason"]]
    assert lost
    assert all(e["estimate"] is None and e["verdict"] == "not_estimated" for e in lost)


def test_singular_fit_is_flagged(table: pd.DataFrame) -> None:
    table["y"] -= table.groupby("ctx")["y"].transform("mean")
    out = analyse_formula(table, "y ~ a + (1 | ctx)")
    assert out["model"]["singular"]
    assert statement("singular", zero=["ctx (Intercept)"], perfect=[]) in out["model"]["messages"]


def test_a_singular_logistic_fit_is_flagged(table: pd.DataFrame) -> None:
    table["hit"] = np.tile([0, 1, 1], len(table) // 3)
    out = analyse_formula(table, "hit ~ a + (1 | ctx)", FormulaOptions(family="binomial"))
    assert out["model"]["singular"]
    assert statement("singular", zero=["ctx (Intercept)"], perfect=[]) in out["model"]["messages"]


@pytest.mark.parametrize(
    ("formula", "error", "message"),
    [
        ("y ~ a + (1 | nope)", TableError, "no such column; received nope"),
        ("w ~ a + (1 | ctx)", NotEstimableError, "the response is constant"),
        ("ctx ~ a", TableError, "a response must be numeric"),
    ],
)
def test_refusals(formula: str, error: type[Exception], message: str, table: pd.DataFrame) -> None:
    with pytest.raises(error, match=message):
        analyse_formula(table, formula)


def test_every_reference_case_from_its_csv(corpus: Any, baselines_first: Any) -> None:
    """From the CSV, factors named: criterion, coefficients, SE and df of the corpus."""
    compared = 0
    for name in corpus.names("lmm", "ols"):
        case = corpus.case(name)
        raw = baselines_first(corpus.folder / case["data"], case, typed=True)
        options = FormulaOptions(
            method="reml" if case.get("REML", True) else "ml",
            weights=case.get("weights"),
            categorical=list(case["factors"] or ()),
        )
        out = analyse_formula(raw, case["formula"], options)
        json.dumps(out, allow_nan=False)
        if case["kind"] == "lmm":
            assert out["model"]["criterion"] < case["criterion"] + 1e-6, name
            assert out["model"]["singular"] == case["singular"], name
            df = [row["df"] for row in out["fixed"]]
            assert df == pytest.approx(corpus.column(case["coef"], "df"), rel=1e-5)
        assert [row["term"] for row in out["fixed"]] == [row[".row"] for row in case["coef"]]
        se = [row["se"] for row in out["fixed"]]
        assert se == pytest.approx(corpus.column(case["coef"], "Std. Error"), rel=2e-6)
        compared += 1
    assert compared == 23


def test_limits_of_tau2_that_do_not_exist_are_null_with_the_reason(corpus: Any) -> None:
    data = pd.read_csv(corpus.estimable / "tau2-limits-empty-set.csv")
    out = analyse_formula(data, "yi ~ 1", FormulaOptions(variances="vi"))
    meta = out["meta"]
    assert (meta["tau2"], meta["tau2_low"], meta["tau2_high"]) == (0.0, None, None)
    assert (meta["i2_low"], meta["i2_high"]) == (None, None)
    assert meta["tau2_reason"] == statement("empty_q_profile")
    assert meta["tau2_reason"] in out["model"]["messages"]


def test_a_sampling_variance_of_zero_is_refused_by_its_row(corpus: Any) -> None:
    data = pd.read_csv(corpus.estimable / "zero-sampling-variance.csv")
    with pytest.raises(TableError) as refusal:
        analyse_formula(data, "yi ~ 1", FormulaOptions(variances="vi"))
    (problem,) = refusal.value.problems
    assert problem.rule == "sampling variances must be positive and finite"
    assert problem.received == "vi with 0 in row 2"


def test_a_row_without_trials_is_named_so() -> None:
    data = pd.DataFrame({"s": [1, 0, 2, 3], "f": [2, 0, 1, 1], "a": list("uvuv")})
    with pytest.raises(TableError, match="trials must be positive and finite"):
        analyse_formula(data, "cbind(s, f) ~ a", FormulaOptions(family="binomial"))


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_a_singular_fit_names_only_what_is_zero(scale: float) -> None:
    """Slopes in proportion to intercepts: nothing is zero, their correlation is 1, in any unit."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(8), 12)
    x = np.tile(np.linspace(0.0, 1.0, 12), 8)
    effect = rng.normal(size=8)[group]
    y = effect * (1.0 + x) + 2.0 * rng.normal(size=96)
    data = pd.DataFrame({"y": y, "x": x * scale, "g": group.astype(str)})
    out = analyse_formula(data, "y ~ x + (1 + x | g)")
    assert out["model"]["singular"]
    told = statement("singular", zero=[], perfect=["g (Intercept) and x"])
    assert told in out["model"]["messages"]


def test_a_random_slope_in_large_units_is_not_zero() -> None:
    rng = np.random.default_rng(5)
    group, inner = np.repeat(np.arange(10), 10), np.tile(np.arange(10), 10)
    x = rng.uniform(1e6, 2e6, 100)
    noise = rng.normal(size=(10, 10))
    noise -= noise.mean(axis=0)  # the groups h have the same mean
    y = 1e-6 * rng.normal(size=10)[group] * x + 0.05 * noise.ravel()
    data = pd.DataFrame({"y": y, "x": x, "g": group.astype(str), "h": inner.astype(str)})
    out = analyse_formula(data, "y ~ x + (0 + x | g) + (1 | h)")
    assert out["model"]["singular"]
    assert statement("singular", zero=["h (Intercept)"], perfect=[]) in out["model"]["messages"]


def test_the_first_level_in_the_table_is_the_baseline(table: pd.DataFrame) -> None:
    """Also where its first row is left out; declared categories and the formula may say another."""
    table = table.sort_values("b", ascending=False, kind="stable", ignore_index=True)
    table.loc[0, "y"] = np.nan
    table["declared"] = pd.Categorical(table["b"], ["b1", "b2", "b0"])

    def baseline(term: str, **options: Any) -> str:
        out = analyse_formula(table, f"y ~ {term} + (1 | ctx)", FormulaOptions(**options))
        (told,) = (s for s in out["footers"]["effects"] if s["code"] == "baselines")
        assert told["arguments"]["levels"] == [out["effects"][0]["baseline"]]
        return out["effects"][0]["baseline"]

    assert baseline("b") == "b2"
    assert baseline("C(k)") == "2"
    assert baseline("k", categorical=["k"]) == "2"
    assert baseline("declared") == "b1"
    assert baseline("C(b, Treatment('b0'))") == "b0"
    assert baseline("b", contrasts=["b:b1"]) == "b1"


def test_a_number_used_like_a_factor_is_pointed_out(table: pd.DataFrame) -> None:
    def told(formula: str, **options: Any) -> list[Any]:
        messages = analyse_formula(table, formula, FormulaOptions(**options))["model"]["messages"]
        return [m["arguments"] for m in messages if m["code"] == "numbers_like_levels"]

    table["seed"] = np.arange(len(table)) % 5
    table["share"] = table["seed"] / 10.0
    table["many"] = np.arange(len(table))
    assert told("y ~ a + k * seed") == [{"columns": ["k", "seed"], "counts": [3, 5]}]
    table["size"] = 32 + 32 * table["hit"]
    assert told("y ~ a + hit + share + many") == []
    assert told("y ~ a + size") == [{"columns": ["size"], "counts": [2]}]
    assert told("y ~ k + I(k^2)") == []
    assert told("y ~ k + seed", categorical=["k", "seed"]) == []
    assert told("y ~ a + (1 | seed)") == []


def test_satterthwaite_with_several_numerator_df_says_what_it_depends_on(
    table: pd.DataFrame,
) -> None:
    def told(formula: str, **options: Any) -> bool:
        footers = analyse_formula(table, formula, FormulaOptions(**options))["footers"]
        return statement("coding_of_satterthwaite") in footers.get("anova", [])

    assert told("y ~ b + (1 | ctx)")
    assert not told("y ~ a + (1 | ctx)")
    assert not told("y ~ b + (1 | ctx)", df="kenward-roger")
    assert not told("y ~ b")
