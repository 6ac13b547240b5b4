"""The committed reports are what the renderer makes of their analysis.json."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablatekit.report.comparison.studies import studies_of
from ablatekit.report.write import comparison_contents, report_contents

REPORTS = Path(__file__).parents[2] / "reports"
NEAR = 2.0
"""Mean difference of shades, of 255, up to which two drawings are one."""
MOST_BYTES = 1_500_000
"""Of all pictures of a report."""
SHIPPED = sorted(path.parent for path in REPORTS.glob("*/analysis.json"))


def test_every_folder_of_the_readme_is_there():
    text = (REPORTS / "README.md").read_text()
    assert len(SHIPPED) >= 4
    assert all(f"({folder.name}/report.md)" in text for folder in SHIPPED)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_committed_report_equals_a_fresh_render(folder):
    _assert_fresh(folder, report_contents(_analysis(folder.name)))


def test_every_committed_comparison_equals_a_fresh_render(compared_reports):
    committed = {path.parent.name for path in REPORTS.glob("*/comparison.json")}
    assert committed == set(compared_reports)
    for name, studies in compared_reports.items():
        _assert_fresh(REPORTS / name, comparison_contents(studies_of(*map(_analysis, studies))))


def _analysis(name):
    return json.loads((REPORTS / name / "analysis.json").read_text())


def _assert_fresh(folder, fresh):
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert files.keys() == fresh.keys()
    stale = [name for name, path in files.items() if not _same(name, path, fresh[name])]
    assert not stale, f"render reports/{folder.name} again: {', '.join(stale)} changed"
    assert sum(path.stat().st_size for path in files.values() if path.suffix == ".png") < MOST_BYTES


def _same(name, path, fresh):
    """Texts are the same bytes; builds of the library that draws letters differ by a shade."""
    if not name.endswith(".png"):
        return path.read_bytes() == fresh
    committed, drawn = (
        np.asarray(Image.open(source).convert("L"), dtype=float)
        for source in (path, io.BytesIO(fresh))
    )
    if committed.shape != drawn.shape:
        return False
    return np.abs(committed - drawn).mean() < NEAR


def test_another_drawing_is_not_taken_for_the_same(tmp_path):
    path = tmp_path / "drawn.png"
    Image.new("L", (40, 40), 250).save(path)
    marked = Image.new("L", (40, 40), 250)
    marked.paste(0, (10, 10, 20, 20))
    content = io.BytesIO()
    marked.save(content, "png")
    assert _same("drawn.png", path, path.read_bytes())
    assert not _same("drawn.png", path, content.getvalue())
