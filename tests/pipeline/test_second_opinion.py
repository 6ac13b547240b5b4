"""The second opinion of a study: asked for after the answer, harmless whatever becomes of it."""

from __future__ import annotations

import json

import pytest

from ablatekit.cli.main import invoke
from ablatekit.pipeline import second_opinion
from ablatekit.report.bundle import same_analysis

ASKED = "--second-opinion"


def test_a_study_is_recomputed_after_its_answer(whole_copy, capsys):
    before = whole_copy.analysis()
    assert "second_opinion" not in before
    assert whole_copy.call("report", ASKED) == 0
    after = whole_copy.analysis()
    opinion = after.pop("second_opinion")
    assert opinion["recomputed"] > 500
    assert opinion["disagreements"] == []
    assert {part["kind"] for part in opinion["kinds"]} >= {"narrow", "broad", "holm", "anova"}
    assert {**after, "provenance": None} == {**before, "provenance": None}
    printed = capsys.readouterr().out
    assert printed.index("helps_both") < printed.index("report:")


@pytest.mark.parametrize(
    ("module", "seconds", "code"),
    [
        ("ablatekit.no_such_module", 60, "second_opinion_failed"),
        (second_opinion.MODULE, 0.001, "second_opinion_late"),
    ],
)
def test_a_child_that_dies_leaves_its_reason(module, seconds, code, finished, monkeypatch):
    monkeypatch.setattr(second_opinion, "MODULE", module)
    monkeypatch.setattr(second_opinion, "SECONDS", seconds)
    before = finished.analysis()
    assert finished.call("report", ASKED) == 0
    after = finished.analysis()
    opinion = after.pop("second_opinion")
    assert opinion["recomputed"] == 0
    assert opinion["of"] > 0
    assert {row["reason"]["code"] for row in opinion["not_recomputed"]} == {code}
    assert after["responses"] == before["responses"]
    assert (finished.folder / "report" / "index.html").exists()


def test_an_opinion_is_no_part_of_what_a_bundle_is_held_against(finished):
    analysis = finished.analysis()
    assert same_analysis({**analysis, "second_opinion": {}}, analysis)
    assert not same_analysis({**analysis, "deviations": ["one"]}, analysis)


def test_a_table_is_recomputed_on_request(tmp_path, capsys):
    table, out = tmp_path / "runs.csv", tmp_path / "analysis.json"
    rows = [f"{'ab'[i % 2]},m{i // 2 % 3},{i % 5 + i % 2}" for i in range(24)]
    table.write_text("\n".join(["x,model,y", *rows]))
    words = ["--response", "y", "--factors", "x", "--contexts", "model"]
    assert invoke(["analyze", str(table), *words, ASKED, "--json", str(out)]) == 0
    opinion = json.loads(out.read_text())["second_opinion"]
    assert opinion["recomputed"] > 30
    assert opinion["disagreements"] == []
    assert "recomputed by statsmodels" in capsys.readouterr().out
    assert invoke(["analyze", str(table), "--formula", "y ~ x", ASKED]) == 2
