"""The page's own statistics against those of the analysis, in a browser."""

from __future__ import annotations

import math
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.student import t_quantile, two_sided, upper_tail
from ablatekit.analysis.stats.adjust import adjust_p
from ablatekit.analysis.stats.inference import Estimate, t_estimate
from ablatekit.analysis.stats.verdict import StepDown, judge, margin_p, rule_for, size, verdict

pytestmark = pytest.mark.full
DF = (1.0, 1.5, 2.0, 2.3, 5.0, 24.0, 96.7, 384.0, 1e4, 1e6, math.inf)
METHOD, REFUSED = statement("levels_t"), statement("no_replicates")


@pytest.fixture
def page(chromium: Any) -> Any:
    """An empty page with the statistics."""
    opened = chromium.new_page()
    source = files("ablatekit.report.formats") / "templates" / "statistics.js"
    opened.add_script_tag(content=source.read_text(encoding="utf-8"))
    yield opened
    opened.close()


def test_tails_are_the_analysis_to_the_smallest(page: Any) -> None:
    rng = np.random.default_rng(5)
    t = np.concatenate([10.0 ** rng.uniform(-6, 2, 400), [0.0, 1e-300, 37.0, 1e8, 1e200]])
    df = np.array([DF[place % len(DF)] for place in range(len(t))])
    wanted = two_sided(t, df)
    call = "([t, df]) => t.map((value, place) => statistics.twoSided(value, df[place]))"
    computed = np.array(page.evaluate(call, [t.tolist(), df.tolist()]))
    small = wanted < 1e-300
    assert computed[~small] == pytest.approx(wanted[~small], rel=1e-10)
    assert (computed[small] < 1e-299).all()
    assert wanted[~small].min() < 1e-200
    below = page.evaluate("statistics.upperTail(-1.2, 3)")
    assert below == pytest.approx(float(upper_tail(-1.2, 3.0)), rel=1e-12)


def test_quantiles_are_the_analysis(page: Any) -> None:
    tail = [1e-12, 1e-6, 2.5e-5, 0.0005, 0.005, 0.025, 0.05, 0.1, 0.2, 0.31, 0.49]
    pairs = [(p, df) for p in tail for df in DF]
    call = "(pairs) => pairs.map(([p, df]) => statistics.upperQuantile(p, df))"
    computed = page.evaluate(call, pairs)
    wanted = [-float(t_quantile(p, df)) for p, df in pairs]
    assert computed == pytest.approx(wanted, rel=1e-9)
    assert page.evaluate("statistics.upperQuantile(0.5, 3)") == 0
    assert math.isnan(page.evaluate("statistics.upperQuantile(0.7, 3)"))
    assert math.isnan(page.evaluate("statistics.upperQuantile(0.1, NaN)"))


@pytest.mark.parametrize("method", ["none", "holm", "bh", "bonferroni"])
def test_adjusted_p_values_are_the_analysis(page: Any, method: Any) -> None:
    rng = np.random.default_rng(8)
    for members in (1, 2, 7, 30):
        p = rng.uniform(0, 1, members) ** 4
        p[rng.uniform(size=members) < 0.2] = np.nan
        p[-1] = p[0]
        call = "([p, method, members]) => statistics.adjusted(p, method, members)"
        computed = page.evaluate(call, [p.tolist(), method, members])
        assert np.array(computed) == pytest.approx(adjust_p(p, method, members), nan_ok=True)


def random_row(rng: np.random.Generator, alpha: float) -> Estimate:
    """A tested row; now and then one that was refused, is the same runs, or has no error."""
    df = float(rng.choice(np.array(DF)))
    estimate, se = 0.04 * rng.normal(), 0.01 * float(np.exp(rng.normal()))
    match int(rng.integers(20)):
        case 0:
            return Estimate(method=METHOD, estimate=estimate, reason=REFUSED)
        case 1:
            return Estimate(method=METHOD, reason=statement("identical_runs"), identical=True)
        case 2:
            return t_estimate(estimate, 1e-300, 5.0, alpha, METHOD)
        case 3:
            return t_estimate(1e3 * estimate, se, df, alpha, METHOD)
    return t_estimate(estimate, se, df, alpha, METHOD)


def as_row(row: Estimate, p_adjusted: float) -> dict[str, Any]:
    """A row as the script has it."""
    judged = {
        "estimate": row.estimate, "se": row.se, "df": row.df, "p": row.p, "p_adjusted": p_adjusted,
        "parts": [],
    }  # fmt: skip
    fixed = "identical" if row.identical else "not_estimated" if row.reason else None
    return {**judged, "fixed": fixed} if fixed else judged


