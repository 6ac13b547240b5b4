"""TRL's reward function says what rft's verifier says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ablatekit_rft import basemodels
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.policy.models import CharacterTokenizer
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.rollouts.verify import verify
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import get_task
from ablatekit_rft.tasks.query import Judgement, Verdict
from ablatekit_trl.run.rewards import Rewards

TOKENIZER = CharacterTokenizer(basemodels.CharTokenizer())
TASK = get_task("letter-sort")
QUERIES = TASK.items("train", 3)
END = TOKENIZER.eos_ids[0]
LIMIT = 12


def ids(text: str) -> list[int]:
    return [token for token in TOKENIZER.encode(text) if token in range(3, TOKENIZER.size)]


def rewards_of(coding: str = "01", task: Any = TASK) -> Rewards:
    settings = RftSettings(reward_coding=coding)
    return Rewards(settings, task, TOKENIZER, QUERIES, Decoding(LIMIT, 1.0, TOKENIZER.eos_ids))


COMPLETIONS = [
    [*ids(QUERIES[0].gold), END],
    ids(QUERIES[0].gold),
    [*ids(QUERIES[2].gold), END],
    [*ids("zzz"), END],
    [END],
]
ASKED = [0, 0, 2, 1, 1]


def test_verdicts_are_those_of_rfts_own_rollouts() -> None:
    lengths = torch.tensor([len(tokens) for tokens in COMPLETIONS])
    tokens = torch.zeros(len(COMPLETIONS), int(lengths.max()), dtype=torch.int64)
    for row, completion in enumerate(COMPLETIONS):
        tokens[row, : len(completion)] = torch.tensor(completion)
    cut = torch.tensor([completion[-1] != END for completion in COMPLETIONS])
    prompts = Prompts.pad([[1], [1], [1]], 0, torch.device("cpu"))
    zeros = torch.zeros(tokens.shape)
    rollouts = Rollouts(prompts, torch.tensor(ASKED), tokens, lengths, cut, zeros, zeros)
    decoding = Decoding(LIMIT, 1.0, TOKENIZER.eos_ids)
    verified = verify(TASK, TOKENIZER, [QUERIES[row] for row in ASKED], rollouts, decoding)
    rewards = rewards_of()
    assert rewards(completion_ids=COMPLETIONS, query=ASKED) == verified.correct.tolist()
    assert rewards.last.correct == verified.correct.sum() == 2
    assert rewards.last.format_ok == verified.format_ok.sum()
    assert rewards.last.tokens == int(lengths.sum())


@pytest.mark.parametrize(("coding", "coded"), [("pm1", [1.0, -1.0]), ("neg", [0.0, -1.0])])
def test_rewards_are_coded(coding: str, coded: list[float]) -> None:
    assert rewards_of(coding)(completion_ids=COMPLETIONS[:2], query=[0, 0]) == coded


def test_what_cannot_be_judged_has_no_reward() -> None:
    class Failing:
        def judge(self, queries: Any, _completions: Any) -> list[Judgement]:
            return [Judgement(Verdict.ERROR, format_ok=False) for _ in queries]

    rewards = rewards_of("pm1", Failing())
    assert rewards(completion_ids=COMPLETIONS[:2], query=[0, 0]) == [None, -1.0]
    assert rewards.last.shares()["reward/verifier_errors"] == 0.5
