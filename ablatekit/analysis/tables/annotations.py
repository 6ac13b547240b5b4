"""What a user tells of a table beside the roles of its columns: prices, covariates, scales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan
from ablatekit.errors import Problem, TableError, UsageError, nearest
from ablatekit.study.scalars import scalar_number
from ablatekit.study.scales import Scale, misfit


@dataclass(frozen=True)
class Annotations:
    """What a table's columns mean beyond their roles.

    `price`: the column of what a run costs. `covariates`: column -> context variable whose levels
    it describes, None for the one that decides it. `predict_at`: covariate -> value. `scales`:
    factor -> scale of its levels.
    """

    price: str | None = None
    covariates: Mapping[str, str | None] = field(default_factory=dict)
    predict_at: Mapping[str, float] = field(default_factory=dict)
    scales: Mapping[str, Scale] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names."""
        return (*([self.price] if self.price else []), *self.covariates)


def read_annotations(
    price: str | None, covariates: Sequence[str], predict_at: Sequence[str], scales: Sequence[str]
) -> Annotations:
    """From the texts of --price, --covariate, --predict-at and --scale.

    Raises UsageError for a text of another form, and for a prediction at no covariate.
    """
    problems: list[Problem] = []
    described: dict[str, str | None] = {}
    for text in covariates:
        variable, equals, column = text.rpartition("=")
        described[column.strip()] = variable.strip() if equals else None
    at = dict(_numbers(predict_at, problems))
    unknown = [name for name in at if name not in described]
    problems += [
        Problem("--predict-at takes a column of --covariate", name, nearest(name, described))
        for name in unknown
    ]
    chosen = dict(_scales(scales, problems))
    if problems:
        raise UsageError(*problems)
    return Annotations(price, described, at, chosen)


def _numbers(texts: Sequence[str], problems: list[Problem]) -> Iterator[tuple[str, float]]:
    for text in texts:
        name, _, value = text.rpartition("=")
        number = scalar_number(value.strip())
        if not name or number is None or number <= 0:
            problems.append(Problem("--predict-at takes COVARIATE=NUMBER above 0", text))
        else:
            yield name.strip(), float(number)


def _scales(texts: Sequence[str], problems: list[Problem]) -> Iterator[tuple[str, Scale]]:
    known: dict[str, Scale] = {scale: scale for scale in get_args(Scale)}
    for text in texts:
        name, _, scale = text.rpartition("=")
        if not name or scale.strip() not in known:
            remedy = f"Scales: {', '.join(known)}"
            problems.append(Problem("--scale takes FACTOR=SCALE", text, remedy))
        else:
            yield name.strip(), known[scale.strip()]


def refuse_annotations(
    frame: pd.DataFrame,
    notes: Annotations,
    responses: Sequence[str],
    factors: Sequence[str],
    contexts: Sequence[str],
) -> None:
    """Raises TableError for names that are no column, no factor or no context, or a response."""
    columns = [str(name) for name in frame.columns]
    problems = [
        Problem("a column is missing from the table", repr(name), nearest(name, columns))
        for name in notes.columns
        if name not in columns
    ]
    problems += [
        Problem("--scale takes one of --factors", repr(name), nearest(name, factors))
        for name in notes.scales
        if name not in factors
    ]
    problems += [
        Problem("--covariate describes one of --contexts", repr(name), nearest(name, contexts))
        for name in notes.covariates.values()
        if name is not None and name not in contexts
    ]
    price = notes.price
    if price in responses:
        problems.append(Problem("--price is one of --response, too", repr(price), "Name another"))
    if price in columns:
        problems += _bad_costs(price, frame[price])
    if problems:
        raise TableError(*problems)


def _bad_costs(name: str | None, column: pd.Series[Any]) -> Iterator[Problem]:
    """Costs of which nothing can be a multiple."""
    if not pd.api.types.is_numeric_dtype(column):
        yield Problem("what a run costs must be a number", f"column {name!r}")
    elif (column < 0).any():
        yield Problem("what a run costs is not below 0", f"column {name!r} with {column.min():g}")
    elif not (column > 0).any():
        yield Problem("no run has a cost above 0", f"column {name!r}")


