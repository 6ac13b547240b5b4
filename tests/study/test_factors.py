from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.errors import StudyError
from ablatekit.study.factors import find_level, level_name
from ablatekit.study.load import load_study

Write = Callable[[str], Path]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1e-4, "1e-4"),
        (3e-4, "3e-4"),
        (0.00015, "1.5e-4"),
        (0.001, "0.001"),
        (0.02, "0.02"),
        (-2.5e-7, "-2.5e-7"),
        (1.0, "1.0"),
        (0.0, "0.0"),
        (1e6, "1e6"),
        (123456.5, "123456.5"),
        (12345678.0, "1.2345678e7"),
        (1e22, "1e22"),
        (4, "4"),
        (1000000, "1000000"),
        (True, "true"),
        (False, "false"),
        (None, "none"),
        ("batch_norm", "batch_norm"),
    ],
)
def test_level_names(value: bool | int | float | str | None, name: str) -> None:
    assert level_name(value) == name


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_found_again_in_its_name(value: float) -> None:
    assert float(level_name(value)) == value


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_different_floats_have_different_names(one: float, other: float) -> None:
    assert (level_name(one) == level_name(other)) == (repr(one) == repr(other))


def test_levels_are_found_by_name_or_number() -> None:
    assert find_level(1, ["1.0", "2.0"]) == "1.0"
    assert find_level("1", ["1", "4"]) == "1"
    assert find_level(None, ["none", "x"]) == "none"
    assert find_level(True, ["1", "0"]) is None
    assert find_level("x", ["y"]) is None


def test_a_duplicate_names_the_first_level_that_it_equals(
    write_study: Write, study_text: str
) -> None:
    with pytest.raises(StudyError, match=r"It equals '4', given before"):
        load_study(write_study(study_text), ["factors.rollouts.levels=[1, 4, 4.0, 0x4]"])


def test_a_thousand_levels_are_read_and_more_are_refused_at_once(
    write_study: Write, study_text: str
) -> None:
    most = ", ".join(map(str, range(1000)))
    loaded = load_study(write_study(study_text), [f"factors.rollouts.levels=[{most}]"])
    assert len(loaded.factors[1].levels) == 1000
    huge = ", ".join(map(str, range(20_000)))
    text = study_text.replace("levels: [1, 4]", f"levels: [{huge}]")
    with pytest.raises(StudyError, match="must have at most 1000 items") as raised:
        load_study(write_study(text))
    (problem,) = raised.value.problems
    assert len(str(problem)) < 400
    assert problem.where is not None
    assert problem.where.line == 9


def test_short_and_long_forms(write_study: Write, study_text: str) -> None:
    loaded = load_study(
        write_study(study_text),
        ["factors.queries.levels={q32: {queries_per_round: 32, a: {b: 1}}, q64: {a.b: 2}}"],
    )
    factors = {factor.name: factor for factor in loaded.factors}
    levels = factors["learning_rate"].levels
    assert [level.name for level in levels] == ["1e-4", "3e-4"]
    assert [level.settings["learning_rate"].value for level in levels] == [1e-4, 3e-4]
    q32, q64 = factors["queries"].levels
    assert {name: one.value for name, one in q32.settings.items()} == {
        "queries_per_round": 32,
        "a.b": 1,
    }
    assert {name: one.value for name, one in q64.settings.items()} == {"a.b": 2}
    assert factors["queries"].level("q64") is q64


def test_a_context_carries_covariates_and_quotes_make_its_values_text(
    write_study: Write, study_text: str
) -> None:
    levels = (
        "{a: {params: 1.2e5, layers: 2}, 2: {params: 3, layers: 4}, '3': {params: 5, layers: 1}}"
    )
    text = study_text.replace("model: [a, b, c]", f"model: {{levels: {levels}}}")
    model, dataset = load_study(write_study(text)).contexts
    assert [level.settings["model"].value for level in model.levels] == ["a", 2, "3"]
    assert model.covariate_names == ("params", "layers")
    assert model.covariates["a"] == {"params": 1.2e5, "layers": 2.0}
    assert tuple(model.covariates) == tuple(level.name for level in model.levels)
    assert dataset.covariate_names == ()


def test_a_prediction_names_the_nearest_covariate(write_study: Write, study_text: str) -> None:
    options = [
        "contexts.model={levels: {a: {params: 1}, b: {params: 2}}}",
        "analysis.predict_at={parms: 7e9}",
    ]
    with pytest.raises(StudyError, match=r"received 'parms'. Did you mean 'params'\?"):
        load_study(write_study(study_text), options)


