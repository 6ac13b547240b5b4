"""Metrics in printed lines."""

from __future__ import annotations

import pytest

from ablatekit.logs.text import TextLog


@pytest.fixture
def history(tmp_path):
    def read(pattern, text):
        path = tmp_path / "printed.txt"
        path.write_text(text, encoding="utf-8")
        (run,) = TextLog(pattern).runs(path)
        return [(event.step, event.metrics) for event in run.history]

    return read


def test_groups_are_metrics(history):
    text = "start\nepoch 1: loss 2.5, acc 50%\rbar\nepoch 2: loss nan, acc 75%\n"
    first, second = history(r"epoch (?P<epoch>\d+): loss (?P<loss>\S+) acc (?P<acc>\S+)", text)
    assert first == (1, {"loss": 2.5, "acc": 50.0})
    assert second[0] == 2
    assert second[1]["acc"] == 75.0


def test_a_metric_has_its_name_from_the_line(history):
    text = "eval test/acc=0.5 test/f1=0.25\nother=word\ntest/acc=1\n"
    assert history(r"(?P<name>[\w/]+)=(?P<value>\S+)", text) == [
        (1, {"test/acc": 0.5, "test/f1": 0.25}),
        (2, {"test/acc": 1.0}),
    ]


def test_a_line_that_is_being_printed_is_not_there_yet(history):
    assert history(r"loss (?P<loss>\S+)", "loss 1\nloss 2") == [(1, {"loss": 1.0})]


@pytest.mark.parametrize("pattern", ["loss (", "loss (.*)", r"(?P<step>\d+)", r"(?P<name>\w+)"])
def test_a_pattern_without_metrics_is_refused(pattern):
    with pytest.raises(ValueError, match="it "):
        TextLog(pattern)


def test_it_claims_texts_with_a_match(tmp_path):
    log = TextLog(r"loss (?P<loss>\S+)")
    (tmp_path / "a.txt").write_text("loss 1\n")
    (tmp_path / "b.txt").write_text("nothing\n")
    assert log.claims(tmp_path / "a.txt")
    assert not log.claims(tmp_path / "b.txt")
    assert not log.claims(tmp_path)
