"""An analysis that an earlier version wrote is told apart, and says what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ablatekit.analysis.core.schema.analysis import SCHEMA_VERSION
from ablatekit.cli.main import invoke
from ablatekit.report.bundle import same_analysis

SHELL: dict[str, Any] = {"responses": {}, "design": {"contexts": []}, "study": {}, "provenance": {}}


def test_an_older_analysis_asks_for_its_archive(tmp_path: Any, capsys: Any) -> None:
    path = tmp_path / "analysis.json"
    path.write_text(json.dumps({**SHELL, "schema_version": 1}))
    assert invoke(["study", "compare", str(path), str(path)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"has schema version 1, not {SCHEMA_VERSION}" in told
    assert "ablatekit study report X.zip" in told


@pytest.mark.parametrize(("version", "same"), [(SCHEMA_VERSION, True), (1, None)])
def test_an_older_bundled_analysis_is_neither_equal_nor_different(version: int, same: Any) -> None:
    analysis: Any = {**SHELL, "schema_version": version}
    assert same_analysis(analysis, analysis) is same
