"""The design as arrays: cells as mixed-radix codes, the units that they share, and the contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ablatekit.analysis.core.arrays import Integers
from ablatekit.design.plan import BETWEEN_LEVELS, Plan, PlannedFactor

NO_CONTEXT = "all runs"
NO_BACKEND = "table"
"""The backend of a table that was brought along: nothing is known of how its values came about."""
NOT_SET = ""
"""The level of a conditional factor where it does not exist (an empty cell of a table)."""
TABLE = 2**16
"""Combinations of levels up to which their level indices are kept."""


def context_label(context: Mapping[str, str]) -> str:
    """The values of the blocking variables, in their order."""
    return BETWEEN_LEVELS.join(context.values()) or NO_CONTEXT


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """A count with its noun."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


@dataclass(frozen=True)
class Conditional:
    """A factor that exists only under some levels of another one, given by their positions.

    The factor `inner` is at its level `absent` exactly where `outer` is at none of `inside`.
    """

    inner: int
    outer: int
    inside: frozenset[int]
    absent: int


@dataclass(frozen=True)
class Layout:
    """Cells, units and contexts of a study.

    `cells` (K, F) holds level indices, `cell_unit` (K,) the index into `units` of the condition
    that each cell shares. A cell's code is its mixed-radix number, so that replacing one level is
    one addition. `planned_df` are the residual df within cells that the plan promises; None where
    the runs themselves are all that is known (a table). The baseline of a conditional factor is a
    level of those under which it exists.
    """

    factors: tuple[PlannedFactor, ...]
    cells: Integers
    cell_unit: Integers
    units: tuple[str, ...]
    contexts: tuple[str, ...]
    blocks: Mapping[str, tuple[str, ...]]
    replicates: int
    planned_df: int | None = None
    conditionals: tuple[Conditional, ...] = ()

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

    @cached_property
    def absent(self) -> Integers:
        """Index of the level at which a factor does not exist, (F,); -1 where it always does."""
        levels = np.full(len(self.factors), -1, dtype=np.int64)
        for conditional in self.conditionals:
            levels[conditional.inner] = conditional.absent
        return levels

    @cached_property
    def blocking(self) -> tuple[str, ...]:
        """The variables that conclusions may generalise over: with two or more levels, not nested.

        Of a variable nested in another (each of its levels lies in one level of that), the outer
        one counts; of two that say the same, the first.
        """
        varied = [name for name, labels in self.blocks.items() if len(set(labels)) > 1]
        return tuple(
            name
            for place, name in enumerate(varied)
            if not any(
                self._nested(name, other) and (position < place or not self._nested(other, name))
                for position, other in enumerate(varied)
                if other != name
            )
        )

    def _nested(self, inner: str, outer: str) -> bool:
        """Whether every level of one variable lies in a single level of the other."""
        pairs = set(zip(self.blocks[inner], self.blocks[outer], strict=True))
        return len(pairs) == len(set(self.blocks[inner]))

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
        if self.grid_size <= TABLE:
            return np.asarray(self._grid[codes])
        return np.asarray((codes[..., None] // self.strides) % self.sizes, dtype=np.int64)

    @cached_property
    def _grid(self) -> Integers:
        """Level indices of every combination: looking one up is faster than dividing."""
        codes = np.arange(self.grid_size)
        return np.asarray((codes[:, None] // self.strides) % self.sizes, dtype=np.int64)

    def compared(self, factor: int) -> list[int]:
        """The levels of a factor that are compared with its baseline."""
        skipped = (int(self.baselines[factor]), int(self.absent[factor]))
        return [level for level in range(int(self.sizes[factor])) if level not in skipped]

    def under(self, outers: Sequence[int]) -> list[int]:
        """The factors that exist under some levels of these only, or of factors that do."""
        inner = [pair.inner for pair in self.conditionals if pair.outer in outers]
        return [*inner, *self.under(inner)] if inner else []

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
    rows = [[index[i][cell.levels[name]] for i, name in enumerate(names)] for cell in plan.cells]
    cells = np.array(rows, dtype=np.int64).reshape(len(rows), len(names))
    units = tuple(dict.fromkeys(cell.unit for cell in plan.cells))
    number = {unit: i for i, unit in enumerate(units)}
    contexts = plan.contexts or ({},)
    conditionals = _conditionals(plan.factors, cells)
    return Layout(
        factors=_with_inner_baselines(plan.factors, conditionals),
        cells=cells,
        cell_unit=np.array([number[cell.unit] for cell in plan.cells], dtype=np.int64),
        units=units,
        contexts=tuple(context_label(context) for context in contexts),
        blocks={name: tuple(context[name] for context in contexts) for name in contexts[0]},
        replicates=plan.replicates,
        planned_df=None if plan.backend == NO_BACKEND else _planned_df(plan),
        conditionals=conditionals,
    )


def _planned_df(plan: Plan) -> int:
    """Planned runs beyond the first of every unit in every context."""
    groups = {(run.unit, context_label(run.context)) for run in plan.runs}
    return len(plan.runs) - len(groups)


def _conditionals(factors: Sequence[PlannedFactor], cells: Integers) -> tuple[Conditional, ...]:
    """Every factor that is not set exactly where another one is at some of its levels."""
    pairs = (_conditional(factors, cells, inner) for inner in range(len(factors)))
    return tuple(pair for pair in pairs if pair is not None)


def _conditional(
    factors: Sequence[PlannedFactor], cells: Integers, inner: int
) -> Conditional | None:
    if NOT_SET not in factors[inner].levels:
        return None
    absent = factors[inner].levels.index(NOT_SET)
    is_absent = cells[:, inner] == absent
    for outer in range(len(factors)):
        without = set(cells[is_absent, outer].tolist())
        inside = set(cells[~is_absent, outer].tolist())
        if outer != inner and not without & inside:
            return Conditional(inner, outer, frozenset(inside), absent)
    return None


def _with_inner_baselines(
    factors: tuple[PlannedFactor, ...], conditionals: Sequence[Conditional]
) -> tuple[PlannedFactor, ...]:
    """A baseline at which the factor is not set gives way to the first level that is.

    Where only one level exists, there is nothing to compare it with, and the baseline stays.
    """
    chosen = list(factors)
    for conditional in conditionals:
        factor = factors[conditional.inner]
        existing = [level for level in factor.levels if level != NOT_SET]
        if factor.baseline == NOT_SET and len(existing) > 1:
            chosen[conditional.inner] = replace(factor, baseline=existing[0])
    return tuple(chosen)


def level_units(layout: Layout, factor: int, level: int) -> Integers:
    """Units that have a cell at this level, in their order."""
    return np.unique(layout.cell_unit[layout.cells[:, factor] == level])
