"""From a table and a formula to the arrays of a model: response, weights, cells, random terms."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import TEXT_COLUMNS, Codes, Floats, Index
from ablatekit.analysis.engine.design import (
    Coding,
    Columns,
    Points,
    Variable,
    Variables,
    independent_columns,
    model_columns,
)
from ablatekit.analysis.engine.formula import Formula, RandomSpec, unquoted, variables_of, words_of
from ablatekit.analysis.engine.numeric import (
    CALL,
    PrecisionKind,
    expression_at,
    expression_matrix,
    finite,
    response_and_weights,
)
from ablatekit.errors import Problem, TableError, nearest

PRESENCE_LIMIT = 1 << 24
FIRST_ROWS = 100
_FACTOR = re.compile(r"(?:C|factor|as\.factor)\(\s*([\w.]+|`[^`]+`)\s*(?:,\s*(.+?))?\s*\)$")
_TREATMENT = re.compile(r"(?:contr\.)?treatment(?:\(\s*[\"']?(.*?)[\"']?\s*\))?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RandomTerm:
    """A random term on data: `codes` (n,) of the level, `columns` (C, p) per cell."""

    spec: RandomSpec
    codes: Codes
    levels: tuple[str, ...]
    columns: Floats
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelFrame:
    """A model on data. Row i has the columns of cell `cell[i]`; `counts` (C,) rows per cell.

    `columns` is the model matrix with aliased columns; `kept` indexes the estimable ones.
    """

    formula: Formula
    y: Floats
    weights: Floats | None
    cell: Codes
    counts: Floats
    variables: Variables
    points: Points
    columns: Columns
    kept: Index
    random: tuple[RandomTerm, ...]
    rows_dropped: int

    @property
    def x(self) -> Floats:
        """The model matrix per cell (C, p) without aliased columns."""
        return self.columns.matrix[:, self.kept]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the estimable coefficients."""
        return tuple(self.columns.names[j] for j in self.kept)

    @property
    def aliased(self) -> tuple[str, ...]:
        """The names of the coefficients that the design cannot separate from earlier ones."""
        kept = set(self.kept.tolist())
        return tuple(name for j, name in enumerate(self.columns.names) if j not in kept)


def build_frame(
    data: pd.DataFrame,
    formula: Formula,
    *,
    weights: str | None = None,
    precision: PrecisionKind = "weights",
    factors: Collection[str] = (),
    coding: Coding = "treatment",
) -> ModelFrame:
    """Evaluate a formula on a table.

    The baseline of a factor is its first level in the table; of a column with declared categories,
    the first of them; of `C(x, Treatment('level'))`, the level named.
    weights: a column of positive prior weights, Var(e_i) = sigma^2 / w_i, or of what `precision`
    says. factors: columns to read as categorical. Rows with a missing value in a used column are
    dropped and counted. A response `cbind(successes, failures)` becomes a proportion with its
    trials as weights.
    Raises TableError for unknown columns, a response that is not numeric, values that are not
    finite, no complete row, weights that are not positive, a factor or a group with one level.
    """
    used = _used_columns(data, formula, weights)
    _refuse_unknown(data, factors)
    complete = _complete_rows(data, used)
    table = data if complete is None else _without_lost_levels(data[used].loc[complete])
    if len(table) == 0:
        raise TableError(_no_complete_row(data, used))
    y, trials = response_and_weights(table, formula.response, weights, precision)
    specs = [*formula.terms, *(term for spec in formula.random for term in spec.terms)]
    variables: dict[str, Variable] = {}
    rows: dict[str, Codes] = {}
    reading = _Reading(data, factors, coding)
    for name in variables_of(specs):
        variables[name], rows[name] = _evaluate(table, name, reading)
    cell, representatives = _cells(len(table), variables, rows)
    points = {name: values[representatives] for name, values in rows.items()}
    counts = np.bincount(cell, minlength=len(representatives)).astype(np.float64)
    columns = _fixed_columns(formula, variables, points, len(representatives))
    return ModelFrame(
        formula=formula,
        y=y,
        weights=trials,
        cell=cell,
        counts=counts,
        variables=variables,
        points=points,
        columns=columns,
        kept=independent_columns(columns.matrix, counts),
        random=tuple(
            _random_term(table, spec, variables, points, counts) for spec in formula.random
        ),
        rows_dropped=len(data) - len(table),
    )


def factor_codes(column: pd.Series[Any]) -> tuple[Codes, tuple[str, ...]]:
    """Integer codes and level names: categories keep their order, other values are sorted.

    Text that is numbers throughout is sorted by them, and stays as it is written.
    """
    categorical = column.array
    if isinstance(categorical, pd.Categorical):
        return np.asarray(categorical.codes), tuple(map(_label, categorical.categories.tolist()))
    codes, uniques = pd.factorize(column)
    values = list(uniques)
    keys = values if pd.api.types.is_numeric_dtype(column.dtype) else _sortable(map(str, values))
    order = sorted(range(len(values)), key=keys.__getitem__)
    rank = np.empty(len(values), dtype=np.int32)
    rank[order] = np.arange(len(values), dtype=np.int32)
    return rank[codes], tuple(_label(values[j]) for j in order)


