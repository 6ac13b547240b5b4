"""Writing the report: a whole new folder takes the place of the old one, or nothing changes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ablatekit.analysis.schema import Analysis
from ablatekit.canonical import sync_directory, write_atomically, write_json
from ablatekit.report.contents import compose
from ablatekit.report.html import render_page
from ablatekit.report.markdown import render_text


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where the parts of a written report lie."""

    html: Path
    markdown: Path
    json: Path


def write_report(analysis: Analysis, directory: Path) -> ReportFiles:
    """Write `index.html`, `report.md` and `analysis.json` into `directory`, replacing it whole.

    Everything is rendered and written beside `directory` first; a process killed before the swap
    leaves the old report, and the next call clears what it left.
    """
    document = compose(analysis)
    parts = {
        "index.html": render_page(document).encode(),
        "report.md": render_text(document).encode(),
    }
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = directory.with_name(f".{directory.name}.new")
    _clear(fresh)
    fresh.mkdir()
    for name, content in parts.items():
        write_atomically(fresh / name, content)
    write_json(fresh / "analysis.json", json.loads(json.dumps(analysis)))
    _swap(fresh, directory)
    return ReportFiles(
        directory / "index.html", directory / "report.md", directory / "analysis.json"
    )


def _swap(fresh: Path, directory: Path) -> None:
    """Put `fresh` in the place of `directory`; a crash between the renames keeps both folders."""
    old = directory.with_name(f".{directory.name}.old")
    _clear(old)
    if directory.exists():
        directory.replace(old)
    fresh.replace(directory)
    sync_directory(directory.parent)
    _clear(old)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
