"""The linear mixed model of item outcomes: its frame, and an effect with a slope per item."""

from __future__ import annotations

import numpy as np

from ablatekit.analysis.effects import Fitted
from ablatekit.analysis.item_effects import ItemEffect
from ablatekit.analysis.layout import Floats, Integers
from ablatekit.analysis.mixed.design import Columns, independent_columns
from ablatekit.analysis.mixed.fit import fit_mixed
from ablatekit.analysis.mixed.formula import Formula, RandomSpec
from ablatekit.analysis.mixed.frame import ModelFrame, RandomTerm
from ablatekit.analysis.mixed.tests import linear_model
from ablatekit.analysis.outcomes import Outcomes
from ablatekit.analysis.values import ContextValues
from ablatekit.errors import NotEstimableError

LARGEST = 1e9
RUN, ITEM = ("run",), ("dataset", "item")


def item_frame(outcomes: Outcomes, fitted: Fitted, slope: Floats | None = None) -> ModelFrame:
    """The frame of `outcome ~ cell:context + (1 | run) + (1 + slope | dataset:item)`.

    slope: a column per unit (U,). A cell of the frame is a unit in a context.
    """
    unit, context, cell = _cells(outcomes, fitted)
    counts = np.bincount(cell).astype(float)
    matrix = _fixed_rows(fitted, unit, context)
    columns = np.ones((len(unit), 1))
    if slope is not None:
        columns = np.column_stack([columns, slope[unit]])
    kept_runs, run = np.unique(outcomes.run, return_inverse=True)
    terms = (
        _term(RandomSpec(True, (), RUN), run, len(kept_runs), columns[:, :1]),
        _term(
            RandomSpec(True, (("c",),) if slope is not None else (), ITEM),
            outcomes.item,
            outcomes.items,
            columns,
        ),
    )
    equal = bool(np.all(outcomes.samples == outcomes.samples[0]))
    return ModelFrame(
        formula=Formula("outcome", False, (), tuple(term.spec for term in terms)),
        y=outcomes.mean,
        weights=None if equal else outcomes.samples,
        cell=cell.astype(np.int32),
        counts=counts,
        variables={},
        points={},
        columns=Columns(matrix, tuple(map(str, range(matrix.shape[1]))), ()),
        kept=independent_columns(matrix, counts),
        random=terms,
        rows_dropped=0,
    )


def item_slope(outcomes: Outcomes, fitted: Fitted, contrast: ContextValues) -> ItemEffect:
    """An average effect with a random slope per item; df never above those of the runs.

    Raises NotEstimableError where the runs with outcomes do not determine it, or where the tables
    are too large for a model without a complete crossing.
    """
    size = float(len(np.unique(outcomes.run))) ** 2 * outcomes.items
    if size > LARGEST:
        raise NotEstimableError(
            "runs of one data set saw different items, and the tables are too large for a mixed "
            "model of them"
        )
    row = contrast.row
    assert row is not None
    rows = fitted.model.unit_rows
    slope = (row if rows is None else rows @ row) / float(row @ row)
    frame = item_frame(outcomes, fitted, slope)
    fixed = _contrast_row(outcomes, fitted, contrast, row)
    lost = np.delete(fixed, frame.kept)
    if np.abs(lost).max(initial=0.0) > 0.0 or abs(fixed).sum() == 0.0:
        raise NotEstimableError("a cell of this contrast has no run with item outcomes")
    fit = fit_mixed(frame)
    test = linear_model(fit, "satterthwaite").test(fixed[frame.kept][None, :])
    sd = next(c.sd for c in fit.components if c.name == "c" and c.other is None)
    df = min(float(test.df[0]), float(fitted.model.error.df))
    return ItemEffect(estimate=float(test.estimate[0]), se=float(test.se[0]), df=df, sd=sd)


def _cells(outcomes: Outcomes, fitted: Fitted) -> tuple[Integers, Integers, Integers]:
    """Unit and context of every cell with outcomes, and the cell of every row."""
    contexts = len(fitted.layout.contexts)
    group = (fitted.values.unit * contexts + fitted.values.context)[outcomes.run]
    present, cell = np.unique(group, return_inverse=True)
    return present // contexts, present % contexts, cell


def _fixed_rows(fitted: Fitted, unit: Integers, context: Integers) -> Floats:
    """The response's fixed effects (cells, p): cell means, or coded terms within contexts."""
    rows = fitted.model.unit_rows
    if rows is None:
        return np.eye(len(unit))
    own = np.eye(len(fitted.layout.contexts))[context]
    return np.asarray((own[:, :, None] * rows[unit][:, None, :]).reshape(len(unit), -1))


def _contrast_row(
    outcomes: Outcomes, fitted: Fitted, contrast: ContextValues, row: Floats
) -> Floats:
    """The equal-weight mean over contexts of the contrast, over the fixed effects (p,)."""
    share = contrast.used / contrast.contexts
    if fitted.model.unit_rows is not None:
        return np.asarray(np.kron(share, row), dtype=np.float64)
    unit, context, _ = _cells(outcomes, fitted)
    found = row[unit] * share[context]
    wanted = np.outer(row, share)
    return found if np.isclose(np.abs(found).sum(), np.abs(wanted).sum()) else np.zeros(len(unit))


def _term(spec: RandomSpec, codes: Integers, size: int, columns: Floats) -> RandomTerm:
    names = ("(Intercept)", "c")[: columns.shape[1]]
    return RandomTerm(spec, codes.astype(np.int32), tuple(map(str, range(size))), columns, names)
