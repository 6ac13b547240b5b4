"""An analysis that was written: by its own file, its bundle, or its study in the workspace."""

from __future__ import annotations

from pathlib import Path

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.errors import Problem, WorkspaceError
from ablatekit.report.bundle import analyse_bundle, is_current, read_analysis, read_bundle
from ablatekit.runs.workspace import find_workspace
from ablatekit.study.load import load_study


def stored_analysis(path: Path, workspace: Path | None) -> Analysis:
    """The analysis of a file: itself, that of a bundle, or that of a study in the workspace."""
    if path.suffix == ".zip":
        bundle = read_bundle(path)
        return bundle.analysis if is_current(bundle.analysis) else analyse_bundle(bundle)
    if path.suffix == ".json":
        return read_analysis(path)
    name = load_study(path, ()).study.name
    stored = find_workspace(workspace).study(name).analysis
    if not stored.exists():
        remedy = f"Run it first: ablatekit study run {path}"
        raise WorkspaceError(Problem("this study has no analysis here", str(stored), remedy))
    return read_analysis(stored)
