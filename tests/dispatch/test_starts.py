"""A hopeless start is told once of each context, by the first of its runs that has a result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ablatekit.design.plan import PlannedResponse
from ablatekit.dispatch.coordinator import DispatchOptions, execute
from ablatekit.dispatch.progress import SilentObserver
from ablatekit.dispatch.starts import start_warnings
from ablatekit.runs.workspace import Workspace


class Notes(SilentObserver):
    """Remembers what it is warned of."""

    def __init__(self):
        self.said = []

    def note(self, text):
        self.said += [text] if text.startswith("warning") else []


def response(**changes):
    """A response of the metric that every simulated run has at 0 before training."""
    values = {
        "name": "learning",
        "metric": "cost/updates",
        "summary": "final",
        "direction": "higher",
        "smallest_effect": None,
        "items": None,
        "label": "learning",
        "unit": "fraction",
        "at_zero": "easier items",
    }
    return PlannedResponse(**{**values, **changes})


def with_responses(plan, *responses):
    return replace(plan, analysis=replace(plan.analysis, responses=responses))


@pytest.fixture
def options(fork_executor):
    return DispatchOptions(executor=fork_executor, workers=1)


def test_each_context_is_warned_of_once(make_plan, tmp_path, options):
    plan = with_responses(make_plan(rounds=2), response())
    notes, workspace = Notes(), Workspace(tmp_path)
    outcome = execute(plan, workspace, options, notes)
    assert outcome.counts.finished == 8
    assert sorted(text.partition(". Log")[0] for text in notes.said) == [
        f"warning: {model}: before training every item of cost/updates scores 0: nothing to"
        " reinforce. What to try: easier items"
        for model in ("model-a", "model-b")
    ]
    assert all(str(workspace.root) in text for text in notes.said)
    again = Notes()
    execute(plan, workspace, options, again)
    assert not again.said


def test_what_has_no_result_yet_is_not_warned_of_twice(make_plan, tmp_path, options):
    plan = with_responses(make_plan(rounds=2), response())
    said = []
    for _ in plan.runs:
        notes = Notes()
        execute(plan, Workspace(tmp_path), replace(options, limit=1), notes)
        said += notes.said
    assert len(said) == 2


@pytest.mark.parametrize(
    ("changes", "meaning"),
    [
        ({}, "nothing to reinforce"),
        ({"direction": "lower"}, "nothing left to learn"),
        ({"unit": "updates"}, None),
        ({"at_zero": "", "at_one": "harder items"}, None),
        ({"metric": "train/pass@1"}, None),
        ({"metric": "never/logged"}, None),
    ],
)
def test_only_a_proportion_at_an_end_that_has_advice_is_hopeless(
    make_plan, tmp_path, options, changes, meaning
):
    plan, workspace = make_plan(rounds=2), Workspace(tmp_path)
    execute(plan, workspace, replace(options, limit=1), SilentObserver())
    told = list(start_warnings(with_responses(plan, response(**changes)), plan.runs[0], workspace))
    assert [meaning in text for text in told] == ([True] if meaning else [])


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("train/pas@1", "no metric 'train/pas@1' for the response 'learning'. Did you mean"),
        ("nowhere", "no metric 'nowhere' for the response 'learning'. Known: "),
        ("train/pass@1", None),
    ],
)
def test_a_metric_that_runs_do_not_report_is_told_after_the_first(
    make_plan, tmp_path, options, metric, told
):
    plan, notes = with_responses(make_plan(rounds=2), response(metric=metric, at_zero="")), Notes()
    execute(replace(plan, lacks=("metric_names",)), Workspace(tmp_path), options, notes)
    assert len(notes.said) == (2 if told else 0)
    assert all(told in text for text in notes.said)


def test_a_backend_that_names_its_metrics_has_refused_others_before(make_plan, tmp_path, options):
    plan, notes = with_responses(make_plan(rounds=2), response(metric="nowhere")), Notes()
    execute(plan, Workspace(tmp_path), options, notes)
    assert notes.said == []


def test_responses_of_one_metric_are_one_warning(make_plan, tmp_path, options):
    plan, workspace = make_plan(rounds=2), Workspace(tmp_path)
    execute(plan, workspace, replace(options, limit=1), SilentObserver())
    both = with_responses(plan, response(), response(name="late", summary="auc"))
    (told,) = start_warnings(both, plan.runs[0], workspace)
    assert "every item of cost/updates scores 0" in told
