"""Metrics as a table."""

from __future__ import annotations

import pytest

from ablatekit.errors import TableError
from ablatekit.logs.csv import CsvLog


@pytest.fixture
def history(tmp_path):
    def read(text):
        path = tmp_path / "metrics.csv"
        path.write_text(text, encoding="utf-8")
        (run,) = CsvLog().runs(path)
        return [(event.step, event.metrics) for event in run.history]

    return read


def test_a_table_of_lightning_has_holes(history):
    text = "epoch,step,train_loss,val_acc\n0,9,0.5,\n0,9,,0.75\n1,19,0.25,\n"
    assert history(text) == [
        (9, {"epoch": 0.0, "train_loss": 0.5, "val_acc": 0.75}),
        (19, {"epoch": 1.0, "train_loss": 0.25}),
    ]


def test_texts_are_no_metrics_and_rows_without_a_step_are_counted(history):
    assert history("name,acc\na,1\nb,0.5\n") == [(1, {"acc": 1.0}), (2, {"acc": 0.5})]


def test_a_row_that_is_being_written_is_not_there_yet(history):
    assert history("step,acc\n1,0.5\n2,0.") == [(1, {"acc": 0.5})]
    assert history("") == []


def test_a_row_longer_than_its_header_is_refused(history):
    with pytest.raises(TableError, match=r"metrics\.csv:3: a row has more cells"):
        history("step,acc\n1,0.5\n2,0,5\n")


def test_it_claims_tables_that_count_steps(tmp_path):
    for name, text, claimed in (("a.csv", "step,a\n", True), ("b.csv", "x,a\n", False)):
        (tmp_path / name).write_text(text)
        assert CsvLog().claims(tmp_path / name) == claimed
