"""Which tests go first when several processes share them, and plugins installed for a test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Install: TypeAlias = Callable[..., None]
"""`install(group, name, source)` for the length of a test."""

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""Before numpy is loaded: threads of small linear algebra wait for one another on shared cores."""

os.environ.setdefault("ABLATEKIT_SECOND_OPINION", "0")
"""Of studies: it imports statsmodels in another process; tests of it ask for it."""

LONG = ("/tests/pipeline/", "/tests/tracking/", "/tests/dispatch/")
"""Few tests of minutes: at the end, one process would run them while the others wait."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the order below; xdist would put files with few tests last."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, otherwise in the order in which they were collected."""
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in LONG))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with one module, whose class `Plugin` is registered in a group."""
    site = tmp_path / "site"

    def write(group: str, name: str, source: str, distribution: str = "plugin") -> None:
        information = site / f"{distribution}-1.0.dist-info"
        information.mkdir(parents=True)
        (site / f"{distribution}_module.py").write_text(source, encoding="utf-8")
        (information / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
        entry = f"[{group}]\n{name} = {distribution}_module:Plugin\n"
        (information / "entry_points.txt").write_text(entry)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, f"{distribution}_module", raising=False)

    return write
