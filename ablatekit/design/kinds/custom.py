"""A design whose cells are listed in the study file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import BaseModel, Field

from ablatekit.design.cells import CellLevels, as_yaml, baseline_cell, unpaired_levels
from ablatekit.errors import Problem
from ablatekit.study.factors import Factor
from ablatekit.study.names import check_combination, named_levels
from ablatekit.study.schema import Scalar, StudyPart
from ablatekit.study.yaml_source import Node


class CustomSettings(StudyPart):
    """Exactly the listed cells; a factor that a cell does not name is at its baseline."""

    cells: list[dict[str, Scalar]] = Field(min_length=1)
    """One mapping factor -> level for each cell."""


class CustomDesign:
    """What can be estimated is decided by the list alone."""

    name: ClassVar[str] = "custom"
    settings: ClassVar[type[BaseModel]] = CustomSettings

    def __init__(self, settings: CustomSettings) -> None:
        self._listed = settings.cells

    def problems(self, factors: Sequence[Factor], source: Node) -> Iterator[Problem]:
        """Unknown factors and levels, else cells that are listed twice."""
        unknown = [
            problem
            for index, listed in enumerate(self._listed)
            for problem in check_combination(listed, ("design", "cells", index), source, factors)
        ]
        yield from unknown or self._repeated(factors, source)

    def _repeated(self, factors: Sequence[Factor], source: Node) -> Iterator[Problem]:
        first: dict[tuple[str, ...], int] = {}
        for index, cell in enumerate(self.cells(factors)):
            earlier = first.setdefault(tuple(cell.values()), index)
            if earlier != index:
                where = source.where_value(("design", "cells", index))
                remedy = f"It is the same as cell {earlier + 1} of the list; remove one"
                yield Problem("a cell is listed twice", as_yaml(cell), remedy, where)

    def size(self, factors: Sequence[Factor]) -> int:  # noqa: ARG002
        """The length of the list."""
        return len(self._listed)

    def cells(self, factors: Sequence[Factor]) -> Iterator[CellLevels]:
        """The listed cells, completed with baselines, in their order."""
        baseline = baseline_cell(factors)
        for listed in self._listed:
            yield {**baseline, **named_levels(listed, factors)}

    def says(self, factors: Sequence[Factor], cells: Sequence[CellLevels]) -> Iterator[str]:
        """Levels that the list leaves without a partner."""
        return unpaired_levels(factors, cells)
