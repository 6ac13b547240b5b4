from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.design.cells import as_yaml, full_factorial
from ablatekit.design.crossing import cross
from ablatekit.errors import StudyError
from ablatekit.study.factors import Factor, Level, find_level
from ablatekit.study.load import load_study
from ablatekit.study.yaml_source import parse_yaml

Write = Callable[[str], Path]


def _factor(name: str, count: int) -> Factor:
    levels = tuple(Level(f"l{index}", {}, ()) for index in range(count))
    return Factor(name, levels, "l0", name)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_a_full_factorial_has_every_combination_once(counts: list[int]) -> None:
    factors = [_factor(f"f{index}", count) for index, count in enumerate(counts)]
    cells = list(full_factorial(factors))
    expected = 1
    for count in counts:
        expected *= count
    assert len(cells) == expected
    assert len({tuple(cell.items()) for cell in cells}) == expected
    for factor, count in zip(factors, counts, strict=True):
        for level in factor.level_names:
            assert sum(cell[factor.name] == level for cell in cells) == expected // count


def test_an_exclusion_removes_its_matches_only(write_study: Write, study_text: str) -> None:
    option = "exclude=[{advantage: batch_norm, rollouts: 1}, {queries: q64, learning_rate: 3e-4}]"
    crossing = cross(load_study(write_study(study_text), [option]))
    assert len(crossing.cells) == 16 - 4 - 4 + 1
    assert len(crossing.excluded) == 7
    assert not any(
        cell["advantage"] == "batch_norm" and cell["rollouts"] == "1" for cell in crossing.cells
    )
    assert crossing.warnings == ()


def test_custom_cells_fall_back_to_the_baseline(write_study: Write, study_text: str) -> None:
    cells = "[{}, {advantage: batch_norm}, {rollouts: 4.0, queries: q64}, {learning_rate: 3e-4}]"
    crossing = cross(
        load_study(write_study(study_text), [f"design={{kind: custom, cells: {cells}}}"])
    )
    assert [tuple(cell.values()) for cell in crossing.cells] == [
        ("none", "1", "q32", "1e-4"),
        ("batch_norm", "1", "q32", "1e-4"),
        ("none", "4", "q64", "1e-4"),
        ("none", "1", "q32", "3e-4"),
    ]


def test_a_design_without_its_baseline_cell_is_warned_about(
    write_study: Write, study_text: str
) -> None:
    option = "exclude=[{advantage: none, rollouts: 1, queries: q32, learning_rate: 1e-4}]"
    (warning,) = cross(load_study(write_study(study_text), [option])).warnings
    assert "no baseline cell" in warning


def test_an_exclusion_that_matches_nothing_is_warned_about(
    write_study: Write, study_text: str
) -> None:
    cells = "[{}, {advantage: batch_norm}, {rollouts: 4}, {queries: q64}, {learning_rate: 3e-4}]"
    options = [f"design={{kind: custom, cells: {cells}}}", "exclude=[{rollouts: 4, queries: q64}]"]
    (warning,) = cross(load_study(write_study(study_text), options)).warnings
    assert warning == "the exclusion {rollouts: 4, queries: q64} matches no cell of the design"


def test_a_design_says_which_levels_it_compares_with_the_baseline_only_through_others(
    write_study: Write, study_text: str
) -> None:
    path = write_study(study_text)
    assert cross(load_study(path)).notes == ()
    cells = "[{}, {advantage: batch_norm}, {rollouts: 4, queries: q64}, {learning_rate: 3e-4}]"
    (rollouts, queries) = cross(
        load_study(path, [f"design={{kind: custom, cells: {cells}}}"])
    ).notes
    assert rollouts.startswith("rollouts: no two cells differ in 4 against 1 alone")
    assert queries.startswith("queries: no two cells differ in q64 against q32 alone")
    option = "exclude=[{advantage: none, rollouts: 4}, {advantage: batch_norm, rollouts: 1}]"
    notes = cross(load_study(path, [option])).notes
    assert [note.split(":")[0] for note in notes] == ["advantage", "rollouts"]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["exclude=[{rollouts: 1}, {rollouts: 4}]"], "every cell of the design is excluded"),
        (["exclude=[{rollouts: 4}]"], "no cell of the design has level '4' of factor 'rollouts'"),
        (
            ["design={kind: custom, cells: [{}, {rollouts: 4}, {rollouts: 4.0}]}"],
            "a cell is listed twice",
        ),
        (["design={kind: custom, cells: [{rollouts: 4}, {x: 1}]}"], "unknown factor"),
        (
            ["design={kind: custom, cells: [{rollouts: 5}]}"],
            "factor 'rollouts' has no such level",
        ),
        (["replicates=10000"], "the design is too large"),
    ],
)
def test_designs_that_cannot_be(
    write_study: Write, study_text: str, options: list[str], rule: str
) -> None:
    with pytest.raises(StudyError) as raised:
        cross(load_study(write_study(study_text), options))
    (problem,) = raised.value.problems
    assert rule in problem.rule
    assert problem.where is not None


def test_a_huge_factorial_is_refused_without_being_enumerated(
    write_study: Write, study_text: str
) -> None:
    options = [f"factors.f{index}={{baseline: 0, levels: [0, 1, 2]}}" for index in range(60)]
    with pytest.raises(StudyError, match="the design is too large"):
        cross(load_study(write_study(study_text), options))


@given(
    st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.sampled_from(
            ["none", "true", "1e-4", "010", "no", "a b", "-x", "x,y", "{x", "é", "# x"]
        ),
        min_size=1,
    )
)
def test_pasted_levels_mean_the_same_levels(levels: dict[str, str]) -> None:
    found = parse_yaml(as_yaml(levels), "s.yaml").plain()
    assert {key: find_level(value, [levels[key]]) for key, value in found.items()} == levels
