"""Writing a report: whole, repeatable, and never at the old one's expense."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ablatekit.errors import WorkspaceError
from ablatekit.report import write as files
from ablatekit.report.write import report_contents, write_report


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


def files_of(folder):
    """Every file of a folder and of those in it, by its path there."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_files_hold_what_is_rendered(built_analysis, page_text, tmp_path):
    written = write_report(built_analysis, tmp_path / "study" / "report")
    assert written.html.read_text() == page_text
    assert json.loads(written.json.read_text()) == built_analysis
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["report"]
    files = files_of(written.html.parent)
    assert {"card.png", "table1.tex", "effects.csv"} <= files.keys()
    shown = re.findall(r"\]\((figures/[^)]+)\)", written.markdown.read_text())
    assert set(shown) == {name for name in files if name.startswith("figures/")}
    assert len(shown) == len(set(shown)) > 6


def test_the_same_analysis_gives_the_same_bytes(light):
    assert report_contents(light) == report_contents(light)


def test_figures_and_tables_of_an_earlier_report_go(light, tmp_path):
    folder = tmp_path / "report"
    write_report(light, folder)
    (folder / "figures" / "old.png").write_bytes(b"old")
    (folder / "figures" / "mine.png").write_bytes(b"mine")
    with (folder / "report.md").open("a") as text:
        text.write("\n![of an earlier report](figures/old.png)\n")
    (folder / "figures" / "notes.txt").write_text("mine")
    (folder / "mine.txt").write_text("mine")
    write_report(light, folder)
    files = files_of(folder)
    assert "figures/old.png" not in files
    mine = {"figures/notes.txt", "figures/mine.png", "mine.txt"}
    assert {*mine, "table1.tex"} <= files.keys()
    for part in (*light["responses"].values(), *light["comparisons"].values()):
        part["effects"] = []
    light["design"]["factors"] = []
    write_report(light, folder)
    assert "table1.tex" not in files_of(folder)


def test_a_writer_that_dies_leaves_the_old_report(light, tmp_path, monkeypatch):
    written = write_report(light, tmp_path / "report")
    before = files_of(written.html.parent)
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
    assert files_of(written.html.parent) == before
    write_report(light, tmp_path / "report")
    assert "another title" in written.html.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_files_that_no_report_wrote_are_neither_replaced_nor_removed(light, tmp_path):
    (tmp_path / "figures").mkdir()
    theirs = {"effects.csv": b"a table", "brief.md": b"a text", "figures/mine.png": b"a figure"}
    for name, content in theirs.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"no report wrote: brief\.md, effects\.csv"):
        write_report(light, tmp_path)
    assert files_of(tmp_path) == theirs
    (tmp_path / "effects.csv").unlink()
    (tmp_path / "brief.md").unlink()
    write_report(light, tmp_path)
    assert files_of(tmp_path)["figures/mine.png"] == b"a figure"


def test_the_page_of_a_comparison_is_not_replaced(light, tmp_path):
    (tmp_path / "comparison.json").write_text('{"effects": []}')
    with pytest.raises(WorkspaceError, match="the page of a comparison"):
        write_report(light, tmp_path)


def test_the_folder_may_be_the_present_one(light, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert write_report(light, Path()).html.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
