"""The cells of a design: which combinations of factor levels are run, and which are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

from ablatekit.errors import Problem, StudyError
from ablatekit.study.factors import Factor
from ablatekit.study.load import LoadedStudy
from ablatekit.study.names import named_levels
from ablatekit.study.scalars import PLAIN_WORD, scalar_text
from ablatekit.study.schema import CustomDesign

CellLevels: TypeAlias = Mapping[str, str]
"""Level names by factor."""

MAX_RUNS = 100_000


@dataclass(frozen=True, slots=True)
class Crossing:
    """Cells in the order of the study file, with what was left out and what is worth a warning."""

    cells: tuple[CellLevels, ...]
    excluded: tuple[CellLevels, ...]
    warnings: tuple[str, ...] = ()


def cross(loaded: LoadedStudy) -> Crossing:
    """The cells of a study's design without its exclusions.

    Raises StudyError when the design is too large, lists a cell twice, loses every cell or every
    cell of a level to exclusions.
    """
    _check_size(loaded)
    candidates = tuple(_candidates(loaded))
    exclusions = [named_levels(one, loaded.factors) for one in loaded.study.exclude]
    kept = tuple(cell for cell in candidates if not _matches_any(cell, exclusions))
    excluded = tuple(cell for cell in candidates if _matches_any(cell, exclusions))
    _check_levels_left(loaded, kept)
    return Crossing(kept, excluded, tuple(_warnings(loaded, candidates, kept, exclusions)))


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


def _matches_any(cell: CellLevels, parts: Sequence[CellLevels]) -> bool:
    return any(matches(cell, part) for part in parts)


def _candidates(loaded: LoadedStudy) -> Iterator[CellLevels]:
    design = loaded.study.design
    if not isinstance(design, CustomDesign):
        yield from full_factorial(loaded.factors)
        return
    seen: dict[tuple[str, ...], int] = {}
    for index, given in enumerate(design.cells):
        cell = {**baseline_cell(loaded.factors), **named_levels(given, loaded.factors)}
        first = seen.setdefault(tuple(cell.values()), index)
        if first != index:
            where = loaded.where("design", "cells", index)
            remedy = f"It is the same as cell {first + 1} of the list; remove one"
            raise StudyError(Problem("a cell is listed twice", as_yaml(cell), remedy, where))
        yield cell


def _check_size(loaded: LoadedStudy) -> None:
    study = loaded.study
    is_custom = isinstance(study.design, CustomDesign)
    cells = (
        len(study.design.cells)
        if isinstance(study.design, CustomDesign)
        else prod(len(factor.levels) for factor in loaded.factors)
    )
    runs = cells * prod(len(variable.levels) for variable in loaded.contexts) * study.replicates
    if runs > MAX_RUNS:
        remedy = f"At most {MAX_RUNS} runs: use fewer levels, contexts or replicates"
        where = loaded.where_key("design" if is_custom else "factors")
        raise StudyError(Problem("the design is too large", f"{runs} runs", remedy, where))


def _check_levels_left(loaded: LoadedStudy, cells: Sequence[CellLevels]) -> None:
    if not cells:
        remedy = "Remove or narrow an exclusion"
        where = loaded.where_key("exclude")
        raise StudyError(Problem("every cell of the design is excluded", "", remedy, where))
    problems = []
    for factor in loaded.factors:
        for level in factor.levels:
            if not any(cell[factor.name] == level.name for cell in cells):
                rule = f"no cell of the design has level {level.name!r} of factor {factor.name!r}"
                remedy = "Remove the level, or let a cell have it"
                problems.append(Problem(rule, "", remedy, loaded.source.where_key(level.loc)))
    if problems:
        raise StudyError(*problems)


def _warnings(
    loaded: LoadedStudy,
    candidates: Sequence[CellLevels],
    kept: Sequence[CellLevels],
    exclusions: Sequence[CellLevels],
) -> Iterator[str]:
    if baseline_cell(loaded.factors) not in kept:
        yield "the design has no baseline cell: effects at the baseline cannot be estimated"
    for exclusion in exclusions:
        if not any(matches(cell, exclusion) for cell in candidates):
            yield f"the exclusion {as_yaml(exclusion)} matches no cell of the design"
