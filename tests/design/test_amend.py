from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ablatekit.design.amend import amend_plan
from ablatekit.design.plan import Plan
from ablatekit.errors import StudyError

MakePlan = Callable[..., Plan]


def test_the_same_study_again_changes_nothing(
    toy_plan: Plan, make_plan: MakePlan, study_text: str
) -> None:
    plan = toy_plan
    amendment = amend_plan(plan, make_plan(study_text))
    assert amendment.plan == plan
    assert amendment.added == amendment.dropped == ()
    assert amendment.deviations == ()


def test_advice_is_no_part_of_what_was_planned(toy_plan: Plan) -> None:
    advised = _advised(toy_plan, at_zero="easier items", at_one="harder items")
    assert advised.hash == toy_plan.hash
    assert amend_plan(toy_plan, advised).deviations == ()
    assert Plan.from_json(advised.to_json()) == advised
    silent = _advised(toy_plan, at_zero="", at_one="")
    stored = silent.to_json()
    assert not {"at_zero", "at_one"} & set(stored["analysis"]["responses"][0])
    assert Plan.from_json(stored) == silent


def _advised(plan: Plan, **advice: str) -> Plan:
    responses = tuple(replace(response, **advice) for response in plan.analysis.responses)
    return replace(plan, analysis=replace(plan.analysis, responses=responses))


@pytest.mark.parametrize(
    ("option", "added", "deviation"),
    [
        ("replicates=3", 96, "replicates: 2 -> 3"),
        ("contexts.dataset=[x, y, z]", 96, "contexts added: "),
        ("factors.rollouts.levels=[1, 4, 8]", 96, 'factors.rollouts.levels added: null -> ["8"]'),
        (
            "factors.centre={baseline: false, levels: [false, true]}",
            192,
            'factors.centre.levels added: null -> ["false", "true"]',
        ),
    ],
)
def test_growth_only_adds_runs_after_the_planned_ones(
    toy_plan: Plan, make_plan: MakePlan, study_text: str, option: str, added: int, deviation: str
) -> None:
    old = toy_plan
    amendment = amend_plan(old, make_plan(study_text, option))
    assert len(amendment.added) == added
    assert amendment.dropped == ()
    assert amendment.changes == ()
    assert amendment.deviations[0].startswith(deviation)
    assert len(amendment.deviations) == 1
    runs = amendment.plan.runs
    assert [run.run_id for run in runs[:192]] == [run.run_id for run in old.runs]
    assert [run.order for run in runs] == list(range(192 + added))
    again = amend_plan(amendment.plan, make_plan(study_text, option))
    assert again.plan.hash == amendment.plan.hash


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (["backend.settings.budget.amount=6"], ["settings.budget.amount: 5 -> 6"]),
        (["analysis.alpha=0.1"], ["analysis.alpha: 0.05 -> 0.1"]),
        (["analysis.diverged=worst"], ["analysis.diverged: score -> worst"]),
        (["analysis.price=updates"], ["analysis.price: null -> updates"]),
        (["factors.rollouts.scale=log"], ["factors.rollouts.scale: null -> log"]),
        (
            [
                "contexts.model={levels: {a: {p: 1}, b: {p: 2}, c: {p: 3}, d: {p: 4}}}",
                "analysis.predict_at={p: 9}",
            ],
            [
                "contexts.model.levels.a.p: null -> 1.0",
                'analysis.predict_at: {} -> {"p": 9.0}',
            ],
        ),
        (["replicates=1"], ["replicates: 2 -> 1"]),
        (["contexts.dataset=[x]"], ['contexts: {"model": "a", "dataset": "y"} -> null']),
        (
            ["factors.queries.levels.q64={queries_per_round: 128}"],
            ["settings.queries_per_round: 64 -> 128"],
        ),
        (["factors.rollouts.baseline=4"], ['factors.rollouts.baseline: "1" -> "4"']),
        (
            ["factors.rollouts.levels=[1, 8]"],
            ['factors.rollouts.levels: ["1", "4"] -> ["1", "8"]'],
        ),
        (
            ["exclude=[{rollouts: 4, queries: q64}]"],
            ['cells: {"advantage": "none", "rollouts": "4", "queries": "q64", "learning_ra'],
        ),
        (
            ["responses={learning: {metric: train/score, smallest_effect: 0.1}}"],
            [
                "analysis.responses.learning.smallest_effect: null -> 0.1",
                "analysis.responses.generalization.metric: ",
            ],
        ),
        (
            ["factors.centre={baseline: true, levels: [true, false]}"],
            ["settings.centre: false -> true"],
        ),
        (
            ["factors={rollouts: {baseline: 1, levels: [1, 4]}}"],
            ['factors.advantage: ["none", "batch_norm"] -> null'],
        ),
    ],
)
def test_other_changes_are_refused_with_what_changed(
    toy_plan: Plan, make_plan: MakePlan, study_text: str, options: list[str], lines: list[str]
) -> None:
    old, new = toy_plan, make_plan(study_text, *options)
    with pytest.raises(StudyError) as raised:
        amend_plan(old, new, file="study.yaml")
    message = str(raised.value)
    assert message.startswith("study.yaml: study 'toy' has been planned otherwise")
    assert "--new" in message
    for line in lines:
        assert f"\n  {line}" in message
    amendment = amend_plan(old, new, fresh=True)
    assert amendment.deviations
    assert {run.run_id for run in amendment.plan.runs} == {run.run_id for run in new.runs}


def test_a_new_level_brings_its_covariates(make_plan: MakePlan, study_text: str) -> None:
    old = make_plan(study_text, "contexts.model={levels: {a: {p: 1}, b: {p: 2}}}")
    new = make_plan(study_text, "contexts.model={levels: {a: {p: 1}, b: {p: 2}, c: {p: 3}}}")
    amendment = amend_plan(old, new)
    assert amendment.changes == ()
    assert len(amendment.added) == 64
    assert amendment.plan.covariates["model"]["c"] == {"p": 3.0}


def test_names_for_readers_may_change(toy_plan: Plan, make_plan: MakePlan, study_text: str) -> None:
    options = (
        "title=Other",
        "question=Why?",
        "factors.rollouts.label=Rollouts",
        "backend.python=p",
    )
    amendment = amend_plan(toy_plan, make_plan(study_text, *options))
    assert amendment.deviations == ()
    assert amendment.plan.title == "Other"
