"""Every shipped study plans; the sizes that documents promise are the sizes they have."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablatekit.design.build import build_plan, study_backend
from ablatekit.design.plan import Plan
from ablatekit.study.load import load_study

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))


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
