"""Narrow and broad inference against R, statsmodels, scipy, and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from ablatekit.analysis.cells.broad import over_contexts
from ablatekit.analysis.cells.cell_means import fit_cell_means
from ablatekit.analysis.cells.contrasts import effect_contrasts
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.values import ContextValues, RunValues
from ablatekit.analysis.stats.inference import narrow, smallest_count
from ablatekit.analysis.stats.verdict import VerdictRule, judge
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


def _effects(plan_and_tables):
    return analyse(*plan_and_tables, {}, [])["responses"]["y"]["effects"]


@pytest.mark.parametrize(
    ("case", "response", "factors", "tested"),
    [
        ("warpbreaks", "breaks", ("wool", "tension"), "tension"),
        ("warpbreaks", "breaks", ("wool", "tension"), "wool"),
        ("toothgrowth_unbal", "len", ("supp", "dose"), "dose"),
        ("toothgrowth_unbal", "len", ("supp", "dose"), "supp"),
    ],
)
def test_average_effects_equal_emmeans_of_r(
    reference, study, pick, case, response, factors, tested
):
    """emmeans' trt.vs.ctrl1: estimates, SE, df, p, Holm p and Bonferroni intervals."""
    expected = reference(case)
    baselines = {name: levels[0] for name, levels in expected["factors"].items()}
    plan, tables = study(expected["frame"], factors, responses=response, baselines=baselines)
    rows = analyse(plan, tables, {}, [])["responses"][response]["effects"]
    table = expected["emm"][tested]
    for plain, simultaneous in zip(
        table["vs_baseline_none"], table["vs_baseline_holm"], strict=True
    ):
        level = plain["contrast"].split(" - ")[0]
        row = pick(rows, factor=tested, level=level, estimand="average", inference="narrow")
        assert row["estimate"] == pytest.approx(plain["estimate"], rel=1e-9)
        assert row["se"] == pytest.approx(plain["SE"], rel=1e-9)
        assert row["df"] == plain["df"]
        assert row["p"] == pytest.approx(plain["p.value"], rel=1e-7)
        assert row["low"] == pytest.approx(plain["lower.CL"], rel=1e-9)
        assert row["high"] == pytest.approx(plain["upper.CL"], rel=1e-9)
        size = len(table["vs_baseline_none"])
        half = stats.t.ppf(1 - 0.025 / size, plain["df"]) * plain["SE"]
        assert simultaneous["upper.CL"] == pytest.approx(plain["estimate"] + half, rel=1e-9)


def test_holm_and_bonferroni_in_a_family_of_one_factor_equal_r(reference, study, pick):
    """With the other factor as the context, the family is tension alone, as in emmeans."""
    expected = reference("warpbreaks")
    plan, tables = study(
        expected["frame"], ("tension",), ("wool",), responses="breaks", baselines={"tension": "H"}
    )
    rows = analyse(plan, tables, {}, [])["responses"]["breaks"]["effects"]
    for theirs in expected["emm"]["tension"]["vs_baseline_holm"]:
        level = theirs["contrast"].split(" - ")[0]
        row = pick(rows, level=level, estimand="average", inference="narrow")
        assert row["p_adjusted"] == pytest.approx(theirs["p.value"], rel=1e-7)
        assert row["low_simultaneous"] == pytest.approx(theirs["lower.CL"], rel=1e-9)
        assert row["high_simultaneous"] == pytest.approx(theirs["upper.CL"], rel=1e-9)


def test_narrow_equals_a_contrast_of_the_saturated_least_squares_fit(factorial, study, pick):
    frame = factorial((2, 3), replicates=3, seed=4, mean=lambda a, b, m, _: a * b + m * a)
    frame = frame.drop(index=[0, 7, 20, 33])
    row = pick(
        _effects(study(frame, "AB", CONTEXTS)), factor="A", estimand="average", inference="narrow"
    )
    keys = [*"AB", *CONTEXTS]
    cell = frame[keys].agg("|".join, axis=1)
    result = smf.ols("y ~ 0 + cell", frame.assign(cell=cell)).fit()
    names = [name[5:-1].split("|") for name in result.model.exog_names]
    weights = np.array([{"l0": -1, "l1": 1}[name[0]] / 18 for name in names])
    expected = result.t_test(weights)
    assert row["estimate"] == pytest.approx(expected.effect.item(), rel=1e-9)
    assert row["se"] == pytest.approx(expected.sd.item(), rel=1e-9)
    assert row["df"] == result.df_resid
    assert row["p"] == pytest.approx(expected.pvalue.item(), rel=1e-7)
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected.conf_int()[0]))


