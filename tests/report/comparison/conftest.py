"""Pairs of studies: the committed one, and the fixture analysis against another like it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ablatekit.report.comparison.studies import Studies, studies_of

REPORTS = Path(__file__).parents[3] / "reports"


@pytest.fixture(scope="session")
def committed() -> Studies:
    """Equal rounds against equal samples."""
    first, second = (
        json.loads((REPORTS / name / "analysis.json").read_text())
        for name in ("full_factorial", "equal_samples")
    )
    return studies_of(first, second)


@pytest.fixture
def pair(
    built_analysis: Any, renamed: Callable[[Any, str, str], Any]
) -> Callable[..., tuple[Any, Any]]:
    """The fixture analysis as `here`, and as `there` in other contexts with other estimates.

    Takes the differences by (response, level), and settings held equal only there.
    """

    def build(
        differences: Mapping[tuple[str, str], float] | None = None, **held: Any
    ) -> tuple[Any, Any]:
        first = copy.deepcopy(built_analysis)
        second = renamed(built_analysis, "tiny-", "large-")
        for analysis, name in ((first, "here"), (second, "there")):
            analysis["study"] |= {"name": name, "title": name}
            analysis["provenance"].pop("plan_hash")
            for response, part in analysis["responses"].items():
                part["label"] = response
        second["design"]["held_equal"] = {**first["design"]["held_equal"], **held}
        for (response, level), difference in (differences or {}).items():
            for row in second["responses"][response]["effects"]:
                if row["level"] == level and row["estimate"] is not None:
                    for part in ("estimate", "low", "high"):
                        row[part] += difference
        return first, second

    return build
