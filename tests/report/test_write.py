"""Writing a report: whole, repeatable, and never at the old one's expense."""

from __future__ import annotations

import json

import pytest

from ablatekit.report import write as files
from ablatekit.report.formats.markdown import render_markdown
from ablatekit.report.write import write_report


@pytest.fixture
def light(analysis):
    """An analysis whose report takes little time: one figure, one response."""
    analysis["design"]["contexts"] = analysis["design"]["contexts"][:1]
    del analysis["responses"]["generalization"]
    analysis["comparisons"] = {}
    for response in analysis["responses"].values():
        response["dynamics"] = response["anova"] = []
        response["diagnostics"]["residuals"] = {"fitted": [], "residual": [], "quantile": []}
        response["effects"] = [e for e in response["effects"] if e["estimand"] == "average"]
    return analysis


def test_the_three_files_hold_what_is_rendered(built_analysis, page_text, tmp_path):
    written = write_report(built_analysis, tmp_path / "study" / "report")
    assert written.html.read_text() == page_text
    assert written.markdown.read_text() == render_markdown(built_analysis)
    assert json.loads(written.json.read_text()) == built_analysis
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["report"]


def test_a_writer_that_dies_leaves_the_old_report(light, tmp_path, monkeypatch):
    written = write_report(light, tmp_path / "report")
    before = {path.name: path.read_bytes() for path in written.html.parent.iterdir()}
    light["study"]["title"] = "another title"
    calls = []

    def dying(path, data):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomically", dying)
        with pytest.raises(KeyboardInterrupt):
            write_report(light, tmp_path / "report")
    assert {path.name: path.read_bytes() for path in written.html.parent.iterdir()} == before
    write_report(light, tmp_path / "report")
    assert "another title" in written.html.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
