"""Every shipped study plans; the sizes that documents promise are the sizes they have."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from ablatekit.design.build import build_plan, study_backend
from ablatekit.design.plan import Plan
from ablatekit.study.load import load_study

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))


@functools.cache
def _plan(path: Path) -> Plan:
    loaded = load_study(path)
    return build_plan(loaded, study_backend(loaded))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_plans_under_its_own_name(path: Path) -> None:
    plan = _plan(path)
    assert plan.study == path.stem
    assert plan.question
    assert plan.analysis.responses
    assert not plan.merged


def test_the_full_factorial_is_the_design_that_documents_promise() -> None:
    plan = _plan(ROOT / "studies" / "full_factorial.yaml")
    assert (len(plan.cells), len(plan.contexts), plan.replicates, len(plan.runs)) == (16, 6, 2, 192)
    assert plan.held_equal["budget.unit"] == "rounds"
    assert plan.held_equal["evaluation.probe_items"] >= 256
    assert plan.held_equal["evaluation.test_items"] >= 512


def test_quickstart_has_16_runs() -> None:
    assert len(_plan(ROOT / "studies" / "quickstart.yaml").runs) == 16


def test_equal_samples_has_the_levels_of_the_full_factorial_at_equal_samples() -> None:
    equal = _plan(ROOT / "studies" / "equal_samples.yaml")
    full = {
        factor.name: factor for factor in _plan(ROOT / "studies" / "full_factorial.yaml").factors
    }
    assert equal.held_equal["budget.unit"] == "samples"
    assert [factor.levels for factor in equal.factors] == [
        full[factor.name].levels for factor in equal.factors
    ]


def test_the_pilot_shares_no_run_with_the_study_whose_levels_it_chose() -> None:
    pilot = {run.run_id for run in _plan(ROOT / "studies" / "pilot.yaml").runs}
    full = {run.run_id for run in _plan(ROOT / "studies" / "full_factorial.yaml").runs}
    assert pilot
    assert not pilot & full


REPLICAS = ("xie2026_faithful", "xie2026_sound", "xie2026_tiny")


@pytest.mark.parametrize("name", REPLICAS)
def test_a_replica_has_the_22_released_cells_in_six_contexts(name: str) -> None:
    plan = _plan(ROOT / "studies" / f"{name}.yaml")
    assert (len(plan.cells), len(plan.contexts)) == (22, 6)
    assert plan.replicates == (5 if name == "xie2026_sound" else 1)
    released = {tuple(sorted(cell.levels.items())) for cell in plan.cells}
    first = _plan(ROOT / "studies" / f"{REPLICAS[0]}.yaml")
    assert released == {tuple(sorted(cell.levels.items())) for cell in first.cells}
    frontier = [
        cell.levels
        for cell in plan.cells
        if int(cell.levels["rollouts"]) * int(cell.levels["queries"]) == 256
        and cell.levels["advantage"] != "history_window"
    ]
    assert len(frontier) == 9


def test_the_replicas_on_large_models_are_pinned_and_plan_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import socket

    def refused(*_: object) -> None:
        raise AssertionError("planning asked the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in REPLICAS[:2]:
        plan = _plan.__wrapped__(ROOT / "studies" / f"{name}.yaml")
        contents = {value for run in plan.runs for value in run.spec.content.values()}
        assert len(contents) == 5
        pinned = r"hub(-dataset)?:[\w./-]+@[0-9a-f]{40}( read as \d+)?"
        assert all(re.fullmatch(pinned, one) for one in contents)


def test_the_faithful_replica_has_the_released_settings() -> None:
    plan = _plan(ROOT / "studies" / "xie2026_faithful.yaml")
    released = {
        "learning_rate": 1e-6,
        "weight_decay": 0.01,
        "grad_clip": 1.0,
        "aggregation": "token_mean",
        "kl_place": "loss",
        "kl_coefficient": 0.001,
        "max_new_tokens": 1024,
        "temperature": 1.0,
        "train_items": None,
        "evaluation.probe_items": None,
        "evaluation.test_items": None,
        "evaluation.samples": 1,
    }
    assert {name: plan.held_equal[name] for name in released} == released


def test_smollm2_arithmetic_plans_without_the_models_package() -> None:
    plan = _plan(ROOT / "studies" / "smollm2_arithmetic.yaml")
    assert (len(plan.cells), len(plan.runs)) == (4, 8)
    metrics = {response.metric for response in plan.analysis.responses}
    assert {"test/pass@1", "test/greedy_pass@1", "test/length"} <= metrics
    assert plan.held_equal["evaluation.max_new_tokens"] > plan.held_equal["max_new_tokens"]


def test_the_recipes_differ_by_the_backend_alone() -> None:
    rft, trl = (_plan(ROOT / "studies" / f"recipes_{name}.yaml") for name in ("rft", "trl"))
    assert (rft.backend, trl.backend) == ("rft", "trl")
    assert [factor.levels for factor in rft.factors] == [factor.levels for factor in trl.factors]
    assert (rft.contexts, rft.replicates) == (trl.contexts, trl.replicates)
    shared = rft.held_equal.keys() & trl.held_equal.keys()
    assert {name: rft.held_equal[name] for name in shared} == {
        name: trl.held_equal[name] for name in shared
    }
    contexts = {run.spec.context_id for run in rft.runs}
    assert contexts == {run.spec.context_id for run in trl.runs}
