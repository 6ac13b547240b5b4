"""What `ablatekit level new NAME` writes passes the suite of levels."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from ablatekit_rft.testing.level_suite import LevelSuite

from ablatekit.errors import UsageError
from ablatekit.scaffolds.base import make_distribution, scaffold_of


def test_what_is_written_passes_its_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_distribution(scaffold_of("level"), "halves", tmp_path)
    monkeypatch.syspath_prepend(folder)
    (level,) = importlib.import_module("halves.levels").LEVELS
    monkeypatch.delitem(sys.modules, "halves.levels")
    monkeypatch.delitem(sys.modules, "halves")
    tests = [name for name in dir(LevelSuite) if name.startswith("test_")]
    for name in tests:
        getattr(LevelSuite(), name)(level)
    assert len(tests) > 5


def test_a_level_of_ours_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a level of this name is installed"):
        make_distribution(scaffold_of("level"), "group_norm", tmp_path)
