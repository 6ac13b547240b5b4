"""A run's prompts as text and as conversations, before any tokenizer: templates, solved examples.

Importing this needs no torch, so that what a study shows its models can be judged while planning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.planning.conversations import refuse_two_systems, system_turn
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Task
from ablatekit_rft.tasks.base import about
from ablatekit_rft.tasks.forms import WHOLE, AskedForm, asked_form, in_form, solved
from ablatekit_rft.tasks.query import Query, Verdict

if TYPE_CHECKING:
    from ablatekit_rft.policy.chat import Message

R1 = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves"
    " it. The assistant first thinks about the reasoning process in the mind and then provides the"
    " user with the answer. The reasoning process and answer are enclosed within <think> </think>"
    " and <answer> </answer> tags, respectively, i.e., <think> reasoning process here </think>"
    " <answer> answer here </answer>. User: {question}. Assistant: <think>"
)
QWEN_MATH_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."

_BEFORE_ANSWER: Mapping[str, str] = MappingProxyType(
    {"none": "\n", "qa": " ", "r1": " ", "qwen_math": "", "chat": ""}
)
"""What stands between a prompt and the answer of an example: a completion begins with it."""


@dataclass(frozen=True, slots=True)
class Example:
    """A solved example: its question, and the completion that is shown as the right one."""

    query: Query
    completion: str


@dataclass(frozen=True, slots=True)
class Prompts:
    """What a run shows its model: `asked` is the form of the answer, `examples` stand in front."""

    settings: RftSettings
    asked: AskedForm
    examples: tuple[Example, ...]

    def text(self, query: Query) -> str:
        """A query's prompt as text, under every template but `chat`.

        Raises UsageError for a conversation, which only `chat` can put into words.
        """
        for each in (*(example.query for example in self.examples), query):
            self._refuse_turns(each)
        if self.settings.template == "qwen_math":
            return self._markup(query)
        shown = self.examples
        blocks = [self._block(example.query) + example.completion for example in shown]
        return "\n\n".join([*blocks, self._block(query)])

    def _markup(self, query: Query) -> str:
        """The conversation in Qwen2.5-Math's markup: one system turn, then examples as turns."""
        system: Message = {"role": "system", "content": QWEN_MATH_SYSTEM}
        turns = [] if self.settings.system_prompt else [system]
        turns += self.messages(query)
        marked = (f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)
        return "".join(marked) + "<|im_start|>assistant\n"

    def messages(self, query: Query) -> list[Message]:
        """A query's prompt as a conversation.

        Raises UsageError where both the settings and the data set bring a system turn.
        """
        system = self._system(query)
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        for example in self.examples:
            messages += self._turns(example.query)
            messages.append({"role": "assistant", "content": example.completion})
        return messages + self._turns(query)

    def _refuse_turns(self, query: Query) -> None:
        if query.turns:
            rule = "a question is a conversation, which a template of text cannot show"
            received = f"template: {self.settings.template}, {len(query.turns)} turns"
            place = f" at {query.where}" if query.where else ""
            raise UsageError(Problem(rule, received + place, "Set template: chat"))

    def _block(self, query: Query) -> str:
        question = self._question(query)
        if self.settings.template == "qa":
            return f"Q: {question}\nA:"
        if self.settings.template == "r1":
            return R1.format(question=question)
        return question

    def _system(self, query: Query) -> str:
        """The system turn of the settings, or the one that the data set brings."""
        refuse_two_systems(self.settings.system_prompt, query)
        return system_turn(query) or self.settings.system_prompt

    def _question(self, query: Query) -> str:
        """The question and what asks for a form, unless the data set's own words end with it."""
        asked = query.prompt.rstrip().endswith(self.asked.sentence.strip())
        return query.prompt if asked else query.prompt + self.asked.sentence

    def _turns(self, query: Query) -> list[Message]:
        """The turns that lead to the question, and the question with its instruction."""
        before: list[Message] = [
            {"role": turn.role, "content": turn.content}
            for turn in query.turns[:-1]
            if turn.role != "system"
        ]
        return [*before, {"role": "user", "content": self._question(query)}]


def build_prompts(settings: RftSettings, task: Task, train: Sequence[Query]) -> Prompts:
    """The prompts of a run. Raises UsageError when a solved example lies in the train set."""
    asked = asked_form(settings, task.answers)
    with about("few_shot", settings.few_shot):
        queries = task.items("pretrain", settings.few_shot) if settings.few_shot else ()
    trained = {query.item for query in train}
    if any(query.item in trained for query in queries):
        rule = "few-shot examples come from the end of the train order, outside the train set"
        remedy = "Lower train_items, by few_shot at least"
        raise UsageError(Problem(rule, f"few_shot: {settings.few_shot}", remedy))
    before = _BEFORE_ANSWER[settings.template]
    shown = shown_answers(settings, task, asked, queries)
    pairs = zip(queries, shown, strict=True)
    examples = tuple(Example(query, before + answer) for query, answer in pairs)
    return Prompts(settings, asked, examples)


def shown_answers(
    settings: RftSettings, task: Task, asked: AskedForm, queries: Sequence[Query]
) -> list[str]:
    """What stands behind each solved question: its steps, and the answer in the form asked for.

    Under `r1` the steps are thoughts, and the answer stands in its tags. Of a verifier that reads
    nothing but an answer the steps are left out.
    """
    in_forms = [in_form(asked.form, query.gold) for query in queries]
    if settings.template == "r1":
        pairs = zip(queries, in_forms, strict=True)
        return [tagged(query.shown, answer) for query, answer in pairs]
    if reads_answers_alone(settings, task):
        return in_forms
    if asked.form == "bare":
        return _with_steps(task, queries)
    return [
        solved(asked.form, query.gold, query.solution) if query.solution else answer
        for query, answer in zip(queries, in_forms, strict=True)
    ]


def reads_answers_alone(settings: RftSettings, task: Task) -> bool:
    """Whether a completion must be nothing but the answer."""
    return settings.verifier in WHOLE or (settings.verifier == "auto" and task.answers == "text")


def tagged(thoughts: str, answer: str) -> str:
    """A completion of `r1`, whose prompt has opened the thoughts."""
    return f"{thoughts} </think> <answer> {answer} </answer>"


def _with_steps(task: Task, queries: Sequence[Query]) -> list[str]:
    """Worked solutions; the answer follows those whose own end is not read as the answer."""
    shown = [query.shown for query in queries]
    judged = task.judge(queries, shown) if queries else []
    return [
        text
        if judgement.verdict is Verdict.CORRECT or not query.solution
        else f"{text}\n{query.gold}"
        for query, text, judgement in zip(queries, shown, judged, strict=True)
    ]
