from __future__ import annotations

import pytest

from ablatekit.testing.executor_suite import ExecutorSuite


@pytest.mark.usefixtures("fork_executor")
class TestForkExecutor(ExecutorSuite):
    """An executor that has nothing in common with the local one but the protocol."""

    executor_name = "fork"
