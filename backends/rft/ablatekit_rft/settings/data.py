"""What is trained on what, and how it is asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ablatekit_rft.settings.base import INPUT, Part, with_levels

_PEERS = {
    "TRL": "the data set brings its prompts; chat template for conversations",
    "verl": "the data set brings chat messages; the tokenizer's chat template",
    "OpenRLHF": "apply_chat_template or input_template",
}

_TEMPLATES = {
    "none": {
        "doc": "The question as it is, after what the tokenizer puts in front of a text.",
        "formula": "question",
        "source": "understand-r1-zero, arXiv:2503.20783 (no template)",
        "peers": _PEERS,
    },
    "qa": {
        "doc": "A question and the beginning of its answer, for base models.",
        "formula": "Q: question / A:",
        "source": "arXiv:2005.14165",
        "peers": _PEERS,
    },
    "chat": {
        "doc": "The tokenizer's own chat template, with its mark for the assistant's turn.",
        "formula": "chat template",
        "source": "The model's own",
        "peers": _PEERS,
    },
    "r1": {
        "doc": "A conversation in words that asks for tagged reasoning and a tagged answer.",
        "formula": "... User: question / Assistant: <think>",
        "source": "DeepSeek-R1, arXiv:2501.12948, table 1",
        "peers": _PEERS,
    },
    "qwen_math": {
        "doc": "Qwen2.5-Math's chat markup around the question, whatever the tokenizer has.",
        "formula": "<|im_start|>system ... <|im_start|>assistant",
        "source": "arXiv:2409.12122; arXiv:2503.20783",
        "peers": _PEERS,
    },
}

_INSTRUCTIONS = {
    "auto": {
        "doc": "What a verifier that is named reads: hash, boxed (boxed, math), none (exact,"
        " number_strict); else hash for answers behind `####`, boxed for LaTeX, none for others.",
        "formula": "by the verifier, else by the data set",
        "source": "ablatekit",
        "peers": _PEERS,
    },
    "none": {
        "doc": "Nothing is added to the question.",
        "formula": "question",
        "source": "ablatekit",
        "peers": _PEERS,
    },
    "hash": {
        "doc": "Asks for steps and the final answer behind `####`.",
        "formula": "question + sentence",
        "source": "verl's gsm8k data; the release of arXiv:2601.22532",
        "peers": _PEERS,
    },
    "boxed": {
        "doc": "Asks for steps and the final answer within `\\boxed{}`.",
        "formula": "question + sentence",
        "source": "verl's math data; the release of arXiv:2601.22532",
        "peers": _PEERS,
    },
}


class FieldNames(Part):
    """Fields of a row in a file or on the hub, nested ones by dotted name; null: usual names."""

    question: str | None = Field(default=None, min_length=1)
    """Field of the question, text or a list of turns; null: question, problem, prompt, instruction,
    input or messages."""
    answer: str | None = Field(default=None, min_length=1)
    """Field of the answer; null: answer, final_answer, ground_truth, reward_model.ground_truth,
    expected_answer, gold, target, solution or completion."""
    solution: str | None = Field(default=None, min_length=1)
    """Field of the worked solution; null: solution, rationale or completion, if there is one."""
    kind: Literal["text", "number", "hash", "latex"] | None = Field(
        default=None, json_schema_extra={"unstated": True}
    )
    """What the answers are: text, a number, a number behind `####`, or LaTeX; null: what most rows
    look like."""


class DataSettings(Part):
    """Base model, data set, prompt and verifier."""

    model: str = Field(default="tiny-llama", min_length=1, json_schema_extra=INPUT)
    """Base model: a shipped name, a Hugging Face directory, or a name on the hub, `owner/name` or
    `owner/name@revision`."""
    dataset: str = Field(default="letter-sort", min_length=1, json_schema_extra=INPUT)
    """Queries, their answers, and the split into train and test: a shipped task, a file (.jsonl,
    .json, .csv, .parquet), a folder with train and test files, gsm8k, math, a name on the hub
    `owner/name[/subset][@revision]`, or `reasoning-gym/TASK`."""
    train_items: int | None = Field(default=256, ge=1)
    """Size of the train set: the first items of the context's train order, so that smaller sets lie
    inside larger ones; null: all there are."""
    fields: FieldNames = Field(default_factory=FieldNames)
    """Which fields of a row hold what."""

    template: Literal["none", "qa", "chat", "r1", "qwen_math"] = Field(
        default="none", json_schema_extra=with_levels(_TEMPLATES)
    )
    """What stands around the question. Source: arXiv:2503.20783 (its effect on base models)."""
    instruction: Literal["auto", "none", "hash", "boxed"] = Field(
        default="auto", json_schema_extra=with_levels(_INSTRUCTIONS)
    )
    """What is added to the question to ask for a form of the answer. Source: verl."""
    system_prompt: str = ""
    """System message under `chat` and `qwen_math`; empty: what the template itself says."""
    few_shot: int = Field(default=0, ge=0, le=64)
    """Solved examples before the question: the last of the train order, which must lie outside the
    train set. Source: arXiv:2005.14165."""
    verifier: str = Field(default="auto", min_length=1, json_schema_extra=INPUT)
    """What judges a completion: auto (the data set's own), exact, number, number_strict, hash
    (GSM8K strict), boxed (the last box after normalisation), math (math-verify), or a function:
    `module:function` or `file.py:function`."""

    @field_validator("verifier")
    @classmethod
    def _known_verifier(cls, value: str) -> str:
        names = ("auto", "exact", "number", "number_strict", "hash", "boxed", "math")
        if value not in names and ":" not in value:
            raise ValueError(f"must be one of {', '.join(names)}, or module:function")
        return value
