"""What carries over: the effect on generalization divided by the effect on learning (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cells.broad import Scope, level_values, scopes
from ablatekit.analysis.cells.effects import Evaluated, Fitted, evaluate, fit, infer
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.numbers import number, whole
from ablatekit.analysis.core.schema.effects import CarryOverRow
from ablatekit.analysis.core.schema.vocabulary import InferenceName, statement
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.stats.inference import Estimate
from ablatekit.analysis.stats.ratio import fieller


@dataclass(frozen=True)
class _Joint:
    """Two estimates of one contrast with their (co)variances; NaN where there is none."""

    generalization: float
    learning: float
    variances: tuple[float, float]
    covariance: float
    df: float


def carry_over(
    learning: RunValues,
    generalization: RunValues,
    layout: Layout,
    order: int,
    alpha: float,
    inferences: Sequence[InferenceName],
) -> list[CarryOverRow]:
    """Ratios of average effects, from the runs that have both responses.

    Narrow, with the covariance of both within cells, and over each blocking variable, with their
    covariance over its levels. Shown where the effect on learning has p < alpha: only then is
    Fieller's set an interval.
    """
    shared = set(learning.run) & set(generalization.run)
    below, above = (fit(_only(part, shared), layout, order) for part in (learning, generalization))
    rows = []
    for ours, theirs in zip(evaluate(above, "average"), evaluate(below, "average"), strict=True):
        for inference, scope in _asked(layout, inferences):
            tested = infer(below, theirs, inference, alpha, scope)
            joint = None
            if tested.reason is None and tested.p < alpha:
                joint = _joint((above, below), (ours, theirs), inference, scope)
            rows.append(_row(theirs, inference, scope, tested, joint, alpha))
    return rows


def _asked(
    layout: Layout, inferences: Sequence[InferenceName]
) -> Iterator[tuple[InferenceName, Scope]]:
    """Narrow, and the scopes of one variable: over several, no covariance is one of a sample."""
    for inference in inferences:
        if inference == "narrow":
            yield inference, ()
        else:
            yield from ((inference, scope) for scope in scopes(layout) if len(scope) == 1)


def _only(values: RunValues, runs: set[str]) -> RunValues:
    """The values of these runs, in the order of their names, so that two responses agree in it."""
    order = sorted((run, place) for place, run in enumerate(values.run) if run in runs)
    places = np.array([place for _, place in order], dtype=np.intp)
    return RunValues(
        y=values.y[places],
        unit=values.unit[places],
        context=values.context[places],
        run=tuple(run for run, _ in order),
    )


def _joint(
    fits: tuple[Fitted, Fitted],
    effects: tuple[Evaluated, Evaluated],
    inference: InferenceName,
    scope: Scope,
) -> _Joint:
    if inference == "narrow":
        return _within_cells(fits, effects)
    return _over_levels(fits[0].layout, effects, scope[0])


def _within_cells(fits: tuple[Fitted, Fitted], effects: tuple[Evaluated, Evaluated]) -> _Joint:
    """Both models have the same runs and weights, so that one factor scales their residuals."""
    above, below = fits[0].model, fits[1].model
    values = effects[0].values
    df = above.error.df
    factor = float(values.factor[values.used].sum()) / values.contexts**2 / df
    return _Joint(
        generalization=values.mean,
        learning=effects[1].values.mean,
        variances=(
            factor * float(above.residual @ above.residual),
            factor * float(below.residual @ below.residual),
        ),
        covariance=factor * float(above.residual @ below.residual),
        df=df,
    )


def _over_levels(layout: Layout, effects: tuple[Evaluated, Evaluated], name: str) -> _Joint:
    """Means over the levels of a variable, with the covariance of the levels' values."""
    ours, theirs = (level_values(effect.values, layout.blocks[name]).value for effect in effects)
    covariance = np.cov(ours, theirs) / len(ours)
    return _Joint(
        generalization=float(ours.mean()),
        learning=float(theirs.mean()),
        variances=(float(covariance[0, 0]), float(covariance[1, 1])),
        covariance=float(covariance[0, 1]),
        df=len(ours) - 1,
    )


def _row(
    effect: Evaluated,
    inference: InferenceName,
    scope: Scope,
    learning: Estimate,
    joint: _Joint | None,
    alpha: float,
) -> CarryOverRow:
    contrast = effect.contrast
    row = CarryOverRow(
        factor=contrast.factor,
        level=contrast.level,
        baseline=contrast.baseline,
        inference=inference,
        scope=list(scope),
        ratio=None,
        low=None,
        high=None,
        df=None,
        learning_p=number(learning.p),
        reason=learning.reason,
    )
    if joint is None:
        few = statement("no_effect_on_learning", p=learning.p, alpha=alpha)
        return {**row, "reason": learning.reason or few}
    ratio = fieller(
        joint.generalization,
        joint.learning,
        joint.variances,
        joint.covariance,
        joint.df,
        1.0 - alpha,
    )
    return {
        **row,
        "ratio": number(ratio.estimate),
        "low": number(ratio.low),
        "high": number(ratio.high),
        "df": whole(joint.df),
    }
