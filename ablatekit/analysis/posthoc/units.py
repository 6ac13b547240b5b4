"""The experimental unit in item tables: df of run-level effects, items nested in data sets.

A run is the unit. What only varies between runs cannot have more error df than runs minus the
coefficients that runs estimate, whatever a variance estimated as zero makes of Satterthwaite's
formula.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.engine.formula import Formula
from ablatekit.analysis.engine.frame import ModelFrame, compress, group_codes

RUN, ITEM, DATASET = "run", "item", "dataset"

CHUNK = 1 << 20
WITHIN = 1e-10


@dataclass(frozen=True, slots=True)
class RunLevel:
    """`limit` of df between runs; `within` (p, r) spans what differences inside runs estimate.

    `constant` (p,) are the coefficients of the constant function 1, zero where it is not in the
    model. A mean of everything is no effect of a factor and is not limited.
    """

    limit: float
    within: Floats
    constant: Floats

    def cap(self, row: Floats) -> float:
        """The largest df of row @ beta: infinite for means and for what runs show inside."""
        size = float(np.linalg.norm(row))
        mean = abs(float(row @ self.constant)) > 1e-8 * size * float(np.linalg.norm(self.constant))
        gap = row - self.within @ (self.within.T @ row)
        between = float(np.linalg.norm(gap)) > 1e-6 * size
        return self.limit if between and not mean else float("inf")


def run_level(frame: ModelFrame) -> RunLevel | None:
    """What the grouping column `run` implies; None for a model without it."""
    terms = [term for term in frame.random if term.spec.group == (RUN,)]
    if not terms:
        return None
    runs, cells = len(terms[0].levels), len(frame.counts)
    keys = terms[0].codes.astype(np.int64) * cells + frame.cell
    present = compress(keys, runs * cells)[1]
    within = _within_space(frame.x, np.asarray(present // cells), np.asarray(present % cells))
    limit = float(runs - (frame.x.shape[1] - within.shape[1]))
    return RunLevel(limit if limit > 0.0 else float("nan"), within, _constant(frame))


def _within_space(x: Floats, run: Floats, cell: Floats) -> Floats:
    """A basis (p, r) of the span of differences between rows of x (C, p) that share a run.

    run, cell: the observed pairs, ordered by run.
    """
    first = cell[np.searchsorted(run, run)]
    scale = np.sqrt((x**2).mean(axis=0))
    scale[scale == 0.0] = 1.0
    gram = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(cell), CHUNK):
        part = slice(start, start + CHUNK)
        difference = (x[cell[part]] - x[first[part]]) / scale
        gram += difference.T @ difference
    values, vectors = np.linalg.eigh(gram / max(len(cell), 1))
    used = values > WITHIN
    return np.asarray(np.linalg.qr(vectors[:, used] * scale[:, None])[0], dtype=np.float64)


def _constant(frame: ModelFrame) -> Floats:
    names, p = frame.names, frame.x.shape[1]
    if "(Intercept)" in names:
        return np.asarray(np.eye(p)[names.index("(Intercept)")])
    ones = np.ones(len(frame.x))
    solution = np.linalg.lstsq(frame.x, ones, rcond=None)[0]
    exact = np.abs(frame.x @ solution - ones).max(initial=0.0) < 1e-8
    return np.asarray(solution) if exact else np.zeros(p)


def nested_items(data: pd.DataFrame, formula: Formula) -> Formula:
    """`(1 | item)` becomes `(1 | dataset:item)` where an item number repeats over data sets.

    Only integer item columns count as numbers; a formula that names `dataset:item` is left alone.
    """
    groups = {frozenset(spec.group) for spec in formula.random}
    columns = {ITEM, DATASET} <= set(data.columns)
    if frozenset({ITEM}) not in groups or frozenset({ITEM, DATASET}) in groups or not columns:
        return formula
    if not pd.api.types.is_integer_dtype(data[ITEM].dtype):
        return formula
    known = data[[DATASET, ITEM]].dropna()
    if known.empty or len(group_codes(known, [DATASET, ITEM])[1]) == known[ITEM].nunique():
        return formula
    random = [
        replace(spec, group=(DATASET, ITEM)) if spec.group == (ITEM,) else spec
        for spec in formula.random
    ]
    return replace(formula, random=tuple(random))
