"""What a backend refuses gets the place in the study of the setting that the message shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ablatekit.backend import Backend, Settings
from ablatekit.design.build import build_plan
from ablatekit.errors import Problem, StudyError, UsageError
from ablatekit.study.load import load_study

STUDY = """\
version: 1
name: toy
question: Which choice matters?
backend:
  name: fake
  settings: {budget: {unit: rounds, amount: 5}, minibatch: 8}
factors:
  advantage: {baseline: none, levels: [none, batch_norm]}
  queries:
    baseline: q32
    levels:
      q32: {queries_per_round: 32}
      q64: {queries_per_round: 64}
contexts:
  model: [a]
  dataset: [x, y]
replicates: 2
"""


@pytest.mark.parametrize(
    ("refused", "received", "place", "shown"),
    [
        ("minibatch", "minibatch: 8; 3 there", "6:60", "minibatch: 8; 3 there"),
        ("minibatch", "budget.amount: 5", "6:45", "budget.amount: 5"),
        ("minibatch", "clip: none, budget.unit: rounds", "6:29", "budget.unit: rounds"),
        ("advantage", "advantage: batch_norm", "8:46", "advantage: batch_norm"),
        ("queries", "queries_per_round: 64", "13:32", "queries_per_round: 64"),
        ("dataset", "dataset: y; y:3: no number", "16:16", "y:3: no number"),
        ("clip", "clip: null; 3 there", "14:1", "clip: null; 3 there (the default of clip)"),
        ("clip", "the value 3: of nothing", "14:1", "the value 3: of nothing"),
    ],
)
def test_a_refusal_is_located_at_the_setting_that_it_shows(
    backend: Backend,
    write_study: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    refused: str,
    received: str,
    place: str,
    shown: str,
) -> None:
    refusals = {
        "advantage": lambda settings: settings["advantage"] == "batch_norm",
        "queries": lambda settings: settings["queries_per_round"] == 64,
        "dataset": lambda settings: settings["dataset"] == "y",
    }

    def content(settings: Settings) -> dict[str, str]:
        if refusals.get(refused, lambda _: True)(settings):
            raise UsageError(Problem("too few", received))
        return {"model": settings["model"], "dataset": settings["dataset"]}

    monkeypatch.setattr(backend, "content", content)
    path = write_study(STUDY)
    with pytest.raises(StudyError) as raised:
        build_plan(load_study(path), backend)
    (problem,) = raised.value.problems
    assert str(problem.where) == f"{path}:{place}"
    assert problem.received.endswith(shown)


def test_a_setting_of_the_command_line_is_located_there(
    backend: Backend, write_study: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def content(settings: Settings) -> dict[str, str]:
        raise UsageError(Problem("too few", f"minibatch: {settings['minibatch']}"))

    monkeypatch.setattr(backend, "content", content)
    loaded = load_study(write_study(STUDY), ["backend.settings.minibatch=4"])
    with pytest.raises(StudyError, match=r"^--set backend\.settings\.minibatch=4: too few"):
        build_plan(loaded, backend)