def _sortable(texts: Iterable[str]) -> list[tuple[float, str]]:
    """Keys that sort by number where all texts are numbers, else by the text."""
    labels = list(texts)
    try:
        return [(float(label), label) for label in labels]
    except ValueError:
        return [(0.0, label) for label in labels]


def group_codes(table: pd.DataFrame, names: Sequence[str]) -> tuple[Codes, tuple[str, ...]]:
    """Codes of the observed combinations of grouping columns, first column outermost."""
    codes, levels = _observed(*factor_codes(table[names[0]]))
    for name in names[1:]:
        right, labels = _observed(*factor_codes(table[name]))
        pair = codes.astype(np.int64) * len(labels) + right
        codes, present = compress(pair, len(levels) * len(labels))
        size = len(labels)
        levels = tuple(f"{levels[key // size]}:{labels[key % size]}" for key in present.tolist())
    return codes, levels


def compress(keys: Codes, size: int) -> tuple[Codes, Codes]:
    """Renumber keys in [0, size) to 0..k-1 in increasing order; returns codes and the keys used."""
    if size > PRESENCE_LIMIT:
        present, codes = np.unique(keys, return_inverse=True)
        return codes.astype(np.int32), present
    seen = np.zeros(size, dtype=bool)
    seen[keys] = True
    present = np.flatnonzero(seen)
    lookup = np.zeros(size, dtype=np.int32)
    lookup[present] = np.arange(len(present), dtype=np.int32)
    return lookup[keys], present


def _observed(codes: Codes, levels: tuple[str, ...]) -> tuple[Codes, tuple[str, ...]]:
    compact, present = compress(codes, max(len(levels), 1))
    return compact, tuple(levels[j] for j in present.tolist())


def _label(value: object) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _used_columns(data: pd.DataFrame, formula: Formula, weights: str | None) -> list[str]:
    groups = [name for spec in formula.random for name in spec.group]
    terms = [*formula.terms, *(term for spec in formula.random for term in spec.terms)]
    expressions = [formula.response, *variables_of(terms)]
    known = set(map(str, data.columns))
    plain = [text for text in expressions if text in known or not CALL.match(text)]
    required = dict.fromkeys([*plain, *groups, *([weights] if weights else [])])
    _refuse_unknown(data, required)
    words = set[str]().union(*(words_of(text) for text in expressions if text not in known))
    return [str(name) for name in data.columns if name in words or name in required]


def _refuse_unknown(data: pd.DataFrame, names: Collection[str]) -> None:
    known = [str(column) for column in data.columns]
    problems = [
        Problem("the table has no such column", name, nearest(name, known))
        for name in names
        if name not in known
    ]
    if problems:
        raise TableError(*problems)


def _no_complete_row(data: pd.DataFrame, used: Sequence[str]) -> Problem:
    empty = [name for name in used if data[name].isna().all()]
    rule = "no row is complete: none has a value in every column that the formula uses"
    remedy = f"Empty: {', '.join(empty)}" if empty else "Leave out the column with most gaps"
    return Problem(rule, ", ".join(used), remedy)


def _complete_rows(data: pd.DataFrame, used: Sequence[str]) -> np.ndarray[Any, Any] | None:
    missing = np.zeros(len(data), dtype=bool)
    for name in used:
        missing |= np.asarray(data[name].array.isna())
    return ~missing if missing.any() else None


