"""The committed page of design choices is what the metadata says."""

from __future__ import annotations

from pathlib import Path

from ablatekit_rft.document import factors_page
from ablatekit_rft.levels.registry import LEVELS
from ablatekit_rft.rules import RULES

PAGE = Path(__file__).parents[3] / "docs" / "rft-factors.md"


def test_the_committed_page_is_the_generated_one() -> None:
    remedy = "python -m ablatekit_rft.document > docs/rft-factors.md"
    assert PAGE.read_text(encoding="utf-8") == factors_page(), remedy


def test_every_level_and_rule_is_on_the_page() -> None:
    page = factors_page()
    for levels in LEVELS.values():
        for level in levels:
            assert f"| `{level.name}` |" in page
            assert " ".join(level.formula.split()).replace("|", "\\|") in page
    assert all(f"| {rule.name} | {rule.kind} |" in page for rule in RULES)
