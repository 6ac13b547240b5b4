"""The backend of plain functions passes the suite that every backend does."""

from __future__ import annotations

from typing import ClassVar

from ablatekit.testing.backend_suite import BackendSuite


def train(lr: float, seed: int) -> dict[str, float]:
    """A score that its seed moves."""
    return {"accuracy": lr + seed / 2**31}


class TestFunctionBackend(BackendSuite):
    backend_name = "function"
    settings: ClassVar = {"function": f"{__file__}:train", "lr": 0.1}
    other_cell: ClassVar = {"lr": 0.2}
