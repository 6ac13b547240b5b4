from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from pydantic import Field, create_model

from ablatekit.backend import Backend, Rule, one_of
from ablatekit.design.build import build_plan, study_backend
from ablatekit.design.plan import Plan
from ablatekit.errors import PluginError, StudyError, WorkspaceError
from ablatekit.runs.records import MetricSpec
from ablatekit.study.load import load_study

MakePlan = Callable[..., Plan]
KL = "factors.kl={baseline: none, levels: [none, loss]}"
COEFFICIENT = "factors.kl_coefficient={baseline: 0.0, levels: [0.0, 0.1]}"

GOLDEN_RUN = "7fadbf157e1d0c49"
GOLDEN_PLAN = "62d0a48189760570"


def test_a_full_factorial_is_crossed_with_contexts_and_replicates(toy_plan: Plan) -> None:
    plan = toy_plan
    assert len(plan.cells) == 16
    assert len(plan.contexts) == 6
    assert len(plan.runs) == 192
    assert len({run.run_id for run in plan.runs}) == 192
    assert [run.order for run in plan.runs] == list(range(192))
    assert plan.merged == ()
    assert plan.held_equal["budget.amount"] == 5
    assert "rollouts" not in plan.held_equal
    assert "model" not in plan.held_equal
    assert "device" not in plan.held_equal


def test_a_plan_survives_json(toy_plan: Plan) -> None:
    plan = toy_plan
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.hash == plan.hash


def test_what_a_study_does_not_state_is_no_part_of_the_plan(toy_plan: Plan) -> None:
    value = toy_plan.to_json()
    assert toy_plan.hash == GOLDEN_PLAN
    assert value.keys().isdisjoint({"covariates"})
    assert value["analysis"].keys().isdisjoint({"price", "predict_at"})
    assert all("scale" not in factor for factor in value["factors"])


def test_what_a_study_states_about_analysis_changes_the_plan_and_no_run(
    toy_plan: Plan, make_plan: MakePlan, study_text: str
) -> None:
    options = (
        "factors.rollouts.scale=log",
        "contexts.model={levels: {a: {params: 2}, b: {params: 3}, c: {params: 70}}}",
        "analysis.price=updates",
        "analysis.predict_at={params: 7e9}",
    )
    plan = make_plan(study_text, *options)
    assert [run.run_id for run in plan.runs] == [run.run_id for run in toy_plan.runs]
    assert len({make_plan(study_text, option).hash for option in options[:3]}) == 3
    assert plan.factors[1].scale == "log"
    assert plan.covariates == {
        "model": {"a": {"params": 2}, "b": {"params": 3}, "c": {"params": 70}}
    }
    assert plan.analysis.price == "updates"
    assert plan.analysis.predict_at == {"params": 7e9}
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.hash == plan.hash


COSTS = (
    MetricSpec(name="cost/prompt_tokens", direction="lower", role="cost", unit="tokens"),
    MetricSpec(name="cost/new_tokens", direction="lower", role="cost", unit="tokens"),
    MetricSpec(name="cost/samples", direction="lower", role="cost", unit="rollouts"),
)