@pytest.mark.parametrize("estimand", ["average", "baseline", "removal", "shapley"])
def test_broad_is_the_one_sample_t_of_per_level_values(factorial, study, pick, estimand):
    frame = factorial((2, 2), seed=2, mean=lambda a, b, m, d: a * (1 + m) + b * d + a * b * m)
    effects = _effects(study(frame, "AB", CONTEXTS))
    row = pick(effects, factor="A", estimand=estimand, scope=["model"])
    cells = frame.groupby([*CONTEXTS, "A", "B"])["y"].mean().unstack(["A", "B"])
    at = {b: cells["l1"][b] - cells["l0"][b] for b in ("l0", "l1")}
    values = {
        "average": (at["l0"] + at["l1"]) / 2,
        "baseline": at["l0"],
        "removal": at["l1"],
        "shapley": (at["l0"] + at["l1"]) / 2,
    }[estimand]
    values = values.groupby(level="model").mean()
    expected = stats.ttest_1samp(values, 0.0)
    interval = expected.confidence_interval(0.95)
    inner = expected.confidence_interval(0.90)
    assert row["estimate"] == pytest.approx(values.mean())
    assert row["df"] == 2
    assert row["p"] == pytest.approx(expected.pvalue)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert (row["low_equivalence"], row["high_equivalence"]) == pytest.approx(
        (inner.low, inner.high)
    )


def test_unequal_variances_give_baseline_effects_their_own_cells_error(factorial, study, pick):
    frame = factorial((2, 2), models=1, datasets=1, replicates=12, seed=1, sd=1.0)
    wide = (frame["A"] == "l1") & (frame["B"] == "l0")
    frame.loc[wide, "y"] *= 20
    plan, tables = study(frame, "AB", CONTEXTS)
    result = analyse(plan, tables, {}, [])["responses"]["y"]
    row = pick(result["effects"], factor="A", estimand="baseline", inference="narrow")
    base = frame.loc[(frame["A"] == "l0") & (frame["B"] == "l0"), "y"]
    expected = stats.ttest_ind(frame.loc[wide, "y"], base, equal_var=False)
    assert row["method"] == statement("welch_t")
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["df"] == pytest.approx(expected.df)
    interval = expected.confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    average = pick(result["effects"], factor="A", estimand="average", inference="narrow")
    assert average["method"] == statement("cell_means_t")
    assert result["footers"]["baseline"][-1]["code"] == "own_variances"


def test_few_contexts_refuse_broad_with_the_reason(factorial, study, pick):
    rows = _effects(study(factorial((2, 2), models=2), "AB", CONTEXTS))
    for scope in (["model"], ["dataset"], ["model", "dataset"]):
        row = pick(rows, factor="A", estimand="average", scope=scope)
        assert (row["se"], row["p"], row["verdict"]) == (None, None, "not_estimated")
        named = {"variable": scope[0], "levels": 2, "fewest": 3, "of_levels": 2}
        assert row["reason"] == statement("too_few_levels", **named)


def test_one_context_is_analysed_narrowly_only(factorial, study, pick):
    plan, tables = study(factorial((2, 2), models=1, datasets=1, replicates=4), "AB", CONTEXTS)
    result = analyse(plan, tables, {}, [])["responses"]["y"]
    narrow_row = pick(result["effects"], factor="A", estimand="average", inference="narrow")
    assert narrow_row["df"] == 12
    broad_row = pick(result["effects"], factor="A", estimand="average", inference="broad")
    assert broad_row["reason"] == statement("no_blocking_variable")
    codes = {row["reason"]["code"] for row in result["heterogeneity"]}
    assert codes == {"no_blocking_variable"}
    assert "context" not in {row["term"] for row in result["anova"]}


def test_a_constant_response_has_no_inference(factorial, study, pick):
    frame = factorial((2, 2)).assign(y=0.25)
    plan, tables = study(frame, "AB", CONTEXTS)
    result = analyse(plan, tables, {}, [])["responses"]["y"]
    for row in result["effects"]:
        assert row["estimate"] == 0.0
        assert row["se"] is None
        assert row["verdict"] == "not_estimated"
    first = pick(result["effects"], factor="A", estimand="average", inference="narrow")
    assert first["reason"] == statement("constant_response")
    assert [row["reason"] for row in result["anova"]] == [statement("no_response_varies")]


def test_identical_replicates_are_no_estimate_of_noise(factorial, study, pick):
    frame = factorial((2, 2), mean=lambda a, _, m, __: a + m, sd=0.0)
    row = pick(
        _effects(study(frame, "AB", CONTEXTS)), factor="A", estimand="average", inference="narrow"
    )
    assert row["estimate"] == pytest.approx(1.0)
    assert row["se"] is None
    assert row["reason"] == statement("identical_replicates")


def test_a_single_run_gives_reasons_and_no_numbers(factorial, study):
    frame = factorial((2, 2))
    frame.loc[frame.index[1:], "y"] = np.nan
    result = analyse(*study(frame, "AB", CONTEXTS), {}, [])
    assert result["counts"]["analysed"] == 1
    for row in result["responses"]["y"]["effects"]:
        assert row["estimate"] is None
        assert row["reason"]


