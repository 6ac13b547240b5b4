"""The design as arrays: cells as mixed-radix codes, the units that they share, and the contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ablatekit.analysis.core.arrays import Integers
from ablatekit.design.plan import Plan, PlannedFactor

NO_CONTEXT = "all runs"


def context_label(context: Mapping[str, str]) -> str:
    """The values of the blocking variables, in their order."""
    return " / ".join(context.values()) or NO_CONTEXT


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """A count with its noun."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


@dataclass(frozen=True)
class Layout:
    """Cells, units and contexts of a study.

    `cells` (K, F) holds level indices, `cell_unit` (K,) the index into `units` of the condition
    that each cell shares. A cell's code is its mixed-radix number, so that replacing one level is
    one addition.
    """

    factors: tuple[PlannedFactor, ...]
    cells: Integers
    cell_unit: Integers
    units: tuple[str, ...]
    contexts: tuple[str, ...]
    blocks: Mapping[str, tuple[str, ...]]
    replicates: int

    @cached_property
    def sizes(self) -> Integers:
        """Number of levels per factor, (F,)."""
        return np.array([len(factor.levels) for factor in self.factors], dtype=np.int64)

    @cached_property
    def strides(self) -> Integers:
        """What one step of each factor's level adds to a code, (F,)."""
        return np.append(np.cumprod(self.sizes[:0:-1])[::-1], 1).astype(np.int64)

    @cached_property
    def baselines(self) -> Integers:
        """Index of each factor's baseline level, (F,)."""
        indices = [factor.levels.index(factor.baseline) for factor in self.factors]
        return np.array(indices, dtype=np.int64)

    @cached_property
    def codes(self) -> Integers:
        """Code of every planned cell, (K,)."""
        return np.asarray(self.cells @ self.strides, dtype=np.int64)

    @cached_property
    def unit_of(self) -> dict[int, int]:
        """Unit index by cell code."""
        return dict(zip(self.codes.tolist(), self.cell_unit.tolist(), strict=True))

    @cached_property
    def unit_cells(self) -> Integers:
        """The first cell of every unit, which stands for the unit where one cell must, (U, F)."""
        first = [int(np.flatnonzero(self.cell_unit == unit)[0]) for unit in range(len(self.units))]
        return self.cells[first]

    @property
    def grid_size(self) -> int:
        """Number of combinations of all levels."""
        return int(np.prod(self.sizes))

    @property
    def complete(self) -> bool:
        """Whether every combination is a cell of its own."""
        return len(self.units) == self.grid_size

    def decode(self, codes: Integers) -> Integers:
        """Level indices (..., F) of cell codes (...)."""
        return np.asarray((codes[..., None] // self.strides) % self.sizes, dtype=np.int64)

    def level(self, factor: int, index: int) -> str:
        return self.factors[factor].levels[index]

    def cell_label(self, levels: Sequence[int] | Integers, without: Sequence[int] = ()) -> str:
        """A cell as text, such as `advantage=none, rollouts=4`."""
        parts = (
            f"{factor.name}={factor.levels[int(levels[number])]}"
            for number, factor in enumerate(self.factors)
            if number not in without
        )
        return ", ".join(parts)

    def unit_label(self, unit: int) -> str:
        return self.cell_label(self.unit_cells[unit])


def layout(plan: Plan) -> Layout:
    """The arrays of a plan; units and contexts keep the order of the plan."""
    index = [{level: i for i, level in enumerate(factor.levels)} for factor in plan.factors]
    names = [factor.name for factor in plan.factors]
    cells = [[index[i][cell.levels[name]] for i, name in enumerate(names)] for cell in plan.cells]
    units = tuple(dict.fromkeys(cell.unit for cell in plan.cells))
    number = {unit: i for i, unit in enumerate(units)}
    contexts = plan.contexts or ({},)
    variables = tuple(contexts[0])
    return Layout(
        factors=plan.factors,
        cells=np.array(cells, dtype=np.int64).reshape(len(cells), len(names)),
        cell_unit=np.array([number[cell.unit] for cell in plan.cells], dtype=np.int64),
        units=units,
        contexts=tuple(context_label(context) for context in contexts),
        blocks={name: tuple(context[name] for context in contexts) for name in variables},
        replicates=plan.replicates,
    )


def level_units(layout: Layout, factor: int, level: int) -> Integers:
    """Units that have a cell at this level, in their order."""
    return np.unique(layout.cell_unit[layout.cells[:, factor] == level])
