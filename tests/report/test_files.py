"""Writing a report: whole, repeatable, and never at the old one's expense."""

from __future__ import annotations

import json

import pytest

from ablatekit.report import files, render_html, render_markdown, write_report


def test_the_three_files_hold_what_is_rendered(analysis, tmp_path):
    written = write_report(analysis, tmp_path / "study" / "report")
    assert written.html.read_text() == render_html(analysis)
    assert written.markdown.read_text() == render_markdown(analysis)
    assert json.loads(written.json.read_text()) == analysis
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["report"]


def test_a_writer_that_dies_leaves_the_old_report(analysis, tmp_path, monkeypatch):
    written = write_report(analysis, tmp_path / "report")
    before = {path.name: path.read_bytes() for path in written.html.parent.iterdir()}
    analysis["study"]["title"] = "another title"
    calls = []

    def dying(path, data):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomically", dying)
        with pytest.raises(KeyboardInterrupt):
            write_report(analysis, tmp_path / "report")
    assert {path.name: path.read_bytes() for path in written.html.parent.iterdir()} == before
    write_report(analysis, tmp_path / "report")
    assert "another title" in written.html.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
