"""The words of two studies side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablatekit.analysis.compare import Agreement

AGREEMENTS: Mapping[Agreement, str] = {
    "agree": "agree",
    "differ": "differ",
    "undecided": "undecided",
    "not_compared": "not compared",
}
"""The shown word of every agreement; `--json` has its code."""


def headline(names: tuple[str, str], contexts: str) -> str:
    """Which studies are compared, and whether they share contexts."""
    return f"{names[1]} against {names[0]} ({contexts} contexts); p adjusted by Holm"


def only_in(name: str, parts: str) -> str:
    """What only one of the studies has."""
    return f"only in {name}: {parts}"
