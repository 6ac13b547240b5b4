"""From a query to the token ids of its prompt.

Prompts are token ids from here on: text is tokenised once, so that no special token is put in front
twice and nothing is tokenised again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablatekit_rft.planning.prompts import Prompts, build_prompts
from ablatekit_rft.policy.models import Tokenizer
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Task
from ablatekit_rft.tasks.query import Query


@dataclass(frozen=True, slots=True)
class Prompting:
    """How queries become token ids in one run."""

    prompts: Prompts
    tokenizer: Tokenizer

    def encode(self, query: Query) -> list[int]:
        """Token ids of a query's prompt. Raises UsageError for a chat without chat template."""
        if self.prompts.settings.template == "chat":
            return self.tokenizer.encode_chat(self.prompts.messages(query))
        return self.tokenizer.encode(self.text(query))

    def text(self, query: Query) -> str:
        """A query's prompt as text; see `Prompts.text`."""
        return self.prompts.text(query)


def build_prompting(
    settings: RftSettings, task: Task, tokenizer: Tokenizer, train: Sequence[Query]
) -> Prompting:
    """The prompts of a run. Raises UsageError when a solved example lies in the train set."""
    return Prompting(build_prompts(settings, task, train), tokenizer)
