"""Cells of a design: combinations of factor levels, as every kind of design uses them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TypeAlias

from ablatekit.study.factors import Factor
from ablatekit.study.scalars import PLAIN_WORD, scalar_text

CellLevels: TypeAlias = Mapping[str, str]
"""Level names by factor."""


def full_factorial(factors: Sequence[Factor]) -> Iterator[CellLevels]:
    """Every combination of levels; the last factor varies fastest."""
    names = [factor.name for factor in factors]
    for levels in product(*(factor.level_names for factor in factors)):
        yield dict(zip(names, levels, strict=True))


def matches(cell: CellLevels, part: CellLevels) -> bool:
    """Whether `cell` has every level that `part` names."""
    return all(cell[factor] == level for factor, level in part.items())


def baseline_cell(factors: Sequence[Factor]) -> CellLevels:
    """The cell with every factor at its baseline."""
    return {factor.name: factor.baseline for factor in factors}


def as_yaml(levels: CellLevels) -> str:
    """Levels as a YAML flow mapping that can be pasted into a study file."""
    return "{" + ", ".join(f"{name}: {_level_text(level)}" for name, level in levels.items()) + "}"


def _level_text(level: str) -> str:
    """Levels are found by name, so one that reads as a number or a boolean needs no quotes."""
    return level if PLAIN_WORD.fullmatch(level) else scalar_text(level)


def unpaired_levels(factors: Sequence[Factor], cells: Sequence[CellLevels]) -> Iterator[str]:
    """For each factor the levels that no pair of cells compares with the baseline alone."""
    for factor in factors:
        beside_baseline = {
            _rest(cell, factor) for cell in cells if cell[factor.name] == factor.baseline
        }
        paired = {cell[factor.name] for cell in cells if _rest(cell, factor) in beside_baseline}
        unpaired = [level for level in factor.level_names if level not in paired]
        if unpaired and beside_baseline:
            yield (
                f"{factor.name}: no two cells differ in {', '.join(unpaired)} against "
                f"{factor.baseline} alone; such an effect assumes that interactions are absent"
            )


def _rest(cell: CellLevels, factor: Factor) -> tuple[str, ...]:
    return tuple(level for name, level in cell.items() if name != factor.name)
