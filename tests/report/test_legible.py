"""Characters that act unseen and passwords of URIs reach no reader of a report."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from ablatekit.legible import has_invisible
from ablatekit.report.formats import html, terminal
from ablatekit.report.write import report_contents

ACTING = "\u202eevil\u2066 \x1b[31m http://me:hunter2@host"


@pytest.fixture
def acting_analysis(analysis):
    """An analysis whose level, label, question, title and messages carry them."""
    text = json.dumps(analysis)
    text = text.replace('"batch_norm', json.dumps(ACTING)[:-1] + "batch_norm")
    changed = json.loads(text)
    changed["study"]["question"] = changed["study"]["title"] = ACTING
    changed["deviations"] = [ACTING]
    changed["design"]["warnings"] = [ACTING]
    changed["provenance"]["note"] = ACTING
    changed["responses"]["learning"]["label"] = f"learning{ACTING}"
    return changed


def test_no_file_of_a_report_lets_them_act(acting_analysis, monkeypatch):
    monkeypatch.setattr(html, "svg", lambda picture, **_: f"<svg>{picture.title}</svg>")
    for name, content in report_contents(acting_analysis).items():
        if name.endswith((".png", ".pdf")):
            continue
        text = content.decode()
        assert "hunter2" not in text, name
        assert "evil" in text or name == "table1.tex"
        if name != "analysis.json":
            assert not has_invisible(text), name


def test_no_figure_lets_them_act(acting_analysis):
    page = html.render_html(acting_analysis)
    assert not has_invisible(page)
    assert "evil" in page


def test_no_line_of_a_terminal_lets_them_act(acting_analysis):
    console = Console(width=120, color_system=None, force_terminal=False)
    with console.capture() as printed:
        for part in terminal.answer(acting_analysis, everything=True):
            console.print(part)
    assert "evil" in printed.get()
    assert not has_invisible(printed.get())
    assert "hunter2" not in printed.get()
