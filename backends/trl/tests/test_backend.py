"""The backend trains within its folder, and agrees with rft at step 0."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from ablatekit_rft.backend import RftBackend
from ablatekit_trl.backend import TrlBackend
from ablatekit_trl.run import build

from ablatekit.errors import RunInterruptedError, UsageError
from ablatekit.runs.records import RunResult
from ablatekit.runs.seeds import Seeds
from ablatekit.testing.backend_suite import MemoryContext
from ablatekit.testing.specs import run_spec

CONTEXT = {"model": "tiny-llama", "dataset": "letter-sort"}
COMMON: dict[str, Any] = {
    "rollouts": 4,
    "queries_per_round": 4,
    "train_items": 32,
    "budget.amount": 2,
    "advantage": "group_norm",
    "advantage_eps": 1e-4,
    "aggregation": "token_mean",
    "evaluation.points": 1,
    "evaluation.probe_items": 8,
    "evaluation.test_items": 16,
}


def execute(backend: Any, place: Path, **changed: Any) -> tuple[RunResult, MemoryContext]:
    spec = run_spec(backend, {**COMMON, **changed}, CONTEXT)
    seeds = Seeds(spec.run_id, spec.context_id)
    context = MemoryContext(seeds, place / "checkpoint", place / "cache")
    return backend.run(spec, context), context


def test_a_run_starts_where_rft_starts_and_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written outside the run's folder, and nobody is told that TRL trains."""
    sent: list[Any] = []
    monkeypatch.setattr(
        "huggingface_hub.utils._telemetry.Thread", lambda **given: sent.append(given)
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    result, context = execute(TrlBackend(), tmp_path / "trl")
    _, ours = execute(RftBackend(), tmp_path / "rft")
    assert result.status == "finished"
    foreseen = TrlBackend().expected_costs(run_spec(TrlBackend(), COMMON, CONTEXT).settings)
    assert foreseen == {"cost/samples": 32, "cost/updates": 2}
    assert {name: result.metrics[name] for name in foreseen} == foreseen
    assert context.items[0] == ours.items[0]
    assert context.items[-1][1] != context.items[0][1]
    assert not sent
    assert not list(elsewhere.iterdir())


def test_a_policy_that_is_not_finite_has_diverged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(build.Rounds):
        def on_step_end(self, *given: Any, **more: Any) -> None:
            super().on_step_end(*given, **more)
            with torch.no_grad():
                next(more["model"].parameters()).fill_(math.nan)

    monkeypatch.setattr(build, "Rounds", Broken)
    result, context = execute(TrlBackend(), tmp_path)
    assert result.status == "diverged"
    assert result.message.startswith("after round 1:")
    assert "train/pass@1" in result.metrics
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert max(step for step, _ in context.metrics) == 1


def test_prompts_that_trl_would_read_otherwise_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other:
        def __call__(self, text: list[str]) -> dict[str, list[list[int]]]:
            return {"input_ids": [[1] for _ in text]}

    monkeypatch.setattr(build, "_processing", lambda _tokenizer: Other())
    with pytest.raises(UsageError, match="another prompt"):
        execute(TrlBackend(), tmp_path)


CELLS: list[dict[str, Any]] = [
    {"advantage": "rloo", "minibatches": 2, "epochs": 2},
    {"advantage": "rloo", "kl_place": "reward", "kl_estimator": "k1"},
    {"advantage": "group_mean_batch_std", "kl_place": "loss", "lora_rank": 4},
    {"kl_place": "loss_is", "minibatches": 2},
    {"precision": "bf16_autocast"},
    {"precision": "bf16", "optimizer": "sgd"},
    {"clip": "cispo", "minibatches": 2},
    {"clip": "sapo", "aggregation": "seq_mean_token_mean", "epochs": 2},
    {"clip": "vespo", "minibatches": 4},
    {"clip": "delta", "epochs": 2, "off_policy_mask": 0.5},
    {"clip": "gspo", "ratio_level": "sequence", "epochs": 2},
    {"aggregation": "const_len", "entropy": "bonus", "grad_clip": None},
    {"aggregation": "seq_mean_token_sum", "entropy": "top_tokens", "truncation": "mask"},
    {"lr_schedule": "cosine", "lr_floor": 0.1, "warmup_fraction": 0.2, "top_p": 0.9, "min_p": 0.1},
    {"gradient_accumulation": 4, "minibatches": 2, "reward_coding": "pm1"},
]


@pytest.mark.full
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_every_choice_runs_and_reports_what_it_declares(
    tmp_path: Path, cell: dict[str, Any]
) -> None:
    backend = TrlBackend()
    result, context = execute(backend, tmp_path, **cell)
    settings = run_spec(backend, {**COMMON, **cell}, CONTEXT).settings
    declared = {spec.name for spec in backend.metrics(settings)}
    assert result.status == "finished"
    assert {name for _, logged in context.metrics for name in logged} == declared


@pytest.mark.full
@pytest.mark.parametrize(
    "cell", [{"lora_rank": 4}, {"kl_place": "loss", "minibatches": 2}], ids=str
)
def test_a_resumed_run_is_the_same_run(tmp_path: Path, cell: dict[str, Any]) -> None:
    backend = TrlBackend()
    spec = run_spec(backend, {**COMMON, "budget.amount": 4, **cell}, CONTEXT)
    seeds = Seeds(spec.run_id, spec.context_id)
    whole = MemoryContext(seeds, tmp_path / "whole", tmp_path / "cache")
    backend.run(spec, whole)
    stopped = MemoryContext(seeds, tmp_path / "parts", tmp_path / "cache", stop_after=2)
    with pytest.raises(RunInterruptedError):
        backend.run(spec, stopped)
    rest = MemoryContext(seeds, tmp_path / "parts", tmp_path / "cache")
    backend.run(spec, rest)
    assert rest.resumed == 2
    assert rest.items[-1] == whole.items[-1]
