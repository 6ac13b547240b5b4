"""The page of two studies: figure, table, trust, plans, configurations, and its files."""

from __future__ import annotations

import copy
import csv
import io
import json
import re

import pytest

from ablatekit.cli.main import invoke
from ablatekit.report.comparison.answer import MOST_LINES
from ablatekit.report.comparison.figure import MOST_ROWS, compared_picture
from ablatekit.report.comparison.page import comparison_document
from ablatekit.report.comparison.studies import studies_of
from ablatekit.report.comparison.trust import comparison_trust
from ablatekit.report.document import Badge, plain_text
from ablatekit.report.formats.html import render_page
from ablatekit.report.language.numbers import MINUS
from ablatekit.report.write import comparison_contents, write_comparison


@pytest.fixture(scope="module")
def document(committed):
    return comparison_document(committed)


@pytest.fixture(scope="module")
def files(committed):
    return comparison_contents(committed)


def section(document, name):
    return next(part for part in document.sections if part.id == name)


def texts(row):
    return [plain_text(entry) for entry in row]


def points(first, second):
    box = comparison_trust(studies_of(first, second))
    return box.level, " ".join(box.points)


def test_a_line_holds_both_studies_their_difference_and_whether_they_agree(document):
    table = document.brief.table
    assert texts(table.rows[0]) == [
        "Generalization, pp", "rollouts 4 (vs 1)",
        "+3.4 [3.0, 3.8]", "helps, by more than matters", "over models: helps", "4\u00d7 samples",
        f"{MINUS}5.7 [{MINUS}6.2, {MINUS}5.1]", "hurts, by more than matters",
        "over models: hurts", "1\u00d7 generated tokens",
        f"{MINUS}9.1 [{MINUS}9.8, {MINUS}8.4]", "differ, by more than matters",
        f"over models: differ ([{MINUS}14.1, {MINUS}4.1])", "p <0.001",
    ]  # fmt: skip
    assert [entry.verdict for row in table.rows for entry in row[-3:-2]] == [
        "differ", "agree", "differ", "agree",
    ]  # fmt: skip
    assert {column.group for column in table.columns} == {
        "", "full_factorial", "equal_samples", "Difference",
    }  # fmt: skip
    assert any("90% interval" in text and "(here 2 pp)" in text for text in table.computed)


def test_the_plans_differ_in_what_is_listed_and_in_nothing_else(document):
    plans = section(document, "plans")
    rows = {tuple(texts(row)) for row in plans.blocks[1].rows}
    assert ("held equal", "budget.unit", "rounds", "samples") in rows
    assert ("held equal", "budget.amount", "60", "7680") in rows
    assert ("factor", "queries per round", "q32 (baseline), q64", "not in this study") in rows
    assert ("runs", "replicates", "2", "3") in rows
    assert ("analysis", "price", "samples", "generated tokens") in rows
    assert {kind for kind, *_ in rows} == {"held equal", "factor", "runs", "analysis"}
    assert plans.finding.startswith("Held equal: rounds (60) in full_factorial, samples (7,680)")


def test_configurations_of_both_stand_side_by_side(committed, document):
    part = section(document, "same-configurations")
    assert part.finding == (
        f"3 configurations are in both; rollouts 4 alone +1.7 and {MINUS}7.8 pp on generalization."
    )
    row = next(row for row in part.blocks[0].rows if plain_text(row[0]) == "rollouts 4 alone")
    for place, analysis in ((1, committed.first), (3, committed.second)):
        rows = analysis["responses"]["generalization"]["configurations"]["rows"]
        narrow = next(
            row for row in rows if row["level"] == "rollouts=4" and row["inference"] == "narrow"
        )
        assert (row[place].value, row[place].low) == (narrow["estimate"], narrow["low"])


def test_other_baselines_have_no_configuration_in_common(committed):
    second = copy.deepcopy(committed.second)
    second["design"]["factors"][1]["baseline"] = "4"
    document = comparison_document(studies_of(committed.first, second))
    assert "same-configurations" not in {part.id for part in document.sections}


