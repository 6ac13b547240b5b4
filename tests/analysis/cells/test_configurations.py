"""Configurations against R: Dunnett, Hsu and Welch, lost cells, and the answer on the baseline."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ablatekit.analysis.cells.configurations import configurations
from ablatekit.analysis.cells.effects import fit
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.stats.verdict import rule_for
from ablatekit.analysis.table import plan_from_table
from ablatekit.analysis.tables.responses import respond

FOLDER = Path(__file__).parents[2] / "reference" / "answer_table"
REFERENCE = json.loads((FOLDER / "simultaneous.json").read_text())
TABLES = json.loads((FOLDER / "tables.json").read_text())
NUMBERS = ("estimate", "se", "df", "p", "low", "high")


def close(value):
    return pytest.approx(value, rel=1e-8, abs=1e-10)


@pytest.fixture
def compare(response):
    """The section of a table, from its factors to its answers on the baseline."""

    def build(frame, factors, contexts=(), baselines=None, *, smallest=0.2, **options):
        planned = response("y", smallest_effect=smallest)
        plan, tables = plan_from_table(frame, [planned], factors, contexts, baselines or {})
        design = layout(plan)
        values = respond(planned, tables, design, "score").values  # noqa: PD011
        rule = rule_for(options.get("direction", "higher"), 0.05, "holm", smallest)
        inferences = ("narrow", "broad") if contexts else ("narrow",)
        return configurations(fit(values, design, 2), "y", rule, inferences)

    return build


@pytest.fixture
def section_of(compare):
    def build(name, contexts=(), **options):
        frame = pd.read_csv(FOLDER / "data" / f"{name}.csv")
        return compare(frame, ["cell"], contexts, {"cell": "base"}, **options)

    return build


def by_cell(section, inference="narrow", scope=()):
    return {
        row["levels"]["cell"]: row
        for row in section["rows"]
        if row["inference"] == inference and tuple(row["scope"]) == tuple(scope)
    }


@pytest.mark.parametrize(("name", "contexts"), [("one_way", []), ("crossed", ["context"])])
def test_dunnett_and_hsu_agree_with_r(section_of, name, contexts):
    expected = REFERENCE[name]
    section = section_of(f"{name}_cells", contexts)
    rows = by_cell(section)
    assert section["baseline"] == {"cell": "base"}
    assert rows.keys() == {row["cell"] for row in expected["rows"]}
    limits = {row["cell"]: row for row in expected["best_limits"]}
    assert section["baseline_may_be_best"] is False
    assert section["baseline_best_low"] == pytest.approx(limits["base"]["low"], abs=1e-7)
    assert section["baseline_best_high"] == 0.0
    may_be_best = {row["cell"]: row["may_be_best"] for row in expected["best_higher"]}
    for reference in expected["rows"]:
        row = rows[reference["cell"]]
        for key in ("estimate", "se", "df"):
            assert row[key] == close(reference[key])
        assert row["p_adjusted"] == pytest.approx(reference["p_two_sided"], abs=1e-8)
        half = expected["critical_two_sided"] * reference["se"]
        assert row["high_simultaneous"] == pytest.approx(reference["estimate"] + half, abs=1e-7)
        assert row["low_simultaneous"] == pytest.approx(reference["estimate"] - half, abs=1e-7)
        one, two = (reference[f"p_margin_{sides}_sided"] for sides in ("one", "two"))
        assert one - 1e-9 <= row["p_margin_adjusted"] <= two + 1e-9
        assert row["may_be_best"] == may_be_best[reference["cell"]]
        for key in ("low", "high"):
            assert row[f"best_{key}"] == pytest.approx(limits[reference["cell"]][key], abs=1e-7)


def test_lower_is_better_turns_the_best_around(section_of):
    section = section_of("one_way_cells", direction="lower")
    expected = {row["cell"]: row["may_be_best"] for row in REFERENCE["one_way"]["best_lower"]}
    for cell, row in by_cell(section).items():
        assert row["may_be_best"] == expected[cell]
    gains = {cell: row["high_simultaneous"] for cell, row in by_cell(section).items()}
    assert section["suffices"][0]["bound"] < max(gains.values())


def test_cells_that_lie_in_different_contexts_have_a_conservative_p(section_of):
    """Their correlations are no products: p lies a little above that of mvtnorm."""
    section = section_of("holes_cells", ["context"])
    rows = by_cell(section)
    for reference in REFERENCE["holes"]["rows"]:
        row = rows[reference["cell"]]
        assert row["estimate"] == close(reference["estimate"])
        assert row["se"] == close(reference["se"])
        exact = reference["p_two_sided_genz"]
        assert exact - 2e-5 <= row["p_adjusted"] <= 1.03 * exact
    half = rows["a"]["high_simultaneous"] - rows["a"]["estimate"]
    critical = REFERENCE["holes"]["critical_two_sided_genz"]
    assert critical - 1e-3 < half / rows["a"]["se"] < critical + 0.01
    assert [note["code"] for note in section["notes"]] == ["dunnett_family", "dunnett_bound"]


def test_unequal_variances_give_welch_with_holm_and_no_best(section_of):
    section = section_of("unequal_variances", ["context"])
    rows = by_cell(section)
    for reference in REFERENCE["welch"]["rows"]:
        row = rows[reference["cell"]]
        for key in ("estimate", "se", "df", "p", "p_adjusted"):
            assert row[key] == close(reference[key])
        assert row["method"]["code"] == "welch_t"
        assert row["may_be_best"] is None
    assert section["best_reason"]["code"] == "best_needs_equal_variances"
    assert [note["code"] for note in section["notes"]] == ["welch_family"]


def reference_rows(expected):
    varying = {name for row in expected["rows"] for name in row.get("parts", {})} - {"crossed"}
    contexts = expected["contexts"]
    names = [contexts] if isinstance(contexts, str) else contexts
    scopes = {"narrow": (), "both": tuple(name for name in names if name in varying)}
    scopes |= {name: (name,) for name in names}
    return names, {
        (row["level"], scopes[row["scope"]]): row
        for row in expected["rows"]
        if row["estimand"] == "configuration"
    }


@pytest.mark.parametrize("name", sorted(TABLES))
def test_configurations_of_factorial_tables_agree_with_r(compare, name):
    expected = TABLES[name]
    frame = pd.read_csv(FOLDER / "data" / f"{name}.csv", dtype=dict.fromkeys("ABC", str))
    names, references = reference_rows(expected)
    margin = expected["smallest_effect"]
    section = compare(frame, expected["factors"], names, expected["baselines"], smallest=margin)
    welch = any(row["method"]["code"] == "welch_t" for row in section["rows"])
    compared = 0
    for row in section["rows"]:
        label = "|".join(row["levels"][factor] for factor in expected["factors"])
        reference = references.get((label, tuple(row["scope"])))
        if reference is None:
            assert row["p"] is None
            continue
        compared += 1
        own = welch and row["inference"] == "narrow"
        numbers = {**reference, **reference["welch"]} if own else reference
        for key in ("estimate", "se", "df") if own else NUMBERS:
            assert row[key] == close(numbers[key]), key
        if row["inference"] == "broad":
            assert row["p_adjusted"] == close(reference["p_adjusted"])
        elif not welch:
            assert reference["p_adjusted"] - 1e-5 <= row["p_adjusted"]
            exact = all(note["code"] != "dunnett_bound" for note in section["notes"])
            assert row["p_adjusted"] <= reference["p_adjusted"] * (1.0 if exact else 1.04) + 1e-5
    assert compared == len(references)


LEVELS = [{"A": a, "B": b} for a in ("a0", "a1") for b in ("b0", "b1")]


def table(gains, spread=0.02, contexts=3, runs=3):
    """One row per run of the four cells, whose means are `gains` in every context."""
    noise = [spread * (run - (runs - 1) / 2) for run in range(runs)]
    return pd.DataFrame(
        {**levels, "model": f"m{context}", "y": context + gain + offset + 0.001 * context * place}
        for context in range(contexts)
        for place, (levels, gain) in enumerate(zip(LEVELS, gains, strict=True))
        for offset in noise
    )


@pytest.mark.parametrize(
    ("gains", "smallest", "answer", "configuration"),
    [
        ((0.0, 0.01, -0.4, 0.02), 0.2, "yes", "A=a1, B=b1"),
        ((0.0, 0.01, 0.4, 0.9), 0.2, "no", "A=a1, B=b1"),
        ((0.0, 0.01, -0.4, 0.19), 0.2, "open", "A=a1, B=b1"),
        ((0.0, 0.01, 0.4, 0.9), None, "not_judged", "A=a1, B=b1"),
    ],
)
@pytest.mark.parametrize("scope", [[], ["model"]])
def test_whether_the_baseline_suffices(compare, gains, smallest, answer, configuration, scope):
    section = compare(table(gains), ["A", "B"], ["model"], smallest=smallest)
    told = next(row for row in section["suffices"] if row["scope"] == scope)
    assert (told["answer"], told["configuration"]) == (answer, configuration)
    assert told["bound"] > max(gains) - 0.001
    assert told["reason"] is None


def test_a_configuration_without_runs_leaves_the_answer_open(compare):
    frame = table((0.0, 0.01, 0.02, 0.01)).query("A == 'a0' or B == 'b0' or model == 'm0'")
    frame = frame[~((frame["A"] == "a0") & (frame["B"] == "b0") & (frame["model"] == "m0"))]
    section = compare(frame, ["A", "B"], ["model"], {"A": "a0", "B": "b0"})
    rows = {row["level"]: row for row in section["rows"] if row["inference"] == "narrow"}
    assert rows["A=a1, B=b1"]["reason"]["code"] == "no_shared_runs"
    assert rows["A=a1, B=b1"]["verdict"] == "not_estimated"
    assert rows["A=a1"]["p_adjusted"] is not None
    told = section["suffices"][0]
    assert (told["answer"], told["reason"]["code"]) == ("open", "no_shared_runs")
    assert section["best_reason"]["code"] == "no_common_context"


def test_one_run_per_cell_refuses_narrow_rows_only(compare):
    section = compare(table((0.0, 0.1, 0.2, 0.3), runs=1), ["A", "B"], ["model"])
    narrow = [row for row in section["rows"] if row["inference"] == "narrow"]
    assert {row["reason"]["code"] for row in narrow} == {"no_replicates"}
    assert section["best_reason"]["code"] == "no_replicates"
    assert all(row["p"] is not None for row in section["rows"] if row["inference"] == "broad")


def test_a_design_without_the_baseline_cell_says_so(compare):
    frame = table((0.0, 0.1, 0.2, 0.3)).query("A == 'a1' or B == 'b1'")
    section = compare(frame, ["A", "B"], ["model"], {"A": "a0", "B": "b0"})
    assert section["rows"] == []
    assert {row["reason"]["code"] for row in section["suffices"]} == {"no_baseline_cell"}


def test_a_conditional_factor_is_not_set_in_the_baseline_cell(compare):
    """The sampler exists inside one loop only; its levels there are configurations of their own."""
    cells = (("lcwa", ""), ("owa", "basic"), ("owa", "bernoulli"))
    frame = pd.DataFrame(
        {"loop": loop, "sampler": sampler, "y": place + offset}
        for place, (loop, sampler) in enumerate(cells)
        for offset in (-0.1, 0.1)
    )
    section = compare(frame, ["loop", "sampler"])
    assert section["baseline"] == {"loop": "lcwa", "sampler": ""}
    assert [row["level"] for row in section["rows"]] == [
        "loop=owa, sampler=basic",
        "loop=owa, sampler=bernoulli",
    ]
    assert [row["estimate"] for row in section["rows"]] == pytest.approx([1.0, 2.0])


def test_a_margin_of_nothing_is_tested_as_zero(section_of):
    """The test against the margins grows into the two-sided one as they close."""
    rows = by_cell(section_of("crossed_cells", ["context"], smallest=1e-12))
    for row in rows.values():
        assert row["p_margin_adjusted"] == pytest.approx(row["p_adjusted"], abs=1e-9)


def test_a_family_without_adjustment_has_raw_p(response):
    frame = pd.read_csv(FOLDER / "data" / "one_way_cells.csv")
    planned = response("y", smallest_effect=0.2)
    plan, tables = plan_from_table(frame, [planned], ["cell"], [], {"cell": "base"})
    design = layout(plan)
    fitted = fit(respond(planned, tables, design, "score").values, design, 2)
    section = configurations(fitted, "y", rule_for("higher", 0.05, "none", 0.2), ("narrow",))
    assert all(row["p"] == row["p_adjusted"] for row in section["rows"])
    assert section["notes"] == []
