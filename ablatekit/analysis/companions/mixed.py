"""The mixed-model companion: every average effect with contexts as a sample, by Kenward and Roger.

For the runs at a level and at its baseline, in the contexts that have the contrast,

    y = X beta + sum_v (a_v + b_v c) + e,  a_v ~ N(0, s_av^2),  b_v ~ N(0, s_bv^2),

v being the blocking variables, c = +-1/2 at the level and at the baseline, and X beta the cell
means (or the terms of a truncated model), common to all contexts. Variables with two levels have no
variance worth estimating: they and their product with c are fixed. The row is r'beta with the
weights that the average effect has over cells and contexts.

Fixed effects are projected out once: with M the residual maker of X, REML needs only Z'MZ (q, q),
Z'My and y'My, and Kenward-Roger for one row only vectors of length q.

Source: Kenward & Roger 1997 (Biometrics 53), sections 2 to 4, for one linear function; for one row
their scale is 1 and their df are 2 v^2 / (h'W h).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ablatekit.analysis.cells.broad import FEWEST_LEVELS, few_levels
from ablatekit.analysis.cells.effects import Evaluated, Fitted
from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.numbers import number, whole
from ablatekit.analysis.core.schema.companions import MixedCompanion, MixedEffect, MixedVariance
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.student import t_quantile, two_sided
from ablatekit.analysis.core.values import ContextValues
from ablatekit.errors import NotEstimableError

if TYPE_CHECKING:
    from ablatekit.analysis.engine.criterion import Criterion

FEWEST_DF = 2.0 - 1e-9
"""Two, whatever the rounding of a design's whole df."""
SINGULAR = 1e-10
OUTSIDE = 1e-8
MOST_WORK = 2e8
"""Multiplications of one projection, cells times fixed effects squared."""
INTERCEPT, SLOPE, RESIDUAL = "(Intercept)", "c", "Residual"


@dataclass(frozen=True)
class Blocking:
    """One blocking variable over the contexts: the level of each (C,), and its levels."""

    name: str
    level: Integers
    levels: int


@dataclass(frozen=True)
class Projected:
    """The groups of runs after the fixed effects: Z'MZ (q, q), Z'My (q,), y'My, and residual df.

    `row` (G,) gives r'beta = row'(y - Z u) of weighted group means; `f` (q,) = Z' row; `terms` are
    the columns of every random term.
    """

    zmz: Floats
    zmy: Floats
    ymy: float
    df: int
    y: Floats
    z: Floats
    row: Floats
    terms: tuple[slice, ...]


@dataclass(frozen=True)
class ContrastFit:
    """r'beta with its adjusted standard error and df; variances of the terms, then residual."""

    estimate: float
    se: float
    df: float
    variances: tuple[float, ...]


def mixed_companion(
    fitted: Fitted, average: Sequence[Evaluated], alpha: float
) -> MixedCompanion | None:
    """The section of a response; None where no blocking variable varies."""
    variables = blocking_variables(fitted)
    if not variables:
        return None
    effects, random = [], []
    for effect in average:
        row, variances = _effect(fitted, effect, variables, alpha)
        effects.append(row)
        random += variances
    names = [variable.name for variable in variables]
    assumed = statement("mixed_model", variables=names, fewest=FEWEST_LEVELS)
    return MixedCompanion(effects=effects, random=random, notes=[assumed])


def blocking_variables(fitted: Fitted) -> list[Blocking]:
    """The variables that vary over contexts; of several with the same partition the first."""
    variables: list[Blocking] = []
    for name, labels in fitted.layout.blocks.items():
        first = list(dict.fromkeys(labels))
        level = np.array([first.index(label) for label in labels], dtype=np.int64)
        same = any(np.array_equal(level, other.level) for other in variables)
        if len(first) > 1 and not same:
            variables.append(Blocking(name, level, len(first)))
    return variables


def _effect(
    fitted: Fitted, effect: Evaluated, variables: Sequence[Blocking], alpha: float
) -> tuple[MixedEffect, list[MixedVariance]]:
    """One row with the variance components behind it."""
    values, contrast = effect.values, effect.contrast
    refused = values.reason or _too_few(values, variables)
    if refused is not None:
        return _row(effect, None, refused, alpha), []
    present = [_within(variable, values.used) for variable in variables]
    random = [v for v in present if v.levels >= FEWEST_LEVELS]
    try:
        projected = project(fitted, effect, random, [v for v in present if v.levels == 2])
        fit = fit_contrast(projected)
    except NotEstimableError as error:
        told = statement("model_refused", message=str(error).splitlines()[0])
        return _row(effect, None, told, alpha), []
    labels = [(v.name, part) for part in (INTERCEPT, SLOPE) for v in random]
    components = [
        MixedVariance(
            factor=contrast.factor,
            level=contrast.level,
            group=group,
            name=name,
            variance=number(variance),
            sd=number(variance**0.5),
        )
        for (group, name), variance in zip([*labels, (RESIDUAL, "")], fit.variances, strict=True)
    ]
    few = None if fit.df >= FEWEST_DF else statement("few_kenward_roger_df", df=number(fit.df))
    return _row(effect, fit, few, alpha), components


