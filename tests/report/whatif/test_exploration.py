"""Other bounds and other choices on the page against the analysis, in a browser."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ablatekit.analysis.core.lookup import comparisons, find_effect
from ablatekit.analysis.core.student import t_quantile
from ablatekit.report.brief.headline import headline_sentences
from ablatekit.report.language.numbers import Scale, general
from ablatekit.report.sections.answer import questions

pytestmark = pytest.mark.full
REPORTS = Path(__file__).parents[3] / "reports"
SHIPPED = sorted(path.parent.name for path in REPORTS.glob("*/analysis.json"))
BOUNDS = [(0.001, 0.02), (0.01, 0.06), (0.2, 0.005), (0.05, 0.0), (0.1, 0.4)]
SHOWN = """({alpha, margins}) => {
  const outcome = whatif.judged({alpha, margins: margins ?? whatif.declared.margins});
  return whatif.data.questions.map((_, at) => whatif.data.levels.map(
    (_, level) => whatif.shown(outcome, at, level)));
}"""


def committed(name: str) -> Any:
    return json.loads((REPORTS / name / "analysis.json").read_text())


def assert_equal(shown: Any, analysis: Any) -> int:
    """Every verdict, size and limit that the script shows is the analysis'; how many."""
    checked = 0
    for question, of_question in zip(questions(analysis), shown, strict=True):
        for level, rows in zip(comparisons(analysis), of_question, strict=True):
            for inference, row in zip(("narrow", "broad"), rows, strict=True):
                wanted = find_effect(question.effects, level, inference)  # type: ignore[arg-type]
                if row is None or wanted is None:
                    continue
                assert (row["verdict"], row["size"]) == (wanted["verdict"], wanted["size"])
                if wanted["low"] is not None:
                    for name in ("estimate", "low", "high"):
                        assert row[name] == pytest.approx(wanted[name], rel=1e-9, abs=1e-13)
                checked += 1
    return checked


@pytest.mark.parametrize("name", SHIPPED)
def test_at_the_declared_bounds_a_committed_report_is_as_printed(scripts: Any, name: str) -> None:
    analysis = committed(name)
    page = scripts(analysis)
    shown = page.evaluate(SHOWN, {"alpha": page.evaluate("whatif.declared.alpha")})
    assert assert_equal(shown, analysis) >= 2 * len(comparisons(analysis))
    assert page.evaluate("whatif.headline(whatif.declared)") == headline_sentences(analysis)[0]


def test_at_the_declared_bounds_a_study_is_as_printed(
    scripts: Any, analysed_study: Any, study_name: str
) -> None:
    for margin in (None, 0.02):
        analysis = analysed_study(study_name, margin=margin)
        page = scripts(analysis)
        assert assert_equal(page.evaluate(SHOWN, {"alpha": 0.05}), analysis) > 0
        assert page.evaluate("whatif.headline(whatif.declared)") == headline_sentences(analysis)[0]


@pytest.mark.parametrize(("alpha", "margin"), BOUNDS)
def test_other_bounds_give_what_an_analysis_with_them_gives(
    scripts: Any, analysed_study: Any, study_name: str, alpha: float, margin: float
) -> None:
    """Also where no smallest effect was declared: one may be tried."""
    wanted = analysed_study(study_name, alpha=alpha, margin=margin)
    for declared in (0.02, None):
        page = scripts(analysed_study(study_name, margin=declared))
        bounds = {"alpha": alpha, "margins": [margin]}
        assert assert_equal(page.evaluate(SHOWN, bounds), wanted) > 0
        spoken = page.evaluate("(bounds) => whatif.headline(bounds)", bounds)
        assert spoken == headline_sentences(wanted)[0]


def test_a_gap_has_the_smaller_of_two_margins(scripts: Any, analysed_study: Any) -> None:
    page = scripts(analysed_study("one scope", margins=(0.02, 0.01)))
    for margins in ([0.02, 0.01], [0.004, 0.03], [0.0, 0.2], [0.03, 0.03]):
        wanted = analysed_study("one scope", margins=margins)
        shown = page.evaluate(SHOWN, {"alpha": 0.05, "margins": margins})
        assert assert_equal(shown, wanted) > 0
    one = scripts(analysed_study("one scope", margins=(0.02, None)))
    wanted = analysed_study("one scope", margins=(0.02, None))
    assert assert_equal(one.evaluate(SHOWN, {"alpha": 0.05}), wanted) > 0


@pytest.mark.parametrize(("alpha", "margin"), [(0.05, 0.02), (0.01, 0.06), (0.2, 0.005)])
def test_formulas_are_judged_alike(
    scripts: Any, fitted_formula: Any, formula_name: str, alpha: float, margin: float
) -> None:
    wanted = fitted_formula(formula_name, alpha=alpha, smallest_effect=margin)
    page = scripts(fitted_formula(formula_name, smallest_effect=0.02))
    bounds = {"alpha": alpha, "margins": [margin]}
    assert assert_equal(page.evaluate(SHOWN, bounds), wanted) > 0
    spoken = page.evaluate("(bounds) => whatif.headline(bounds)", bounds)
    assert spoken == headline_sentences(wanted)[0]
    assert page.evaluate("whatif.choosing") is None


