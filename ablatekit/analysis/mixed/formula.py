"""Formulas in lme4 syntax: `y ~ a*b + (1|g) + (1+x|h) + (0+a|ctx) + (1|g:h) + (x||h) + (1|g/h)`.

The fixed part is parsed by formulaic; the random terms here. Source: Bates et al. 2015, Journal of
Statistical Software 67(1), section 2.2, table 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from formulaic import Formula as FormulaicFormula
from formulaic.errors import FormulaicError

from ablatekit.errors import Problem, TableError

Term: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RandomSpec:
    """One random term: its columns (`intercept`, `terms`) vary over the levels of `group`.

    `group` names the crossed grouping variables, `("g", "h")` for `g:h`. `text` is what a user
    would write for this term alone.
    """

    intercept: bool
    terms: tuple[Term, ...]
    group: tuple[str, ...]

    @property
    def grouping(self) -> str:
        """The grouping factor as written: `g:h`."""
        return ":".join(self.group)

    @property
    def text(self) -> str:
        """The term in lme4 syntax."""
        columns = [":".join(term) for term in self.terms]
        left = " + ".join((["1"] if self.intercept else ["0"]) + columns) if columns else "1"
        return f"({left} | {self.grouping})"


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed model formula; `terms` are ordered by degree as in R."""

    response: str
    intercept: bool
    terms: tuple[Term, ...]
    random: tuple[RandomSpec, ...]

    @property
    def fixed_text(self) -> str:
        """The formula without its random terms."""
        columns = [":".join(term) for term in self.terms]
        return f"{self.response} ~ " + " + ".join(
            (["1"] if self.intercept and not columns else []) + columns
            if self.intercept
            else ["0", *columns]
        )

    @property
    def text(self) -> str:
        """The expanded formula."""
        return " + ".join([self.fixed_text, *(spec.text for spec in self.random)])


def parse_formula(text: str) -> Formula:
    """Parse `response ~ fixed + (random | group)`.

    Raises TableError for a missing response, unbalanced parentheses, an empty group, or a right
    side that formulaic cannot parse.
    """
    response, tilde, right = text.partition("~")
    if not tilde or not response.strip():
        raise TableError(
            Problem("a formula needs a response", text, "Write it as `response ~ terms`")
        )
    fixed, bars = _split_bars(right)
    intercept, terms = parse_terms(fixed)
    random = [spec for bar in bars for spec in _random_specs(bar)]
    return Formula(response.strip(), intercept, terms, tuple(random))


def parse_terms(text: str) -> tuple[bool, tuple[Term, ...]]:
    """The intercept and the terms of one right-hand side, ordered by degree, each a variable tuple.

    Variables inside a term follow their first appearance in `text`, as in R.
    """
    stripped = text.strip() or "1"
    try:
        parsed = FormulaicFormula(stripped, _ordering="none")
        expressions = [tuple(factor.expr for factor in term.factors) for term in parsed]
    except (FormulaicError, SyntaxError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise TableError(Problem(f"the formula cannot be parsed ({reason})", stripped)) from error
    intercept = ("1",) in expressions
    terms = [term for term in expressions if term not in (("1",), ("0",))]
    position = {variable: _position(stripped, variable) for term in terms for variable in term}
    ordered = [tuple(sorted(term, key=lambda name: position[name])) for term in terms]
    unique = list({frozenset(term): term for term in reversed(ordered)}.values())[::-1]
    return intercept, tuple(sorted(unique, key=len))


def without_term(formula: Formula, term: Term) -> Formula:
    """The same formula without one fixed term."""
    kept = tuple(other for other in formula.terms if set(other) != set(term))
    return Formula(formula.response, formula.intercept, kept, formula.random)


def variables_of(terms: Iterable[Term]) -> tuple[str, ...]:
    """Every variable expression in order of first appearance."""
    return tuple(dict.fromkeys(variable for term in terms for variable in term))


def _position(text: str, variable: str) -> int:
    compact = re.sub(r"\s+", "", text)
    pattern = re.escape(re.sub(r"\s+", "", variable))
    found = re.search(rf"(?<![\w.]){pattern}(?![\w.])", compact)
    return found.start() if found else len(compact)


def _split_bars(text: str) -> tuple[str, list[str]]:
    """Separate `(... | ...)` groups from the fixed part."""
    fixed: list[str] = []
    bars: list[str] = []
    depth, start = 0, 0
    for index, character in enumerate(text):
        if character == "(":
            depth += 1
            if depth == 1:
                start = index
        elif character == ")":
            depth -= 1
            inner = text[start + 1 : index]
            if depth == 0 and "|" in inner:
                bars.append(inner)
                fixed.append("")
                continue
            if depth == 0:
                fixed.append(text[start : index + 1])
                continue
        if depth == 0:
            fixed.append(character)
        if depth < 0:
            break
    if depth != 0:
        raise TableError(Problem("unbalanced parentheses in the formula", text.strip()))
    return _drop_empty_summands("".join(fixed)), bars


def _drop_empty_summands(text: str) -> str:
    """`a +  + b + ` -> `a + b`: what is left when the random terms are taken out."""
    summands = [part.strip() for part in re.split(r"\+(?![^()]*\))", text)]
    return " + ".join(part for part in summands if part)


def _random_specs(bar: str) -> list[RandomSpec]:
    left, separator, group = re.split(r"(\|\||\|)", bar, maxsplit=1)
    if not left.strip() or not group.strip() or "|" in group:
        raise TableError(
            Problem("a random term needs columns and a group", f"({bar})", "Write `(1 | group)`")
        )
    intercept, terms = parse_terms(left)
    if not intercept and not terms:
        raise TableError(
            Problem("a random term without columns", f"({bar})", "Write `(1 | group)`")
        )
    groups = _expand_group(group)
    if separator == "|":
        return [RandomSpec(intercept, terms, names) for names in groups]
    return [spec for names in groups for spec in _independent(intercept, terms, names)]


def _independent(
    intercept: bool, terms: Sequence[Term], group: tuple[str, ...]
) -> list[RandomSpec]:
    """`(1 + a + b || g)` -> `(1|g) + (0+a|g) + (0+b|g)`; lme4 keeps a factor's columns together."""
    first = [RandomSpec(True, (), group)] if intercept else []
    return first + [RandomSpec(False, (term,), group) for term in terms]


def _expand_group(text: str) -> list[tuple[str, ...]]:
    """`g:h` -> [(g, h)]; `g/h` -> [(g,), (g, h)], outermost first."""
    nested = [part.strip().strip("()").strip() for part in text.split("/")]
    parts = [tuple(name.strip() for name in part.split(":")) for part in nested]
    if any(not re.fullmatch(r"[\w.]+", name) for part in parts for name in part):
        raise TableError(
            Problem(
                "a grouping factor is a column name or an interaction of column names",
                text.strip(),
                "Write `g`, `g:h` or `g/h`",
            )
        )
    return [
        tuple(name for part in parts[: depth + 1] for name in part) for depth in range(len(parts))
    ]
