"""The scaffold of a level: what `ablatekit level new NAME` writes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ablatekit.scaffolds.base import Scaffold


def _levels() -> Collection[str]:
    """Names of levels of the choice that the scaffold is a level of."""
    from ablatekit_rft.levels.registry import levels_of

    return set(levels_of("advantage"))


LEVEL = Scaffold("level", Path(__file__).parent / "level", _levels, "study run {folder}/study.yaml")
