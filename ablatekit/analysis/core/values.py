"""What models take and what they give: run values in, a contrast's value per context out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.schema.vocabulary import Statement, statement


@dataclass(frozen=True)
class RunValues:
    """One number per analysed run: `y` (N,), with the indices of its unit and its context (N,)."""

    y: Floats
    unit: Integers
    context: Integers
    run: tuple[str, ...]

    def minus(self, other: RunValues) -> RunValues:
        """The paired difference within each run that both contain."""
        theirs = dict(zip(other.run, other.y.tolist(), strict=True))
        keep = np.array([run in theirs for run in self.run], dtype=bool)
        runs = tuple(run for run in self.run if run in theirs)
        difference = self.y[keep] - np.array([theirs[run] for run in runs], dtype=float)
        kept = replace(self, unit=self.unit[keep], context=self.context[keep], run=runs)
        return replace(kept, y=difference)


@dataclass(frozen=True, kw_only=True)
class Welch:
    """Variance of a narrow estimate from its own cells, with Welch-Satterthwaite df."""

    variance: float
    df: float


@dataclass(frozen=True, kw_only=True)
class ContextValues:
    """A contrast in every context.

    `value` (C,) is NaN where a context lacks the contrast; `factor` (C,) is its variance divided by
    the residual variance, `single` (C,) the same with one run per cell; `used` (C,) marks contexts
    that have it. `pairs` (C,) counts the combinations that each context has complete, out of
    `of_pairs` in every context. `weights` is the contrast over the model's fixed effects: units
    (C, U) of the cell means, coded terms (C, p) of a truncated model. `shared` is the same contrast
    over the combinations that all used contexts have, where those differ. `size` is the largest
    value of a run: differences below its digits are rounding. `identical`: the levels are the same
    runs. A `reason` means that there is no number at all; `notes` qualify the number.
    """

    value: Floats
    factor: Floats
    single: Floats
    used: Booleans
    pairs: Integers
    of_pairs: int
    identical: bool = False
    reason: Statement | None = None
    notes: tuple[Statement, ...] = ()
    weights: Floats | None = None
    shared: ContextValues | None = None
    size: float = 0.0

    @property
    def contexts(self) -> int:
        """Number of contexts that have the contrast."""
        return int(self.used.sum())

    @property
    def mean(self) -> float:
        """The equal-weight mean over the contexts that have the contrast."""
        return float(np.mean(self.value[self.used]))


def no_values(contexts: int, reason: Statement, of_pairs: int = 0) -> ContextValues:
    """A contrast that has no value in any context."""
    nothing = np.full(contexts, np.nan)
    return ContextValues(
        value=nothing,
        factor=nothing,
        single=nothing,
        used=np.zeros(contexts, dtype=bool),
        pairs=np.zeros(contexts, dtype=np.int64),
        of_pairs=of_pairs,
        reason=reason,
    )


def identical_values(contexts: int, combinations: int) -> ContextValues:
    """A contrast whose two sides are the same runs."""
    values = no_values(contexts, statement("identical_runs"), combinations)
    return replace(values, pairs=np.full(contexts, combinations), identical=True)


@dataclass(frozen=True, kw_only=True)
class ErrorTerm:
    """The residual variance that narrow inference uses.

    With r runs per cell the residual df would be `cells * r - parameters`. `variance` is NaN, with
    its `reason`, when nothing estimates it.
    """

    variance: float
    df: int
    cells: int
    parameters: int
    method: Statement
    reason: Statement | None = None

    def df_with(self, replicates: int) -> int:
        """Residual df with `replicates` runs in every cell and context."""
        return self.cells * replicates - self.parameters


def is_zero(variance: float, scale: float) -> bool:
    """Whether a variance is rounding noise for values of this size."""
    return variance <= (1e-12 * max(scale, 1e-300)) ** 2