def test_the_box_names_what_limits_the_comparison(committed):
    box = comparison_trust(committed)
    assert box.level == "limited"
    told = " ".join(box.points)
    assert "Only full_factorial averages over queries per round and learning rate" in told
    assert f"rollouts 4 alone: +1.7 points generalization becomes {MINUS}7.8." in told
    assert "differ in 2 things (budget, the factors varied)" in told
    assert "Differences hold in 6 shared contexts" in told


def test_a_weak_study_runs_of_both_and_other_contexts_are_said(pair):
    first, second = pair()
    level, told = points(first, second)
    assert "No context is in both" in told
    assert "runs are in both studies" in told
    second["design"]["replicates"] = 1
    level, told = points(first, second)
    assert level == "weak"
    assert "there alone is weak evidence: One run per cell" in told
    for part in (first, second):
        part["design"]["contexts"] = [{}]
    assert "No contexts are told apart" in points(first, second)[1]


def test_other_backends_are_a_thing_in_which_plans_differ(pair):
    first, second = pair()
    first["study"]["backend"], second["study"]["backend"] = "rft", "trl"
    assert "the backend (rft and trl)" in points(first, second)[1]
    del second["study"]["backend"]
    assert "the backend" not in points(first, second)[1]


def test_metrics_versions_and_missing_margins_are_said(pair):
    first, second = pair()
    second["responses"]["learning"]["metric"] = "other/pass@1"
    second["study"]["results_version"] = 99
    second["study"]["backend"] = first["study"]["backend"] = "rft"
    for response in second["responses"].values():
        response["smallest_effect"] = None
    _, told = points(first, second)
    assert "Learning is measured as" in told
    assert "different versions of rft" in told
    assert "Without a smallest effect in both studies nothing can agree" in told
    second["responses"]["learning"]["smallest_effect"] = 0.02
    assert "Generalization: without a smallest effect" in points(first, second)[1]


def test_the_figure_has_one_axis_for_one_unit_and_both_numbers(committed):
    picture = compared_picture(committed)
    panels = picture.draw.args[0].panels
    assert len({panel.limits for panel in panels}) == 1
    rows = picture.data().rows
    first = dict(zip(picture.data().columns, rows[0], strict=True))
    effect = next(row for row in committed.found.effects if row.response == "generalization"
                  and row.factor == "rollouts")  # fmt: skip
    assert first["first_estimate"] == effect.first.estimate
    assert first["second_low"] == effect.second.low
    assert first["difference"] == effect.difference
    assert "rollouts 4 on generalization, +3.4 points and" in picture.alt


def test_responses_in_other_units_have_axes_of_their_own(pair):
    first, second = pair()
    for part in (first, second):
        part["responses"]["learning"]["unit"] = "nats"
    panels = compared_picture(studies_of(first, second)).draw.args[0].panels
    assert {panel.scale.unit for panel in panels} == {"pp", "nats"}
    assert len({panel.limits for panel in panels}) == 2
    second["responses"]["learning"]["unit"] = "bits"
    panels = compared_picture(studies_of(first, second)).draw.args[0].panels
    assert [panel.scale.unit for panel in panels] == ["pp"]


def test_of_many_levels_the_first_screen_shows_some_and_the_page_all(committed):
    first, second = copy.deepcopy(committed.first), copy.deepcopy(committed.second)
    for analysis in (first, second):
        for number in range(6):
            analysis["responses"][f"extra {number}"] = copy.deepcopy(
                analysis["responses"]["learning"]
            )
    document = comparison_document(studies_of(first, second))
    assert len(document.brief.table.rows) == MOST_LINES
    assert "6 further lines" in document.brief.table.footer
    assert len(section(document, "effects").blocks[0].rows) == 16
    figure = document.brief.figure
    assert sum(len(panel.rows) for panel in figure.draw.args[0].panels) == MOST_ROWS
    assert len(figure.data().rows) == 16


