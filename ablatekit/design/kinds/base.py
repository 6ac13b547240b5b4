"""What a kind of design is: the rule that chooses the cells of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel

from ablatekit.design.cells import CellLevels
from ablatekit.errors import Problem
from ablatekit.plugins import made
from ablatekit.study.factors import Factor
from ablatekit.study.schema import DesignPart
from ablatekit.study.yaml_source import Node


@runtime_checkable
class DesignKind(Protocol):
    """How the cells of a study are chosen; registered under `ablatekit.designs`.

    A kind is made from its own part of the study file, `settings`, and is asked about the factors
    of that study. Cells are given in an order that the part and the factors alone decide.
    """

    name: ClassVar[str]
    settings: ClassVar[type[BaseModel]]

    def problems(self, factors: Sequence[Factor], source: Node) -> Iterator[Problem]:
        """Mistakes of the part that only the factors show, at their places in the study file.

        The part lies at `("design",)` of `source`.
        """

    def size(self, factors: Sequence[Factor]) -> int:
        """Number of cells, found without listing them: a design may be too large to be listed."""

    def cells(self, factors: Sequence[Factor]) -> Iterator[CellLevels]:
        """The cells, each once, each with a level of every factor; exclusions are not applied."""

    def says(self, factors: Sequence[Factor], cells: Sequence[CellLevels]) -> Iterator[str]:
        """What `cells`, those that are left after exclusions, cannot estimate by themselves."""


def design_kind(part: DesignPart) -> DesignKind:
    """The kind of design that a study names; PluginError if it does not fulfil the contract."""
    kind: DesignKind = made("design", part.kind, DesignKind, part)
    return kind
