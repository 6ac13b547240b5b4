"""The second opinion of a study: asked for after the answer, harmless whatever becomes of it."""

from __future__ import annotations

import pytest

from ablatekit.cli.main import invoke
from ablatekit.pipeline import second_opinion
from ablatekit.report.bundle import read_bundle

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
        ("http.server", 0.2, "second_opinion_late"),
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


def test_a_bundle_is_the_same_with_and_without_its_opinion(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(second_opinion, "MODULE", "ablatekit.no_such_module")
    bundle = tmp_path / "planted.zip"
    assert finished.call("export", ASKED, "--output", str(bundle)) == 0
    capsys.readouterr()
    assert "second_opinion" in read_bundle(bundle).analysis
    assert invoke(["study", "report", str(bundle)]) == 0
    assert "equals the bundled one" in capsys.readouterr().out
