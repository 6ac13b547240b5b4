"""The Markdown report: the same numbers, readable on GitHub."""

from __future__ import annotations

import re
from dataclasses import replace

from ablatekit.report.compose import compose
from ablatekit.report.document import Brief, Trust
from ablatekit.report.formats.blocks import answer_of
from ablatekit.report.formats.markdown import render_brief, render_markdown, render_text


def tables(text):
    """Every table as (caption, header, rows), cells unescaped."""
    found = []
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if re.fullmatch(r"\|( -+:? \|)+", line):
            caption = next(past for past in reversed(lines[: place - 1]) if past).strip("*")
            rows = []
            for row in lines[place + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(cells(row))
            found.append((caption, cells(lines[place - 1]), rows))
    return found


def cells(line):
    parts = re.split(r"(?<!\\)\|", line)[1:-1]
    return [re.sub(r"\\(.)", r"\1", part.strip()) for part in parts]


def test_every_table_is_rectangular(analysis, hostile_analysis):
    for content in (analysis, hostile_analysis):
        found = tables(render_markdown(content))
        assert len(found) >= 12
        for _, header, rows in found:
            assert rows
            assert {len(row) for row in rows} == {len(header)}


def test_effects_parse_back_to_the_analysis(analysis):
    _, header, rows = next(
        table for table in tables(render_markdown(analysis)) if "Average effect" in table[0]
    )
    place = header.index("Learning: effect, pp")
    effects = [
        effect
        for effect in analysis["responses"]["learning"]["effects"]
        if (effect["estimand"], effect["inference"]) == ("average", "narrow")
    ]
    for row, effect in zip(rows, effects, strict=True):
        numbers = re.findall(r"[+-]?\d+\.\d", row[place].replace("\N{MINUS SIGN}", "-"))
        if effect["estimate"] is None:
            assert row[place] == "\N{EM DASH}"
            continue
        wanted = [round(100 * effect[key], 1) for key in ("estimate", "low", "high")]
        assert [float(number) for number in numbers] == wanted
        assert effect["verdict"] in row[place + 1]


def test_it_says_what_the_page_says_in_words(analysis):
    text = render_markdown(analysis)
    assert "## The answer" in text
    assert "gave 192 planned runs" in text
    assert "on average over the other choices: rollouts per query 4, +4.9 points" in text
    assert "![Gain on Generalization over the baseline." not in text
    assert "←→ widens, less than matters" in text
    assert "(needs about 5 replicates for ±2 pp)" in text


def test_hostile_names_neither_break_tables_nor_become_markup(hostile_analysis):
    text = render_markdown(hostile_analysis)
    assert "<script" not in text
    assert "http://" not in text
    assert not re.search(r"(?<!\\)`", text)
    assert "\\[l\\](http&#58;//" in text


def test_two_renders_give_the_same_text(analysis):
    assert render_markdown(analysis) == render_markdown(analysis)


def with_brief(analysis, **changes):
    """A document with a brief and the pictures that it shows."""
    document = compose(analysis)
    picture = next(document.pictures())
    brief = Brief(
        headline=["It_helps by 3."],
        settled=["The baseline suffices."],
        figure=picture,
        table=answer_of(document),
        trust=Trust("weak", "Weak evidence", ["One | replicate."]),
    )
    files = {picture.id: "figures/first.png"}
    return replace(document, brief=replace(brief, **changes)), files


def test_the_brief_alone_holds_answer_figure_table_and_trust(analysis):
    document, files = with_brief(analysis)
    text = render_brief(document, files)
    parts = (
        "# Which choices", "It\\_helps by 3.", "The baseline suffices.", "(figures/first.png)",
        "| factor |", "### Weak evidence", "One \\| replicate.",
    )  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.count("\n## ") == 1
    assert render_brief(replace(document, brief=None)) == ""


def test_the_answer_table_is_shown_once(analysis):
    document, files = with_brief(analysis)
    text = render_text(document, files)
    assert text.count(f"**{answer_of(document).caption}**") == 1


def test_figures_with_a_file_are_shown_and_others_are_named(analysis):
    document, files = with_brief(analysis)
    first, second, *_ = document.brief.figure, *list(document.pictures())[2:]
    text = render_text(document, files)
    assert "](figures/first.png)" in text
    assert text.count("![") >= 1
    assert re.search(r"Figures in index\.html: [^\n]*" + re.escape(second.title), text)
    assert first.title in text


def test_what_a_section_found_and_how_it_was_computed_are_said_once(analysis):
    document = compose(analysis)
    table = replace(answer_of(document), computed=["By cells.", "By cells."])
    section = replace(document.sections[0], blocks=[table], finding="It differs.")
    text = render_text(replace(document, brief=None, sections=[section]))
    assert text.count("**It differs.**") == text.count("- By cells.") == 1
    assert text.index("## How this was computed") < text.index("By cells.")
