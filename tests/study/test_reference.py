from __future__ import annotations

from pathlib import Path

from ablatekit.study.parts import complete_model
from ablatekit.study.reference import study_reference
from ablatekit.study.schema import StudySchema

PAGE = Path(__file__).parents[2] / "docs" / "study-file.md"


def test_the_page_of_keys_is_that_of_the_schema() -> None:
    text = study_reference(complete_model().model_json_schema())
    assert text == PAGE.read_text(encoding="utf-8"), "ablatekit schema --markdown > docs/..."


def test_every_key_of_a_study_has_a_row() -> None:
    text = PAGE.read_text(encoding="utf-8")
    keys = [
        *StudySchema.model_fields,
        "levels",
        "baseline",
        "metric",
        "smallest_effect",
        "cells",
        "uri",
    ]
    assert [key for key in keys if f"| `{key}` |" not in text] == []
    assert "## contexts.<name>" in text
    assert "## design (kind: custom)" in text
