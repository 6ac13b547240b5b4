"""Chat templates of the known kinds: what is refused in one message, and what a prompt holds."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from ablatekit_rft.policy.chat import Message
from ablatekit_rft.policy.models import TransformersTokenizer

from ablatekit.errors import PluginError, UsageError

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN3 = CHATML + (
    "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}"
    "<think></think>{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
    "<turn>{{ m.role }}\n{{ m.content | trim }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
ONE_TURN = "{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}" + CHATML
DROPS_SYSTEM = CHATML.replace(
    "{% for m in messages %}", "{% for m in messages if m.role != 'system' %}"
)
LAST_ONLY = CHATML.replace("in messages %}", "in messages[-1:] %}")
NO_PROMPT = CHATML.split("{% if")[0]
FOOTED = CHATML + "\nEND"
ENDED = CHATML + "{{ eos_token }}"
PHI3 = CHATML.replace("{% endif %}", "{% else %}{{ eos_token }}{% endif %}")
LISTED = CHATML.replace("{{ m.content }}", "{% for p in m.content %}{{ p.text }}{% endfor %}")
TODAY = "{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %B %Y') }} {{ date_string }}" + CHATML
BROKEN = "{% for m in messages %}"
UPPER = CHATML.replace("{{ m.content }}", "{{ m.content | upper }}")
NO_THOUGHT = CHATML.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1] }}")

SYSTEM: Message = {"role": "system", "content": " Be brief. "}
QUESTION: Message = {"role": "user", "content": "What is 1+1?"}
WHY: Message = {"role": "user", "content": "Why?"}
ANSWER: Message = {"role": "assistant", "content": "<think>1</think>2"}


CALLS_ITSELF = "{% macro call() %}{{ call() }}{% endmacro %}{{ call() }}"


def make_tokenizer(template: Any) -> TransformersTokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ("<pad>", "<s>", "</s>", *sorted({chr(code) for code in range(32, 127)} | {"\n"}))
    vocabulary = {name: place for place, name in enumerate(names)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **named)
    tokenizer.chat_template = template
    return TransformersTokenizer(tokenizer, (2,))


def prompt(template: Any, *messages: Message) -> str:
    tokenizer = make_tokenizer(template)
    return str(tokenizer.inner.decode(tokenizer.encode_chat(messages)))


@pytest.mark.parametrize(
    ("template", "messages", "expected"),
    [
        (
            CHATML,
            (SYSTEM, QUESTION),
            "<|im_start|>user\nWhat is 1+1?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (QWEN3, (QUESTION,), "<|im_start|>assistant\n"),
        (GEMMA, (QUESTION,), "<s><turn>user\nWhat is 1+1?<end>\n<turn>model\n"),
        (MISTRAL, (QUESTION,), "<s>[INST] What is 1+1? [/INST]"),
        (MISTRAL, (QUESTION, ANSWER, QUESTION), "</think>2</s>[INST] What is 1+1? [/INST]"),
        (PHI3, (QUESTION,), "<|im_start|>assistant\n"),
        (UPPER, (SYSTEM, QUESTION), "WHAT IS 1+1?<|im_end|>\n<|im_start|>assistant\n"),
        (NO_THOUGHT, (QUESTION, ANSWER, QUESTION), "<|im_start|>assistant\n"),
    ],
)
def test_a_conversation_ends_with_the_assistants_mark(
    template: str, messages: tuple[Message, ...], expected: str
) -> None:
    assert prompt(template, *messages).endswith(expected)


@pytest.mark.parametrize(
    ("template", "messages", "said"),
    [
        (GEMMA, (SYSTEM, QUESTION), r"refuses a system prompt.*System role not.*Leave out"),
        (MISTRAL, (SYSTEM, QUESTION), r"refuses a system prompt.*alternate.*Leave out"),
        (DROPS_SYSTEM, (SYSTEM, QUESTION), r"leaves out the system prompt.*Be brief.*Leave out"),
        (MISTRAL, (QUESTION, QUESTION), r"refuses a conversation of 2.*alternate.*few_shot: 0"),
        (ONE_TURN, (QUESTION, ANSWER, QUESTION), r"refuses a conversation of 3 turns.*one turn"),
        (LAST_ONLY, (WHY, ANSWER, QUESTION), r"leaves out a turn of the user.*Why"),
        (LISTED, (QUESTION,), r"leaves out a turn of the user.*What is"),
        (NO_PROMPT, (QUESTION,), r"no generation prompt.*<\|im_start\|>assistant"),
        (FOOTED, (QUESTION,), r"writes on behind the mark.*END"),
        (ENDED, (QUESTION,), r"writes on behind the mark.*</s>"),
        (BROKEN, (QUESTION,), r"cannot be rendered.*Set template: none or qa"),
        ("{{ messages[0].content + 1 }}", (QUESTION,), r"cannot be rendered"),
        ("{{ 1 // 0 }}", (QUESTION,), r"cannot be rendered.*by zero"),
        (CALLS_ITSELF, (QUESTION,), r"cannot be rendered.*recursion"),
        ({"tool_use": CHATML}, (QUESTION,), r"cannot be rendered.*default"),
    ],
)  # fmt: skip
def test_what_a_template_cannot_say_is_one_message(
    template: Any, messages: tuple[Message, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        prompt(template, *messages)


def test_of_several_templates_the_default_is_used() -> None:
    assert prompt({"default": CHATML, "tool_use": BROKEN}, QUESTION).endswith("assistant\n")


def test_today_is_a_fixed_day_however_a_template_asks_for_it() -> None:
    assert prompt(TODAY, QUESTION).startswith("2024-07-26 26 July 2024 26 Jul 2024<|im_start|>")


def test_without_jinja_the_remedy_is_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = make_tokenizer(CHATML)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(PluginError, match=r"needs the package jinja2.*pip install"):
        tokenizer.encode_chat([QUESTION])


@pytest.mark.parametrize("template", [CHATML, QWEN3, GEMMA, MISTRAL, PHI3])
def test_prompts_are_those_of_transformers(template: str) -> None:
    tokenizer = make_tokenizer(template)
    messages = [QUESTION, ANSWER, QUESTION]
    expected = tokenizer.inner.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=False
    )
    assert tokenizer.encode_chat(messages) == expected
