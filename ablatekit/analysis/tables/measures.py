"""What a column measures: which values are better, and in which unit they are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.numbers import PLAIN
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.tables.words import Direction, direction_of, is_unbounded
from ablatekit.design.plan import PlannedResponse
from ablatekit.errors import Problem, TableError, UsageError
from ablatekit.runs.records import PROPORTION_UNITS

FRACTION = "fraction"
_RISING = re.compile(r"(?:(?:np\.)?(?:log(?:2|10|1p)?|sqrt|exp)\(|cbind\()\s*([^,()]+).*\)")
_CALL = re.compile(r"[()]|^[^`]*[-+*/^][^`]*$")
LEAST_POINT = 0.01
"""A share is shown in points where at least one value reaches one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A column that is a response.

    direction: None is guessed from the name. unit: None follows the values; `fraction` is for
    values in [0, 1], whose differences are shown in points; `percent` for values that are shown as
    they are, in points too; `none` and any other text for values that are shown as they are.
    """

    column: str
    direction: Direction | None = None
    unit: str | None = None
    smallest_effect: float | None = None


def planned_response(frame: pd.DataFrame, measure: Measure) -> PlannedResponse:
    """The response that a column of numbers amounts to.

    Raises TableError for a unit of fractions on values outside [0, 1], or with a smallest effect
    that is none.
    """
    column = measure.column
    unit = unit_of(frame[column].to_numpy(dtype=float), column, measure.unit)
    refuse_smallest(unit, measure.smallest_effect)
    return PlannedResponse(
        name=column,
        metric=column,
        summary="final",
        direction=measure.direction or direction_of(column)[0],
        smallest_effect=measure.smallest_effect,
        items=None,
        label=column,
        unit=unit or PLAIN,
    )


def guessed(measures: Sequence[Measure]) -> dict[str, list[Statement]]:
    """What there is to say, by column, about directions that nobody stated."""
    return {
        measure.column: [guess(measure.column)] for measure in measures if measure.direction is None
    }


def guess(name: str) -> Statement:
    """That a direction is guessed from a name, and the word that decided."""
    direction, word = direction_of(name)
    return statement("direction_guessed", direction=direction, word=word)


def measured_name(response: str) -> str:
    """The column whose name says which values of a formula's left side are better; else empty.

    A function that rises with its argument keeps the direction; of counts the successes decide.
    """
    rising = _RISING.fullmatch(response)
    if rising:
        return measured_name(rising[1])
    return "" if _CALL.search(response) else response.strip("` ")


def unit_of(values: Floats, name: str, chosen: str | None = None) -> str:
    """The unit in which values (n,) of a response are shown: the chosen one, else by the values.

    Raises TableError where the chosen unit is one of fractions and a value lies outside [0, 1].
    """
    if chosen is None:
        return FRACTION if looks_like_share(values, name) else ""
    unit = "" if chosen.strip().lower() == PLAIN else chosen.strip()
    outside = np.isfinite(values) & ((values < 0) | (values > 1))
    if unit.lower() in PROPORTION_UNITS and outside.any():
        row = int(outside.argmax())
        rule = f"values in the unit {unit} lie between 0 and 1"
        remedy = "Use --unit percent for values of up to 100, or leave --unit out"
        raise TableError(Problem(rule, f"{name} with {values[row]:g} in row {row + 1}", remedy))
    return unit


def refuse_smallest(unit: str, smallest_effect: float | None) -> None:
    """Raises UsageError for points where fractions are meant: no share differs by 1 or more."""
    if unit.lower() in PROPORTION_UNITS and smallest_effect is not None and smallest_effect >= 1:
        rule = "--smallest-effect is a fraction, as the values are"
        points = f"Write {smallest_effect / 100:g} for {smallest_effect:g} points"
        remedy = f"{points}; where values are no fractions, say --unit none"
        raise UsageError(Problem(rule, f"{smallest_effect:g}", remedy))


def looks_like_share(values: Floats, name: str) -> bool:
    """Whether values are shares of one: all in [0, 1], one of them at least 0.01.

    Not where the name says that the quantity has no bound at 1, such as a loss.
    """
    known = values[np.isfinite(values)]
    if not len(known) or is_unbounded(name):
        return False
    return bool((known >= 0).all() and (known <= 1).all() and known.max() >= LEAST_POINT)