@pytest.mark.parametrize(
    ("price", "metric"),
    [
        ("rollouts", "cost/samples"),
        ("samples", "cost/samples"),
        ("cost/new_tokens", "cost/new_tokens"),
        ("tokens", "the price counts several metrics; received 'tokens'. Name one: cost/prompt"),
        ("seconds", "no cost metric of every run is so named; received 'seconds'. Known: "),
        ("kl", "no cost metric of every run is so named; received 'kl'"),
    ],
)
def test_a_price_counts_one_cost_metric(
    price: str,
    metric: str,
    make_plan: MakePlan,
    study_text: str,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported = (*backend.metrics({"kl": "none"})[:2], *COSTS)
    monkeypatch.setattr(backend, "metrics", lambda _: reported)
    if price in ("tokens", "seconds", "kl"):
        with pytest.raises(StudyError) as raised:
            make_plan(study_text, f"analysis.price={price}")
        assert metric in str(raised.value)
    else:
        assert make_plan(study_text, f"analysis.price={price}").analysis.price == metric


def test_a_plan_of_another_version_is_refused(toy_plan: Plan) -> None:
    value = {**toy_plan.to_json(), "plan_version": 99}
    with pytest.raises(WorkspaceError, match="a plan of version 1 is needed; received 99"):
        Plan.from_json(value)


def test_cells_that_are_one_run_in_some_contexts_only_are_refused(
    write_study: Callable[[str], Path],
    study_text: str,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    when = {"model": one_of("a"), "advantage": one_of("batch_norm")}
    rule = Rule(name="a", kind="alias", when=when, then={"advantage": "none"}, why="")
    monkeypatch.setattr(backend, "rules", lambda: (rule,))
    loaded = load_study(write_study(study_text))
    with pytest.raises(StudyError, match=r"the same run in context \{model: a, dataset: x\} only"):
        build_plan(loaded, backend)
    loaded = load_study(write_study(study_text), ["contexts.model=[a]"])
    plan = build_plan(loaded, backend)
    assert len(plan.merged) == 8
    assert len(plan.runs) == 8 * 2 * 2


def test_run_ids_are_golden(toy_plan: Plan) -> None:
    plan = toy_plan
    (run,) = (one for one in plan.runs if one.run_id == GOLDEN_RUN)
    assert run.spec.settings["advantage"] == "batch_norm"
    assert run.spec.settings["rollouts"] == 4
    assert run.spec.settings["queries_per_round"] == 32
    assert run.spec.settings["learning_rate"] == 1e-4
    assert run.context == {"model": "c", "dataset": "x"}
    assert run.replicate == 0


def test_a_moved_model_is_the_same_run_and_the_same_context(toy_plan: Plan) -> None:
    spec = toy_plan.runs[0].spec
    settings, context = (
        {**given, "model": "/else/where"} for given in (spec.settings, spec.context)
    )
    moved = replace(spec, settings=settings, context=context)
    assert moved.run_id == spec.run_id
    assert moved.context_id == spec.context_id
    other = replace(moved, content={**spec.content, "model": "another"})
    assert other.run_id != spec.run_id
    assert other.context_id != spec.context_id


def test_two_contexts_of_the_same_content_are_refused(
    write_study: Callable[[str], Path],
    study_text: str,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backend, "content", lambda _: {"model": "one", "dataset": "one"})
    with pytest.raises(StudyError, match="two contexts contain the same models and data"):
        build_plan(load_study(write_study(study_text)), backend)


def _reversed_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: _reversed_keys(value[key]) for key in reversed(value)}
    return [_reversed_keys(one) for one in value] if isinstance(value, list) else value


def test_runs_and_their_order_do_not_depend_on_the_order_of_keys(
    toy_plan: Plan, make_plan: MakePlan, study_text: str
) -> None:
    data = yaml.safe_load(study_text.replace("1e-4", "1.0e-4").replace("3e-4", "3.0e-4"))
    plan, other = (
        toy_plan,
        make_plan(yaml.safe_dump(_reversed_keys(data), sort_keys=False)),
    )
    assert list(data) != sorted(data)
    assert {run.run_id: run.unit for run in plan.runs} == {
        run.run_id: run.unit for run in other.runs
    }


def test_a_number_may_be_spelled_in_any_way(
    toy_plan: Plan, make_plan: MakePlan, study_text: str
) -> None:
    spelled = study_text.replace("levels: [1e-4, 3e-4]", "levels: [0.0001, 3.0E-04]")
    assert make_plan(spelled).hash == toy_plan.hash


def test_hash_and_runs_know_no_paths_nor_where_runs_execute(
    toy_plan: Plan, study_text: str, tmp_path: Path, backend: Backend
) -> None:
    plan = toy_plan
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = elsewhere / "other.yaml"
    path.write_text(study_text, encoding="utf-8")
    options = ("backend.python=/some/python", "backend.settings.device=cpu", "dispatch.workers=2")
    other = build_plan(load_study(path, options), backend)
    assert other.hash == plan.hash
    assert other.runs[0].run_id == plan.runs[0].run_id
    assert other.runs[0].spec.execution == {"device": "cpu"}
    assert other.python == "/some/python"


def test_a_new_setting_leaves_the_runs_at_its_default_as_they_are(
    toy_plan: Plan, study_text: str, tmp_path: Path, backend: Backend
) -> None:
    later = (float, Field(default=0.5, json_schema_extra={"unstated": True}))
    grown = create_model("Grown", __base__=backend.settings, bonus=later)
    with_bonus: Backend = type("WithBonus", (type(backend),), {"settings": grown})()
    path = tmp_path / "study.yaml"
    path.write_text(study_text, encoding="utf-8")
    same = build_plan(load_study(path), with_bonus)
    assert same.hash == toy_plan.hash
    assert [run.run_id for run in same.runs] == [run.run_id for run in toy_plan.runs]
    said = build_plan(load_study(path, ("backend.settings.bonus=0.5",)), with_bonus)
    assert said.hash == toy_plan.hash
    other = build_plan(load_study(path, ("backend.settings.bonus=0.25",)), with_bonus)
    assert {run.spec.settings["bonus"] for run in other.runs} == {0.25}
    assert not {run.run_id for run in other.runs} & {run.run_id for run in toy_plan.runs}


def test_inert_and_aliased_cells_share_a_unit_and_are_run_once(
    make_plan: MakePlan, study_text: str
) -> None:
    plan = make_plan(study_text, KL, COEFFICIENT)
    assert len(plan.cells) == 64
    assert len({cell.unit for cell in plan.cells}) == 32
    assert len(plan.runs) == 32 * 6 * 2
    assert all(len(group) == 3 for group in plan.merged)
    assert len(plan.merged) == 16
    for group in plan.merged:
        kinds = {(cell.levels["kl"], cell.levels["kl_coefficient"]) for cell in group}
        assert kinds == {("none", "0.0"), ("none", "0.1"), ("loss", "0.0")}


def test_every_run_belongs_to_the_unit_of_its_cell(make_plan: MakePlan, study_text: str) -> None:
    plan = make_plan(study_text, KL, COEFFICIENT)
    cells = {cell.unit: cell.levels for cell in plan.cells}
    for run in plan.runs:
        assert str(run.spec.settings["rollouts"]) == cells[run.unit]["rollouts"]
        assert run.spec.settings["model"] == run.context["model"]
        assert run.spec.run_id == run.run_id


def test_matched_exclusion_keeps_both_effects_estimable(
    make_plan: MakePlan, study_text: str
) -> None:
    factors = (
        "factors={advantage: {baseline: none, levels: [none, group_norm]}, "
        "rollouts: {baseline: 4, levels: [1, 4]}}"
    )
    plan = make_plan(study_text, factors, "exclude=[{advantage: group_norm, rollouts: 1}]")
    assert [tuple(cell.levels.values()) for cell in plan.cells] == [
        ("none", "1"),
        ("none", "4"),
        ("group_norm", "4"),
    ]
    assert plan.excluded == ({"advantage": "group_norm", "rollouts": "1"},)
    assert len(plan.runs) == 3 * 6 * 2


@pytest.mark.parametrize(
    "option",
    ["replicates=4", "contexts.model=[a, b, c, d]", "factors.rollouts.levels=[1, 2, 4]"],
)
def test_growth_keeps_runs_and_units(
    toy_plan: Plan, make_plan: MakePlan, study_text: str, option: str
) -> None:
    plan, grown = toy_plan, make_plan(study_text, option)
    old = {(run.run_id, run.unit) for run in plan.runs}
    assert old < {(run.run_id, run.unit) for run in grown.runs}


def test_a_study_without_contexts_has_one_empty_context(
    make_plan: MakePlan, study_text: str
) -> None:
    plan = make_plan(study_text, "contexts={}")
    assert plan.contexts == ({},)
    assert len(plan.runs) == 32
    assert all(run.context == {} for run in plan.runs)


def test_order_interleaves_contexts_within_a_replicate(toy_plan: Plan) -> None:
    runs = toy_plan.runs
    assert [run.replicate for run in runs] == [0] * 96 + [1] * 96
    for start in range(0, 192, 6):
        assert len({tuple(run.context.values()) for run in runs[start : start + 6]}) == 6


def test_default_responses_are_the_backends_learning_and_generalization(toy_plan: Plan) -> None:
    plan = toy_plan
    assert [(one.name, one.metric, one.smallest_effect) for one in plan.analysis.responses] == [
        ("learning", "train/score", None),
        ("generalization", "test/score", None),
    ]
    assert plan.cost_metrics == ("updates", "seconds")
    assert plan.unrepeatable_metrics == ("seconds",)


def test_a_time_is_better_when_sooner(make_plan: MakePlan, study_text: str) -> None:
    option = "responses={t: {metric: test/score, summary: time_to(0.5)}}"
    plan = make_plan(study_text, option)
    (response,) = plan.analysis.responses
    assert (response.direction, response.unit) == ("lower", "steps")
    assert plan.warnings == ()
    warned = make_plan(study_text, option.replace("}}", ", direction: higher}}")).warnings
    assert warned == (
        "response 't' says higher is better; time_to(0.5) counts steps, and sooner is better",
    )


@pytest.mark.parametrize(
    ("summary", "of_part"),
    [
        *(("final", False), ("mean_last(1)", False)),
        *(("mean_last(2)", True), ("auc", True), ("best", True), ("time_to(0.5)", True)),
    ],
)
def test_a_summary_that_looks_at_a_part_of_the_items_is_a_warning(
    make_plan: MakePlan,
    study_text: str,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    summary: str,
    of_part: bool,
) -> None:
    option = f"responses={{u: {{metric: test/score, summary: {summary}}}}}"
    assert make_plan(study_text, option).warnings == ()
    specs = [MetricSpec(name="test/score", direction="higher", partial=True)]
    monkeypatch.setattr(backend, "metrics", lambda _: specs)
    said = f"response 'u': {summary} of test/score is that of the part of the items"
    warnings = make_plan(study_text, option).warnings
    assert [said in warning for warning in warnings] == ([True] if of_part else [])


def test_items_that_no_run_keeps_are_refused(
    make_plan: MakePlan, study_text: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = "responses={u: {metric: test/score, items: tset}}"
    assert make_plan(study_text, option).analysis.responses[0].items == "tset"
    specs = [
        MetricSpec(name=f"{split}/score", direction="higher", items=split)
        for split in ("train", "test")
    ]
    monkeypatch.setattr(backend, "metrics", lambda _: specs)
    match = "no run keeps item outcomes of this split; received 'tset'. Did you mean 'test'"
    with pytest.raises(StudyError, match=match):
        make_plan(study_text, option)
    assert make_plan(study_text, option.replace("tset", "test")).analysis.responses[0].items


def test_direction_comes_from_the_metric_unless_the_study_says_otherwise(
    make_plan: MakePlan, study_text: str
) -> None:
    plan = make_plan(study_text, "responses={u: {metric: updates, summary: auc, items: test}}")
    (response,) = plan.analysis.responses
    assert (response.direction, response.summary, response.items) == ("lower", "auc", "test")
    plan = make_plan(study_text, "responses={u: {metric: updates, direction: higher}}")
    assert plan.analysis.responses[0].direction == "higher"
    assert plan.warnings == (
        "response 'u' says higher is better; the backend says lower for updates",
    )


def test_a_response_needs_a_metric_that_every_cell_reports(
    make_plan: MakePlan, study_text: str
) -> None:
    options = (KL, "backend.settings.kl_coefficient=0.1", "responses={k: {metric: kl}}")
    with pytest.raises(StudyError, match="some cells do not report it"):
        make_plan(study_text, *options)


def test_a_missing_backend_is_located(study_text: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(study_text.replace("name: fake", "name: simulatd"), encoding="utf-8")
    with pytest.raises(PluginError) as raised:
        study_backend(load_study(path))
    assert f"{path}:5:9: unknown backend" in str(raised.value)
    assert "Did you mean 'simulated'" in str(raised.value)


def test_hash_changes_with_the_analysis(
    toy_plan: Plan, make_plan: MakePlan, study_text: str
) -> None:
    plan = toy_plan
    assert make_plan(study_text, "analysis.alpha=0.01").hash != plan.hash
    assert replace(plan, python="/other").hash == plan.hash
