"""Reports of tables that no study planned: by factors and by a formula; nothing is made up."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from ablatekit.cli.main import invoke

UNKNOWN = (
    "evaluation", "draws of", "items", "item", "rollout", "rollouts", "training", "step", "steps",
    "seed", "seeds", "run", "runs", "executed", "planned", "randomised", "frozen", "diverged",
    "replicate each", "policy for",
)  # fmt: skip
"""What nobody knows of a table of rows: how its values came about."""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """32 rows: two factors, two models, four rows of every combination."""
    rng = np.random.default_rng(7)
    rows = [
        {"optimizer": optimizer, "batch": batch, "model": model, "accuracy": 0.5}
        for optimizer in ("adam", "sgd")
        for batch in ("small", "large")
        for model in ("a", "b")
        for _ in range(4)
    ]
    frame = pd.DataFrame(rows)
    frame["accuracy"] += 0.1 * (frame["optimizer"] == "sgd") + rng.normal(0, 0.03, len(frame))
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def _report(table, folder, *arguments):
    assert invoke(["analyze", str(table), *arguments, "--report", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def by_factors(table):
    asked = ("--response", "accuracy", "--factors", "optimizer,batch", "--contexts", "model")
    return _report(table, table.with_name("factors"), *asked)


@pytest.fixture(scope="module")
def by_formula(table):
    formula = "accuracy ~ optimizer * batch + (1 | model)"
    asked = ("--pairwise", "--random-tests", "--smallest-effect", "0.05")
    return _report(table, table.with_name("formula"), "--formula", formula, *asked)


def _words(folder):
    page = (folder / "index.html").read_text()
    page = re.sub(r"<(style|script).*?</\1>", " ", page, flags=re.S)
    spoken = re.findall(r'(?:title|aria-label)="([^"]*)"', page)
    parts = [re.sub(r"<[^>]+>", " ", page), *spoken]
    parts += ((folder / name).read_text() for name in ("report.md", "effects.csv"))
    return "\n".join(parts)


def test_a_table_by_factors_is_not_said_to_have_runs_or_items(by_factors):
    said = _words(by_factors).replace("(step", "(")
    assert "32 rows" in said
    assert [word for word in UNKNOWN if re.search(rf"\b{word}\b", said)] == []


def test_a_formula_is_not_said_to_have_runs_items_or_cells(by_formula):
    said = _words(by_formula)
    assert "REML" in said
    assert [word for word in (*UNKNOWN, "cell", "cells") if re.search(rf"\b{word}\b", said)] == []


def test_a_formula_has_the_sections_that_it_has_data_for(by_formula, parse):
    page = parse((by_formula / "index.html").read_text())
    sections = [section.attributes["id"] for section in page.all("section")]
    assert sections == [
        "answer", "what-if", "effects", "model", "interactions", "variance", "diagnostics",
        "methods", "provenance", "computed",
    ]  # fmt: skip
    named = {
        part.attributes.get("id") for tag in ("section", "div", "li") for part in page.all(tag)
    }
    for link in page.all("a"):
        assert link.attributes["href"].removeprefix("#") in named
    assert {path.name for path in by_formula.iterdir()} == {
        "index.html", "report.md", "effects.csv", "analysis.json", "brief.md", "card.png",
        "table1.tex", "figures",
    }  # fmt: skip


def test_the_page_of_a_formula_holds_its_numbers(by_formula, parse):
    page = parse((by_formula / "index.html").read_text())
    response = json.loads((by_formula / "analysis.json").read_text())["responses"]["accuracy"]
    for table, rows, keys in (
        ("coefficients-accuracy", response["fixed"], ("estimate", "se", "df", "statistic", "p")),
        ("random-tests-accuracy", response["random_tests"], ("statistic", "df", "p")),
        ("means-accuracy", response["means"], ("estimate", "se", "df")),
    ):
        box = page.all("table", id=table)[0]
        cells = [td.attributes for td in page.all("td") if td.inside(box)]
        shown = [float(cell["data-value"]) for cell in cells if cell.get("data-value")]
        wanted = [row[key] for row in rows for key in keys if row[key] is not None]
        assert len(shown) >= len(keys)
        assert shown == wanted
    assert "rows_left_out" not in _words(by_formula)


def test_a_formula_without_comparisons_has_a_page_too(table, tmp_path):
    frame = pd.read_csv(table).assign(size=range(32))
    frame.to_csv(tmp_path / "rows.csv", index=False)
    folder = _report(tmp_path / "rows.csv", tmp_path / "report", "--formula", "accuracy ~ size")
    said = _words(folder)
    assert "Coefficients" in said
    assert "No levels are compared here" in said
