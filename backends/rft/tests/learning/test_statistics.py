"""Numbers of a round that are no level's: lengths, likelihoods, repetitions, memory."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.learning.statistics import distinct_bigrams, duplicate_share, round_metrics
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.summaries import effective_share, quantile
from ablatekit_rft.policy.rollout import Prompts, Rollouts


def rollouts_of(rows: list[list[int]], query: list[int], padding: int = 9) -> Rollouts:
    """Completions of one-token prompts, each token with log p -0.1 times its place."""
    width = max(map(len, rows))
    tokens = torch.tensor([row + [padding] * (width - len(row)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    prompts = Prompts.pad([[1]] * (max(query) + 1), 0, torch.device("cpu"))
    logp = (-0.1 * torch.arange(1.0, width + 1)).expand(len(rows), width)
    ends = torch.zeros(len(rows), dtype=torch.bool)
    return Rollouts(prompts, torch.tensor(query), tokens, lengths, ends, logp, -logp)


@pytest.mark.parametrize("level", [0.01, 0.5, 0.95, 0.99, 1.0])
def test_quantiles_are_those_of_the_inverted_distribution_function(level: float) -> None:
    values = torch.randn(173, generator=torch.Generator().manual_seed(0))
    expected = np.quantile(values.numpy(), level, method="inverted_cdf")
    assert quantile(values, level) == pytest.approx(float(expected))


def test_effective_share() -> None:
    assert effective_share(torch.full((7,), 0.3)) == pytest.approx(1)
    assert effective_share(torch.tensor([1.0, 0, 0, 0])) == 0.25
    assert effective_share(torch.zeros(3)) == 0


def test_duplicates_are_counted_within_a_query_without_padding() -> None:
    rows, query = [[5, 6], [5, 6], [5, 6, 9], [5, 6], [7]], [0, 0, 0, 1, 1]
    # Padding is token 9: the third completion is longer than the first, not equal to it.
    assert duplicate_share(rollouts_of(rows, query)) == pytest.approx(1 / 5)
    assert duplicate_share(rollouts_of(rows, query, padding=3)) == pytest.approx(1 / 5)


def test_pairs_of_tokens_repeat_within_a_completion_only() -> None:
    found = distinct_bigrams(rollouts_of([[5, 6, 5, 6], [5, 6], [7]], [0, 0, 0]))
    assert found == pytest.approx(3 / 4)
    assert distinct_bigrams(rollouts_of([[5], [6]], [0, 0])) is None


def test_lengths_and_likelihoods_by_verdict(make_drawn: Any, make_settings: Any) -> None:
    rollouts = rollouts_of([[5], [5, 6, 7], [5, 6], [4, 4, 4, 4]], [0, 0, 1, 1])
    drawn = make_drawn(rollouts, torch.tensor([1.0, 0, 1, 0]))
    signal = _signal(drawn)
    found = round_metrics(make_settings(), drawn, signal, None)
    assert found[metrics.LENGTH_RIGHT] == 1.5
    assert found[metrics.LENGTH_WRONG] == 3.5
    assert found[metrics.LOGP_RIGHT] == pytest.approx(-(0.1 + 0.1 + 0.2) / 3)
    assert found[metrics.LOGP_WRONG] == pytest.approx(-(0.6 + 1.0) / 7)
    assert found[metrics.LENGTH_MEDIAN] == 2
    assert found[metrics.LENGTH_P95] == 4
    assert found[metrics.PROMPT_TOKENS] == 2


def test_what_does_not_exist_is_left_out(make_drawn: Any, make_settings: Any) -> None:
    drawn = make_drawn(rollouts_of([[5], [6]], [0, 0]), torch.zeros(2))
    found = round_metrics(make_settings(), drawn, _signal(drawn), None)
    absent = {metrics.LENGTH_RIGHT, metrics.LOGP_RIGHT, metrics.DISTINCT_BIGRAMS}
    assert not absent & set(found)
    assert found[metrics.LENGTH_WRONG] == 1


def test_greedy_rollouts_are_not_summarised(make_drawn: Any, make_settings: Any) -> None:
    rollouts = rollouts_of([[5], [5, 6, 7], [5, 6]], [0, 0, 0])
    sampled = torch.tensor([True, True, False])
    drawn = make_drawn(rollouts, torch.tensor([1.0, 0, 1]), sampled=sampled)
    found = round_metrics(make_settings(), drawn, _signal(drawn), None)
    assert found[metrics.LENGTH_MEAN] == 2
    assert found[metrics.LENGTH_RIGHT] == 1


def _signal(drawn: Any) -> Any:
    from ablatekit_rft.learning.advantages import Signal

    rows = torch.arange(len(drawn.correct))
    return Signal(drawn.correct, rows, drawn.correct, None, {})


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are forgotten through Linux's /proc")
def test_a_peak_is_that_since_the_last_one_was_forgotten() -> None:
    """In a process of its own, in which no run has told the allocator to keep freed memory."""
    told = subprocess.run([sys.executable, "-c", PEAKS], check=True, capture_output=True, text=True)
    quarter, eighth, sixteenth = map(float, told.stdout.split())
    assert quarter - eighth == pytest.approx(0.125, abs=0.02)
    assert eighth - sixteenth == pytest.approx(0.0625, abs=0.02)


PEAKS = """
import torch
from ablatekit_rft.metrics.peak_memory import forget_peak, peak_gib

cpu = torch.device("cpu")
for elements in (2**26, 2**25, 2**24):
    forget_peak(cpu)
    held = torch.ones(elements)
    print(peak_gib(cpu))
    del held
"""
