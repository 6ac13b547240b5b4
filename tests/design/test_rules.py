from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ablatekit.backend import Backend, Rule, at_least, one_of
from ablatekit.design.plan import Plan
from ablatekit.design.rules import canonical_settings
from ablatekit.errors import PluginError, StudyError

MakePlan = Callable[..., Plan]


def test_defaults_are_filled_in_and_numbers_take_the_type_of_the_setting(backend: Backend) -> None:
    found = canonical_settings(backend.settings, (), {"learning_rate": 1, "budget.amount": 3})
    assert found["learning_rate"] == 1.0
    assert isinstance(found["learning_rate"], float)
    assert found["budget.unit"] == "rounds"
    assert found["budget.amount"] == 3


def test_rules_are_applied_to_a_fixpoint(backend: Backend) -> None:
    given = {"kl": "loss", "kl_coefficient": 0}
    assert canonical_settings(backend.settings, backend.rules(), given) == canonical_settings(
        backend.settings, (), {}
    )
    inert = canonical_settings(backend.settings, backend.rules(), {"kl_coefficient": 0.5})
    assert inert["kl_coefficient"] == 0.0
    kept = {"kl": "loss", "kl_coefficient": 0.5}
    assert canonical_settings(backend.settings, backend.rules(), kept).items() >= kept.items()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "kl": st.sampled_from(["none", "loss"]),
            "kl_coefficient": st.sampled_from([0, 0.0, 0.5]),
            "rollouts": st.integers(1, 4),
        },
    )
)
def test_canonical_settings_are_their_own_canonical_form(given: dict[str, object]) -> None:
    once = canonical_settings(_Chain, _CHAIN, given)
    assert canonical_settings(_Chain, _CHAIN, once) == once


class _Chain(BaseModel):
    kl: str = "none"
    kl_coefficient: float = 0.0
    rollouts: int = 1


_CHAIN = (
    Rule(name="a", kind="inert", when={"kl": one_of("none")}, then={"kl_coefficient": 0}, why=""),
    Rule(name="b", kind="alias", when={"kl_coefficient": one_of(0)}, then={"kl": "none"}, why=""),
    Rule(name="c", kind="alias", when={"rollouts": at_least(3)}, then={"kl": "none"}, why=""),
)


def test_rules_that_never_settle_are_the_backends_fault() -> None:
    flip = (
        Rule(name="up", kind="alias", when={"rollouts": one_of(1)}, then={"rollouts": 2}, why=""),
        Rule(name="down", kind="alias", when={"rollouts": one_of(2)}, then={"rollouts": 3}, why=""),
        Rule(
            name="again", kind="alias", when={"rollouts": one_of(3)}, then={"rollouts": 1}, why=""
        ),
    )
    reverse = tuple(reversed(flip))
    with pytest.raises(PluginError, match="never settle"):
        canonical_settings(_Chain, reverse, {})


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("backend.settings.bugdet={amount: 1}", "Did you mean 'budget.amount'"),
        ("backend.settings.budget.amuont=1", "Did you mean 'budget.amount'"),
        ("backend.settings.budget.amount=0", "'budget.amount' must be greater than or equal to 1"),
        ("backend.settings.budget=3", "setting 'budget' must be"),
        ("backend.settings.budget.unit=steps", "'budget.unit' must be 'rounds' or 'samples'"),
        ("backend.settings.centre=no", "'centre' must be true or false"),
        ("backend.settings.clip=none", "'clip' must be a number"),
        ("factors.rollouts.levels=[1, '4x']", "'rollouts' must be an integer; received \"4x\""),
        ("factors.rollouts.levels=[1, 4.0]", "'rollouts' must be an integer"),
        ("factors.rollouts.levels=[1, 65]", "'rollouts' must be less than or equal to 64"),
        ("factors.advantage.levels=[none, batch-norm]", "Did you mean 'batch_norm'"),
        ("factors.advantage.levels=[none, true]", "setting 'advantage' must be"),
        ("factors.rolouts={baseline: 1, levels: [1, 2]}", "Did you mean 'rollouts'"),
        ("factors.queries.levels.q64={queries: 64}", "Did you mean 'queries_per_round'"),
        ("factors.device={baseline: cpu, levels: [cpu, gpu]}", "only decides where a run executes"),
        ("contexts.modle=[a]", "Did you mean 'model'"),
        ("contexts.model=[a, 3]", "'model' must be a string"),
        ("contexts.model=[a, missing]", "there is no such model"),
        ("responses={a: {metric: train/skore}}", "Did you mean 'train/score'"),
    ],
)
def test_what_the_backend_refuses_is_one_problem_at_its_place(
    make_plan: MakePlan, study_text: str, option: str, message: str
) -> None:
    with pytest.raises(StudyError) as raised:
        make_plan(study_text, option)
    (problem,) = raised.value.problems
    assert message in str(problem)
    assert problem.where is not None
    if "missing" not in option:
        assert problem.where.file == f"--set {option}"


def test_an_invalid_combination_comes_with_the_exclusion_to_paste(
    make_plan: MakePlan, study_text: str
) -> None:
    option = "factors.advantage.levels=[none, group_norm]"
    with pytest.raises(StudyError) as raised:
        make_plan(study_text, option)
    (problem,) = raised.value.problems
    assert "a group of one has no spread" in problem.rule
    assert problem.where is not None
    assert problem.where.line == 9
    paste = problem.remedy.rpartition("exclude: ")[2]
    assert paste == "[{advantage: group_norm, rollouts: 1}]"
    plan = make_plan(study_text, option, f"exclude={paste}")
    assert len(plan.cells) == 12


def test_an_invalid_shared_setting_is_no_matter_of_cells(
    make_plan: MakePlan, study_text: str
) -> None:
    with pytest.raises(StudyError) as raised:
        make_plan(study_text, "backend.settings.minibatch=65")
    assert len(raised.value.problems) == 2
    with pytest.raises(StudyError) as raised:
        make_plan(
            study_text,
            "backend.settings.minibatch=65",
            "factors={rollouts: {baseline: 1, levels: [1, 4]}}",
        )
    (problem,) = raised.value.problems
    assert "these settings cannot be run" in problem.rule
    assert "exclude" not in problem.remedy
    assert problem.received == "minibatch: 65, queries_per_round: 32"
    assert problem.where is not None


def test_warnings_count_their_cells(make_plan: MakePlan, study_text: str) -> None:
    plan = make_plan(study_text, "factors.learning_rate.levels=[1e-4, 1e-2]")
    assert plan.warnings == ("fast: a large learning rate often diverges (8 of 16 cells)",)
