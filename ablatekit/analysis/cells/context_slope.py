"""One contrast with a random intercept and a random slope per context, by Kenward and Roger.

For contrast row r of the fixed effects beta (p,) and its column c = X r / (r'r),

    y = X beta + a_k + b_k c + e,  a_k ~ N(0, s_a^2),  b_k ~ N(0, s_b^2),  k = 1..C contexts,

so that context k has the contrast r'beta + b_k. Fixed effects are projected out once: with M the
residual maker of X and Z = [contexts, c in contexts], REML needs only Z'MZ (2C, 2C), Z'My and
y'My, and Kenward-Roger for one row only vectors of length 2C. On a balanced design with s_b > 0 it
is the t over per-context values with C - 1 df.

Source: Kenward & Roger 1997 (Biometrics 53), sections 2 to 4, for one linear function; for one row
their scale is 1 and their df are 2 v^2 / (h'W h).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.values import RunValues
from ablatekit.errors import NotEstimableError

if TYPE_CHECKING:
    from ablatekit.analysis.engine.criterion import Criterion

SINGULAR = 1e-10
OUTSIDE = 1e-8
LARGEST_RATIO = 1e8
"""Of mean squares between contexts over the residual one; beyond it theta is not computable."""


@dataclass(frozen=True)
class UnitSums:
    """Runs grouped by unit and context: `count` and `total` (U, C) about the mean of all runs.

    `squares` is the sum of squares about that mean. `rows` (U, p) are the units' fixed effects, or
    None where every unit has a mean of its own (p = U); `inverse` is (X'X)^-1, or its diagonal
    then, and `rank` the rank of X.
    """

    count: Floats
    total: Floats
    squares: float
    rows: Floats | None
    inverse: Floats
    rank: int

    def fitted(self, beta: Floats) -> Floats:
        """X beta per unit, (U, ...)."""
        return beta if self.rows is None else self.rows @ beta

    def crossed(self, sums: Floats) -> Floats:
        """X' applied to sums per unit, (p, ...)."""
        return sums if self.rows is None else self.rows.T @ sums

    def solve(self, right: Floats) -> Floats:
        """(X'X)^-1 applied to (p, ...)."""
        return np.asarray((self.inverse * right.T).T if self.rows is None else self.inverse @ right)


@dataclass(frozen=True, kw_only=True)
class SlopeEstimate:
    """r'beta with its adjusted standard error and df; `tau` is the sd of the slopes."""

    estimate: float
    se: float
    df: float
    tau: float


def unit_sums(values: RunValues, layout: Layout, rows: Floats | None) -> UnitSums:
    """Group the runs; the columns of `rows` (U, p) span the constant."""
    shape = (len(layout.units), len(layout.contexts))
    group = values.unit * shape[1] + values.context
    y = values.y - values.y.mean() if len(values.y) else values.y
    count = np.bincount(group, minlength=shape[0] * shape[1]).astype(float).reshape(shape)
    total = np.bincount(group, weights=y, minlength=count.size).astype(float).reshape(shape)
    mass = count.sum(axis=1)
    if rows is None:
        inverse = np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0)
        rank = int((mass > 0).sum())
    else:
        inverse = np.linalg.pinv(rows.T @ (mass[:, None] * rows), rcond=SINGULAR, hermitian=True)
        rank = int(np.linalg.matrix_rank(rows[mass > 0]))
    return UnitSums(count, total, float(y @ y), rows, inverse, rank)


def context_slope(sums: UnitSums, row: Floats, *, balanced: bool = False) -> SlopeEstimate:
    """The contrast `row` (p,) over contexts like these.

    balanced: every context is equally precise, so that mean squares are a start next to the
    optimum. Raises NotEstimableError when the runs do not determine the contrast or its error.
    """
    from ablatekit.analysis.engine.fit import EVERY_START  # the engine imports scipy.optimize
    from ablatekit.analysis.engine.optimise import optimise

    there = sums.count.any(axis=0)
    count, total = sums.count[:, there], sums.total[:, there]
    solved = sums.solve(row)
    if np.abs(sums.crossed(count.sum(axis=1) * sums.fitted(solved)) - row).max() > OUTSIDE:
        raise NotEstimableError("the runs of all contexts together do not determine the contrast")
    column = sums.fitted(row) / (row @ row)
    xz = sums.crossed(np.hstack([count, column[:, None] * count]))
    zy = np.concatenate([total.sum(axis=0), column @ total])
    xy = sums.crossed(total.sum(axis=1))
    projected = sums.solve(xz)
    zmz, zmy = _crossed(count, column) - xz.T @ projected, zy - projected.T @ xy
    df = int(count.sum()) - sums.rank
    if df < 1:
        raise NotEstimableError("no residual degree of freedom is left")
    criterion = _criterion(zmz, zmy, sums.squares - float(xy @ sums.solve(xy)), df)
    start = _mean_square_start(zmz, zmy, criterion) if balanced else None
    state, _, _ = optimise(criterion, EVERY_START if start is None else (start,))
    weights = criterion.t_matrix(state, criterion.inverse(state))
    beta = sums.solve(xy - xz @ (weights @ zmy))
    sigma2 = state.r2 / df
    gamma = np.square([factor[0, 0] for factor in state.factors])
    variance, ddf = _kenward_roger(zmz, weights, xz.T @ solved, float(row @ solved), gamma, df)
    return SlopeEstimate(
        estimate=float(row @ beta),
        se=float(np.sqrt(sigma2 * variance)),
        df=ddf,
        tau=float(np.sqrt(sigma2 * gamma[1])),
    )


