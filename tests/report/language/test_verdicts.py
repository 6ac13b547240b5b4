"""The shown word of a verdict stands in one place, and reaches every format from there."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from typing import get_args

import pytest

from ablatekit.analysis.compare import Agreement
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.compose import compose
from ablatekit.report.formats.csv import effects_csv
from ablatekit.report.formats.html import render_page
from ablatekit.report.formats.latex import render_latex
from ablatekit.report.formats.markdown import render_text
from ablatekit.report.formats.terminal import answer
from ablatekit.report.language import verdicts
from ablatekit.report.language.page import BRAND
from ablatekit.report.write import analysis_json

NEW = "quuxifies"
CHANGED = ("helps", "hurts", "equivalent", "inconclusive", "widens", "narrows")


@pytest.fixture
def rule(analysis):
    """An analysis whose footers say the verdict rule and the rule of the gap."""
    for response in analysis["responses"].values():
        sizes = {"alpha": 0.05, "smallest_effect": 0.02}
        response["footers"] = {"average": [statement("verdict_rule", **sizes)]}
    analysis["comparisons"]["gap"]["footer"].append(statement("gap_rule", **sizes))
    return analysis


@pytest.fixture(scope="module")
def spoken_formats(terminal_text):
    """Every format in which a person reads verdicts, as text by its name."""

    def rendered(analysis):
        document = compose(analysis)
        page = render_page(document)
        return {
            "html": re.sub(r"<(style|script).*?</\1>|data-[a-z]+=\"[^\"]*\"", "", page, flags=re.S),
            "markdown": render_text(document),
            "latex": render_latex(document),
            "terminal": terminal_text(answer(analysis)),
        }

    return rendered


def test_a_word_is_changed_in_one_place(rule, spoken_formats, monkeypatch):
    changed = {code: replace(verdicts.LOOKS[code], word=f"{NEW}{code[:2]}") for code in CHANGED}
    for code, look in changed.items():
        monkeypatch.setitem(verdicts.LOOKS, code, look)
    texts = spoken_formats(rule)
    assert {"html", "markdown", "latex", "terminal"} == set(texts)
    for name, text in texts.items():
        for code in CHANGED:
            assert f"{NEW}{code[:2]}" in text, (name, code)
            assert not re.search(rf"\b{code}\b", text), (name, code)
    assert BRAND in texts["html"]


def test_json_and_csv_hold_codes_whatever_the_words_are(rule, monkeypatch):
    before = analysis_json(rule), effects_csv(rule)
    monkeypatch.setitem(verdicts.LOOKS, "helps", replace(verdicts.LOOKS["helps"], word=NEW))
    assert (analysis_json(rule), effects_csv(rule)) == before
    rows = list(csv.DictReader(io.StringIO(before[1])))
    known = json.loads(before[0])["responses"]["learning"]["effects"]
    assert "helps" in {row["verdict"] for row in rows}
    assert {row["verdict"] for row in known} <= set(verdicts.LOOKS)


def test_every_verdict_has_a_word_and_a_glyph_of_its_own():
    looks = verdicts.LOOKS.values()
    assert len({look.word for look in looks}) == len(verdicts.LOOKS) == 8
    assert len({look.glyph for look in looks}) == len({look.icon for look in looks}) == 8


def test_every_agreement_has_a_look_of_its_own_and_no_verdict_shares_its_code():
    looks = verdicts.AGREEMENTS
    assert set(looks) == set(get_args(Agreement))
    assert not set(looks) & set(verdicts.LOOKS)
    for part in ("word", "tone", "icon", "glyph"):
        assert len({getattr(look, part) for look in looks.values()}) == 4
    assert verdicts.signed("differ", "less") == "\N{NOT EQUAL TO} differ, less than matters"