def _without_lost_levels(table: pd.DataFrame) -> pd.DataFrame:
    """Text columns lose the levels that only rows with a missing value had; categories keep all."""
    lost = {
        name: table[name].cat.remove_unused_categories()
        for name in table.attrs.get(TEXT_COLUMNS, ())
        if name in table.columns
    }
    return table.assign(**lost)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How columns become variables; `data` is the table with its incomplete rows."""

    data: pd.DataFrame
    factors: Collection[str]
    coding: Coding


def _evaluate(table: pd.DataFrame, name: str, reading: _Reading) -> tuple[Variable, Codes]:
    wrapped = _FACTOR.match(name)
    wrapped = None if name in table.columns else wrapped
    source = unquoted(wrapped.group(1)) if wrapped else name
    if source not in table.columns:
        if wrapped:
            raise TableError(
                Problem(
                    "the table has no such column", source, nearest(source, map(str, table.columns))
                )
            )
        return _expression_variable(table, name)
    column = table[source]
    plain = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(
        column.dtype
    )
    if plain and not wrapped and source not in reading.factors:
        return _numeric_variable(name, column.to_numpy(dtype=np.float64)[:, None], table.index)
    codes, levels = factor_codes(column)
    if len(levels) < 2:
        raise TableError(
            Problem(
                "a factor needs at least two levels",
                f"{source} is always {levels[0]}",
                "Take it out of the formula",
            )
        )
    first = _first_level(reading.data, source, levels)
    chosen, baseline = _coding(wrapped.group(2) if wrapped else None, levels, name)
    variable = Variable(
        name, levels, chosen or reading.coding, first if baseline is None else baseline
    )
    return variable, codes.astype(np.int32, copy=False)


def _first_level(data: pd.DataFrame, name: str, levels: tuple[str, ...]) -> int:
    """The position of the first level in the table, of declared categories the first of them."""
    column = data[name]
    declared = isinstance(column.dtype, pd.CategoricalDtype)
    if declared and name not in data.attrs.get(TEXT_COLUMNS, ()):
        return 0
    positions = {level: position for position, level in enumerate(levels)}
    parts = (column.iloc[:FIRST_ROWS], column)  # the whole of a large column is rarely needed
    labels = (_label(value) for part in parts for value in part if not pd.isna(value))
    return next(positions[label] for label in labels if label in positions)


def _coding(
    text: str | None, levels: tuple[str, ...], name: str
) -> tuple[Coding | None, int | None]:
    """The coding and the baseline that a formula asks for, None where it leaves them open."""
    if text is None:
        return None, None
    if re.fullmatch(r"(contr\.)?sum", text, re.IGNORECASE):
        return "sum", None
    treatment = _TREATMENT.match(text)
    if treatment is None:
        raise TableError(
            Problem("an unknown coding", name, "Use C(x), C(x, Sum) or C(x, Treatment('level'))")
        )
    level = treatment.group(1)
    if level is not None and level not in levels:
        raise TableError(Problem(f"no such level of {name}", level, nearest(level, levels)))
    return "treatment", levels.index(level) if level is not None else None


def _numeric_variable(
    name: str,
    values: Floats,
    rows: pd.Index[Any],
    grid: tuple[tuple[float, ...], ...] | None = None,
) -> tuple[Variable, Codes]:
    """A covariate; the reference grid holds it at its mean, or at both values of a binary one."""
    finite(values, name, rows)
    if grid is None:
        low, high = float(values.min()), float(values.max())
        binary = values.shape[1] == 1 and bool(np.all((values == low) | (values == high)))
        mean = tuple(float(m) for m in values.mean(axis=0))
        grid = ((low,), (high,)) if binary and low < high else (mean,)
    return Variable(name, width=values.shape[1], grid=grid), values


def _expression_variable(table: pd.DataFrame, name: str) -> tuple[Variable, Codes]:
    """A transformed covariate; the reference grid takes it at the mean of what it transforms."""
    matrix = expression_matrix(table, name)
    values = finite(np.asarray(matrix, dtype=np.float64), name, table.index)
    words = [word for word in table.columns if word in words_of(name)]
    means = pd.DataFrame({word: [float(table[word].mean())] for word in words})
    at_mean = expression_at(matrix, means)[0]
    return _numeric_variable(name, values, table.index, (tuple(at_mean.tolist()),))


def _cells(n: int, variables: Variables, rows: Mapping[str, Codes]) -> tuple[Codes, Index]:
    """Codes of the rows' distinct variable values and one row of each.

    A covariate with many distinct values gives every row its own cell.
    """
    key = np.zeros(n, dtype=np.int32)
    size = 1
    for name, values in rows.items():
        if variables[name].levels:
            codes, width = values, len(variables[name].levels)
        else:
            codes, width = _value_codes(values)
        if size * width > max(4 * n, 1 << 16):
            return np.arange(n, dtype=np.int32), np.arange(n)
        key, present = compress(key.astype(np.int64) * width + codes, size * width)
        size = len(present)
    representatives = np.empty(size, dtype=np.intp)
    representatives[key[::-1]] = np.arange(n - 1, -1, -1)
    return key, representatives


def _value_codes(values: Floats) -> tuple[Codes, int]:
    if values.shape[1] > 1:
        return np.arange(len(values)), len(values)
    codes, uniques = pd.factorize(values[:, 0])
    return codes, len(uniques)


def _fixed_columns(formula: Formula, variables: Variables, points: Points, size: int) -> Columns:
    columns = model_columns(formula.intercept, formula.terms, variables, points)
    if not points and formula.intercept:
        return Columns(np.ones((size, 1)), columns.names, columns.term)
    return columns


def _random_term(
    table: pd.DataFrame, spec: RandomSpec, variables: Variables, points: Points, counts: Floats
) -> RandomTerm:
    codes, levels = group_codes(table, spec.group)
    if len(levels) < 2:
        raise TableError(
            Problem(
                "a grouping factor needs at least two levels",
                f"{spec.grouping} has {len(levels)}",
                f"Remove {spec.text} or treat {spec.grouping} as fixed",
            )
        )
    values = {name: points[name] for name in variables_of(spec.terms)}
    columns = model_columns(spec.intercept, spec.terms, variables, values)
    matrix = columns.matrix
    if not values:
        matrix = np.ones((len(counts), 1))
    return RandomTerm(spec, codes, levels, matrix, columns.names)