def _too_few(values: ContextValues, variables: Sequence[Blocking]) -> Statement | None:
    """The variable with the most levels that have the contrast, where they are fewer than three."""
    largest = max((_within(v, values.used) for v in variables), key=lambda v: v.levels)
    if largest.levels >= FEWEST_LEVELS:
        return None
    whole = next(v.levels for v in variables if v.name == largest.name)
    return few_levels(largest.name, largest.levels, whole)


def _within(variable: Blocking, used: Booleans) -> Blocking:
    """The variable over the contexts that have the contrast; -1 elsewhere."""
    levels, code = np.unique(variable.level[used], return_inverse=True)
    level = np.full(len(used), -1, dtype=np.int64)
    level[used] = code
    return Blocking(variable.name, level, len(levels))


def project(
    fitted: Fitted, effect: Evaluated, random: Sequence[Blocking], fixed: Sequence[Blocking]
) -> Projected:
    """Group the runs by unit and context and project the fixed effects out.

    Raises NotEstimableError when the runs do not determine the contrast, or nothing is left.
    """
    column, rows, contrast = _fixed_part(fitted, effect)
    used = effect.values.used
    count = np.where(used & (column != 0)[:, None], fitted.cells.count, 0.0)
    unit, context = np.nonzero(count)
    root, c = np.sqrt(count[unit, context]), column[unit]
    sides = [np.where(v.level == 0, -0.5, 0.5) for v in fixed]
    x = np.column_stack(
        [rows[unit], *(s[context] for s in sides), *(s[context] * c for s in sides)]
    )
    if x.shape[0] * float(x.shape[1]) ** 2 > MOST_WORK:
        raise NotEstimableError("too many cells for a mixed model of each effect")
    shifts = [float(side[used].mean()) for side in sides]
    r = np.concatenate([contrast, np.zeros(len(sides)), shifts])
    indicators = [np.eye(v.levels)[v.level[context]] for v in random]
    z = np.hstack([*indicators, *(c[:, None] * indicator for indicator in indicators)])
    starts = np.cumsum([0, *(v.levels for v in random), *(v.levels for v in random)]).tolist()
    means = fitted.cells.mean[unit, context]
    within = float(fitted.cells.squares[unit, context].sum())
    return _projected(
        root[:, None] * x,
        root[:, None] * z,
        root * (means - means.mean()),
        (r, within, int(count.sum())),
        tuple(slice(a, b) for a, b in pairwise(starts)),
    )


def _fixed_part(fitted: Fitted, effect: Evaluated) -> tuple[Floats, Floats, Floats]:
    """The coding of every unit (U,), 0 for units aside; its fixed effects (U, p); the row (p,)."""
    values, model = effect.values, fitted.model
    assert values.weights is not None
    row = values.weights[values.used].mean(axis=0)
    rows = model.unit_rows
    if rows is None:
        column = np.sign(row) / 2.0
        kept = column != 0
        return column, np.eye(len(row))[:, kept], row[kept]
    factor = effect.contrast.varied[0]
    levels = list(fitted.layout.factors[factor].levels)
    at = fitted.layout.unit_cells[:, factor]
    sides = [
        at == levels.index(label) for label in (effect.contrast.level, effect.contrast.baseline)
    ]
    return (sides[0].astype(float) - sides[1].astype(float)) / 2.0, rows, row


def _projected(
    x: Floats, z: Floats, y: Floats, aside: tuple[Floats, float, int], terms: tuple[slice, ...]
) -> Projected:
    """x (G, p), z (G, q), y (G,) weighted; aside: the row (p,), squares within groups, runs."""
    row, within, runs = aside
    u, size, vt = np.linalg.svd(x, full_matrices=False)
    rank = int((size > SINGULAR * size[0]).sum())
    u, size, vt = u[:, :rank], size[:rank], vt[:rank]
    if np.abs(vt.T @ (vt @ row) - row).max() > OUTSIDE:
        raise NotEstimableError("the runs of all contexts together do not determine the contrast")
    if runs - rank < 1:
        raise NotEstimableError("no residual degree of freedom is left")
    uz, uy = u.T @ z, u.T @ y
    return Projected(
        zmz=z.T @ z - uz.T @ uz,
        zmy=z.T @ y - uz.T @ uy,
        ymy=float(y @ y - uy @ uy) + within,
        df=runs - rank,
        y=y,
        z=z,
        row=u @ ((vt @ row) / size),
        terms=terms,
    )


