"""The folder of a report: which of its files a report wrote, and which are somebody else's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ablatekit.errors import Problem, WorkspaceError

PAGE = "index.html"
ANALYSIS, COMPARISON = "analysis.json", "comparison.json"
TEXTS = ("report.md", "brief.md", "compare.md")
REPORT_FILES = (ANALYSIS, "effects.csv", *TEXTS[:2], "table1.tex", "card.png", PAGE)
"""What a report of one analysis writes beside its figures."""
OPTIONAL = ("brief.md", "table1.tex")
"""Files that only some analyses have."""
_SIGNATURES = {PAGE: b"ablatekit report", ANALYSIS: b'"schema_version"', COMPARISON: b'"effects"'}
_FIGURE = re.compile(r"\]\((figures/[^/()]+\.png)\)")


def unfinished(folder: Path) -> Path:
    """Where the files of a report lie until all of them are durable: beside its folder."""
    folder = folder.resolve()
    return folder.with_name(f".{folder.name}.new")


def check_folder(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder where files of these names are not those of an earlier report.

    Raises WorkspaceError: nothing that somebody else wrote is replaced, nor the page of two studies
    by the report of one. A folder beside which an unfinished report lies is one whose writer died.
    """
    names = set(names)
    if ANALYSIS in names and (folder / COMPARISON).exists():
        rule = "the report of a study would replace the page of a comparison"
        raise WorkspaceError(Problem(rule, str(folder), "Name another folder for --report"))
    if _is_report(folder) or unfinished(folder).exists():
        return
    strangers = sorted(name for name in names if (folder / name).exists())
    if strangers:
        rule = f"the report would replace files that no report wrote: {', '.join(strangers)}"
        raise WorkspaceError(Problem(rule, str(folder), "Name another folder for --report"))


def earlier_files(folder: Path) -> set[str]:
    """Files that an earlier report left and that a new one may lack: what its texts show."""
    if not _is_report(folder):
        return set()
    texts = [(folder / name) for name in TEXTS if (folder / name).is_file()]
    shown = (_FIGURE.findall(text.read_text("utf-8", "replace")) for text in texts)
    return {*OPTIONAL, *(name for names in shown for name in names)}


def _is_report(folder: Path) -> bool:
    return any(
        (folder / name).is_file() and signature in (folder / name).read_bytes()
        for name, signature in _SIGNATURES.items()
    )
