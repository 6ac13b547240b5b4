"""The backend passes the suite that every backend is given."""

from __future__ import annotations

import pytest

from ablatekit.testing.backend_suite import BackendSuite


@pytest.mark.full
class TestTrl(BackendSuite):
    backend_name = "trl"
    settings = {  # noqa: RUF012
        "rollouts": 4,
        "queries_per_round": 4,
        "train_items": 32,
        "budget.amount": 4,
        "evaluation.points": 2,
        "evaluation.probe_items": 8,
        "evaluation.test_items": 16,
    }
    other_cell = {"learning_rate": 1e-3}  # noqa: RUF012
    contexts = ({"model": "tiny-llama", "dataset": "letter-sort"},)
