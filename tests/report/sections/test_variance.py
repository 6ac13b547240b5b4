"""Item level in the report: every entry is the analysis's number; what is refused says why."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ablatekit.analysis.table import analyse_table
from ablatekit.report.document import EstimateEntry, Heading, Paragraph, Quantity, Table, Warnings
from ablatekit.report.language.sentences import SOURCES, say
from ablatekit.report.sections.variance import item_blocks, variance_section

OUTCOMES = Path(__file__).parents[2] / "reference" / "items" / "outcomes.csv"


@pytest.fixture(scope="module")
def outcomes():
    return pd.read_csv(OUTCOMES)


@pytest.fixture(scope="module")
def analysis(outcomes):
    return _analysis(outcomes)


def _analysis(frame):
    return analyse_table(frame, "outcome", ["A"], ["model", "dataset"])


def test_tables_show_the_numbers_of_the_analysis(analysis):
    items = analysis["responses"]["outcome"]["items"]
    heading, shares, fold = item_blocks(analysis)
    (effects,) = fold.blocks
    assert isinstance(heading, Heading)
    assert isinstance(shares, Table)
    assert "576 outcomes of 48 items in 24 runs" in shares.caption
    for row, expected in zip(shares.rows, items["shares"], strict=True):
        assert row[0].text == SOURCES[expected["source"]]
        assert [entry.value for entry in row[1:]] == [expected["variance"], expected["share"]]
    (row,), (expected,) = effects.rows, items["effects"]
    estimate, df, p, sd = row[2:]
    assert isinstance(estimate, EstimateEntry)
    assert (estimate.value, estimate.low, estimate.high) == tuple(
        expected[key] for key in ("estimate", "low", "high")
    )
    assert all(isinstance(entry, Quantity) for entry in (df, p, sd))
    assert (df.value, p.value, sd.value) == (expected["df"], expected["p"], expected["item_sd"])
    assert shares.computed == [say(items["footer"])]


def test_the_variance_section_holds_them(analysis):
    blocks = variance_section(analysis).blocks
    inside = [part for block in blocks for part in getattr(block, "blocks", [block])]
    ids = [getattr(block, "id", "") for block in inside]
    assert {"items-outcome", "item-effects-outcome"} <= set(ids)


def test_without_replicates_the_reason_stands_in_their_place(outcomes):
    first = outcomes[outcomes["run"].str[1:].astype(int) % 3 == 1]
    _, paragraph, effects = item_blocks(_analysis(first))
    assert isinstance(paragraph, Paragraph)
    assert "nothing estimates the seed noise" in paragraph.text
    assert isinstance(effects, Paragraph)
    assert effects.text.startswith("A a1: no cell has two runs in one context")


def test_a_variance_of_zero_is_told(outcomes):
    even = outcomes.copy()
    run = even["run"].str[1:].astype(int)
    even["outcome"] = ((7 * even["item"] + 5 * run) % 24 < 12 + run % 2).astype(int)
    blocks = item_blocks(_analysis(even))
    told = [text for block in blocks if isinstance(block, Warnings) for text in block.texts]
    assert any("estimated as 0" in text for text in told)


def test_run_tables_have_no_items(outcomes):
    assert item_blocks(_analysis(outcomes[outcomes["item"] == 1])) == []
