"""Every statement of an analysis in words: said, listed, told or put under a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ablatekit.analysis.core.schema.analysis import ResponseAnalysis
from ablatekit.analysis.core.schema.codes import Code, VarianceSource
from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.report.language.numbers import Scale, scale_of
from ablatekit.report.language.reading import Unit
from ablatekit.report.language.statements import (
    companions,
    contrasts,
    fits,
    footers,
    methods,
    proposals,
    runs,
    studies,
    tables,
)
from ablatekit.report.language.statements.phrases import NOISE, ByUnit, Words

TERMS: Mapping[str, str] = {
    "higher_interactions": "interactions above the order",
    "left_over": "left over",
}
"""Terms of an ANOVA that are no factors, in words."""

SOURCES: Mapping[VarianceSource, str] = {
    "design": "design choices",
    "contexts": "contexts",
    "runs": "runs (seeds)",
    "items": "items",
    "draws": "draws and run x item",
}
"""Sources of the variance of item outcomes in words."""
SENTENCES: Mapping[Code, Words] = {
    **companions.SENTENCES,
    **contrasts.SENTENCES,
    **fits.SENTENCES,
    **footers.SENTENCES,
    **methods.SENTENCES,
    **proposals.SENTENCES,
    **runs.SENTENCES,
    **studies.SENTENCES,
    **tables.SENTENCES,
}
"""The words of every code."""


def say(statement: Statement, unit: Unit = "run") -> str:
    """The statement in words; statements among its arguments become words first.

    `unit` is what one value of a response belongs to (`reading.subject_of`).
    """
    arguments = {name: _said(value, unit) for name, value in statement["arguments"].items()}
    sentence = SENTENCES[statement["code"]]
    if isinstance(sentence, str):
        return sentence.format(**arguments, unit=unit, noise=NOISE[unit])
    if isinstance(sentence, ByUnit):
        return sentence.speak(unit=unit, **arguments)
    return sentence(**arguments)


def say_all(statements: Iterable[Statement], separator: str = " ", unit: Unit = "run") -> str:
    """Several statements, one after the other."""
    return separator.join(say(statement, unit) for statement in statements)


def told(statement: Statement | None, unit: Unit = "run") -> str:
    """A statement in words, or nothing where there is none."""
    return "" if statement is None else say(statement, unit)


def footers_of(response: ResponseAnalysis, unit: Unit = "run") -> dict[str, str]:
    """The response's footers in words, its smallest effect in the shown unit."""
    scale = scale_of(response)
    return {
        name: say_all(in_unit(statements, scale), unit=unit)
        for name, statements in response.get("footers", {}).items()
    }


def in_unit(statements: Iterable[Statement], scale: Scale) -> list[Statement]:
    """Statements whose smallest effect is written in the shown unit, as in the tables beside it."""
    return [_in_unit(statement, scale) for statement in statements]


def _in_unit(statement: Statement, scale: Scale) -> Statement:
    smallest = statement["arguments"].get("smallest_effect")
    if smallest is None:
        return statement
    arguments = {**statement["arguments"], "smallest_effect": scale.amount(smallest)}
    return {"code": statement["code"], "arguments": arguments}


def term_words(term: str, unit: Unit) -> str:
    """A term of an ANOVA that is no factor."""
    return NOISE[unit] if term == "seed_noise" else TERMS.get(term, term)


def is_statement(value: Any) -> bool:
    """Whether a JSON value is a statement."""
    return isinstance(value, Mapping) and value.keys() == {"code", "arguments"}


def _said(value: Any, unit: Unit) -> Any:
    return say(value, unit) if is_statement(value) else value