PREDICT = """([response, place, other, alpha]) =>
  whatif.choosing.predict(response, place, other, alpha)"""


def assert_limits(known: Any, wanted: Any, alpha: float) -> None:
    """A prediction is the analysis' estimate with its interval at 1 - alpha."""
    assert known["estimate"] == wanted["estimate"]
    if wanted["se"] is None:
        assert known["low"] != known["low"]
        return
    half = float(t_quantile(1 - alpha / 2, wanted["df"])) * wanted["se"]
    limits = (wanted["estimate"] - half, wanted["estimate"] + half)
    if alpha == 0.05:
        assert limits == pytest.approx((wanted["low"], wanted["high"]), rel=1e-9)
    assert (known["low"], known["high"]) == pytest.approx(limits, rel=1e-9, abs=1e-13)


def assert_cells(page: Any, analysis: Any) -> int:
    """Every cell's mean and gain, here and at a new level, are the analysis'; how many."""
    choices = page.evaluate("whatif.data.choices")
    if choices is None:
        return 0
    names = [factor["name"] for factor in analysis["design"]["factors"]]
    checked = 0
    for at, shown in enumerate(choices["responses"]):
        response = list(analysis["responses"].values())[shown["question"]]
        for row, alpha in itertools.product(response["cells"]["rows"], (0.05, 0.2)):
            levels = [list(map(str, factor["levels"])) for factor in analysis["design"]["factors"]]
            place = [
                known.index(row["levels"][name]) for known, name in zip(levels, names, strict=True)
            ]
            told = page.evaluate(PREDICT, [at, place, None, alpha])
            assert_limits(told["mean"], row, alpha)
            if row["gain"] is None:
                assert told.get("gain") is None
                continue
            assert_limits(told["gain"], row["gain"], alpha)
            for known, every in ((told["next"], row["new"]), (told["gainNext"], row["gain_new"])):
                new = [one for one in every if one["low"] is not None]
                if new:
                    assert_limits(known, max(new, key=lambda one: len(one["scope"])), alpha)
                else:
                    assert "estimate" not in known
                    assert known["why"]
            checked += 1
    return checked


@pytest.mark.parametrize("name", SHIPPED)
def test_predictions_of_a_committed_report_are_its_cells(scripts: Any, name: str) -> None:
    analysis = committed(name)
    cells = [part["cells"]["rows"] for part in analysis["responses"].values() if "cells" in part]
    assert (assert_cells(scripts(analysis), analysis) > 0) == bool(cells)


def test_predictions_of_a_study_are_its_cells(
    scripts: Any, analysed_study: Any, study_name: str
) -> None:
    analysis = analysed_study(study_name)
    assert assert_cells(scripts(analysis), analysis) > 0


def test_two_cells_are_compared_as_a_gain_is(scripts: Any, analysed_study: Any) -> None:
    """With the baseline as the other cell, the difference is the gain."""
    page = scripts(analysed_study("two scopes"))
    for place in ([1, 0], [0, 2], [1, 2]):
        gain = page.evaluate(PREDICT, [0, place, None, 0.05])["gain"]
        other = page.evaluate(PREDICT, [0, place, [0, 0], 0.05])
        for name in ("estimate", "low", "high"):
            assert other["gain"][name] == pytest.approx(gain[name], rel=1e-9)
        assert "estimate" not in other["gainNext"]
    assert page.evaluate(PREDICT, [0, [1, 1], [1, 1], 0.05])["same"] is True


def test_cells_of_other_contexts_are_not_compared(scripts: Any, analysed_study: Any) -> None:
    page = scripts(analysed_study("holes"))
    assert page.evaluate(PREDICT, [0, [2, 2], None, 0.05]) is None
    told = page.evaluate(PREDICT, [0, [1, 1], [2, 1], 0.05])
    assert "estimate" not in told["gain"]
    assert told["gain"]["why"]


def test_numbers_are_written_as_the_report_writes_them(scripts: Any, analysed_study: Any) -> None:
    page = scripts(analysed_study("one scope"))
    values = [
        0.0, -0.0, 0.5, 1.5, 2.5, -2.5, 0.125, 0.0625, -0.0625, 1234567.891, -0.0004, 1e-9, 6.25,
        99.95, 12.345, -1e-13, 3.0000000001, 1e16, 123456.5, 0.00012344999,
    ]  # fmt: skip
    scales = [Scale(100.0, "pp", 1), Scale(1.0, "", 0), Scale(1.0, "x", 3), Scale(1.0, "x", 9)]
    call = """([scale, values]) => values.map((value) =>
      [whatif.plain(scale, value), whatif.effect(scale, value)])"""
    for scale in scales:
        shown = page.evaluate(call, [[scale.factor, scale.unit, scale.decimals], values])
        assert shown == [[scale.plain(value), scale.effect(value)] for value in values]
    general_of = "(values) => values.map((value) => whatif.general(value))"
    assert page.evaluate(general_of, values) == [general(value) for value in values]
