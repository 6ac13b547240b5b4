from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from ablatekit_rft.policy.threads import SMALL_MODEL, steady_threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_one_thread_computes_a_small_model() -> None:
    with steady_threads(torch.zeros(SMALL_MODEL - 1)):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_the_threads_of_a_large_model_are_the_setting() -> None:
    with steady_threads(torch.zeros(1).expand(SMALL_MODEL)):
        assert torch.get_num_threads() == 3


def test_the_threads_come_back_after_an_error() -> None:
    with pytest.raises(FloatingPointError), steady_threads(torch.zeros(1)):
        raise FloatingPointError
    assert torch.get_num_threads() == 3
