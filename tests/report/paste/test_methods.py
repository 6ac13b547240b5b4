"""The methods texts follow from the analysis, sentence by sentence, and fit their lengths."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.table import analyse_table
from ablatekit.cli.main import invoke
from ablatekit.report.language import methods
from ablatekit.report.language.reading import subject_of, words
from ablatekit.report.language.references import references
from ablatekit.report.language.sentences import say
from ablatekit.report.paste.length import fitted, words_of
from ablatekit.report.paste.methods import LONG, SHORT, methods_text, passages
from ablatekit.report.paste.section import METHODS, methods_section

SHIPPED = sorted((Path(__file__).parents[3] / "reports").glob("*/analysis.json"))
TIMES = "\N{MULTIPLICATION SIGN}"
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\w.]*\d)")
YEARS = {"1954", "1955", "1974", "1979", "1984", "1987", "1997", "2021", "2026"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Analyses of tables and formulas, by what is special about them."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(3)

    def frame(name, models, replicates):
        rows = [
            {"model": model, "a": a, "b": b, "cost": 1 + 3 * (b == "hi")}
            for model, a, b, _ in itertools.product(
                models, ("none", "x"), ("lo", "hi"), range(replicates)
            )
        ]
        table = pd.DataFrame(rows)
        table["y"] = 0.5 + 0.06 * (table["a"] == "x") + rng.normal(0, 0.02, len(table))
        path = folder / f"{name}.csv"
        table.to_csv(path, index=False)
        return path

    repeated, single = frame("repeated", "pqr", 3), frame("single", "pqr", 1)
    alone = frame("alone", "p", 1)
    factors = ("--response", "y", "--factors", "a,b")
    asked = {
        "contexts": (repeated, *factors, "--contexts", "model", "--price", "cost"),
        "no contexts": (repeated, *factors),
        "one replicate": (single, *factors, "--contexts", "model"),
        "hidden": (single, *factors, "--contexts", "model", "--interactions", "1"),
        "refused": (alone, *factors),
        "formula": (repeated, "--formula", "y ~ a * b + (1 | model)", "--adjust", "bh"),
        "no effect": (repeated, "--formula", "y ~ cost"),
    }
    analyses = {}
    for name, arguments in asked.items():
        path = folder / f"{name}.json"
        invoke(["analyze", *map(str, arguments), "--json", str(path)])
        analyses[name] = json.loads(path.read_text())
    return analyses


@pytest.fixture
def text(analysis):
    def written(limit=LONG):
        return " ".join(methods_text(analysis, limit))

    return written


def everything(analysis):
    """Every passage at its longest, whatever its length."""
    return " ".join(passage.wordings[0] for passage in passages(analysis))


def loaded(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_both_texts_of_every_shipped_report_fit(path):
    for limit in (SHORT, LONG):
        written = " ".join(methods_text(loaded(path), limit))
        assert 0.75 * limit < words_of(written) <= limit


def test_both_texts_of_every_table_fit(tables):
    for analysis in tables.values():
        for limit in (SHORT, LONG):
            assert 15 < words_of(" ".join(methods_text(analysis, limit))) <= limit


def test_hostile_names_never_make_a_text_longer(hostile_analysis):
    for limit in (SHORT, LONG):
        assert words_of(" ".join(methods_text(hostile_analysis, limit))) <= limit


def known_numbers(analysis):
    """The numbers that the design, the counts, the study and the records give, as written."""
    design, counts = analysis["design"], analysis["counts"]
    variables = {}
    for context in design["contexts"]:
        for name, level in context.items():
            variables.setdefault(name, set()).add(level)
    levels = [len(factor["levels"]) for factor in design["factors"]]
    alpha = analysis["study"]["alpha"]
    effects = [row for part in analysis["responses"].values() for row in part["effects"]]
    averages = [row for row in effects if row["estimand"] == "average"]
    based = {
        (row["factor"], row["level"])
        for row in averages
        if any(note["code"] == "model_based" for note in row["notes"])
    }
    estimated = {(r["factor"], r["level"]) for r in averages if r["estimate"] is not None}
    values = {
        *counts.values(), *levels, *(number - 1 for number in levels), len(levels), sum(levels),
        len(design["cells"]), len(design["contexts"]), design["replicates"], 1, 2,
        *map(len, variables.values()), len(analysis["responses"]),
        100 * (1 - alpha), 100 * (1 - 2 * alpha), alpha, alpha / 2, len(based), len(estimated),
        counts["planned"] - counts["finished"],
        *(row["df"] for row in averages), design["held_equal"].get("budget.amount"),
        *(part["arguments"].get("order") for part in (row["method"] for row in effects)),
        *(100 * (part["smallest_effect"] or 0) for part in analysis["responses"].values()),
    }  # fmt: skip
    for factor in design["factors"]:
        values |= {float(level) for level in factor["levels"] if NUMBER.fullmatch(str(level))}
    for part in analysis["responses"].values():
        values.add(part["diagnostics"].get("brown_forsythe_p"))
    opinion = analysis["second_opinion"]
    values |= {opinion["recomputed"], opinion["of"], len(opinion["disagreements"])}
    for factor, metric in {(row["factor"], row["metric"]) for row in design["cost"]}:
        means = [
            row["mean"]
            for row in design["cost"]
            if (row["factor"], row["metric"]) == (factor, metric)
        ]
        values.add(max(means) / min(means))
    return [float(value) for value in values if value is not None]


def names_of(analysis):
    """Words of the analysis that hold digits: levels, metrics, labels, versions."""
    design, texts = analysis["design"], []
    for factor in design["factors"]:
        texts += [factor["name"], factor.get("label") or "", *map(str, factor["levels"])]
    texts += [level for context in design["contexts"] for level in context.values()]
    texts += [part[key] for part in analysis["responses"].values() for key in ("label", "metric")]
    for name, version in analysis["provenance"]["versions"].items():
        texts += [f"{name} {version}", words(version)]
    known = (text for text in texts if re.search(r"\d", text) and not NUMBER.fullmatch(text))
    return sorted(known, key=len, reverse=True)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_every_number_of_every_sentence_is_one_of_the_plan_or_the_runs(path):
    analysis = loaded(path)
    known, names = known_numbers(analysis), names_of(analysis)
    for passage in passages(analysis):
        for said in passage.wordings:
            left = said
            for name in names:
                left = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "", left)
            for shown in NUMBER.findall(left):
                if shown in YEARS and (f"({shown}" in said or f", {shown}" in said):
                    continue
                value = float(shown.replace(",", ""))
                near = min(abs(value - each) / max(abs(each), 1e-9) for each in known)
                assert near < 0.02, (passage.topic, shown, said)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_every_claim_of_a_shipped_report_has_what_it_claims(path):
    analysis = loaded(path)
    responses = analysis["responses"].values()
    effects = [row for part in responses for row in part["effects"]]
    tested = [row for row in effects if row["p"] is not None]
    rows = [row for part in responses for row in part["configurations"]["rows"]]
    families = [n["code"] for part in responses for n in part["configurations"]["notes"]]
    gaps = analysis["comparisons"].values()
    robust = [part["robust"] for part in responses]
    claims = {
        "full factorial": analysis["design"]["kind"] == "full",
        "custom design": analysis["design"]["kind"] == "custom",
        "additivity": any(
            part["model"]["method"] == statement("truncated_least_squares", order=1)
            for part in responses
        ),
        "matched cells": any(
            part["model"]["method"]["code"] == "saturated_cell_means" for part in responses
        ),
        "Broad inference generalises": any(row["inference"] == "broad" for row in tested),
        "Shapley": any(row["estimand"] == "shapley" for row in tested),
        "interactions (differences": any(row["estimand"] == "interaction" for row in tested),
        "Dunnett": any(code.startswith("dunnett") for code in families),
        "Hsu": any(row["may_be_best"] is not None for row in rows),
        "under broad inference only": not any(
            row["p"] is not None and row["inference"] == "narrow" for row in rows
        ),
        "Brown and Forsythe": any(
            part["diagnostics"].get("brown_forsythe_p") is not None for part in responses
        ),
        "Welch": "welch_family" in families
        or any(row["method"]["code"] == "welch_t" for row in tested),
        "Fieller": any(
            row["low"] is not None for gap in gaps for row in gap.get("carry_over", [])
        ),
        "Kenward-Roger": any(
            row["p"] is not None
            for part in responses
            for row in part.get("mixed", {"effects": []})["effects"]
        ),
        "Interquartile": any(row["low"] is not None for part in robust for row in part["iqm"]),
        "Diverged": analysis["counts"]["diverged"] > 0,
        "no deviation": not analysis["deviations"],
        "order were tested": any(
            row["p"] is not None
            for part in responses
            for row in part.get("dose", {"tests": []})["tests"]
        ),
        "inference was not possible": not any(
            row["inference"] == "broad" for row in tested
        ),
    }  # fmt: skip
    said = everything(analysis)
    for claim, holds in claims.items():
        assert (claim.lower() in said.lower()) == holds, claim
    for factor in analysis["design"]["factors"]:
        assert f"baseline {factor['baseline']}" in said


def test_numbers_come_from_the_analysis(analysis, text):
    said = text()
    for phrase in (
        "an incomplete factorial design over 4 factors",
        f"Its 30 cells in 6 contexts (3 models {TIMES} 2 data sets)",
        "2 replicates of each gave 192 planned runs, executed in randomised order",
        "191 of 192 runs were analysed (1 diverged, 1 failed)",
        "among them the budget of 60 rounds",
        "the smallest effect that matters is 2 pp",
        "t, residual df of the saturated cell means, df 96",
        "over models, on these 2 data sets (t over means of the variable's levels, df 5)",
        "90% interval",
        "Diverged runs entered with their last valid score",
        "Excluded beforehand: advantage = group_norm, rollouts = 1",
    ):
        assert phrase in said
    assert "ablatekit 0.1.0, numpy 2.0.0" in everything(analysis)


def test_the_minimalist_baseline_is_cited_where_it_is_the_baseline(analysis):
    assert "2601.22532" in " ".join(one.text for one in references(analysis))
    assert "minimalist baseline of Xie et al." in everything(analysis)


@pytest.mark.parametrize(
    "change",
    [
        lambda analysis: analysis["study"].update(backend="simulated"),
        lambda analysis: analysis["design"]["factors"][0].update(baseline="batch_norm"),
        lambda analysis: analysis["design"]["factors"][1].update(baseline="4"),
        lambda analysis: analysis["design"]["factors"].pop(0),
    ],
)
def test_it_is_not_cited_elsewhere(analysis, change):
    change(analysis)
    assert "2601.22532" not in " ".join(one.text for one in references(analysis))
    assert "Xie" not in everything(analysis)


def test_a_table_without_a_plan_is_not_called_planned(tables):
    for name, analysis in tables.items():
        said = everything(analysis)
        claims = "randomised", "frozen", "equal in all runs", "evaluation", "planned", "replicates"
        for claim in (*claims, "runs", "executed"):
            assert claim not in said, (name, claim)


def test_what_was_refused_is_not_described(tables):
    said = everything(tables["refused"])
    assert "Narrow inference was not possible (no cell has two rows in one context" in said
    for claim in ("helps", "Intervals", "Dunnett", "Holm", "ANOVA", "analysis of variance", "df"):
        assert claim not in said
    said = everything(tables["one replicate"])
    assert "under broad inference only" in said
    assert "Narrow inference speaks" not in said


def test_additivity_and_hidden_replication_are_named_as_assumptions(tables):
    analysis = tables["hidden"]
    said = " ".join(methods_text(analysis, LONG))
    assert "a model that assumes additivity of the factors within each context" in said
    assert "the error term is what higher interactions leave, no pure noise" in said
    assert "assume additivity" in " ".join(methods_text(analysis, SHORT)).replace(
        "assumes", "assume"
    )
    assert "additivity" not in everything(tables["contexts"])


def test_an_incomplete_crossing_of_contexts_is_said(analysis, text):
    analysis["design"]["contexts"].pop()
    assert f"5 contexts (of 6 combinations of 3 models {TIMES} 2 data sets)" in text()


def test_a_formula_is_described_by_its_model(tables):
    said = everything(tables["formula"])
    assert "We fitted y ~ a + b + a:b + (1 | model) (REML, 36 rows)." in said
    assert "Tests of effects use Satterthwaite df" in said
    assert "the adjusted p value (bh; one family per response)" in said
    assert "design" not in said
    assert "the levels of the other factors" not in everything(tables["no effect"])


def test_rows_have_prices_only_where_a_column_holds_them(tables):
    assert "Mean cost per row differed 4-fold over levels of b." in everything(tables["contexts"])
    assert "Prices" not in everything(tables["no contexts"])


def test_the_variance_test_is_reported_with_its_p_values(analysis):
    told = "Brown and Forsythe (1974): Learning p = 0.021; Generalization p = 0.410."
    assert told in everything(analysis)


def test_unused_methods_are_neither_described_nor_cited(analysis):
    analysis["study"]["analysis"]["adjust"] = "none"
    for response in analysis["responses"].values():
        response["smallest_effect"] = None
        response["diagnostics"]["brown_forsythe_p"] = None
    analysis["study"]["backend"] = "simulated"
    assert references(analysis) == []
    assert "Holm" not in everything(analysis)
    assert "equivalent" not in everything(analysis)


def test_levels_that_cost_more_are_named(analysis):
    analysis["design"]["cost"] = [
        {"factor": "rollouts", "level": level, "metric": "cost/samples", "mean": mean}
        for level, mean in (("1", 1920.0), ("4", 7680.0))
    ] + [
        {"factor": "queries", "level": level, "metric": "cost/samples", "mean": 60.0}
        for level in ("q32", "q64")
    ]
    said = everything(analysis)
    assert "Mean samples per run differed 4-fold over levels of rollouts per query." in said


def test_the_analysis_of_variance_is_a_sentence(analysis):
    told = (
        "uses type III sums of squares by estimable hypotheses, tested against runs within cell and"
        " context."
    )
    assert told in everything(analysis)
    for response in analysis["responses"].values():
        for row in response["anova"]:
            row["p"] = None
    assert "analysis of variance" not in everything(analysis)


def test_scopes_are_those_that_were_tested(analysis):
    rows = [row for row in analysis["responses"]["learning"]["effects"] if row["scope"]]
    assert say(rows[0]["averaged_over"]) in everything(analysis)
    for response in analysis["responses"].values():
        for row in response["effects"]:
            if row["inference"] == "broad":
                row.update(p=None, reason=statement("no_blocking_variable"))
    said = everything(analysis)
    assert "Broad inference was not possible (needs more than one context)." in said
    assert "generalises" not in said


def test_the_short_text_keeps_the_core(analysis):
    topics = [topic for topic, _ in fitted(passages(analysis), SHORT)]
    for topic in ("design.factors", "design.cells", "responses.list", "effects.average",
                  "verdicts.rule"):  # fmt: skip
        assert topic in topics


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_only_works_that_the_text_names_are_references(path):
    section = methods_section(loaded(path))
    excerpt = next(block for block in section.blocks if getattr(block, "id", "") == METHODS)
    text = " ".join(excerpt.paragraphs)
    for work in excerpt.references:
        assert work.text.split(",")[0].split(" ")[0] in text
    assert ("Fieller" in text) == any("Fieller" in work.text for work in excerpt.references)


def test_hsus_set_is_claimed_only_where_variances_are_equal():
    subject = subject_of(loaded(SHIPPED[0]))
    told = methods.configurations(subject, "x", best=True, where_equal=True)[0]
    assert "; where they do not, those that may be the best are" in told


def test_a_level_that_is_not_set_has_a_name():
    rng = np.random.default_rng(4)
    rows = [
        {"kl": kl, "beta": beta, "model": model, "y": rng.normal()}
        for kl, beta in (("no", None), ("yes", "0.1"), ("yes", "0.2"))
        for model in "pqr" for _ in range(2)
    ]  # fmt: skip
    analysis = analyse_table(pd.DataFrame(rows), "y", ["kl", "beta"], ["model"])
    assert "(not set)" in everything(analysis)
    assert "; , " not in everything(analysis)
