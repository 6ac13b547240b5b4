"""What a backend looks at before the first run: warnings in the plan, refusals with their line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ablatekit.backend import Backend, Examining, Progress, Settings
from ablatekit.design.build import build_plan
from ablatekit.design.plan import Plan
from ablatekit.errors import Problem, StudyError, UsageError
from ablatekit.study.load import load_study

Examine = Callable[[Settings, Progress], Sequence[str]]
Examined = Callable[[Examine], Plan]


@pytest.fixture
def examined(
    backend: Backend,
    write_study: Callable[[str], Path],
    study_text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Examined:
    def plan(look: Examine, *told: Progress) -> Plan:
        monkeypatch.setattr(type(backend), "examine", lambda _, *asked: look(*asked), raising=False)
        assert isinstance(backend, Examining)
        return build_plan(load_study(write_study(study_text)), backend, *told)

    return plan


def test_a_backend_may_have_nothing_to_look_at(backend: Backend, toy_plan: Plan) -> None:
    assert not isinstance(backend, Examining)
    assert toy_plan.warnings == ()


def test_warnings_stand_in_the_plan_once_with_how_many_they_concern(examined: Examined) -> None:
    def look(settings: Settings, _: Progress) -> list[str]:
        every = ["all the same", "all the same"]
        return [*every, "of a"] if settings["model"] == "a" else every

    plan = examined(look)
    assert plan.warnings == ("all the same", "of a (in 32 of 96 cells x contexts)")
    assert Plan.from_json(plan.to_json()).warnings == plan.warnings


def test_it_is_asked_once_for_each_cell_in_each_context_and_before_content(
    examined: Examined, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    content = backend.content

    def identify(settings: Settings) -> object:
        asked.append("content")
        return content(settings)

    monkeypatch.setattr(backend, "content", identify)
    examined(lambda *_: asked.append("examine") or ())  # type: ignore[func-returns-value]
    assert asked == ["examine"] * 96 + ["content"] * 96


@pytest.mark.parametrize(
    ("received", "line"),
    [
        ("rollouts: 4", 9),
        ("queries_per_round: 64; nonsense", 14),
        ("budget.amount: 5, rollouts: 4", 6),
        ("dataset: y", 18),
        ("nothing that the study says: clip: 3", 16),
    ],
)
def test_a_refusal_gets_the_line_of_the_setting_that_it_shows(
    examined: Examined, received: str, line: int
) -> None:
    wanted = {"rollouts": 4, "queries_per_round": 64, "dataset": "y"}

    def look(settings: Settings, _: Progress) -> tuple[str, ...]:
        if all(settings[name] == value for name, value in wanted.items()):
            raise UsageError(Problem("it cannot work", received))
        return ()

    with pytest.raises(StudyError, match="it cannot work") as raised:
        examined(look)
    where = raised.value.problems[0].where
    assert where is not None
    assert where.line == line


def test_progress_reaches_who_watches(examined: Examined) -> None:
    told: list[tuple[str, int, int]] = []

    def look(_: Settings, progress: Progress) -> tuple[str, ...]:
        progress("rows", 1, 2)
        return ()

    examined(look, lambda *words: told.append(words))  # type: ignore[call-arg]
    assert told == [("rows", 1, 2)] * 96