def judged_in(page: Any, family: list[Any], rule: Any, adjustment: str) -> list[Any]:
    """What the script makes of a family."""
    bounds = {
        "alpha": rule.alpha, "margin": rule.smallest_effect, "adjustment": adjustment,
        "rise": rule.rise, "fall": rule.fall,
    }  # fmt: skip
    return list(page.evaluate("([family, rule]) => statistics.judge(family, rule)",
                              [family, bounds]))  # fmt: skip


def check(computed: Any, row: Estimate, p_margin: float, words: tuple[Any, Any]) -> None:
    assert (computed["verdict"], computed["size"]) == words
    assert computed["marginPAdjusted"] == pytest.approx(p_margin, rel=1e-9, nan_ok=True)
    if row.reason is None:
        for name, value in (
            ("estimate", row.estimate), ("low", row.low), ("high", row.high),
            ("lowEquivalence", row.low_equivalence), ("highEquivalence", row.high_equivalence),
        ):  # fmt: skip
            assert computed[name] == pytest.approx(value, rel=1e-9, abs=1e-13)


def test_a_thousand_random_rows_get_the_analysis_verdicts(page: Any) -> None:
    rng = np.random.default_rng(2026)
    judged: dict[tuple[Any, Any], int] = {}
    rows = 0
    while rows < 1000:
        alpha = float(rng.choice([0.001, 0.01, 0.05, 0.1, 0.2]))
        margin = float(rng.choice([0.0, 0.01, 0.02, 0.05, np.nan]))
        adjustment = str(rng.choice(["none", "holm", "bh", "bonferroni"]))
        direction = str(rng.choice(["higher", "lower"]))
        rule = rule_for(direction, alpha, adjustment, None if np.isnan(margin) else margin)  # type: ignore[arg-type]
        family = [random_row(rng, alpha) for _ in range(int(rng.integers(1, 16)))]
        wanted = judge(family, rule)
        given = [as_row(row, own.p_adjusted) for row, own in zip(family, wanted, strict=True)]
        computed = judged_in(page, given, rule, adjustment)
        for got, row, own in zip(computed, family, wanted, strict=True):
            check(got, row, own.p_margin_adjusted, (own.verdict, own.size))
            judged[own.verdict, own.size] = judged.get((own.verdict, own.size), 0) + 1
        rows += len(family)
    assert {pair[1] for pair in judged} == {None, "by_more", "less", "open"}
    assert {"helps", "hurts", "equivalent", "inconclusive", "identical", "not_estimated"} == {
        pair[0] for pair in judged
    }


@pytest.mark.parametrize("adjustment", ["sidak", "tukey", "dunnettx", "mvt"])
def test_what_is_made_for_zero_only_gives_way_to_holm_for_the_margin(
    page: Any, adjustment: Any
) -> None:
    rng = np.random.default_rng(4)
    family = [random_row(rng, 0.05) for _ in range(12)]
    rule = rule_for("higher", 0.05, adjustment, 0.01)
    p_adjusted = rng.uniform(0, 0.1, 12)
    beyond = margin_p(family, 0.01, adjustment)
    given = [as_row(row, float(p)) for row, p in zip(family, p_adjusted, strict=True)]
    for got, row, p, margin in zip(
        judged_in(page, given, rule, adjustment), family, p_adjusted, beyond, strict=True
    ):
        direction = verdict(row, float(p), rule)
        check(got, row, float(margin), (direction, size(row, float(margin), direction, rule)))
    assert beyond == pytest.approx(StepDown("holm").beyond(family, 0.01), nan_ok=True)


def test_a_permutation_test_has_a_direction_and_no_size(page: Any) -> None:
    rule = rule_for("higher", 0.05, "holm", 0.02)
    rows = "family.map((row) => ({...row, se: NaN, df: NaN}))"
    family = [{"estimate": 0.5, "p": 0.001, "p_adjusted": 0.002, "parts": []}]
    bounds = {"alpha": 0.05, "margin": 0.02, "adjustment": "holm", "rise": rule.rise,
              "fall": rule.fall}  # fmt: skip
    call = f"([family, rule]) => statistics.judge({rows}, rule)"
    (judged,) = page.evaluate(call, [family, bounds])
    assert (judged["verdict"], judged["size"]) == ("helps", None)
