"""How many threads the linear algebra takes while `one_thread` is open."""

from __future__ import annotations

import pytest
import scipy.linalg  # noqa: F401  its library is one of those that are set

from ablatekit.analysis.core import threads

LIBRARIES = threads._libraries(True)


@pytest.fixture(autouse=True)
def two_threads():
    """Every library at two threads, whatever the environment of the tests says."""
    if not LIBRARIES:
        pytest.skip("numpy and scipy bring no OpenBLAS here")
    before = counts()
    for _, put in LIBRARIES:
        put(2)
    yield
    for (_, put), count in zip(LIBRARIES, before, strict=True):
        put(count)


def counts() -> list[int]:
    return [get() for get, _ in LIBRARIES]


def test_one_thread_while_it_is_open_and_as_many_as_before_after_an_error() -> None:
    inside = []

    @threads.one_thread()
    def fails() -> None:
        with threads.one_thread():
            inside.extend(counts())
        inside.extend(counts())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert set(inside) == {1}
    assert set(counts()) == {2}


def test_large_matrices_keep_their_threads() -> None:
    with threads.one_thread(threads.LARGE):
        assert set(counts()) == {2}
    with threads.one_thread(threads.LARGE - 1):
        assert set(counts()) == {1}
