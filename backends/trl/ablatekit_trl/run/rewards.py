"""The reward function that TRL's trainers are given: rft's verifier, and what it has counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.policy.models import Tokenizer
from ablatekit_rft.rollouts.verify import completion_text
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Task
from ablatekit_rft.tasks.query import Judgement, Query, Verdict

CUT_OFF = Judgement(Verdict.WRONG, format_ok=False)


@dataclass(frozen=True, slots=True)
class Generation:
    """What the verifier found in the completions of one round; tokens count ends of sequence."""

    samples: int
    tokens: int
    correct: int
    format_ok: int
    errors: int

    def shares(self) -> dict[str, float]:
        """What rft logs of a round's verdicts."""
        counts = {
            metrics.CORRECT: self.correct,
            metrics.FORMAT: self.format_ok,
            metrics.VERIFIER_ERRORS: self.errors,
        }
        return {name: count / self.samples for name, count in counts.items()}


class Rewards:
    """Judges completions as rft does, and says what `reward_coding` makes of the verdicts.

    A completion that was cut off is wrong without being read. One that the verifier could not judge
    has no reward: TRL leaves it out of every baseline and gives it an advantage of 0.
    """

    __name__ = "verifier"

    def __init__(
        self,
        settings: RftSettings,
        task: Task,
        tokenizer: Tokenizer,
        queries: Sequence[Query],
        decoding: Decoding,
    ) -> None:
        self._task, self._tokenizer, self._queries = task, tokenizer, queries
        self._decoding = decoding
        self._coding = settings.level("reward_coding").bound(settings)
        self.last = Generation(0, 0, 0, 0, 0)

    def __call__(
        self, *, completion_ids: Sequence[list[int]], query: Sequence[int], **_: Any
    ) -> list[float | None]:
        """Rewards of completions; `query`, a column of the data, has the index of each query."""
        asked = [self._queries[index] for index in query]
        judgements = self._judged(asked, completion_ids)
        verdicts = [judgement.verdict for judgement in judgements]
        correct = torch.tensor([verdict is Verdict.CORRECT for verdict in verdicts]).float()
        errors = [verdict is Verdict.ERROR for verdict in verdicts]
        self.last = Generation(
            samples=len(judgements),
            tokens=sum(len(tokens) for tokens in completion_ids),
            correct=int(correct.sum()),
            format_ok=sum(judgement.format_ok for judgement in judgements),
            errors=sum(errors),
        )
        coded = self._coding(correct).tolist()
        return [None if error else reward for error, reward in zip(errors, coded, strict=True)]

    def _judged(self, asked: Sequence[Query], completions: Sequence[list[int]]) -> list[Judgement]:
        judgements = [CUT_OFF] * len(asked)
        ends = self._tokenizer.eos_ids
        ended = [row for row, tokens in enumerate(completions) if tokens[-1] in ends]
        texts = [
            completion_text(self._tokenizer, completions[row], self._decoding) for row in ended
        ]
        judged = self._task.judge([asked[row] for row in ended], texts)
        for row, judgement in zip(ended, judged, strict=True):
            judgements[row] = judgement
        return judgements
