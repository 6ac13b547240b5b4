from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.evaluation.evaluate import shown
from ablatekit_rft.learning import updates
from ablatekit_rft.levels.sampling import round_queries
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.specs import metric_specs
from ablatekit_rft.policy.optimizer import clip_gradient
from ablatekit_rft.run import rounds
from ablatekit_rft.run.divergence import Collapse
from ablatekit_rft.tasks.query import Judgement, Verdict

from ablatekit.runs.records import part_metric
from ablatekit.runs.seeds import Seeds


def weights_hash(model: Any) -> str:
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(name.encode() + parameter.detach().numpy().tobytes())
    return digest.hexdigest()


def repeatable(context: Any, settings: Any) -> dict[int, dict[str, float]]:
    names = {spec.name for spec in metric_specs(settings) if spec.repeatable}
    return {
        step: {name: value for name, value in logged.items() if name in names}
        for step, logged in context.logged.items()
    }


@pytest.fixture(scope="module")
def default_run(train_toy: Any, make_shared_context: Any, make_settings: Any) -> Any:
    """Settings, context, result and model of the plainest run."""
    settings, context = make_settings(), make_shared_context("a")
    return settings, context, *train_toy(settings, context)


@pytest.mark.parametrize("place", ["none", "reward", "loss"])
def test_a_run_logs_every_declared_metric_and_no_other(
    default_run: Any, train_toy: Any, make_context: Any, make_settings: Any, place: str
) -> None:
    settings, context, result, _ = default_run
    if place != "none":
        settings, context = make_settings(kl_place=place), make_context()
        result, _ = train_toy(settings, context)
    declared = {spec.name for spec in metric_specs(settings)}
    of_part = {part_metric(spec.name) for spec in metric_specs(settings) if spec.partial}
    logged = {name for values in context.logged.values() for name in values}
    assert logged == declared | of_part
    assert of_part
    assert result.status == "finished"
    assert set(result.metrics) <= declared
    assert result.metrics[metrics.TRAIN_PASS] == context.logged[6][metrics.TRAIN_PASS]
    values = [value for at_step in context.logged.values() for value in at_step.values()]
    assert np.isfinite(values).all()


def test_the_curve_starts_at_step_0_and_ends_with_the_budget(default_run: Any) -> None:
    _, context, _, _ = default_run
    assert list(context.series(metrics.TRAIN_PASS)) == [0, 2, 4, 6]
    assert list(context.series(metrics.TRAIN_GREEDY)) == [0, 6]
    assert list(context.series(metrics.GRAD_NORM)) == [1, 2, 3, 4, 5, 6]
    assert context.done[-1] == (6, 6)


