"""Writing the report: the new one takes the place of the old one, or nothing changes."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from ablatekit.analysis.schema import Analysis
from ablatekit.canonical import sync_directory, write_atomically
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
    """Write `index.html`, `report.md` and `analysis.json` into `directory`.

    All three are rendered and made durable in a folder beside `directory` before the first one
    replaces its predecessor, each atomically and the page last: a process killed at any moment
    leaves a readable report, and the next call clears what it left.
    """
    document = compose(analysis)
    contents = {
        "analysis.json": _json(analysis),
        "report.md": render_text(document).encode(),
        "index.html": render_page(document).encode(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory.with_name(f".{directory.name}.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir()
    for name, content in contents.items():
        write_atomically(fresh / name, content)
    for name in contents:
        (fresh / name).replace(directory / name)
    sync_directory(directory)
    fresh.rmdir()
    return ReportFiles(
        directory / "index.html", directory / "report.md", directory / "analysis.json"
    )


def _json(analysis: Analysis) -> bytes:
    text = json.dumps(analysis, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False)
    return text.encode() + b"\n"