def annotated(
    plan: Plan, tables: StudyTables, frame: pd.DataFrame, notes: Annotations
) -> tuple[Plan, StudyTables]:
    """The plan and the tables of a table with one row per run, with what the notes say of it.

    Raises TableError for levels off their scale, and for a covariate that describes no context
    variable or is no number above 0.
    """
    factors = tuple(replace(f, scale=notes.scales.get(f.name)) for f in plan.factors)
    problems = [
        Problem(f"--scale {f.name}={f.scale}: a level has no place on it", repr(level))
        for f in factors
        if f.scale is not None and (level := misfit(f.levels, f.scale)) is not None
    ]
    if problems:
        raise TableError(*problems)
    covariates: dict[str, dict[str, dict[str, float]]] = {}
    for column, variable in notes.covariates.items():
        name = variable or _described(frame, column, list(plan.contexts[0]))
        for level, value in _values(frame, column, name).items():
            covariates.setdefault(name, {}).setdefault(level, {})[column] = value
    asked = replace(plan.analysis, price=notes.price, predict_at=notes.predict_at)
    plan = replace(plan, factors=factors, covariates=covariates, analysis=asked)
    return _priced(plan, tables, frame) if notes.price else (plan, tables)


def _priced(plan: Plan, tables: StudyTables, frame: pd.DataFrame) -> tuple[Plan, StudyTables]:
    metric = str(plan.analysis.price)
    runs = [run.run_id for run in plan.runs]
    cost = pd.DataFrame({"run": runs, "metric": metric, "value": frame[metric].to_numpy(float)})
    results = pd.concat([tables.results, cost], ignore_index=True)
    return replace(plan, cost_metrics=(metric,)), replace(tables, results=results)


def _described(frame: pd.DataFrame, column: str, contexts: Sequence[str]) -> str:
    """The context variable each of whose levels has one value of the column."""
    decided = [name for name in contexts if _changing(frame, column, name) is None]
    if len(decided) == 1:
        return decided[0]
    if decided:
        remedy = f"Say whose: --covariate {decided[0]}={column}"
        rule = "several of --contexts decide the covariate"
        raise TableError(Problem(rule, f"{column} by {', '.join(decided)}", remedy))
    first = "" if not contexts else _shown(frame, column, contexts[0])
    rule = "a covariate has one value at every level of one of --contexts"
    raise TableError(Problem(rule, f"{column}{first}"))


def _values(frame: pd.DataFrame, column: str, variable: str) -> dict[str, float]:
    """The covariate's value at every level of the variable."""
    if _changing(frame, column, variable) is not None:
        rule = f"a covariate has one value at every level of {variable}"
        raise TableError(Problem(rule, f"{column}{_shown(frame, column, variable)}"))
    first = frame.drop_duplicates(variable)
    numbers = pd.to_numeric(first[column], errors="coerce").to_numpy(dtype=float)
    values = dict(zip(first[variable].astype(str), numbers.tolist(), strict=True))
    for level, given in zip(values, first[column], strict=True):
        if not (np.isfinite(values[level]) and values[level] > 0):
            rule = "a covariate is a number above 0: effects are regressed on its logarithm"
            raise TableError(Problem(rule, f"{column} = {given} at {variable} = {level}"))
    return values


def _changing(frame: pd.DataFrame, column: str, variable: str) -> Any:
    """The first level of the variable at which the column has two values, None without one."""
    if column == variable:
        return None
    counts = frame.groupby(variable, sort=False)[column].nunique(dropna=False)
    several = counts[counts > 1]
    return several.index[0] if len(several) else None


def _shown(frame: pd.DataFrame, column: str, variable: str) -> str:
    """Two values of the column at one level of the variable."""
    level = _changing(frame, column, variable)
    values = frame.loc[frame[variable] == level, column].unique()[:2]
    return f" is {' and '.join(map(str, values))} at {variable} = {level}"
