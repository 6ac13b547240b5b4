"""The page as a reader, a screen reader and an offline browser meet it."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from dataclasses import replace
from importlib.resources import files

import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.compose import compose
from ablatekit.report.document import (
    Column,
    Document,
    FigureData,
    Fold,
    Gallery,
    Picture,
    Section,
    Table,
    Text,
)
from ablatekit.report.figures.panel import canvas
from ablatekit.report.figures.style import LIGHT
from ablatekit.report.formats.html import SCRIPTS, as_json, render_html, render_page
from ablatekit.report.language.sentences import say
from ablatekit.report.language.verdicts import word

SECTIONS = [
    "answer", "effects", "gap", "interactions", "contexts", "dynamics", "variance",
    "design", "diagnostics", "missing", "methods", "provenance",
]  # fmt: skip


@pytest.fixture(scope="module")
def page(page_text, parse):
    return parse(page_text)


def test_sections_stand_in_their_order_and_the_contents_lead_to_each_fold(page):
    sections = page.all("section")
    names = [section.attributes["id"] for section in sections]
    assert names == ["answer", "what-if", *SECTIONS[1:], "computed"]
    folded = [
        section.attributes["id"]
        for section in sections
        if any(part.tag == "details" for part in section.parents)
    ]
    links = [a.attributes["href"] for a in page.all("a") if a.parents[-1].tag == "li"]
    assert links == [f"#{name}" for name in folded]


def answer_rows(page):
    table = page.all("table", id="answer-table")[0]
    return [row for row in page.all("tr") if row.inside(table) and "data-level" in row.attributes]


def boxes(page, kind):
    return [box for box in page.all("div") if kind in box.attributes.get("class", "").split()]


def verdicts_of(page, row):
    return [
        span.attributes["data-verdict"]
        for span in page.all("span")
        if span.inside(row) and "data-verdict" in span.attributes
    ]


def test_every_level_has_one_line_with_its_verdicts(page, planted_verdicts):
    rows = answer_rows(page)
    keys = [(row.attributes["data-factor"], row.attributes["data-level"]) for row in rows]
    assert keys == [*planted_verdicts, ("kl", "k3_alias")]
    for row, key in zip(rows, keys, strict=True):
        planted = planted_verdicts.get(key)
        if planted is None:
            assert set(verdicts_of(page, row)) == {"identical"}
            assert "identical by construction" in row.text
            continue
        wanted = [
            planted["generalization"][1], planted["generalization"][2],
            planted["learning"][1], planted["learning"][2],
            planted["gap"][1],
        ]  # fmt: skip
        assert verdicts_of(page, row) == [name for name in wanted if name != "not_estimated"]


def test_verdicts_are_words_and_shapes_not_only_colours(page):
    badges = [span for span in page.all("span") if "data-verdict" in span.attributes]
    shapes = {}
    for badge in badges:
        assert badge.text.strip() == word(badge.attributes["data-verdict"])
        use = next(element for element in page.all("use") if element.inside(badge))
        shapes[badge.attributes["data-verdict"]] = use.attributes["href"]
    assert len(shapes) >= 7
    assert len(set(shapes.values())) == len(shapes)


def test_inconclusive_and_withheld_lines_say_what_is_missing(page):
    rows = {row.attributes["data-level"]: row.text for row in answer_rows(page)}
    assert "about 5 replicates for ±2 pp" in rows["group_norm"]
    assert "about 11 models" in rows["group_norm"]
    assert "needs a third model" in rows["k3"]


def test_estimates_equal_the_analysis_bit_for_bit(page, analysis):
    row_by_level = {row.attributes["data-level"]: row for row in answer_rows(page)}
    names = ("generalization", "learning")
    parts = [*map(analysis["responses"].get, names), analysis["comparisons"]["gap"]]
    for level, row in row_by_level.items():
        cells = [td for td in page.all("td") if td.inside(row) and "data-low" in td.attributes]
        for cell, part in zip(cells, parts, strict=True):
            effect = next(
                e
                for e in part["effects"]
                if (e["level"], e["estimand"], e["inference"]) == (level, "average", "narrow")
            )
            for name, key in (("value", "estimate"), ("low", "low"), ("high", "high")):
                text = cell.attributes[f"data-{name}"]
                assert (float(text) if text else None) == effect[key]


def test_shown_numbers_are_the_exact_ones_rounded(page):
    checked = 0
    for cell in page.all("td"):
        exact = cell.attributes.get("data-value")
        shown = re.match(r"[+\N{MINUS SIGN}]?[\d,]*\.?\d+", cell.text.strip())
        if not exact or shown is None or "%" in cell.text:
            continue
        digits = shown[0].replace("\N{MINUS SIGN}", "-").replace(",", "")
        unit = 10.0 ** -len(digits.partition(".")[2])
        error = min(abs(float(digits) - scale * float(exact)) for scale in (1, 100))
        assert error <= 0.5001 * unit or (unit == 1 and error <= 0.5001 * abs(float(exact)) * 1e-3)
        checked += 1
    assert checked > 150


def test_every_estimand_table_row_equals_its_effect(page, analysis):
    for name, response in analysis["responses"].items():
        table = page.all("table", id=f"estimands-{name}")[0]
        rows = [
            row for row in page.all("tr") if row.inside(table) and "data-level" in row.attributes
        ]
        known = {
            (e["factor"], e["level"], e["inference"], e["estimand"]): e
            for e in response["effects"]
            if e["estimand"] != "interaction" and e["estimate"] is not None
        }
        shown = set()
        for row in rows:
            place = [row.attributes[f"data-{key}"] for key in ("factor", "level", "inference")]
            cells = [td for td in page.all("td") if td.inside(row) and "data-low" in td.attributes]
            for cell, estimand in zip(cells, ("average", "baseline"), strict=True):
                effect = known.get((*place, estimand))
                for key, name in (("estimate", "value"), ("low", "low"), ("high", "high")):
                    text = cell.attributes[f"data-{name}"]
                    assert (float(text) if text else None) == (effect[key] if effect else None)
                shown |= {(*place, estimand)} if effect else set()
        assert shown == set(known)


def test_every_figure_has_a_title_and_a_spoken_alternative(page):
    figures = page.all("figure")
    kinds = Counter(figure.attributes["id"].partition("-")[0] for figure in figures)
    assert kinds == {
        "frontier": 1, "forest": 1, "map": 1, "interplay": 2, "contexts": 5, "curve": 8,
        "shares": 2, "fitted": 2, "normal": 2,
    }  # fmt: skip
    for figure in figures:
        svg = next(svg for svg in page.all("svg") if svg.inside(figure))
        assert svg.attributes["role"] == "img"
        assert len(svg.attributes["aria-label"]) > 30
        assert any(title.inside(svg) and title.text for title in page.all("title"))
        assert any(path.inside(svg) for path in page.all("path"))


def test_the_forest_plots_alternative_speaks_every_level(page):
    label = page.all("svg")[-1]
    forest = page.all("figure", id="forest-generalization")[0]
    label = next(svg for svg in page.all("svg") if svg.inside(forest)).attributes["aria-label"]
    effects = "Learning +6.1 [4.9, 7.4], helps, Generalization +2.9 [1.6, 4.1], helps"
    assert f"advantage: batch_norm: {effects}" in label
    assert "KL penalty: k3_alias: Learning identical, Generalization identical" in label


def test_ids_are_unique_and_every_internal_link_resolves(page):
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        for name, value in element.attributes.items():
            if name in ("href", "xlink:href", "aria-labelledby", "data-copy"):
                assert value.removeprefix("#") in ids
            for target in re.findall(r"url\(#([^)]+)\)", value):
                assert target in ids


def test_nothing_outside_the_page_is_needed(page_text, hostile_page_text, parse):
    for text in (page_text, hostile_page_text):
        page = parse(text)
        assert not page.all("link")
        assert not page.all("img")
        assert not [e for e in page.elements if "src" in e.attributes]
        links = [e.attributes["href"] for e in page.elements if "href" in e.attributes]
        assert all(link.startswith("#") for link in links)
        assert not re.search(r"@import|url\((?!#)", text)


def test_hostile_names_are_text_everywhere(hostile_page_text, hostile_name, parse):
    page = parse(hostile_page_text)
    assert "<script>alert" not in hostile_page_text
    scripts = [script.attributes for script in page.all("script")]
    assert all(set(script) <= {"type", "id", "class"} for script in scripts)
    assert {script.get("type") for script in scripts} == {None, "application/json"}
    assert page.all("h1")[0].text == hostile_name
    levels = {row.attributes["data-level"] for row in answer_rows(page)}
    assert hostile_name in levels
    assert page.all("code") == []
    assert any("$x^2" in label.text for label in page.all("text"))


def test_a_section_whose_part_is_absent_is_absent(analysis, parse, page_without_figures):
    for response in analysis["responses"].values():
        del response["dynamics"]
        response["anova"] = []
        response["contexts"] = []
        response["effects"] = [e for e in response["effects"] if e["estimand"] != "interaction"]
    analysis["comparisons"] = {}
    page = parse(page_without_figures(analysis))
    names = [section.attributes["id"] for section in page.all("section")]
    left = [name for name in names if name not in ("what-if", "computed")]
    gone = {"gap", "interactions", "contexts", "dynamics", "variance"}
    assert left == [name for name in SECTIONS if name not in gone]
    groups = [th.text for th in page.all("th") if th.attributes.get("class") == "group"]
    assert "Gap" not in groups


def test_warnings_stand_beside_the_verdicts(page):
    answer = page.all("section", id="answer")[0]
    warning = next(box for box in boxes(page, "trust") if box.inside(answer)).text
    assert "Limited evidence" in warning
    assert "1 mean lies within 0.05 of 0 or 1" in warning
    assert "smaller remark" in warning


def test_an_interim_report_says_so_beside_the_verdicts(analysis, parse, page_without_figures):
    analysis["deviations"] = ["interim analysis: 7 of 192 runs are outstanding"]
    page = parse(page_without_figures(analysis))
    texts = [box.text for box in boxes(page, "warnings") + boxes(page, "trust")]
    assert sum("interim analysis: 7 of 192" in text for text in texts) == 1
    finding = next(part for part in compose(analysis).sections if part.id == "provenance").finding
    assert finding.startswith("1 deviation from the plan")


def test_every_table_can_be_scrolled_by_keyboard_and_has_a_caption(page):
    for table in page.all("table"):
        box = table.parents[-1]
        assert box.attributes["tabindex"] == "0"
        assert any(caption.inside(table) and caption.text for caption in page.all("caption"))


def test_costs_hold_the_seconds_of_provenance(page):
    cost = page.all("table", id="cost")[0]
    heads = [th.text for th in page.all("th") if th.inside(cost)]
    assert heads == ["factor", "level", "updates", "samples", "generated_tokens", "seconds"]
    row = next(
        r for r in page.all("tr") if r.inside(cost) and r.attributes.get("data-level") == "4"
    )
    values = [td.attributes["data-value"] for td in page.all("td")
              if td.inside(row) and "data-value" in td.attributes]  # fmt: skip
    assert [float(value) for value in values] == [60.0, 3840.0, 60246.9134, 11.9876]


def test_two_renders_give_the_same_bytes(analysis, page_text):
    assert render_html(analysis) == page_text


def test_a_300_run_page_stays_below_two_megabytes(analysis):
    for response in analysis["responses"].values():
        residuals = response["diagnostics"]["residuals"]
        assert len(residuals["residual"]) >= 200
        for name, values in residuals.items():
            residuals[name] = (values * 2)[:300]
    assert len(render_html(analysis).encode()) < 2_000_000


def test_the_scripts_of_a_page_stay_small():
    folder = files("ablatekit.report.formats").joinpath("templates")
    scripts = [part for part in folder.iterdir() if part.name.endswith(".js")]
    assert {part.name for part in scripts} == set(SCRIPTS)
    assert sum(len(part.read_bytes()) for part in scripts) < 60_000


def test_the_colours_of_files_are_those_of_the_light_page():
    style = files("ablatekit.report.formats").joinpath("templates", "page.css").read_text()
    light = dict(re.findall(r"--([\w-]+): (#\w+);", style.partition("}")[0]))
    assert {name: light[name] for name in LIGHT} == LIGHT


def test_what_a_script_element_holds_cannot_end_it():
    text = as_json({"name": "</script><!-- & \u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"name": "</script><!-- & \u2028"}


def test_how_tables_were_made_is_said_once_and_linked(parse):
    table = Table(
        id="t", caption="A table", columns=[Column("x")], rows=[[Text("1")]],
        computed=("By OLS.", "By Holm."),
    )  # fmt: skip
    again = replace(table, id="u", computed=("By Holm.",))
    section = Section("s", "Title", "", [table, Fold("more", [again])], finding="It found this.")
    document = Document(title="", question="", facts=[], sections=[section])
    page = parse(render_page(document))
    notes = [
        item for item in page.all("li") if item.attributes.get("id", "").startswith("computed")
    ]
    assert [note.text for note in notes] == ["By OLS.", "By Holm."]
    links = [a.attributes["href"] for a in page.all("a") if "#computed-" in a.attributes["href"]]
    assert links == ["#computed-1", "#computed-2", "#computed-2"]
    labels = [box.attributes["aria-label"] for box in boxes(page, "scroll")]
    assert labels == ["A table", "A table (2)"]
    assert "It found this." in page.all("summary")[0].text


def test_a_figure_carries_its_numbers(parse):
    data = FigureData(["level", "gain"], [["=1+1, x", 0.123456789], ["</script>", None]])
    picture = Picture(id="f", title="F", alt="A figure", draw=lambda: canvas(40, 30),
                      data=lambda: data)  # fmt: skip
    section = Section("s", "Title", "", [Gallery(pictures=[picture])])
    page = parse(render_page(Document(title="", question="", facts=[], sections=[section])))
    text = next(part.text for part in page.all("script") if "class" in part.attributes)
    assert json.loads(text) == 'level,gain\n"\'=1+1, x",0.1234568\n</script>,\n'


def test_unequal_step_zero_scores_are_a_warning(analysis, parse, page_without_figures):
    analysis["responses"]["learning"]["diagnostics"]["messages"] = [statement("unequal_starts")]
    page = parse(page_without_figures(analysis))
    answer = page.all("section", id="answer")[0]
    warning = next(box for box in boxes(page, "trust") if box.inside(answer)).text
    assert "Learning: step-0 scores differ within a context" in warning


def test_a_plain_study_without_contexts_or_margins_renders_quietly(analysis, parse):
    """One response, no broad inference, no context, nothing estimable but the point estimates."""
    analysis["comparisons"] = {}
    analysis["responses"] = {"loss": analysis["responses"]["learning"]}
    response = analysis["responses"]["loss"]
    response.update(unit="nats", metric="loss", direction="lower", smallest_effect=None)
    response["contexts"] = response["heterogeneity"] = []
    analysis["design"].update(contexts=[{}], excluded=[], merged=[], held_equal={}, cost=[])
    numbers = ("se", "df", "low", "high", "p", "p_adjusted", "replicates_needed")
    response["effects"] = [
        effect
        | dict.fromkeys(numbers)
        | {"verdict": "not_estimated", "reason": statement("no_replicates")}
        for effect in response["effects"]
        if effect["inference"] == "narrow"
    ]
    text = render_html(analysis)
    page = parse(text)
    rows = answer_rows(page)
    assert verdicts_of(page, rows[0]) == ["not_estimated"]
    assert "+0.061" in rows[0].text
    reason = say(statement("no_replicates"))
    assert reason not in rows[0].text
    assert text.count(f"Not estimated: {reason}.") == 1
    assert "nothing is called equivalent" in page.all("section", id="answer")[0].text


def test_marks_tell_their_numbers_to_who_points_at_them(hostile_page_text, hostile_name):
    tips = re.findall(r"<g><title>(.*?)</title>", hostile_page_text)
    assert any(": 4: +2.4 and +4.9 pp, gap narrows" in tip for tip in tips)
    assert any(html.escape(hostile_name) in tip for tip in tips)
    assert not any("<" in tip for tip in tips)