def test_learning_rate_0_changes_nothing(
    causal_lm: Any, train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    settings = make_settings(
        learning_rate=0.0,
        weight_decay=0.1,
        budget={"amount": 6},
        evaluation={
            "points": 2,
            "probe_items": 16,
            "test_items": 12,
            "intermediate_fraction": 1.0,
        },
    )
    context = make_context()
    _, model = train_toy(settings, context)
    assert weights_hash(model) == weights_hash(causal_lm("llama"))
    assert max(context.series(metrics.GRAD_NORM).values()) > 0
    sampled = [split_rows(context.items[step], "train") for step in (0, 3, 6)]
    assert all(rows == sampled[0] for rows in sampled)
    assert len(set(context.series(metrics.KL_INIT).values())) == 1
    assert len(set(context.series(metrics.TEST_PASS).values())) == 1


def split_rows(items: dict[str, list[Any]], split: str) -> list[tuple[Any, ...]]:
    names = ("split", "item", "sample", "outcome", "length")
    rows = zip(*(items[name] for name in names), strict=True)
    return [row for row in rows if row[0] == split]


def test_training_raises_the_reward(train_toy: Any, make_context: Any, make_settings: Any) -> None:
    settings = make_settings(
        queries_per_round=8,
        rollouts=4,
        advantage="group_mean",
        learning_rate=3e-3,
        budget={"amount": 40},
    )
    context = make_context()
    train_toy(settings, context)
    correct = list(context.series(metrics.CORRECT).values())
    assert np.mean(correct[-8:]) > np.mean(correct[:8]) + 0.1


class NeverRight:
    """The task of `around`, with every completion wrong."""

    def __init__(self, task: Any) -> None:
        self._task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def judge(self, queries: Any, _completions: Any) -> list[Judgement]:
        return [Judgement(Verdict.WRONG, format_ok=True) for _ in queries]


def test_a_run_that_trains_on_nothing_says_what_left_nothing(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    settings = make_settings(group_filter="drop", advantage="group_mean")
    result, _ = train_toy(settings, make_context(), around=NeverRight)
    assert result.status == "finished"
    assert result.metrics[metrics.UPDATES] == 0
    assert result.message == (
        "trained on nothing: no rollout of any round was left by group_filter: drop"
    )


def test_the_log_shows_a_completion_of_step_0_with_its_verdict(
    train_toy: Any, make_context: Any, make_settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    train_toy(make_settings(budget={"amount": 1}, evaluation={"points": 1}), make_context())
    told = capsys.readouterr().err
    assert re.fullmatch(
        r"question: 1000\ncompletion of \d tokens(, cut off at the limit)?: [\d?]*\n"
        r"answer key: 0\nverdict: (correct|wrong)\n",
        told,
    )


def test_what_a_log_shows_is_legible_and_not_endless() -> None:
    assert shown("a\x1b[2J\u202eb") == "a\\x1b[2J\\u202eb"
    assert len(shown("x" * 10_000)) < 2100


def test_equal_runs_are_bitwise_equal_and_other_replicates_differ(
    default_run: Any, train_toy: Any, make_context: Any
) -> None:
    settings, first, _, model = default_run
    others = [make_context(run, folder=run) for run in "ab"]
    models = [model, *(train_toy(settings, context)[1] for context in others)]
    contexts = [first, *others]
    hashes = [weights_hash(model) for model in models]
    assert hashes[0] == hashes[1] != hashes[2]
    histories = [repeatable(context, settings) for context in contexts]
    assert histories[0] == histories[1]
    assert histories[0][0] == histories[2][0]
    assert histories[0][1] != histories[2][1]


AT_THE_END = {"points": 1, "probe_items": 8, "test_items": 8}


@pytest.mark.parametrize("family", ["qwen3", "gpt_neox", "gpt2"])
def test_threads_and_processes_change_no_bit(
    train_toy: Any, make_context: Any, make_settings: Any, family: str
) -> None:
    before = torch.get_num_threads()
    settings = make_settings(
        queries_per_round=16, rollouts=8, budget={"amount": 2}, evaluation=AT_THE_END
    )
    hashes = []
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            context = make_context(folder=str(threads))
            hashes.append(weights_hash(train_toy(settings, context, family)[1]))
    finally:
        torch.set_num_threads(before)
    assert len(set(hashes)) == 1


IN_ANOTHER_PROCESS = """
import sys, tempfile, pathlib
sys.path[:0] = {tests!r}
import torch
torch.set_num_threads(3)
import conftest, test_loop
from ablatekit.runs.seeds import Seeds
from ablatekit_rft.run.build import train_model
from ablatekit_rft.settings import RftSettings
folder = pathlib.Path(tempfile.mkdtemp())
context = conftest.MemoryContext(Seeds("a", "c"), folder / "checkpoint", folder / "cache")
model = conftest.make_model("llama")
settings = RftSettings.model_validate(conftest.SMALL)
train_model(settings, context, model, conftest.DigitTokenizer(), conftest.ParityTask())
print(test_loop.weights_hash(model))
"""


def test_another_process_gives_the_same_bits(default_run: Any) -> None:
    *_, model = default_run
    script = IN_ANOTHER_PROCESS.format(tests=[str(path) for path in Path(__file__).parents[:2]])
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    assert output.strip() == weights_hash(model)


@pytest.mark.parametrize(
    ("unit", "amount", "rounds"),
    [("rounds", 3, 3), ("samples", 20, 3), ("generated_tokens", 60, 0)],
)
def test_the_budget_counts_in_its_unit(
    train_toy: Any, make_context: Any, make_settings: Any, unit: str, amount: int, rounds: int
) -> None:
    context = make_context()
    settings = make_settings(budget={"unit": unit, "amount": amount}, lr_schedule="linear")
    result, _ = train_toy(settings, context)
    cost = {
        "rounds": metrics.UPDATES,
        "samples": metrics.SAMPLES,
        "generated_tokens": metrics.GENERATED_TOKENS,
    }[unit]
    spent = [0.0, *(context.logged[step][cost] for step in sorted(context.logged) if step)]
    assert spent[-1] >= amount > spent[-2]
    assert result.metrics[metrics.SAMPLES] == 8 * result.metrics[metrics.UPDATES]
    if rounds:
        assert result.metrics[metrics.UPDATES] == rounds
    rates = list(context.series(metrics.LEARNING_RATE).values())
    expected = [1e-3 * (1 - used / amount) for used in spent[:-1]]
    assert rates == pytest.approx(expected)
    tokens = sum(8 * value for value in context.series(metrics.LENGTH_MEAN).values())
    assert result.metrics[metrics.GENERATED_TOKENS] == pytest.approx(tokens)


def test_a_gradient_that_is_not_finite_ends_the_run_before_it_is_applied(
    train_toy: Any, make_context: Any, make_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context()

    def clip(gradient: torch.Tensor, largest: float | None) -> Any:
        if len(context.series(metrics.GRAD_NORM)) == 2:
            gradient[0] = float("inf")
        return clip_gradient(gradient, largest)

    monkeypatch.setattr(updates, "clip_gradient", clip)
    settings = make_settings(evaluation=AT_THE_END)
    result, model = train_toy(settings, context)
    assert result.status == "diverged"
    assert "after round 2" in result.message
    assert "norm is inf" in result.message
    assert result.metrics[metrics.UPDATES] == 2
    assert result.metrics[metrics.TRAIN_PASS] == context.logged[2][metrics.TRAIN_PASS]
    assert list(context.items) == [0, 2]
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_broken_weights_end_the_run_with_its_last_valid_scores(
    train_toy: Any,
    make_context: Any,
    make_settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
) -> None:
    context = make_context()
    monkeypatch.setattr(rounds, "learning_rate", lambda *_arguments: float("nan"))
    result, _ = train_toy(make_settings(optimizer="sgd"), context, family)
    assert result.status == "diverged"
    assert "after round 1" in result.message
    assert "not finite" in result.message
    assert "can no longer be evaluated" in result.message
    assert list(context.items) == [0]
    assert result.metrics[metrics.TRAIN_PASS] == context.logged[0][metrics.TRAIN_PASS]


def test_collapse_needs_rounds_and_samples_and_a_base_that_could() -> None:
    state = Collapse(baseline=0.3)
    for _ in range(9):
        state = state.after_round(0, 32)
    assert not state.has_happened
    assert state.after_round(0, 32).has_happened
    assert not state.after_round(1, 32).has_happened
    few = Collapse(baseline=0.3)
    weak = Collapse(baseline=0.05)
    for _ in range(31):
        few, weak = few.after_round(0, 8), weak.after_round(0, 8)
    assert not few.has_happened
    assert few.after_round(0, 8).has_happened
    assert not weak.after_round(0, 8).has_happened


def test_an_epoch_holds_every_query_once_and_orders_differ_between_runs() -> None:
    seeds = Seeds("run", "c")
    rounds = [round_queries(seeds, 10, 4, index) for index in range(5)]
    stream = np.concatenate(rounds)
    assert sorted(stream[:10]) == sorted(stream[10:]) == list(range(10))
    assert stream[:10].tolist() != stream[10:].tolist()
    assert rounds[3].tolist() == round_queries(seeds, 10, 4, 3).tolist()
    other = np.concatenate([round_queries(Seeds("b", "c"), 10, 4, index) for index in range(5)])
    assert stream.tolist() != other.tolist()