def test_no_run_at_all_gives_reasons_and_no_numbers(factorial, study):
    frame = factorial((2, 2)).assign(y=np.nan)
    result = analyse(*study(frame, "AB", CONTEXTS), {}, [])
    assert result["counts"]["analysed"] == 0
    assert all(row["reason"] for row in result["responses"]["y"]["effects"])


@pytest.mark.parametrize("replicates", [2, 3, 5])
def test_replicates_needed_reach_the_smallest_effect_and_one_fewer_do_not(
    factorial, study, pick, replicates
):
    frame = factorial((2, 2), replicates=replicates, sd=0.3, seed=6)
    smallest = 0.11
    rows = _effects(study(frame, "AB", CONTEXTS, smallest=smallest))
    row = pick(rows, factor="A", estimand="average", inference="narrow")
    sd = row["se"] / np.sqrt(2 / (2 * 6 * replicates))

    def half_width(count):
        return stats.t.ppf(0.975, 24 * (count - 1)) * sd * np.sqrt(2 / (2 * 6 * count))

    needed = row["replicates_needed"]
    assert half_width(needed) <= smallest
    assert needed == 2 or half_width(needed - 1) > smallest


def test_contexts_needed_reach_the_smallest_effect_and_one_fewer_do_not(factorial, study, pick):
    frame = factorial((2, 2), sd=0.3, seed=6, mean=lambda a, _, m, __: a * m)
    row = pick(
        _effects(study(frame, "AB", CONTEXTS, smallest=0.4)),
        factor="A",
        estimand="average",
        scope=["model"],
    )
    sd = row["se"] * np.sqrt(3)
    half = [stats.t.ppf(0.975, n - 1) * sd / np.sqrt(n) for n in range(2, 1000)]
    assert row["contexts_needed"] == next(n for n, h in enumerate(half, 2) if n >= 3 and h <= 0.4)


def test_smallest_count_gives_up_on_the_impossible():
    assert smallest_count(lambda _: 1.0, 0.5) is None
    assert smallest_count(lambda n: 1.0 / n, 0.013) == 77


@pytest.fixture(scope="module")
def simulate(factorial, study):
    """The design 2 x 2 x 2 in 6 contexts, and a function from responses to average effects."""
    plan, _ = study(factorial((2, 2, 2)), "ABC", CONTEXTS)
    design = layout(plan)
    unit = np.array([design.units.index(run.unit) for run in plan.runs])
    label = [" / ".join(run.context.values()) for run in plan.runs]
    context = np.array([design.contexts.index(name) for name in label])
    names = tuple(run.run_id for run in plan.runs)
    contrasts = effect_contrasts(design, design.codes, "average")

    def estimate(y):
        model = fit_cell_means(RunValues(y, unit, context, names), design)
        return model.error, [model.evaluate(contrast) for contrast in contrasts]

    return estimate, design.unit_cells[unit][:, 0], context


def test_narrow_intervals_cover_the_effect_in_these_contexts(simulate):
    """95% intervals; contexts' own effects are fixed and differ."""
    estimate, on, context = simulate
    rng = np.random.default_rng(11)
    truth = np.linspace(-1.0, 2.0, 6)
    covered = []
    for _ in range(1500):
        error, values = estimate(truth[context] * on + rng.normal(size=len(on)))
        row = narrow(values[0], error, 0.05)
        covered.append(row.low <= truth.mean() <= row.high)
    assert 0.935 <= np.mean(covered) <= 0.965


def test_broad_tests_reject_a_true_zero_at_their_level(simulate):
    """Context effects drawn around zero: the t over contexts holds its 5%."""
    estimate, on, context = simulate
    rng = np.random.default_rng(12)
    p = []
    for _ in range(1500):
        _, values = estimate(rng.normal(size=6)[context] * on + rng.normal(size=len(on)))
        p.append(over_contexts(values[0], 0.05).p)
    assert 0.035 <= np.mean(np.array(p) < 0.05) <= 0.065


def test_family_wise_error_of_a_null_study_is_below_alpha(simulate):
    """Three factors without effect: any helps or hurts in the family, at Holm's 5%."""
    estimate, on, _ = simulate
    rng = np.random.default_rng(13)
    rule = VerdictRule(alpha=0.05, adjust="holm", smallest_effect=None)
    wrong = []
    for _ in range(1000):
        error, values = estimate(rng.normal(size=len(on)))
        family = judge([narrow(one, error, 0.05) for one in values], rule)
        wrong.append(any(row.verdict != "inconclusive" for row in family))
    assert 0.03 <= np.mean(wrong) <= 0.065


def test_broad_without_spread_is_refused():
    values = ContextValues(
        value=np.full(6, 0.5),
        factor=np.full(6, 0.1),
        single=np.full(6, 0.2),
        used=np.ones(6, dtype=bool),
        pairs=np.ones(6, dtype=np.int64),
        of_pairs=1,
    )
    reason = statement("same_in_every_level", variable="context")
    assert over_contexts(values, 0.05).reason == reason
