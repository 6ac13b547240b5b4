"""Logs that other tools wrote: the planted choices are proposed, whatever the format."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ablatekit.analysis.proposal.propose import propose
from ablatekit.analysis.tables.read import read_table

FOREIGN = Path(__file__).parents[2] / "reference" / "foreign"


@pytest.mark.parametrize(
    ("source", "factors", "response"),
    [
        ("tensorboard", {"optimizer.name", "optimizer.lr"}, "eval/accuracy"),
        ("trackio", {"optimizer.name", "optimizer.lr"}, "eval/accuracy"),
        ("wandb", {"optimizer.name", "optimizer.lr"}, "eval/accuracy"),
        ("trainer_state", {"optimizer", "lr"}, "eval_accuracy"),
    ],
)
def test_runs_of_trackers(tmp_path, source, factors, response):
    with zipfile.ZipFile(FOREIGN / source / "planted.zip") as packed:
        packed.extractall(tmp_path)
    proposal = propose(read_table(tmp_path))
    assert set(proposal.factors) == factors
    assert (proposal.contexts, proposal.replicates) == (("dataset",), ("seed",))
    assert (proposal.responses, proposal.runs) == ((response,), 16)
    assert proposal.warnings == ()


@pytest.mark.parametrize(
    ("source", "factors", "contexts"),
    [("inspect", {"prompt"}, {"dataset", "model"}), ("lm_eval", {"recipe"}, {"dataset", "model"})],
)
def test_items_of_evaluations(source, factors, contexts):
    proposal = propose(read_table(FOREIGN / source))
    assert (set(proposal.factors), set(proposal.contexts)) == (factors, contexts)
    assert (proposal.responses, proposal.runs, proposal.by_item) == (("outcome",), 16, True)


def test_trials_of_a_search_with_the_direction_of_its_study():
    proposal = propose(read_table(FOREIGN / "optuna" / "grid.log"))
    assert set(proposal.factors) == {"optimizer", "layers"}
    assert proposal.directions == {"loss": "lower"}
    assert [told["code"] for told in proposal.warnings] == ["runs_not_ended"]
