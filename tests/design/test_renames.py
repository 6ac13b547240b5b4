"""Names that change while the runs stay are recognised; what looks like one and is none is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ablatekit.backend import Backend, Settings
from ablatekit.canonical import content_hash
from ablatekit.design.amend import amend_plan
from ablatekit.design.build import build_plan
from ablatekit.design.plan import Plan
from ablatekit.errors import StudyError
from ablatekit.study.load import load_study

MakePlan = Callable[..., Plan]

LONG = """\
version: 1
name: toy
backend: {name: fake, settings: {budget: {unit: rounds, amount: 5}}}
factors:
  rollouts: {baseline: 1, levels: [1, 4]}
  queries: {baseline: q32, levels: {q32: {queries_per_round: 32}, q64: {queries_per_round: 64}}}
contexts:
  model: [a, b]
  dataset: [x]
replicates: 2
"""


def _text(changes: dict[str, str]) -> str:
    text = LONG
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"  queries:": "  batch:"}, ["factor queries is called batch"]),
        (
            {"q32": "few", "q64": "many"},
            ["level q32 of queries is called few", "level q64 of queries is called many"],
        ),
        (
            {"  queries:": "  batch:", "q32": "few"},
            ["factor queries is called batch", "level q32 of batch is called few"],
        ),
        (
            {"  rollouts: {baseline: 1, levels: [1, 4]}": "  samples: {baseline: one, levels:"
             " {one: {rollouts: 1}, four: {rollouts: 4}}}"},
            [
                "factor rollouts is called samples",
                "level 1 of samples is called one",
                "level 4 of samples is called four",
            ],
        ),
        (
            {"q32: {queries_per_round: 32}": "q64: {queries_per_round: 32}",
             "q64: {queries_per_round: 64}": "q32: {queries_per_round: 64}",
             "baseline: q32": "baseline: q64"},
            ["level q32 of queries is called q64", "level q64 of queries is called q32"],
        ),
    ],
    ids=["factor", "levels", "both", "short form to long", "swapped"],
)  # fmt: skip
def test_new_names_of_the_same_runs_are_no_change(
    make_plan: MakePlan, changes: dict[str, str], told: list[str]
) -> None:
    old, new = make_plan(LONG), make_plan(_text(changes))
    assert [run.run_id for run in new.runs] == [run.run_id for run in old.runs]
    amendment = amend_plan(old, new)
    assert [str(rename) for rename in amendment.renames] == told
    assert amendment.deviations == ()
    assert amendment.plan == new
    assert amend_plan(new, old).deviations == ()


def test_a_renamed_factor_may_grow_at_the_same_time(make_plan: MakePlan) -> None:
    old = make_plan(LONG)
    new = make_plan(
        _text(
            {
                "  queries:": "  batch:",
                "q64: {queries_per_round: 64}": "q64: {queries_per_round: 64},"
                " q96: {queries_per_round: 96}",
                "replicates: 2": "replicates: 3",
            }
        )
    )
    amendment = amend_plan(old, new)
    assert [str(rename) for rename in amendment.renames] == ["factor queries is called batch"]
    assert amendment.deviations == (
        'factors.batch.levels added: null -> ["q96"]',
        "replicates: 2 -> 3",
    )


def test_a_model_that_was_moved_is_the_same_model(
    backend: Backend, write_study: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_part(settings: Settings) -> dict[str, str]:
        return {"model": content_hash(settings["model"].rpartition("/")[2])}

    monkeypatch.setattr(backend, "content", last_part)
    studies = (LONG.replace("model: [a, b]", f"model: [{to}/a, {to}/b]") for to in ("old", "new"))
    old, new = (build_plan(load_study(write_study(text)), backend) for text in studies)
    amendment = amend_plan(old, new)
    assert [str(rename) for rename in amendment.renames] == [
        "level old/a of model is called new/a",
        "level old/b of model is called new/b",
    ]
    assert amendment.deviations == ()


def test_a_renamed_response_computes_the_same(make_plan: MakePlan) -> None:
    responses = "responses: {%s: {metric: train/score}, other: {metric: test/score}}\n"
    old, new = (make_plan(LONG + responses % name) for name in ("learning", "fit"))
    amendment = amend_plan(old, new)
    assert [str(rename) for rename in amendment.renames] == ["response learning is called fit"]
    assert amendment.deviations == ()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"  queries:": "  batch:", "queries_per_round: 64": "queries_per_round: 65"},
            "factors.queries",
        ),
        ({"q64: {queries_per_round: 64}": "many: {queries_per_round: 65}"}, "factors.queries"),
        ({"  queries: {baseline: q32": "  batch: {baseline: q64"}, "factors.batch.baseline"),
        (
            {"q32: {queries_per_round: 32}": "q64: {queries_per_round: 32}",
             "q64: {queries_per_round: 64}": "q32: {queries_per_round: 64}"},
            "factors.queries.baseline",
        ),
    ],
    ids=["another value", "another level", "another baseline", "swapped without the baseline"],
)  # fmt: skip
def test_a_true_change_stays_refused(
    make_plan: MakePlan, changes: dict[str, str], line: str
) -> None:
    with pytest.raises(StudyError, match=line):
        amend_plan(make_plan(LONG), make_plan(_text(changes)))


def test_a_refusal_says_that_nothing_is_lost_and_what_new_keeps(make_plan: MakePlan) -> None:
    changed = make_plan(_text({"queries_per_round: 64": "queries_per_round: 65"}))
    with pytest.raises(StudyError) as refused:
        amend_plan(make_plan(LONG), changed)
    message = str(refused.value)
    assert "Nothing is lost, and nothing was written" in message
    assert "8 of the 16 planned runs are used again" in message
    assert "the other 8 stay on disk" in message
