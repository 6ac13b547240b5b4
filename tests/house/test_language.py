"""Every English sentence of a report is written in report/language."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from ablatekit.analysis.core.schema.codes import ARGUMENTS, Code
from ablatekit.report.language.sentences import SENTENCES
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
from ablatekit.report.language.statements.phrases import ByUnit, Words

SUBJECTS = (companions, contrasts, fits, footers, methods, proposals, runs, studies, tables)

REPORT = Path(__file__).parents[2] / "ablatekit" / "report"
PLACEHOLDER = "so-and-so"
PHRASE = re.compile(r"(?:[A-Za-z][\w'-]*[,.:;]? +){3}[A-Za-z][\w'-]*")
"""Four words in a row; markup and formats of numbers are none."""
EXCEPTIONS = {
    # an exception keeps its own message: rule, value, remedy
    "this is not a bundle of a study",
    "this is not an analysis.json of a study",
    "Make one with: ablatekit study export STUDY",
    "Name the analysis.json, the file or the archive of a study",
    f"this analysis.json has schema version {PLACEHOLDER} , not {PLACEHOLDER}",
    "Analyse the archive again: ablatekit study report X.zip",
    "the analysis of a formula has no cells that another study could share",
    "Analyse the tables by --factors and --contexts",
    f"the report would replace files that no report wrote: {PLACEHOLDER}",
    "the report of a study would replace the page of a comparison",
    "Name another folder for --report",
}


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    """What a literal says, with a word in the place of every value that is put in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    parts = (part.value if isinstance(part, ast.Constant) else None for part in node.values)
    return "".join(f" {PLACEHOLDER} " if part is None else str(part) for part in parts).strip()


def _literals(source: str) -> Iterator[ast.Constant | ast.JoinedStr]:
    """String literals of a module, without docstrings and the parts of f-strings."""
    tree = ast.parse(source)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    told |= {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
        for part in node.values
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in told:
            yield node


def _sentences(source: str) -> list[str]:
    texts = (" ".join(_text(node).split()) for node in _literals(source))
    return [text for text in texts if PHRASE.search(text) and text not in EXCEPTIONS]


MODULES = sorted(
    path for path in REPORT.rglob("*.py") if "language" not in path.relative_to(REPORT).parts
)


def test_sections_figures_and_formats_contain_no_sentence():
    assert len(MODULES) > 30
    found = {path.name: told for path in MODULES if (told := _sentences(path.read_text()))}
    assert not found, f"write these in report/language: {found}"


def test_the_templates_contain_no_sentence():
    templates = list((REPORT / "formats" / "templates").glob("*.j2"))
    assert templates
    for template in templates:
        text = re.sub(r"\{[{%].*?[%}]\}|<[^>]*>", "\n", template.read_text())
        assert not [line for line in text.splitlines() if PHRASE.search(line)]


@pytest.mark.parametrize(
    ("source", "is_one"),
    [
        ('caption = "How large each effect is"', True),
        ('caption = f"Effects on {name} in words"', True),
        ('"""How large each effect is."""', False),
        ('style = f"max-width:{a}px;min-width:{b}px"', False),
        ('title = "adjusted p"', False),
    ],
)
def test_a_sentence_is_told_from_markup(source, is_one):
    assert bool(_sentences(source)) is is_one


def _parameters(sentence: Words) -> set[str]:
    """The arguments that the words of a code take."""
    if isinstance(sentence, str):
        named = {field for _, field, _, _ in Formatter().parse(sentence) if field}
        return {re.split(r"[.\[!:]", field)[0] for field in named}
    speak = sentence.speak if isinstance(sentence, ByUnit) else sentence
    return set(inspect.signature(speak).parameters)


def test_every_code_is_said_once() -> None:
    assert set(SENTENCES) == set(ARGUMENTS)
    said = [code for module in SUBJECTS for code in module.SENTENCES]
    assert sorted(said) == sorted(set(said))


@pytest.mark.parametrize("code", sorted(ARGUMENTS))
def test_words_take_the_arguments_of_their_code(code: Code) -> None:
    sentence, arguments = SENTENCES[code], set(ARGUMENTS[code])
    taken = _parameters(sentence) - {"unit", "noise"}
    assert taken <= arguments if isinstance(sentence, str) else taken == arguments
