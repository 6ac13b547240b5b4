"""What a row of an analysis contrasts, told from its own words: weights of runs' conditions.

Written from the definitions of the estimands alone, on tables of levels; a condition (unit) is what
cells share that are run once for all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import factorial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ablatekit.analysis.core.schema.analysis import DesignRecord

Weights: TypeAlias = dict[str, float]
"""Of units."""
Combination: TypeAlias = list[Weights]
"""One combination, in all the ways that a factor which exists on one side only gives."""
NOT_SET = ""
"""The level of a factor where it does not exist."""
UNIT = "unit of the cell"
"""A column beside those of factors, one of which may be called `unit`."""


@dataclass(frozen=True)
class Cells:
    """The cells of a design with their levels, and the baseline of every factor.

    `frame` has a column per factor and UNIT.
    """

    frame: pd.DataFrame
    factors: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    baselines: Mapping[str, str]

    def grid(self) -> Cells:
        """All combinations of levels; those that the design lacks are units of their own."""
        names = list(self.factors)
        product = pd.MultiIndex.from_product([self.levels[name] for name in names], names=names)
        whole = self.frame.merge(product.to_frame(index=False), on=names, how="outer", sort=False)
        lacking = whole[UNIT].isna()
        whole.loc[lacking, UNIT] = [f"not planned {place}" for place in np.flatnonzero(lacking)]
        return replace(self, frame=whole)

    @cached_property
    def absent(self) -> dict[str, str]:
        """By conditional factor, which is not set everywhere: the factor that decides where."""
        deciders = {n: self._decider(n) for n in self.factors if NOT_SET in self.levels[n]}
        return {name: outer for name, outer in deciders.items() if outer is not None}

    def _decider(self, inner: str) -> str | None:
        """The first factor whose levels are never the same where `inner` is set and where not."""
        gone = self.frame[inner] == NOT_SET
        for outer in self.factors:
            without, with_it = (set(self.frame.loc[here, outer]) for here in (gone, ~gone))
            if outer != inner and not with_it & without:
                return outer
        return None

    def joining(self, factor: str, level: str, baseline: str) -> list[str]:
        """Factors that exist at one of two levels of `factor` only, and those that go with them."""
        names: list[str] = []
        for inner, outer in self.absent.items():
            exists = set(self.frame.loc[self.frame[inner] != NOT_SET, factor])
            if outer == factor and (level in exists) != (baseline in exists):
                names.append(inner)
        for name in names:  # grows while it is read: what exists under a factor that goes along
            names += [inner for inner, outer in self.absent.items() if outer == name]
        return names


def design_cells(design: DesignRecord, baselines: Mapping[str, str]) -> Cells:
    """The cells of a design; `baselines` are those that the rows of effects name."""
    factors = tuple(factor["name"] for factor in design["factors"])
    frame = pd.DataFrame([{**cell["levels"], UNIT: cell["unit"]} for cell in design["cells"]])
    levels = {factor["name"]: tuple(factor["levels"]) for factor in design["factors"]}
    planned = {factor["name"]: factor["baseline"] for factor in design["factors"]}
    return Cells(frame, factors, levels, {**planned, **baselines})


def combinations(cells: Cells, row: Mapping[str, Any]) -> list[Combination]:
    """The combinations that the row of an effect averages with equal weight."""
    estimand = row["estimand"]
    if estimand == "interaction":
        return _quadruples(cells, row)
    if estimand == "configuration":
        return [[_configuration(cells, row["levels"], row["against"])]]
    if estimand == "trend":
        return [[part] for part in _trend(cells, row["factor"], row["weights"])]
    if estimand == "shapley":
        return [[part] for part in _over_orders(cells, row)]
    pairs = _pairs(cells, row, _keeping_others(cells, row))
    return [[_difference([a], [b]) for a in plus for b in minus] for plus, minus in pairs]


def _keeping_others(cells: Cells, row: Mapping[str, Any]) -> pd.DataFrame:
    """The cells whose other factors, where they exist, are where the estimand wants them."""
    frame = cells.frame
    if row["estimand"] == "average":
        return frame
    keep = pd.Series(True, index=frame.index)
    for other in cells.factors:
        if other == row["factor"]:
            continue
        conditional = other in cells.absent
        if conditional and cells.baselines[other] == NOT_SET:
            continue  # one level where it exists, which has no baseline to be away from
        at = frame[other] == cells.baselines[other]
        anywhere = frame[other].eq(NOT_SET) & conditional
        keep &= anywhere | (at if row["estimand"] == "baseline" else ~at)
    return frame[keep]


def _pairs(
    cells: Cells, row: Mapping[str, Any], frame: pd.DataFrame
) -> list[tuple[list[str], list[str]]]:
    """Units at the level and at the baseline that agree in everything else that both have."""
    factor, level, baseline = row["factor"], row["level"], row["baseline"]
    dropped = {factor, *cells.joining(factor, level, baseline)}
    rest = [name for name in cells.factors if name not in dropped]
    sides: list[dict[tuple[str, ...], list[str]]] = []
    for chosen in (level, baseline):
        side: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for record in frame[frame[factor] == chosen].to_dict("records"):
            side[tuple(record[name] for name in rest)].append(record[UNIT])
        sides.append(side)
    return [(sides[0][key], sides[1][key]) for key in sides[0] if key in sides[1]]


def _difference(plus: Sequence[str], minus: Sequence[str], times: float = 1.0) -> Weights:
    """The mean of some units minus that of others; units on both sides cancel."""
    weights: Weights = defaultdict(float)
    for units, sign in ((plus, times), (minus, -times)):
        for unit in units:
            weights[unit] += sign / len(units)
    return {unit: weight for unit, weight in weights.items() if abs(weight) > 1e-12}


def _added(parts: Sequence[Weights]) -> Weights:
    weights: Weights = defaultdict(float)
    for part in parts:
        for unit, weight in part.items():
            weights[unit] += weight
    return {unit: weight for unit, weight in weights.items() if abs(weight) > 1e-12}


def _over_orders(cells: Cells, row: Mapping[str, Any]) -> list[Weights]:
    """One combination: the gain of the level in every order in which levels are switched on."""
    count, parts = len(cells.factors), []
    by_unit = {
        record[UNIT]: sum(record[name] != cells.baselines[name] for name in cells.factors)
        for record in cells.frame.to_dict("records")
    }
    for plus, minus in _pairs(cells, row, cells.frame):
        before = by_unit[minus[0]]
        share = factorial(before) * factorial(count - 1 - before) / factorial(count)
        parts.append(_difference(plus, minus, share))
    return [_added(parts)]


def _quadruples(cells: Cells, row: Mapping[str, Any]) -> list[Combination]:
    """Differences of differences over the combinations of the rest that have all four corners.

    A factor that exists at one level of the two only is the same in both corners of that level.
    """
    first, second = _two_factors(cells, row)
    with_first = cells.joining(first.name, first.level, first.baseline)
    with_second = cells.joining(second.name, second.level, second.baseline)
    dropped = {first.name, second.name, *with_first, *with_second}
    rest = [name for name in cells.factors if name not in dropped]
    corners: dict[tuple[str, ...], dict[tuple[str, str], list[Mapping[Any, Any]]]]
    corners = defaultdict(lambda: defaultdict(list))
    for record in cells.frame.to_dict("records"):
        place = corners[tuple(record[name] for name in rest)]
        place[record[first.name], record[second.name]].append(record)
    made = []
    for there in corners.values():
        chosen = product(
            there[first.level, second.level],
            there[first.baseline, second.level],
            there[first.level, second.baseline],
            there[first.baseline, second.baseline],
        )
        made.append(
            [
                _added([_difference([a[UNIT]], [b[UNIT]]), _difference([d[UNIT]], [c[UNIT]])])
                for a, b, c, d in chosen
                if _alike(with_first, (a, c), (b, d)) and _alike(with_second, (a, b), (c, d))
            ]
        )
    return [combination for combination in made if combination]


def _alike(names: Sequence[str], *pairs: tuple[Mapping[Any, Any], Mapping[Any, Any]]) -> bool:
    """Whether both cells of every pair have the same levels of these factors."""
    return all(one[name] == other[name] for name in names for one, other in pairs)


@dataclass(frozen=True)
class _Compared:
    """One side of an interaction."""

    name: str
    level: str
    baseline: str


def _two_factors(cells: Cells, row: Mapping[str, Any]) -> tuple[_Compared, _Compared]:
    """The two factors of a row "a:b"; names and levels may contain colons themselves."""
    for first in cells.factors:
        for second in cells.factors:
            if f"{first}:{second}" != row["factor"]:
                continue
            baseline = (cells.baselines[first], cells.baselines[second])
            for level in cells.levels[first]:
                for other in cells.levels[second]:
                    if f"{level}:{other}" == row["level"]:
                        return (
                            _Compared(first, level, baseline[0]),
                            _Compared(second, other, baseline[1]),
                        )
    raise ValueError(f"no two factors make {row['factor']} at {row['level']}")


def _trend(cells: Cells, factor: str, weights: Sequence[float]) -> list[Weights]:
    """Weighted levels of a factor over the combinations of the rest that have all of them."""
    levels = [n for n in cells.levels[factor] if not (n == NOT_SET and factor in cells.absent)]
    rest = [name for name in cells.factors if name != factor]
    units: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for record in cells.frame.to_dict("records"):
        units[tuple(record[name] for name in rest)][record[factor]] = record[UNIT]
    return [
        _added([{there[level]: weight} for level, weight in zip(levels, weights, strict=True)])
        for there in units.values()
        if all(level in there for level in levels)
    ]


def _configuration(cells: Cells, levels: Mapping[str, str], against: Mapping[str, str]) -> Weights:
    """A cell against the baseline cell."""
    plus, minus = _unit_of(cells, levels), _unit_of(cells, against)
    return _difference([plus], [minus]) if plus and minus else {}


def _unit_of(cells: Cells, levels: Mapping[str, str]) -> str | None:
    here = np.logical_and.reduce(
        [(cells.frame[name] == levels[name]).to_numpy() for name in cells.factors]
    )
    units = cells.frame.loc[here, UNIT]
    return None if units.empty else str(units.iloc[0])


def over_all(parts: Sequence[Combination]) -> Weights:
    """The mean over all combinations, each the mean of its ways."""
    means = [_mean(ways) for ways in parts]
    return _mean(means)


def _mean(parts: Sequence[Weights]) -> Weights:
    return {unit: weight / len(parts) for unit, weight in _added(parts).items()}


def complete_in(parts: Sequence[Combination], *contexts: set[str]) -> list[Combination]:
    """The combinations, with the ways of which all these contexts have every unit."""
    kept = [[way for way in ways if all(way.keys() <= c for c in contexts)] for ways in parts]
    return [ways for ways in kept if ways]


def in_context(parts: Sequence[Combination], there: set[str]) -> tuple[Weights, int] | None:
    """The mean over the combinations that a context has complete, and their number.

    None for a context that has none in which the two sides are different runs.
    """
    complete = complete_in(parts, there)
    different = any(way for ways in complete for way in ways)
    return (over_all(complete), len(complete)) if different else None
