"""The committed reports are what the renderer makes of their analysis.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ablatekit.report.write import report_contents

REPORTS = Path(__file__).parents[2] / "reports"
SHIPPED = sorted(path.parent for path in REPORTS.glob("*/analysis.json"))


def test_every_folder_of_the_readme_is_there():
    text = (REPORTS / "README.md").read_text()
    assert len(SHIPPED) >= 4
    assert all(f"({folder.name}/report.md)" in text for folder in SHIPPED)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_committed_report_equals_a_fresh_render(folder):
    fresh = report_contents(json.loads((folder / "analysis.json").read_text()))
    assert {path.name for path in folder.iterdir()} == set(fresh)
    stale = [name for name, content in fresh.items() if (folder / name).read_bytes() != content]
    assert not stale, f"render reports/{folder.name} again: {', '.join(stale)} changed"
