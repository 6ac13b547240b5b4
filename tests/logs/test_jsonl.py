"""Metrics as JSON lines."""

from __future__ import annotations

import math

import pytest

from ablatekit.errors import TableError
from ablatekit.logs.jsonl import JsonlLog


@pytest.fixture
def history(tmp_path):
    def read(text):
        path = tmp_path / "metrics.jsonl"
        path.write_text(text, encoding="utf-8")
        (run,) = JsonlLog().runs(path)
        return [(event.step, event.metrics) for event in run.history]

    return read


def test_flat_lines_and_those_of_verl(history):
    assert history('{"step": 1, "loss": 2}\n{"step": 2, "loss": 1, "note": "x"}\n') == [
        (1, {"loss": 2.0}),
        (2, {"loss": 1.0}),
    ]
    verl = '{"step": 3, "data": {"critic/score/mean": 0.5, "training/global_step": 3}}\n'
    assert history(verl) == [(3, {"critic/score/mean": 0.5, "training/global_step": 3.0})]


def test_lines_of_one_step_are_one_event_in_the_order_of_steps(history):
    text = '{"step": 2, "b": 1}\n{"step": 1, "a": 1}\n{"step": 2, "c": 3, "b": 2}\n'
    assert history(text) == [(1, {"a": 1.0}), (2, {"b": 2.0, "c": 3.0})]


def test_rows_without_a_step_are_counted_or_belong_to_the_one_before(history):
    assert history('{"acc": 0.5}\n{"acc": 0.75}\n') == [(1, {"acc": 0.5}), (2, {"acc": 0.75})]
    assert history('{"step": 5, "a": 1}\n{"final": 2}\n') == [(5, {"a": 1.0, "final": 2.0})]


def test_what_is_no_number_is_no_metric(history):
    text = '{"step": 1, "a": null, "b": [1], "c": true, "d": {"e": 2}, "f": "NaN", "g": NaN}\n'
    ((_, metrics),) = history(text)
    assert set(metrics) == {"c", "d.e", "f", "g"}
    assert metrics["c"] == 1.0
    assert math.isnan(metrics["f"])


def test_a_line_that_is_being_written_is_not_there_yet(history):
    assert history('{"step": 1, "a": 1}\n{"step": 2, "a"') == [(1, {"a": 1.0})]
    assert history('{"step": 1, "a": 1}\n{"step": 2, "a": 2}') == [(1, {"a": 1.0}), (2, {"a": 2.0})]
    assert history("") == []


@pytest.mark.parametrize("line", ["loss 3", "[1, 2]", "3"])
def test_another_line_is_refused_at_its_place(history, line):
    with pytest.raises(TableError, match=r"metrics\.jsonl:2: a line of metrics is no JSON object"):
        history(f'{{"step": 1, "a": 1}}\n{line}\n')


def test_it_claims_files_of_objects_alone(tmp_path):
    for name, text, claimed in (
        ("a.jsonl", '{"a": 1}\n', True),
        ("b.jsonl", "1\n", False),
        ("c.txt", '{"a": 1}\n', False),
    ):
        (tmp_path / name).write_text(text)
        assert JsonlLog().claims(tmp_path / name) == claimed
    assert not JsonlLog().claims(tmp_path)
