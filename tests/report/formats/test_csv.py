"""effects.csv: full precision, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import pytest

from ablatekit.report.formats.csv import effects_csv, inert


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "%0A=1", "\uff1d1", "-x"],
)
def test_what_looks_like_a_formula_is_text(text):
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "4", "-1", "+0.5", "-1e-4", "-5%", "a=b", "group_norm"])
def test_numbers_and_words_stay_as_they_are(text):
    assert inert(text) == text


def test_a_level_that_is_a_formula_is_neutral_in_every_column(analysis):
    for effect in analysis["responses"]["learning"]["effects"]:
        effect["level"] = '=HYPERLINK("http://x:y@z","a")\u202e'
        effect["family"]["arguments"]["response"] = "=1+1"
        effect["scope"] = ["=1+1"]
    rows = list(csv.DictReader(io.StringIO(effects_csv(analysis))))
    levels = {row["level"] for row in rows if row["response"] == "learning"}
    assert '\'=HYPERLINK("http://***@z","a")\\u202e' in levels
    started = {cell[0] for row in rows for cell in row.values() if cell}
    assert not started & set("=@\t")
