"""Columns of a table as finite numbers: responses, weights, covariates and expressions of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.engine.formula import quoted, unquoted, words_of
from ablatekit.errors import Problem, TableError

CALL = re.compile(r"[\w.]+\(.*\)$")
FUNCTIONS = {"np": np, "sqrt": np.sqrt, "abs": np.abs, "log1p": np.log1p}
PrecisionKind: TypeAlias = Literal["weights", "sampling variances", "trials"]
"""What a column that stands beside the response holds."""

REMEDIES: Mapping[PrecisionKind, str] = {
    "weights": "Drop rows of weight 0 first",
    "sampling variances": "Give the variance of every effect, or empty the cell to leave a row out",
    "trials": "Drop rows without trials first",
}
_COUNTS = re.compile(r"cbind\(\s*(.+?)\s*,\s*(.+?)\s*\)$")
_REMEDIES = (
    (re.compile(r"\s*[+-]?\d+,\d"), "Write a point before decimals and nothing between thousands"),
    (re.compile(r"\s*[+-]?[\d.,]+\s*%"), "Leave % out and say --unit percent"),
)
_RECODE = "Recode it as numbers (0 and 1 for two outcomes), or empty the cell of a missing value"


def response_and_weights(
    table: pd.DataFrame, name: str, weights: str | None, precision: PrecisionKind = "weights"
) -> tuple[Floats, Floats | None]:
    """The response (n,) and the weights (n,); `cbind(s, f)` is s/(s + f) with weights s + f.

    precision: what the column `weights` holds, for the message about a value that is not above 0.
    """
    counts = None if name in table.columns else _COUNTS.match(name)
    if counts is None:
        prior = None if weights is None else positive(table[weights], weights, precision)
        return _response(table, name), prior
    if weights is not None:
        raise TableError(Problem("cbind(successes, failures) brings its own weights", weights))
    pair = [_response(table, _evaluable(table, text)) for text in counts.groups()]
    trials = positive(pd.Series(pair[0] + pair[1], table.index), name, "trials")
    return pair[0] / trials, trials


def _evaluable(table: pd.DataFrame, text: str) -> str:
    """A column, a call, or arithmetic such as `size - incidence` as a call."""
    name = unquoted(text)
    plain = name in table.columns or CALL.match(name) or re.fullmatch(r"[\w.]+|`.*`", text)
    return name if plain else f"I({name})"


def _response(table: pd.DataFrame, name: str) -> Floats:
    if name in table.columns:
        return finite(numbers(table[name], "a response must be numeric"), name, table.index)
    values = np.asarray(expression_matrix(table, name), dtype=np.float64)
    if values.shape[1] != 1:
        raise TableError(Problem("a response must be one column", name))
    return finite(values[:, 0], name, table.index)


def numbers(column: pd.Series[Any], rule: str) -> Floats:
    """Numbers and booleans (as 0 and 1); text names its first value."""
    kind = column.dtype
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        return np.asarray(column.to_numpy(dtype=np.float64))
    bad = pd.to_numeric(column.astype(object), errors="coerce").isna().to_numpy()
    at = int(bad.argmax())
    told = f"{column.name} with {str(column.iloc[at])!r} in {_row(column.index, at)}"
    remedy = remedy_for_text(str(column.iloc[at]))
    raise TableError(Problem(rule, told if bad.any() else f"{column.name} of type {kind}", remedy))


def remedy_for_text(word: str) -> str:
    """What to do about a text in the place of a number."""
    return next((told for form, told in _REMEDIES if form.match(word)), _RECODE)


def _row(rows: pd.Index[Any], at: int) -> str:
    """The row as a reader counts it, from 1, in the table before incomplete rows were left out."""
    return f"row {rows[at] + 1}" if pd.api.types.is_integer_dtype(rows.dtype) else f"row {rows[at]}"


def finite(values: Floats, name: str, rows: pd.Index[Any]) -> Floats:
    """The values, or an error that names the first row without a finite one."""
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1) if len(values) else values > 0
    if bad.any():
        at = int(bad.argmax())
        first = values.reshape(len(values), -1)[at]
        shown = f"{name} with {first[~np.isfinite(first)][0]:g} in {_row(rows, at)}"
        raise TableError(
            Problem("values must be finite", shown, "Correct it, or empty the cell to leave it out")
        )
    return values


def positive(column: pd.Series[Any], name: str, precision: PrecisionKind) -> Floats:
    """The values (n,), or an error that names the first row whose value is not above 0."""
    values = numbers(column, f"{precision} must be numeric")
    good = np.isfinite(values) & (values > 0)
    if not good.all():
        at = int((~good).argmax())
        shown = f"{name} with {values[at]:g} in {_row(column.index, at)}"
        rule = f"{precision} must be positive and finite"
        raise TableError(Problem(rule, shown, REMEDIES[precision]))
    return values


def expression_at(matrix: Any, point: pd.DataFrame) -> Floats:
    """The same expression at other values of its columns, what it learnt from the table kept."""
    return np.asarray(matrix.model_spec.get_model_matrix(point, context=FUNCTIONS), dtype=float)


def expression_matrix(table: pd.DataFrame, name: str) -> Any:
    """A call such as `log(x)` or `I(x^2)` as formulaic's matrix, rows that are not finite kept.

    Raises TableError for text where it needs numbers, and for what cannot be evaluated.
    """
    from formulaic import model_matrix  # few tables need it; its import takes as long as pandas's
    from formulaic.errors import FormulaicError

    if name.startswith("offset("):
        remedy = "Subtract it from the response: `I(y - x) ~ ...`"
        raise TableError(Problem("offsets are not supported", name, remedy))
    text = name.replace("^", "**") if CALL.match(name) else quoted(name)
    for word in words_of(name).intersection(map(str, table.columns)):
        numbers(table[word], f"{name} needs numbers")
    try:
        with np.errstate(all="ignore"):  # what is not finite is reported with its row
            return model_matrix(f"0 + {text}", table, context=FUNCTIONS, na_action="ignore")
    except (FormulaicError, KeyError, NameError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "NameError" in reason:
            known = "log, log2, log10, log1p, exp, sqrt, abs, I, poly, scale, center, bs, C, factor"
            raise TableError(Problem("an unknown function", name, f"Known: {known}")) from error
        raise TableError(Problem(f"cannot evaluate a term ({reason})", name)) from error
