from __future__ import annotations

from typing import Any

import pytest
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.run import build

from ablatekit.errors import UsageError
from ablatekit.runs.records import RunSpec
from ablatekit.testing.specs import run_spec


def test_train_reads_a_specification(make_context: Any) -> None:
    spec = RunSpec(
        backend="rft",
        results_version=1,
        settings={
            "model": "tiny-llama",
            "dataset": "letter-sort",
            "queries_per_round": 8,
            "budget.amount": 2,
            "evaluation.points": 1,
            "evaluation.probe_items": 16,
            "evaluation.test_items": 16,
        },
        execution={"device": "cpu", "threads": 1},
        context={"model": "tiny-llama", "dataset": "letter-sort"},
        content={},
        replicate=0,
    )
    context = make_context()
    result = build.train(spec, context)
    assert result.status == "finished"
    assert result.metrics[metrics.SAMPLES] == 16


def test_a_missing_gpu_is_the_users_mistake(
    monkeypatch: pytest.MonkeyPatch, make_context: Any
) -> None:
    monkeypatch.setattr(build.torch.cuda, "is_available", lambda: False)
    backend = RftBackend()
    spec = run_spec(backend, {"device": "cuda"})
    with pytest.raises(UsageError, match=r"no CUDA device.*device: cuda\. Set device: auto or cpu"):
        backend.run(spec, make_context())
