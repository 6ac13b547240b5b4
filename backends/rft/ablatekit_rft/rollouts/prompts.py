"""From a query to the token ids of its prompt: instruction, template, solved examples.

Prompts are token ids from here on: text is tokenised once, so that no special token is put in front
twice and nothing is tokenised again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.policy.chat import Message
from ablatekit_rft.policy.models import Tokenizer
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Task
from ablatekit_rft.tasks.query import Query

INSTRUCTIONS = {
    "none": "",
    "hash": ' Let\'s think step by step and output the final answer after "####".',
    "boxed": " Let's think step by step and output the final answer within \\boxed{}.",
}
_OF_ANSWERS = {"text": "none", "number": "none", "hash": "hash", "latex": "boxed"}

R1 = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves"
    " it. The assistant first thinks about the reasoning process in the mind and then provides the"
    " user with the answer. The reasoning process and answer are enclosed within <think> </think>"
    " and <answer> </answer> tags, respectively, i.e., <think> reasoning process here </think>"
    " <answer> answer here </answer>. User: {question}. Assistant: <think>"
)
R1_ANSWER = " {solution} </think> <answer> {gold} </answer>"
QWEN_MATH_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."


@dataclass(frozen=True, slots=True)
class Prompting:
    """How queries become prompts in one run."""

    settings: RftSettings
    tokenizer: Tokenizer
    instruction: str
    examples: tuple[Query, ...]

    def encode(self, query: Query) -> list[int]:
        """Token ids of a query's prompt. Raises UsageError for a chat without chat template."""
        if self.settings.template == "chat":
            return self.tokenizer.encode_chat(self._messages(query))
        return self.tokenizer.encode(self.text(query))

    def text(self, query: Query) -> str:
        """A query's prompt as text, under every template but `chat`."""
        blocks = [self._block(query) + self._answer(query) for query in self.examples]
        return "\n\n".join([*blocks, self._block(query)])

    def _block(self, query: Query) -> str:
        question = query.prompt + self.instruction
        if self.settings.template == "qa":
            return f"Q: {question}\nA:"
        if self.settings.template == "r1":
            return R1.format(question=question)
        if self.settings.template == "qwen_math":
            system = self.settings.system_prompt or QWEN_MATH_SYSTEM
            turns = (("system", system), ("user", question))
            return "".join(_turn(*turn) for turn in turns) + "<|im_start|>assistant\n"
        return question

    def _answer(self, query: Query) -> str:
        if self.settings.template == "r1":
            return R1_ANSWER.format(solution=query.shown, gold=query.gold)
        if self.settings.template == "qwen_math":
            return f"{query.shown}<|im_end|>"
        return f" {query.shown}" if self.settings.template == "qa" else f"\n{query.shown}"

    def _messages(self, query: Query) -> list[Message]:
        system = self.settings.system_prompt
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        for example in self.examples:
            messages.append({"role": "user", "content": example.prompt + self.instruction})
            messages.append({"role": "assistant", "content": example.shown})
        return [*messages, {"role": "user", "content": query.prompt + self.instruction}]


def _turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


def build_prompting(
    settings: RftSettings, task: Task, tokenizer: Tokenizer, train: Sequence[Query]
) -> Prompting:
    """The prompts of a run. Raises UsageError when a solved example lies in the train set."""
    named = settings.instruction
    instruction = INSTRUCTIONS[_OF_ANSWERS[task.answers] if named == "auto" else named]
    examples = task.items("pretrain", settings.few_shot) if settings.few_shot else ()
    trained = {query.item for query in train}
    if any(example.item in trained for example in examples):
        rule = "few-shot examples come from the end of the train order, outside the train set"
        remedy = "Lower train_items, by few_shot at least"
        raise UsageError(Problem(rule, f"few_shot: {settings.few_shot}", remedy))
    return Prompting(settings, tokenizer, instruction, examples)
