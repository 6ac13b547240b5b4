"""What every test of this backend needs: one thread, and a memory of planning of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from ablatekit_rft.planning.memory import VARIABLE


@pytest.fixture(scope="session", autouse=True)
def _memory_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What planning remembers lies in a folder of the tests, not in the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(VARIABLE, str(tmp_path_factory.mktemp("memory")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Several threads wait for each other at models of this size, as long as they compute."""
    torch.set_num_threads(1)
