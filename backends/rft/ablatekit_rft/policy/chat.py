"""Conversations through a model's chat template: what it refuses, drops or writes behind them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeAlias

from ablatekit.errors import PluginError, Problem, UsageError

Message: TypeAlias = dict[str, str]
"""One turn of a conversation: `role` (system, user or assistant) and `content`."""

DATE = "26 Jul 2024"
"""Today in chat templates that write it: the fallback of Llama 3.2's own template."""
CALENDAR = (
    "{%- macro strftime_now(format) -%}{{ format"
    " | replace('%Y', '2024') | replace('%y', '24') | replace('%m', '07') | replace('%d', '26')"
    " | replace('%B', 'July') | replace('%b', 'Jul') | replace('%A', 'Friday')"
    " | replace('%a', 'Fri') | replace('%H', '00') | replace('%M', '00') | replace('%S', '00')"
    " }}{%- endmacro -%}"
)
"""The same day for templates that ask for it: they find this before the function of today."""
PROBE: tuple[Message, ...] = ({"role": "user", "content": "Question"},)
TEMPLATE_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What the expressions of a template raise besides jinja2's own errors."""
SHOWN = 60
"""Characters of a rendered prompt that a message shows."""


def no_chat_template(which: str) -> UsageError:
    """What a tokenizer without chat template says to a conversation."""
    remedy = "Set template: none or qa, or use a model that was trained on conversations"
    return UsageError(Problem("the model's tokenizer has no chat template", which, remedy))


class Chat:
    """The chat template of a transformers tokenizer; `eos_ids` are the ends of its model.

    Variables of the template keep their defaults (`enable_thinking` of Qwen3 among them), but for
    the date: it is a fixed one, so that prompts do not change overnight.
    """

    def __init__(self, inner: Any, eos_ids: Sequence[int]) -> None:
        self._inner, self._eos_ids = inner, eos_ids

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation, ready for the assistant's turn.

        The template alone places special tokens: none is added in front of what it wrote. Raises
        UsageError where it refuses the conversation, leaves out a turn of it, or does not end where
        the assistant's words begin.
        """
        self._checked  # noqa: B018 (raises, once)
        text = self._text(messages)
        for place, message in enumerate(messages):
            # An assistant's earlier reasoning is left out by many templates on purpose.
            if message["role"] != "assistant" and message["content"].strip() not in text:
                self._refuse_ignored(messages, place, text)
        ids: list[int] = self._inner(text, add_special_tokens=False)["input_ids"]
        return ids

    @cached_property
    def _checked(self) -> None:
        """Raise UsageError unless a conversation ends with the assistant's mark."""
        opened, closed = self._text(PROBE), self._text(PROBE, opens=False)
        if opened == closed and (mark := self._mark(closed)):
            rule = "the chat template has no generation prompt: it opens no turn of the assistant"
            raise _refused(rule, f"a prompt without {mark!r}, with which its answers begin")
        footer = closed[_common(opened, closed) :]
        ids = self._inner(opened, add_special_tokens=False)["input_ids"]
        if (footer.strip() and opened.endswith(footer)) or ids[-1] in self._eos_ids:
            rule = "the chat template writes on behind the mark of the assistant's turn"
            raise _refused(rule, f"a prompt that ends {opened[-SHOWN:]!r}")

    def _mark(self, closed: str) -> str:
        """What the template puts between a question and the assistant's words."""
        words = "Answer"
        answered = self._text((*PROBE, {"role": "assistant", "content": words}), opens=False)
        place = answered.rfind(words)
        return answered[len(closed) : place].strip() if answered.startswith(closed) else ""

    def _text(self, messages: Sequence[Message], *, opens: bool = True) -> str:
        """The rendered conversation. Raises UsageError with the turns that are in the way."""
        text = self._rendered(messages, opens=opens)
        if isinstance(text, str):
            return text
        questions = [message for message in messages if message["role"] != "system"]
        said = str(text) or type(text).__name__
        if len(questions) < len(messages) and self._takes(questions):
            raise _no_system_prompt("the chat template refuses a system prompt", said) from text
        if self._takes(questions[-1:]):
            rule = f"the chat template refuses a conversation of {len(messages)} turns"
            raise _refused(rule, said, "Set few_shot: 0, give one question a row, or set") from text
        raise _refused("the chat template cannot be rendered", said) from text

    def _takes(self, messages: Sequence[Message]) -> bool:
        return isinstance(self._rendered(messages), str)

    def _refuse_ignored(self, messages: Sequence[Message], place: int, text: str) -> None:
        """Raise UsageError where other words in a turn make no other prompt."""
        turn = messages[place]
        other = {**turn, "content": f"{turn['content']} other words"}
        if self._text([*messages[:place], other, *messages[place + 1 :]]) != text:
            return
        received = f"{turn['content'].strip()[:SHOWN]!r} is not in the prompt"
        if turn["role"] == "system":
            raise _no_system_prompt("the chat template leaves out the system prompt", received)
        raise _refused(f"the chat template leaves out a turn of the {turn['role']}", received)

    def _rendered(self, messages: Sequence[Message], *, opens: bool = True) -> str | Exception:
        """The conversation as text, or what the template says against it."""
        try:
            from jinja2 import TemplateError

            text: str = self._inner.apply_chat_template(
                list(messages),
                chat_template=self._template,
                add_generation_prompt=opens,
                tokenize=False,
                date_string=DATE,
            )
        except ImportError as error:
            rule = "a chat template needs the package jinja2"
            raise PluginError(Problem(rule, str(error), "pip install 'jinja2>=3.1'")) from error
        except (TemplateError, *TEMPLATE_ERRORS) as error:
            return error
        return text

    @cached_property
    def _template(self) -> str:
        return f"{CALENDAR}{self._inner.get_chat_template()}"


def _no_system_prompt(rule: str, received: str) -> UsageError:
    remedy = (
        "Leave out system_prompt and put what it says into the questions of the data set"
        " (`instruction` asks for a form of the answer there), or use another model"
    )
    return UsageError(Problem(rule, received, remedy))


def _refused(rule: str, received: str, remedy: str = "Set") -> UsageError:
    return UsageError(
        Problem(rule, received, f"{remedy} template: none or qa, or use another model")
    )


def _common(first: str, second: str) -> int:
    """Characters that two texts begin with alike."""
    pairs = zip(first, second, strict=False)
    return next(
        (place for place, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second))
    )
