from __future__ import annotations

from typing import ClassVar

from ablatekit.testing.backend_suite import BackendSuite


class TestSimulated(BackendSuite):
    backend_name = "simulated"
    settings: ClassVar = {"rounds": 6, "items": 20, "samples": 2}
    other_cell: ClassVar = {"helps_both": True, "dose": "high"}
    contexts: ClassVar = (
        {"model": "model-a", "dataset": "data-a"},
        {"model": "model-b", "dataset": "data-a"},
    )


class TestSimulatedWithoutItems(BackendSuite):
    backend_name = "simulated"
    settings: ClassVar = {"rounds": 5, "evaluate_every": 3}
    other_cell: ClassVar = {"hurts_generalization": True}
    contexts: ClassVar = ({"model": "model-a"},)
    stop_after = 4
