"""Which tests go first when several processes share them: the long ones, file by file."""

from __future__ import annotations

import pytest

LONG = ("/tests/pipeline/", "/tests/tracking/", "/tests/dispatch/")
"""Few tests of minutes: at the end, one process would run them while the others wait."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the order below; xdist would put files with few tests last."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, otherwise in the order in which they were collected."""
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in LONG))
