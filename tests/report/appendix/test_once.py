"""Each sentence of a report at one place, each term explained at its first use."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ablatekit.report.appendix.once import said_once, sentences_of
from ablatekit.report.compose import compose
from ablatekit.report.document import (
    Brief,
    Column,
    Document,
    Facts,
    Fold,
    Gallery,
    Paragraph,
    Quantity,
    Section,
    Table,
    Text,
    Trust,
    Warnings,
)
from ablatekit.report.language.appendix.glossary import TERMS, explanations, terms_in
from ablatekit.report.language.numbers import typeset

REPORTS = Path(__file__).parents[3] / "reports"
SHIPPED = sorted(path.parent.name for path in REPORTS.glob("*/analysis.json"))
LONG = 40


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request: Any) -> Document:
    return compose(json.loads((REPORTS / request.param / "analysis.json").read_text()))


def texts_of(document: Document) -> Iterator[str]:
    """Every running text of a document in reading order."""
    for section in document.sections:
        yield section.finding
        yield section.lead
        yield from texts_of_blocks(section.blocks)


def texts_of_blocks(blocks: Any) -> Iterator[str]:
    for block in blocks:
        match block:
            case Paragraph():
                yield block.text
            case Warnings():
                yield from block.texts
            case Gallery():
                yield block.caption
            case Table():
                yield from block.footer.split("\n")
                yield from block.computed
            case Facts():
                yield from (value for _, value in block.pairs)
            case Fold():
                yield from texts_of_blocks(block.blocks)


def test_no_sentence_of_a_committed_report_stands_twice(shipped: Document) -> None:
    said = Counter(
        typeset(part).rstrip(".").casefold()
        for text in texts_of(shipped)
        for part in sentences_of(text)
    )
    assert not [text for text, number in said.items() if number > 1 and len(text) >= LONG]


def test_every_section_says_what_it_found(shipped: Document) -> None:
    for section in shipped.sections:
        if section.id != "answer":
            assert re.fullmatch(r"[A-Z\d].*\.", section.finding), section.id
    sized = [section for section in shipped.sections if re.search(r"\d", section.finding)]
    assert len(sized) >= len(shipped.sections) - 2


def test_every_term_is_explained_once_and_not_after_its_use(shipped: Document) -> None:
    explained = dict(zip(TERMS, explanations(TERMS, shipped.unit), strict=True))
    known: set[str] = set()
    table = shipped.brief.table
    known |= {pattern for pattern, meaning in explained.items() if meaning in table.footer}
    assert set(terms_in(" ".join((*shipped.brief.headline, table.footer)))) <= known
    for section in shipped.sections:
        text = " ".join(texts_of(Document(title="", question="", facts=[], sections=[section])))
        known |= {pattern for pattern, meaning in explained.items() if meaning in text}
        assert set(terms_in(f"{section.title} {text}")) <= known, section.id
    whole = " ".join((table.footer, *table.computed, *texts_of(shipped)))
    assert all(whole.count(meaning) <= 1 for meaning in explained.values())


def test_no_table_has_a_row_without_a_number(shipped: Document) -> None:
    def tables(blocks: Any) -> Iterator[Table]:
        for block in blocks:
            if isinstance(block, Table):
                yield block
            elif isinstance(block, Fold):
                yield from tables(block.blocks)

    checked = 0
    for section in shipped.sections:
        for table in tables(section.blocks):
            if section.id in ("answer", "design", "missing", "provenance"):
                continue
            for row in table.rows:
                numbers = [
                    value
                    for entry in row
                    for value in (getattr(entry, "value", None), getattr(entry, "low", None))
                ]
                assert any(value is not None for value in numbers), table.id
                checked += 1
    assert checked > 40


def table(identifier: str, **texts: Any) -> Table:
    return Table(
        id=identifier, caption="t", columns=[Column("y", numeric=True)],
        rows=[[Quantity("1", 1.0)]], **texts,
    )  # fmt: skip


LEAD = "What the numbers of this section are about, at some length."
FRESH = "A new one that nobody said yet."
HOW = "Every number below was made by adding up the others, one by one."


def sections(*blocks: Any, brief: Brief | None = None) -> Document:
    made = Document(
        title="", question="", facts=[], sections=[Section("s", "S", LEAD, list(blocks))],
        brief=brief,
    )  # fmt: skip
    return said_once(made)


def test_a_sentence_stays_where_it_is_said_first() -> None:
    first, second, fold = sections(
        table("a", footer=f"{HOW} Short one.", computed=[HOW]),
        table("b", footer=f"{HOW} Short one."),
        Fold("more", [Paragraph(LEAD), table("c", computed=[HOW, FRESH])]),
    ).sections[0].blocks  # fmt: skip
    assert (first.footer, first.computed) == (f"{HOW} Short one.", [])
    assert second.footer == "Short one."
    assert [part.id for part in fold.blocks] == ["c"]
    assert fold.blocks[0].computed == [FRESH]


def test_a_reason_given_of_others_is_recalled_by_its_first_words() -> None:
    reason = "no cell has two rows in one context, so nothing estimates the noise"
    first, second = sections(
        table("a", footer=f"Every level: {reason}."), Paragraph(f"Every cell: {reason}.")
    ).sections[0].blocks  # fmt: skip
    assert first.footer.startswith(f"Every level: {reason}.")
    assert second.text.startswith("Every cell: no cell has two rows in one context (as above).")


def test_a_warning_is_new_unless_one_with_its_name_stands_above() -> None:
    blocks = sections(
        Warnings(["Learning: two values look odd (p = 0.026)."]),
        Warnings(["two values look odd (p = 0.026)", "three values look odd"]),
        Warnings(["three values look odd"]),
    ).sections[0].blocks  # fmt: skip
    assert [block.texts for block in blocks] == [
        ["Learning: two values look odd (p = 0.026)."], ["three values look odd"]
    ]  # fmt: skip


def test_what_the_brief_says_is_not_said_again() -> None:
    trust = Trust("weak", "Weak", ["Only two values, which is too few to say much of them."])
    brief = Brief(headline=[HOW], settled=[], figure=None, table=None, trust=trust)
    document = sections(Paragraph(HOW), Warnings(list(trust.points)), brief=brief)
    assert document.sections[0].blocks == []
    assert document.brief == brief


def test_the_brief_explains_its_terms_below_its_table() -> None:
    trust = Trust("weak", "Weak", ["2 degrees of freedom."])
    answer = table("answer", footer="Over models.", computed=["By Holm."])
    brief = Brief(headline=["+2 pp."], settled=[], figure=None, table=answer, trust=trust)
    document = sections(Paragraph("By Dunnett, of a family."), brief=brief)
    shown = document.brief.table
    assert shown.footer.startswith("Over models.\npp: percentage points. df: degrees of freedom")
    assert "A family is" in document.sections[0].blocks[0].text
    assert shown.computed[0] == "By Holm."
    assert shown.computed[1].startswith("Holm's method")
    assert "A family is" not in shown.computed[1]


def test_a_term_is_explained_where_it_comes_first() -> None:
    explained = " ".join(TERMS[term] for term in (r"\bHolm\b", r"\b[Ff]amily\b"))
    first, second = sections(
        table("a", computed=["p adjusted by Holm."]), Paragraph("Holm was here.")
    ).sections[0].blocks  # fmt: skip
    assert first.computed == ["p adjusted by Holm.", explained]
    assert second.text == "Holm was here."
    (only,) = sections(
        Table(id="a", caption="t", columns=[Column("IQM")], rows=[[Text("broad")]])
    ).sections[0].blocks  # fmt: skip
    assert TERMS[r"\b[Bb]road\b"] in only.footer
    assert "IQM: the interquartile mean" in only.footer
