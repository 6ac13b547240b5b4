"""Formulas in lme4 syntax: `y ~ a*b + (1|g) + (1+x|h) + (0+a|ctx) + (1|g:h) + (x||h) + (1|g/h)`.

The fixed part is parsed by formulaic; the random terms here. Source: Bates et al. 2015, Journal of
Statistical Software 67(1), section 2.2, table 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from ablatekit.errors import Problem, TableError

Term: TypeAlias = tuple[str, ...]

BAR = "\0"


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
        columns = [":".join(map(quoted, term)) for term in self.terms]
        left = " + ".join((["1"] if self.intercept else ["0"]) + columns) if columns else "1"
        return f"({left} | {':'.join(map(quoted, self.group))})"


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
        columns = [":".join(map(quoted, term)) for term in self.terms]
        start = "1" if self.intercept else "0"
        shown = columns if self.intercept and columns else [start, *columns]
        return f"{quoted(self.response)} ~ {' + '.join(shown)}"

    @property
    def text(self) -> str:
        """The expanded formula."""
        return " + ".join([self.fixed_text, *(spec.text for spec in self.random)])


def parse_formula(text: str) -> Formula:
    """Parse `response ~ fixed + (random | group)`; a name with spaces stands in backquotes.

    Raises TableError for a missing response or right side, unbalanced parentheses, an operator
    without operands, an empty group, a random term written twice, a response that is also a term,
    or a right side that formulaic cannot parse.
    """
    if _mask(text).count("~") != 1:
        remedy = "Write it as `response ~ terms`"
        raise TableError(Problem("a formula has one ~ between response and terms", text, remedy))
    split = _mask(text).index("~")
    response, right = text[:split].strip(), text[split + 1 :].strip()
    if not response:
        raise TableError(
            Problem("a formula needs a response", text, "Write it as `response ~ terms`")
        )
    if not right:
        raise TableError(
            Problem("the formula has nothing after ~", text, f"Write `{response} ~ 1` for a mean")
        )
    fixed, bars = _split_bars(right)
    intercept, terms = parse_terms(fixed)
    random = [spec for bar in bars for spec in _random_specs(bar)]
    _refuse_repeated_columns(random)
    _refuse_own_response(response, terms, random)
    return Formula(unquoted(response), intercept, terms, tuple(random))


def unquoted(name: str) -> str:
    """A name without the backquotes around it."""
    return name[1:-1] if re.fullmatch(r"`[^`]*`", name) else name


def quoted(name: str) -> str:
    """A name as it stands in a formula: backquoted unless it is a plain name or a call."""
    return name if re.fullmatch(r"[\w.]+|[\w.]+\(.*\)", name) else f"`{name}`"


def words_of(expression: str) -> set[str]:
    """The column names that an expression may mention; names of functions are left out."""
    bare = re.sub(r"`[^`]*`", " ", expression)
    names = set(re.findall(r"[^\W\d][\w.]*(?![\w.]*\s*\()", bare))
    return names | set(re.findall(r"`([^`]*)`", expression)) | {unquoted(expression)}


def repeated_summands(text: str) -> tuple[str, ...]:
    """Fixed terms that are written twice, such as `a` in `y ~ a + b + a`."""
    fixed, _ = _split_bars(text[_mask(text).index("~") + 1 :].strip())
    parts = [part.strip() for part in re.split(r"\+(?![^()]*\))", fixed)]
    return tuple(dict.fromkeys(part for part in parts if part and parts.count(part) > 1))


def _mask(text: str) -> str:
    """The text with every backquoted name blanked, positions kept. Raises for an open backquote."""
    masked = re.sub(r"`[^`]*`", lambda match: "_" * len(match[0]), text)
    if "`" in masked:
        raise TableError(Problem("a backquote is not closed", text.strip()))
    return masked


def _refuse_repeated_columns(random: Sequence[RandomSpec]) -> None:
    seen: dict[tuple[frozenset[str], Term], str] = {}
    for spec in random:
        columns: list[Term] = [("1",)] if spec.intercept else []
        for column in [*columns, *spec.terms]:
            key = (frozenset(spec.group), tuple(sorted(column)))
            if key in seen:
                pair = seen[key] if seen[key] == spec.text else f"{seen[key]} and {spec.text}"
                remedy = "Write every random column of a group once, such as `(1|g) + (0+x|g)`"
                rule = "two random terms of one group have the same column, so neither variance"
                raise TableError(Problem(f"{rule} can be told from the other", pair, remedy))
            seen[key] = spec.text


def _refuse_own_response(
    response: str, terms: Iterable[Term], random: Sequence[RandomSpec]
) -> None:
    inside = [*variables_of(terms), *variables_of(t for spec in random for t in spec.terms)]
    right = set().union(*(words_of(quoted(name)) for name in inside))
    right |= {name for spec in random for name in spec.group}
    both = sorted(words_of(response) & right)
    if both:
        remedy = "Take it out of the right side"
        raise TableError(Problem("the response is also a term of the formula", both[0], remedy))


def parse_terms(text: str) -> tuple[bool, tuple[Term, ...]]:
    """The intercept and the terms of one right-hand side, ordered by degree, each a variable tuple.

    Variables inside a term follow their first appearance in `text`, as in R.
    """
    if text.strip() == "1":
        return True, ()
    from formulaic import Formula as FormulaicFormula  # its import takes as long as pandas's
    from formulaic.errors import FormulaicError

    # R's ^ is a power; in Python it would bind less than + and lose its parentheses
    stripped = re.sub(r"(`[^`]*`)|\^", lambda m: m[1] or "**", text.strip()) or "1"
    try:
        parsed = FormulaicFormula(stripped, _ordering="none")
        expressions = [tuple(_written(factor.expr) for factor in term.factors) for term in parsed]
    except (FormulaicError, SyntaxError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].split(". This can be")[0]
        remedy = "Terms are names joined by +, :, *, / or ^; names with spaces stand in backquotes"
        raise TableError(
            Problem(f"the formula cannot be parsed ({reason})", stripped, remedy)
        ) from error
    intercept = ("1",) in expressions
    terms = [term for term in expressions if term not in (("1",), ("0",))]
    position = {variable: _position(stripped, variable) for term in terms for variable in term}
    ordered = [tuple(sorted(term, key=lambda name: position[name])) for term in terms]
    unique = list({frozenset(term): term for term in reversed(ordered)}.values())[::-1]
    return intercept, tuple(sorted(unique, key=len))


def variables_of(terms: Iterable[Term]) -> tuple[str, ...]:
    """Every variable expression in order of first appearance."""
    return tuple(dict.fromkeys(variable for term in terms for variable in term))


def _written(expression: str) -> str:
    """A variable as R writes it: powers without spaces, `I(x^2)`."""
    return re.sub(r"\s*\*\*\s*", "^", expression) if "(" in expression else expression


def _position(text: str, variable: str) -> int:
    compact = re.sub(r"\s+", "", text)
    pattern = re.escape(re.sub(r"\s+", "", variable.replace("^", "**")))
    match = re.search(rf"(?<![\w.]){pattern}(?![\w.])", compact)
    return match.start() if match else len(compact)


def _split_bars(text: str) -> tuple[str, list[str]]:
    """Separate `(... | ...)` groups from the fixed part."""
    masked = _mask(text)
    fixed, bars = "", []
    depth, start = 0, 0
    for index, character in enumerate(masked):
        if character == "(":
            start = index if depth == 0 else start
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0 and "|" in masked[start:index]:
                bars.append(text[start + 1 : index])
                fixed += BAR
            elif depth == 0:
                fixed += text[start : index + 1]
            if depth < 0:
                break
        elif depth == 0:
            fixed += text[index]
    if depth != 0:
        raise TableError(Problem("unbalanced parentheses in the formula", text.strip()))
    return _without_bars(fixed, text), bars


def _without_bars(fixed: str, text: str) -> str:
    """The fixed part; a random term leaves with the + before it, or after it when it is first."""
    summand = rf"\s*{BAR}\s*"
    if re.search(rf"[^+\s{BAR}]{summand}|{BAR}{summand}|{BAR}\s*[^+\s]", fixed):
        remedy = "Write `y ~ a + (1 | g)`"
        raise TableError(Problem("random terms are joined by +", text.strip(), remedy))
    without = re.sub(rf"\+{summand}", "", fixed)
    return re.sub(rf"^{summand}(?:\+|$)", "", without)


def _random_specs(bar: str) -> list[RandomSpec]:
    match = re.search(r"\|\|?", _mask(bar))
    assert match is not None
    left, separator, group = bar[: match.start()], match[0], bar[match.end() :]
    nested = left.count("(") != left.count(")")
    if not left.strip() or not group.strip() or "|" in _mask(group) or nested:
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
    nested = [part.strip().removeprefix("(").removesuffix(")") for part in _split_on("/", text)]
    parts = [tuple(name.strip() for name in _split_on(":", part)) for part in nested]
    if any(not re.fullmatch(r"[\w.]+|`[^`]+`", name) for part in parts for name in part):
        raise TableError(
            Problem(
                "a grouping factor is a column name or an interaction of column names",
                text.strip(),
                "Write `g`, `g:h` or `g/h`",
            )
        )
    return [
        tuple(unquoted(name) for part in parts[: depth + 1] for name in part)
        for depth in range(len(parts))
    ]


def _split_on(separator: str, text: str) -> list[str]:
    """Parts between separators that do not stand inside backquotes."""
    cuts = [-1, *(i for i, c in enumerate(_mask(text)) if c == separator), len(text)]
    return [text[a + 1 : b] for a, b in pairwise(cuts)]
