"""The committed page of design choices is what the metadata says; the page of traps names tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ablatekit_rft.document import factors_page, peers_page
from ablatekit_rft.levels.registry import LEVELS
from ablatekit_rft.levels.stages import TRAITS
from ablatekit_rft.peers import PEERS
from ablatekit_rft.rules import RULES

DOCS = Path(__file__).parents[3] / "docs"
PAGE, TRAPS = DOCS / "rft-factors.md", DOCS / "rft-traps.md"
OTHERS = DOCS / "rft-peers.md"
TRAP_ROWS = [
    line.strip("| ").split(" | ")
    for line in TRAPS.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| trap |")
]


def test_the_committed_page_is_the_generated_one() -> None:
    remedy = "python -m ablatekit_rft.document > docs/rft-factors.md"
    assert PAGE.read_text(encoding="utf-8") == factors_page(), remedy


def test_the_committed_page_of_other_trainers_is_the_generated_one() -> None:
    remedy = "python -m ablatekit_rft.document peers > docs/rft-peers.md"
    assert OTHERS.read_text(encoding="utf-8") == peers_page(), remedy


def test_every_trainer_has_a_column_and_a_section_with_its_version() -> None:
    factors, page = factors_page(), peers_page()
    head = " | ".join(peer.title for peer in PEERS)
    assert len(PEERS) == 6
    assert factors.count(f" | {head} |") > 15
    for peer in PEERS:
        assert f"## {peer.title}\n" in page
        assert all(f"| {offer.kind} | `{offer.name}` |" in page for offer in peer.offers)


def test_every_level_and_rule_is_on_the_page() -> None:
    page = factors_page()
    for levels in LEVELS.values():
        for level in levels:
            assert f"| `{level.name}` |" in page
            assert " ".join(level.formula.split()).replace("|", "\\|") in page
            assert ", ".join(sorted(level.traits)) in page
    assert all(f"| {rule.name} | {rule.kind} |" in page for rule in RULES)
    assert all(f"| `{trait}` |" in page for trait in TRAITS)


@pytest.mark.parametrize("row", TRAP_ROWS, ids=lambda row: row[0])
def test_every_trap_names_tests_that_exist_or_says_why_it_cannot_be(row: list[str]) -> None:
    *_, caught = row
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", caught)
    assert len(row) == 4
    assert named or caught.startswith("cannot be")
    for file, test in named:
        (path,) = Path(__file__).parent.rglob(file)
        source = path.read_text(encoding="utf-8")
        assert f"\ndef {test}(" in source, f"{file} has no {test}"
