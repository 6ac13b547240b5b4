"""The parts that stand beside the effects: robust companions, training, detectability, bounds."""

from __future__ import annotations

import copy
import csv
import io

import pytest

from ablatekit.analysis.core.lookup import comparisons
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.compose import compose
from ablatekit.report.document import Document, Section
from ablatekit.report.figures.render import svg
from ablatekit.report.formats.csv import effects_csv
from ablatekit.report.formats.html import render_page
from ablatekit.report.language.numbers import Scale
from ablatekit.report.language.reading import most_notable
from ablatekit.report.language.sentences import in_unit, say_all


def companions():
    """Rows for one factor, as the analysis has them."""
    place = {"factor": "rollouts", "level": "4"}
    steps = [0, 30, 60]
    return {
        "robust": {
            "method": statement("stratified_bootstrap", draws=2000, alpha=0.05),
            "iqm": [
                place | {"iqm": 0.5137, "low": 0.501, "high": 0.523, "n": 96, "reason": None},
                place
                | {"level": "1", "iqm": 0.4871, "low": 0.47, "high": 0.5, "n": 96, "reason": None},
            ],
            "improvement": [
                place
                | {"baseline": "1", "probability": 0.8371, "low": 0.78, "high": 0.89}
                | {"reason": None}
            ],
            "profiles": [
                place
                | {"level": level, "threshold": [0.3, 0.5, 0.7], "share": [1.0, half, 0.0],
                   "low": [1.0, half - 0.1, 0.0], "high": [1.0, half + 0.1, 0.05]}
                for level, half in (("1", 0.4), ("4", 0.6))
            ],
            "permutation": [
                place
                | {"p": 0.0134, "statistic": 0.024, "n_permutations": 9999, "exact": False,
                   "reason": None}
            ],
        },
        "effects_over_training": [
            place
            | {"step": step, "estimate": 0.0004 * step, "low": 0.0004 * step - 0.01,
               "high": 0.0004 * step + 0.01, "low_simultaneous": 0.0004 * step - 0.014,
               "high_simultaneous": 0.0004 * step + 0.014}
            for step in steps
        ],
        "milestones": [place | {"threshold": 0.4, "reached": 90, "runs": 96, "mean_step": 21.53}],
        "stability": [place | {"late_sd": 0.0117, "collapse_rate": 0.0313}],
        "detectable": [
            place
            | {"estimand": "average", "inference": "narrow", "replicates": count, "contexts": 6,
               "half_width": 0.012, "minimum_detectable": size, "power": 0.8, "reason": None}
            for count, size in ((2, 0.01731), (3, 0.01412))
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def accompanied(built_analysis):
    """The analysis with every companion."""
    analysis = copy.deepcopy(built_analysis)
    response = analysis["responses"]["learning"]
    response.update(companions())
    place = {"factor": "kl", "level": "k3"}
    response["missing"]["bounds"] = [place | {"low": -0.0811, "high": 0.0213, "reason": None}]
    response["missing"]["policies"] = [
        place | {"score": -0.0388, "worst": -0.0913, "exclude": -0.0117}
    ]
    response["anova"][0].update(partial_omega2_low=0.1234, partial_omega2_high=0.3456)
    for effect in response["effects"][:1]:
        effect["notes"] = [statement("assumes_order", order=2)]
    return analysis


@pytest.fixture(scope="module")
def page(accompanied, parse, page_without_figures):
    return parse(page_without_figures(accompanied))


def numbers(page, table):
    box = page.all("table", id=table)[0]
    return [
        float(text)
        for td in page.all("td")
        if td.inside(box)
        for name in ("data-value", "data-low", "data-high")
        if (text := td.attributes.get(name))
    ]


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ("robust-learning", [0.5137, 0.501, 0.523, 0.4871, 0.47, 0.5, 0.8371, 0.78, 0.89, 0.0134]),
        ("milestones-learning", [0.4, 90, 21.53]),
        ("stability-learning", [0.0117, 0.0313]),
        ("detectable-learning", [0.01731, 0.01412]),
        ("bounds-learning", [-0.0811, 0.0213]),
        ("policies-learning", [-0.0388, -0.0913, -0.0117]),
    ],
)
def test_tables_hold_the_analysis_bit_for_bit(page, table, wanted):
    assert numbers(page, table) == wanted


@pytest.mark.parametrize("figure", ["trend-learning-rollouts", "profile-learning-rollouts"])
def test_figures_over_training_and_profiles_are_drawn(accompanied, page, figure):
    assert page.all("figure", id=figure)
    pictures = {picture.id: picture for picture in compose(accompanied).pictures()}
    assert "<path" in svg(pictures[figure])


def test_notes_of_effects_and_intervals_of_shares_are_shown(page):
    table = page.all("table", id="estimands-learning")[0]
    assert "assumes no interaction above order 2" in table.parents[-2].text
    assert "[0.123, 0.346]" in page.all("table", id="anova-learning")[0].text
    assert "Agarwal" in page.all("section", id="methods")[0].text


def test_every_context_effect_is_in_the_table(page, built_analysis):
    table = numbers(page, "context-effects")
    wanted = [
        row[key]
        for response in built_analysis["responses"].values()
        for row in response["contexts"]
        for key in ("estimate", "low", "high", "se", "pairs")
    ]
    assert table == wanted


def test_the_most_notable_levels_keep_the_order_of_the_study(analysis):
    chosen = most_notable(analysis, 3)
    every = comparisons(analysis)
    assert len(chosen) == 3
    assert chosen == tuple(level for level in every if level in chosen)
    assert ("advantage", "batch_norm") in [(level.factor, level.level) for level in chosen]
    assert ("queries", "q64") not in [(level.factor, level.level) for level in chosen]
    assert most_notable(analysis, 99) == every


@pytest.mark.parametrize("code", ["verdict_rule", "gap_rule"])
def test_margins_are_written_in_the_shown_unit(code):
    rule = statement(code, alpha=0.05, smallest_effect=0.02)
    assert "+-0.02" in say_all([rule])
    assert "+-2 pp" in say_all(in_unit([rule], Scale(100.0, "pp", 1)))


def test_the_csv_holds_every_effect_at_full_precision(analysis):
    rows = list(csv.DictReader(io.StringIO(effects_csv(analysis))))
    parts = {name: part["effects"] for name, part in analysis["responses"].items()}
    parts["gap"] = analysis["comparisons"]["gap"]["effects"]
    effects = [(name, effect) for name, part in parts.items() for effect in part]
    for row, (name, effect) in zip(rows, effects, strict=True):
        assert (row["response"], row["level"]) == (name, effect["level"])
        for key in ("estimate", "se", "low", "high", "p_adjusted"):
            assert (float(row[key]) if row[key] else None) == effect[key]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_is_fixed_on_request(theme):
    empty = Document(title="t", question="", facts=[], sections=[Section("s", "S", "", [])])
    assert f'<html lang="en" data-theme="{theme}">' in render_page(empty, theme)