def test_a_study_and_itself_have_neither_figure_nor_table(pair):
    first, _ = pair()
    document = comparison_document(studies_of(first, copy.deepcopy(first)))
    assert document.title == "here against itself"
    assert (document.brief.figure, document.brief.table, document.facts) == (None, None, [])
    assert document.brief.trust.title == "One study, not two"
    assert render_page(document).startswith("<!DOCTYPE html>")


def test_studies_of_one_name_are_told_apart(pair):
    first, second = pair()
    second["study"]["title"] = "here"
    assert studies_of(first, second).names == ("here (first)", "here (second)")


def test_the_files_hold_the_same_numbers(committed, files):
    assert list(files)[-1] == "index.html"
    told = json.loads(files["comparison.json"])
    assert told == json.loads(json.dumps(committed.found.to_json()))
    rows = list(csv.DictReader(io.StringIO(files["comparison.csv"].decode())))
    assert [row["agreement"] for row in rows] == ["differ", "agree", "differ", "agree"]
    by_level = {(row["response"], row["level"]): row for row in told["effects"]}
    for row in rows:
        effect = by_level[row["response"], row["level"]]
        assert float(row["difference"]) == pytest.approx(effect["difference"], rel=1e-6)
        assert float(row["first_low"]) == pytest.approx(effect["first"]["low"], rel=1e-6)
    markdown = files["compare.md"].decode()
    (shown,) = re.findall(r"\]\((.*?)\)", markdown)
    assert shown in files
    assert files[shown].startswith(b"\x89PNG")


def test_hostile_names_act_nowhere(pair, renamed, hostile_name, tmp_path):
    first, second = (renamed(part, "batch_norm", hostile_name) for part in pair())
    second["study"]["title"] = hostile_name
    page = write_comparison(studies_of(first, second), tmp_path / "page").read_text()
    assert "<script>alert" not in page
    assert "\u202e" not in page
    rows = (page.parent / "comparison.csv" for page in [tmp_path / "page" / "index.html"])
    assert all("\u202e" not in path.read_text() for path in rows)


def test_no_badge_lacks_a_mark(document):
    page = render_page(document)
    known = set(re.findall(r'<symbol id="([^"]+)"', page))
    assert set(re.findall(r'<use href="#(i-[^"]+)"', page)) <= known
    entries = [entry for row in document.brief.table.rows for entry in row]
    assert {entry.verdict for entry in entries if isinstance(entry, Badge)} >= {"agree", "differ"}


def table(path, rows, **options):
    path.write_text("\n".join([",".join(rows[0]), *(",".join(map(str, row)) for row in rows[1:])]))
    folder = path.with_suffix("")
    asked = [f"--{name}={value}" for name, value in options.items()]
    assert invoke(["analyze", str(path), *asked, "--report", str(folder)]) == 0
    return json.loads((folder / "analysis.json").read_text())


def test_tables_are_called_by_their_files_and_share_no_rows(tmp_path):
    """Two tables without contexts, prices and smallest effects; lower is better."""
    options = {"response": "loss", "factors": "opt,lr"}
    analyses = []
    for name, sign in (("first", 1), ("second", -1)):
        rows = [["opt", "lr", "loss"]]
        for number in range(16):
            change = sign * (number % 2) + 0.03 * (number * 7 % 5)
            rows.append([["sgd", "adam"][number % 2], ["lo", "hi"][number // 2 % 2],
                         round(3 + change, 3)])  # fmt: skip
        analyses.append(table(tmp_path / f"{name}.csv", rows, **options))
    studies = studies_of(*analyses)
    assert studies.names == ("first.csv", "second.csv")
    document = comparison_document(studies)
    assert document.brief.headline[0].startswith("Opt adam: +")
    assert "loss (lower is better) in first.csv" in document.brief.headline[0]
    assert "the sign flips" in document.brief.headline[0]
    told = " ".join(document.brief.trust.points)
    assert "runs are in both" not in told
    assert "No contexts are told apart" in told
    again = studies_of(analyses[0], copy.deepcopy(analyses[0]))
    assert again.same
