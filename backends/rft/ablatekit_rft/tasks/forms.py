"""Forms of an answer: which one a run asks for, and an answer key in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks.base import AnswerKind
from ablatekit_rft.tasks.verifiers.latex import last_boxed

Form: TypeAlias = Literal["bare", "hash", "boxed"]
"""`bare`: the answer as it is; `hash`: behind `####`; `boxed`: in `\\boxed{}`."""

INSTRUCTIONS: Mapping[Form, str] = MappingProxyType(
    {
        "bare": "",
        "hash": ' Let\'s think step by step and output the final answer after "####".',
        "boxed": " Let's think step by step and output the final answer within \\boxed{}.",
    }
)
"""What is added to a question to ask for a form; nothing asks for `bare`."""

OF_ANSWERS: Mapping[AnswerKind, Form] = MappingProxyType(
    {"text": "bare", "number": "bare", "hash": "hash", "latex": "boxed"}
)
"""The form in which a data set gives its own answers."""

READ: Mapping[str, Form] = MappingProxyType(
    {
        "exact": "bare",
        "number_strict": "bare",
        "hash": "hash",
        "boxed": "boxed",
        "math": "boxed",
    }
)
"""The form of verifiers that read one alone."""

WHOLE = ("exact", "number_strict")
"""Verifiers that read a completion which is nothing but the answer."""

_HASH = "####"


@dataclass(frozen=True, slots=True)
class AskedForm:
    """The form that a run asks for: the sentence that does, and the setting that decides it."""

    form: Form
    sentence: str
    setting: str


def asked_form(settings: RftSettings, answers: AnswerKind) -> AskedForm:
    """What template, instruction and verifier of a run ask for, given the kind of its answers.

    `instruction: auto` follows a verifier that reads one form alone, else the data set. Where
    nothing is asked for, the form is what the verifier reads, else that of the data set.
    """
    named = settings.instruction
    own = READ.get(settings.verifier, OF_ANSWERS[answers])
    if named == "auto" and own != "bare":
        return AskedForm(own, INSTRUCTIONS[own], "instruction: auto")
    if named in ("hash", "boxed"):
        return AskedForm(named, INSTRUCTIONS[named], f"instruction: {named}")
    if settings.template == "qwen_math" and not settings.system_prompt:
        return AskedForm("boxed", "", "template: qwen_math")
    return AskedForm(own, "", f"verifier: {settings.verifier}")


def in_form(form: Form, gold: str) -> str:
    """An answer in a form."""
    if form == "hash":
        return f"{_HASH} {gold}"
    return f"\\boxed{{{gold}}}" if form == "boxed" else gold


def solved(form: Form, gold: str, solution: str) -> str:
    """A worked solution whose end is in a form; `bare` leaves it as it is.

    One that ends otherwise gets the answer in that form.
    """
    if form == "hash":
        return solution if _HASH in solution else f"{solution}\n{in_form(form, gold)}"
    if form == "boxed":
        steps = solution.rpartition(_HASH)[0].rstrip() if _HASH in solution else solution
        boxed = last_boxed(steps) is not None
        return steps if boxed else f"{steps}\n{in_form(form, gold)}".lstrip()
    return solution
