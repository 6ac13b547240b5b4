"""The full factorial: every combination of levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import ClassVar

from pydantic import BaseModel

from ablatekit.design.cells import CellLevels, full_factorial, unpaired_levels
from ablatekit.errors import Problem
from ablatekit.study.factors import Factor
from ablatekit.study.schema import StudyPart
from ablatekit.study.yaml_source import Node


class FullSettings(StudyPart):
    """Every combination of levels that `exclude` does not forbid."""


class FullDesign:
    """Every effect and every interaction can be estimated, as far as exclusions leave the cells."""

    name: ClassVar[str] = "full"
    settings: ClassVar[type[BaseModel]] = FullSettings

    def __init__(self, settings: FullSettings) -> None:
        self._settings = settings

    def problems(self, factors: Sequence[Factor], source: Node) -> Iterator[Problem]:  # noqa: ARG002
        """None: any factors can be crossed."""
        return iter(())

    def size(self, factors: Sequence[Factor]) -> int:
        """The product of the numbers of levels."""
        return prod(len(factor.levels) for factor in factors)

    def cells(self, factors: Sequence[Factor]) -> Iterator[CellLevels]:
        """Every combination; the last factor varies fastest."""
        return full_factorial(factors)

    def says(self, factors: Sequence[Factor], cells: Sequence[CellLevels]) -> Iterator[str]:
        """Levels that exclusions leave without a partner."""
        return unpaired_levels(factors, cells)