def _crossed(count: Floats, column: Floats) -> Floats:
    """Z'Z (2C, 2C): intercepts, then slopes, each block diagonal."""
    zero, one, two = (count.T @ column**power for power in (0, 1, 2))
    return np.block([[np.diag(zero), np.diag(one)], [np.diag(one), np.diag(two)]])


def _criterion(zmz: Floats, zmy: Floats, ymy: float, df: int) -> Criterion:
    """The REML criterion as that of a model without fixed effects on n - p error contrasts."""
    from ablatekit.analysis.engine.criterion import Criterion
    from ablatekit.analysis.engine.sufficient import CrossProducts

    contexts = len(zmy) // 2
    blocks = CrossProducts(
        n=df,
        p=0,
        order=(0, 1),
        shapes=((contexts, 1), (contexts, 1)),
        eliminated=0,
        a11=np.empty((0, 0, 0)),
        a21=(),
        a22=(zmz + zmz.T) / 2.0,
        a1x=np.empty((0, 0, 1)),
        a2x=zmy[:, None],
        axx=np.array([[ymy]]),
    )
    return Criterion(blocks, True, 0.0)


def _mean_square_start(zmz: Floats, zmy: Floats, criterion: Criterion) -> Floats | None:
    """Standard deviations (2,) of intercepts and slopes over sigma from their mean squares.

    With equal contexts and c orthogonal to them these are the REML estimates, pooling aside. None
    when nothing is left for the residual, or so little that the ratio is rounding error.
    """
    half = len(zmy) // 2
    between = half - 1
    left = criterion.df - 2 * between
    residual = float(criterion.blocks.axx[0, 0] - zmy @ np.linalg.pinv(zmz, hermitian=True) @ zmy)
    if left < 1 or residual <= 0.0:
        return None
    size = np.array([np.trace(zmz[:half, :half]), np.trace(zmz[half:, half:])]) / between
    squares = np.square(zmy.reshape(2, half)).sum(axis=1) / size / between
    ratio = squares / (residual / left)
    if (ratio > LARGEST_RATIO).any():
        return None
    return np.asarray(np.sqrt(np.maximum(ratio - 1.0, 0.0) / size))


def _kenward_roger(
    zmz: Floats, weights: Floats, f: Floats, plain: float, gamma: Floats, df: int
) -> tuple[float, float]:
    """Adjusted variance of r'beta at sigma = 1, and its df.

    weights T = (G^-1 + Z'MZ)^-1; f = Z'X (X'X)^-1 r; plain = r'(X'X)^-1 r. With q = Phi r and
    P = V^-1 - V^-1 X Phi X'V^-1: v = r'Phi r, h_i = q'X'V^-1 V_i V^-1 X q, and B_ij =
    q'X'V^-1 V_i P V_j V^-1 X q. The residual part follows from V = V_0 + sum_i g_i V_i.
    """
    half = len(f) // 2
    zpz = zmz - zmz @ weights @ zmz
    r = f - zmz @ (weights @ f)
    v = plain + float(f @ weights @ f)
    blocks = (slice(0, half), slice(half, None))
    h = np.array([r[part] @ r[part] for part in blocks])
    b = np.array([[r[i] @ zpz[i, j] @ r[j] for j in blocks] for i in blocks])
    traces = np.array([[np.square(zpz[i, j]).sum() for j in blocks] for i in blocks])
    single = np.array([np.trace(zpz[i, i]) for i in blocks])
    whole_h = np.append(v - gamma @ h, h)
    whole_b = _bordered(b, -b @ gamma, float(gamma @ b @ gamma))
    border = single - traces @ gamma
    whole_traces = _bordered(traces, border, float(df - single @ gamma - border @ gamma))
    smallest = np.abs(np.linalg.eigvalsh(whole_traces)).min()
    w = 2.0 * (np.linalg.pinv if smallest < SINGULAR else np.linalg.inv)(whole_traces)
    adjusted = v + 2.0 * float((w * whole_b).sum())
    return adjusted, 2.0 * v**2 / float(whole_h @ w @ whole_h)


def _bordered(matrix: Floats, border: Floats, corner: float) -> Floats:
    """The residual parameter's row and column first."""
    return np.block([[np.array([[corner]]), border[None, :]], [border[:, None], matrix]])