def test_long_form_keys_are_called_as_in_the_short_form(
    write_study: Write, study_text: str
) -> None:
    option = (
        "factors.queries={baseline: 1e-3, levels: {1.0e-3: {x: 1}, 0.00002: {x: 2}, ~: {x: 3}}}"
    )
    loaded = load_study(write_study(study_text), [option])
    assert loaded.factors[2].level_names == ("0.001", "2e-5", "none")
    assert loaded.factors[2].baseline == "0.001"


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("factors.rollouts.levels=[]", "factor 'rollouts' is empty"),
        ("factors.rollouts.levels={}", "factor 'rollouts' is empty"),
        ("factors.rollouts.levels=[1]", "factor 'rollouts' has a single level"),
        ("factors.rollouts.levels=[1, 4, 1]", "duplicate level"),
        ("factors.rollouts.levels=[1, 4, 1.0]", "duplicate level"),
        ("factors.rollouts.levels=[1, 4, '4']", "duplicate level"),
        ("factors.advantage.levels=[none, x, null]", "duplicate level"),
        (f"factors.rollouts.levels={list(range(1001))}", "must have at most 1000 items"),
        (f"contexts.model={list(range(1001))}", "must have at most 1000 items"),
        ("factors.rollouts.levels=[1, 4, '']", "unusable level"),
        (r'factors.rollouts.levels=[1, 4, "a\nb"]', "unusable level"),
        ("factors.rollouts.baseline=2", "the baseline of factor 'rollouts' is not one of its"),
        ("factors.rollouts.baseline=true", "the baseline of factor 'rollouts' is not one of its"),
        ("factors.queries.levels.q64={}", "level 'q64' sets no settings"),
        ("factors.queries.levels.q64={a: {b: 1}, a.b: 2}", "level 'q64' sets a.b twice"),
        ("factors.queries.levels.q64={rollouts: 2}", "'queries' set the same setting"),
        ("factors.queries.levels.q64={budget: {amount: 2}}", "set the same setting"),
        ("factors.queries.levels.q64={budget: 2}", "set the same setting"),
        ("factors.queries.levels.q64={model: b}", "set the same setting"),
        ("contexts.budget=[1, 2]", "set the same setting"),
        ("contexts.rollouts=[1, 4]", "a name is used twice"),
        ("backend.settings={a: {b: 1}, a.b: 2}", "backend.settings gives a.b twice"),
        ("contexts.model=[]", "context 'model' is empty"),
        ("contexts.model=[a, a]", "context 'model': duplicate level"),
        ("factors.status={baseline: 1, levels: [1, 2]}", "is a column that every table has"),
        ("responses={rollouts: {metric: m}}", "a name is used twice"),
        ("exclude=[{}]", "an exclusion names no level"),
        ("exclude=[{rolouts: 1}]", "unknown factor"),
        ("exclude=[{rollouts: 3}]", "factor 'rollouts' has no such level"),
        ("factors.rollouts.scale=cubic", "must be 'log', 'linear' or 'order'"),
        ("factors.queries.scale=linear", "where every level is a number; received q32"),
        ("factors.rollouts={baseline: 0, levels: [0, 4], scale: log}", 'above 0; received "0"'),
        ("contexts.model={levels: {}}", "context 'model' is empty"),
        ("contexts.model={levels: {1: {}, 1.0: {}}}", "context 'model': duplicate level"),
        ("contexts.model={levels: {a: {p: 1}, b: {q: 1, p: 1}}}", "lacks the covariate 'q'"),
        ("contexts.model={levels: {a: {p: true}}}", "must be a number above 0; received true"),
        ("contexts.model={levels: {a: {p: -1}}}", "must be a number above 0; received -1"),
        ("contexts.model={levels: {a: {budget: {amount: 2}}}}", "must be a number above 0"),
        (
            "contexts={a: {levels: {1: {p: 1}}}, b: {levels: {1: {p: 1}}}}",
            "contexts 'a' and 'b' have a covariate of the same name; received 'p'",
        ),
        ("analysis.predict_at={params: 0}", "must be a number above 0; received 0"),
    ],
)
def test_every_mistake_gives_one_problem(
    write_study: Write, study_text: str, option: str, rule: str
) -> None:
    with pytest.raises(StudyError) as raised:
        load_study(write_study(study_text), [option])
    assert rule in str(raised.value)
    assert raised.value.problems[0].where is not None
    clashes = "contexts.rollouts" in option
    assert len(raised.value.problems) == (2 if clashes else 1)
