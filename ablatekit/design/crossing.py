"""The cells of a study: those of its kind of design, without those that it excludes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from ablatekit.design.cells import CellLevels, as_yaml, baseline_cell, matches
from ablatekit.design.kinds.base import DesignKind, design_kind
from ablatekit.errors import PluginError, Problem, StudyError
from ablatekit.study.load import LoadedStudy
from ablatekit.study.names import named_levels

MAX_RUNS = 100_000


@dataclass(frozen=True, slots=True)
class Crossing:
    """Cells in the order of the design, with what was left out and what is worth a warning.

    `notes` is what the kind of design says about the cells; the frozen plan does not hold it.
    """

    cells: tuple[CellLevels, ...]
    excluded: tuple[CellLevels, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def cross(loaded: LoadedStudy) -> Crossing:
    """The cells of a study's design without its exclusions.

    Raises StudyError when the design asks what the factors do not allow, is too large, or loses
    every cell or every cell of a level to exclusions.
    """
    kind = _kind(loaded)
    _check_size(loaded, kind)
    problems = list(kind.problems(loaded.factors, loaded.source))
    if problems:
        raise StudyError(*problems)
    candidates = tuple(kind.cells(loaded.factors))
    exclusions = [named_levels(levels, loaded.factors) for levels in loaded.study.exclude]
    kept = tuple(cell for cell in candidates if not _matches_any(cell, exclusions))
    excluded = tuple(cell for cell in candidates if _matches_any(cell, exclusions))
    _check_levels_left(loaded, kept)
    warnings = tuple(_warnings(loaded, candidates, kept, exclusions))
    return Crossing(kept, excluded, warnings, tuple(kind.says(loaded.factors, kept)))


def _kind(loaded: LoadedStudy) -> DesignKind:
    try:
        return design_kind(loaded.study.design)
    except PluginError as error:
        where = loaded.where("design", "kind")
        raise PluginError(*(problem.at(where) for problem in error.problems)) from None


def _check_size(loaded: LoadedStudy, kind: DesignKind) -> None:
    cells = kind.size(loaded.factors)
    contexts = prod(len(variable.levels) for variable in loaded.contexts)
    runs = cells * contexts * loaded.study.replicates
    if runs > MAX_RUNS:
        remedy = f"At most {MAX_RUNS} runs: use fewer levels, contexts or replicates"
        of_levels = cells == prod(len(factor.levels) for factor in loaded.factors)
        where = loaded.where_key("factors" if of_levels else "design")
        raise StudyError(Problem("the design is too large", f"{runs} runs", remedy, where))


def _matches_any(cell: CellLevels, parts: Sequence[CellLevels]) -> bool:
    return any(matches(cell, part) for part in parts)


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