def fit_contrast(projected: Projected) -> ContrastFit:
    """REML, and Kenward-Roger for the row. Raises NotEstimableError where there is no optimum."""
    from ablatekit.analysis.engine.optimise import EVERY_START, optimise  # imports scipy.linalg

    criterion = _criterion(projected)
    state, _, convergence = optimise(criterion, EVERY_START)
    if not convergence.converged:
        raise NotEstimableError("the search for the variances did not converge")
    weights = criterion.t_matrix(state, criterion.inverse(state))
    gamma = np.square([factor[0, 0] for factor in state.factors])
    sigma2 = state.r2 / projected.df
    variance, df = kenward_roger(projected, weights, gamma)
    if not variance > 0.0:
        raise NotEstimableError("Kenward and Roger's adjusted variance is not positive")
    estimate = float(projected.row @ (projected.y - projected.z @ (weights @ projected.zmy)))
    return ContrastFit(
        estimate=estimate,
        se=float(np.sqrt(sigma2 * variance)),
        df=df,
        variances=(*(sigma2 * gamma).tolist(), sigma2),
    )


def _criterion(projected: Projected) -> Criterion:
    """The REML criterion as that of a model without fixed effects on n - p error contrasts."""
    from ablatekit.analysis.engine.criterion import Criterion
    from ablatekit.analysis.engine.sufficient import CrossProducts

    shapes = tuple((term.stop - term.start, 1) for term in projected.terms)
    blocks = CrossProducts(
        n=projected.df,
        p=0,
        order=tuple(range(len(shapes))),
        shapes=shapes,
        eliminated=0,
        a11=np.empty((0, 0, 0)),
        a21=(),
        a22=(projected.zmz + projected.zmz.T) / 2.0,
        a1x=np.empty((0, 0, 1)),
        a2x=projected.zmy[:, None],
        axx=np.array([[projected.ymy]]),
    )
    return Criterion(blocks, True, 0.0)


def kenward_roger(projected: Projected, weights: Floats, gamma: Floats) -> tuple[float, float]:
    """Adjusted variance of r'beta at sigma = 1, and its df.

    weights T = (G^-1 + Z'MZ)^-1; gamma are the variances of the terms over the residual one. With
    f = Z'X (X'X)^-1 r, q = Phi r and P = V^-1 - V^-1 X Phi X'V^-1: v = r'Phi r, h_i = q'X'V^-1 V_i
    V^-1 X q, and B_ij = q'X'V^-1 V_i P V_j V^-1 X q. The residual part follows from V = V_0 +
    sum_i g_i V_i. Raises NotEstimableError where other variances give the same covariance.
    """
    zmz, terms, f = projected.zmz, projected.terms, projected.z.T @ projected.row
    zpz = zmz - zmz @ weights @ zmz
    r = f - zmz @ (weights @ f)
    v = float(projected.row @ projected.row + f @ weights @ f)
    h = np.array([r[part] @ r[part] for part in terms])
    b = np.array([[r[i] @ zpz[i, j] @ r[j] for j in terms] for i in terms])
    traces = np.array([[np.square(zpz[i, j]).sum() for j in terms] for i in terms])
    single = np.array([np.trace(zpz[i, i]) for i in terms])
    whole_h = np.append(v - gamma @ h, h)
    whole_b = _bordered(b, -b @ gamma, float(gamma @ b @ gamma))
    border = single - traces @ gamma
    corner = float(projected.df - single @ gamma - border @ gamma)
    whole_traces = _bordered(traces, border, corner)
    scale = np.sqrt(np.diag(whole_traces))
    if np.linalg.eigvalsh(whole_traces / np.outer(scale, scale))[0] < SINGULAR:
        raise NotEstimableError("the runs cannot tell the variances of the model apart")
    w = 2.0 * np.linalg.inv(whole_traces)
    adjusted = v + 2.0 * float((w * whole_b).sum())
    return adjusted, 2.0 * v**2 / float(whole_h @ w @ whole_h)


def _bordered(matrix: Floats, border: Floats, corner: float) -> Floats:
    """The residual parameter's row and column first."""
    return np.block([[np.array([[corner]]), border[None, :]], [border[:, None], matrix]])


def _row(
    effect: Evaluated, fit: ContrastFit | None, reason: Statement | None, alpha: float
) -> MixedEffect:
    """The row of one effect; a reason leaves at most the estimate."""
    estimate = fit.estimate if fit else np.nan
    se, df = (fit.se, fit.df) if fit and reason is None else (np.nan, np.nan)
    half = float(t_quantile(1 - alpha / 2, df)) * se
    return MixedEffect(
        factor=effect.contrast.factor,
        level=effect.contrast.level,
        baseline=effect.contrast.baseline,
        contexts=effect.values.contexts,
        estimate=number(estimate),
        se=number(se),
        df=whole(df),
        low=number(estimate - half),
        high=number(estimate + half),
        p=None if np.isnan(se) else number(float(two_sided(estimate / se, df))),
        reason=reason,
    )
